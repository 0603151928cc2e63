"""`kcolor colorize`."""

import os
import time
from contextlib import ExitStack
from typing import Any

import click

from kcolor.cli.shared import is_debugging, model_option
from kcolor.errors import DataError
from kcolor.images import formats
from kcolor.inference.film.settings import CODECS, STEADY, FilmSettings, is_film

_QUALITIES = " and ".join(
    f"{row.name} (default: {row.quality})" for row in formats.FORMATS if row.quality
)


class _Shard(click.ParamType):
    """Turns `I/N` into a `Shard`."""

    name = "I/N"

    def convert(self, value, param, ctx):
        from kcolor.inference.shards import Shard

        try:
            return Shard.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    help="File or folder to write; '-' is standard output. Default: NAME-color beside "
    "the input.",
)
@model_option
@click.option(
    "--saturation",
    type=click.FloatRange(0, 10),
    default=1.0,
    help="Strength of the colors; 0 is gray.",
)
@click.option(
    "--blend",
    type=click.FloatRange(0, 1),
    default=1.0,
    help="Share of the colorized picture; the rest is the input as it is.",
)
@click.option(
    "--upsampling",
    type=click.Choice(["guided", "bilinear"]),
    default="guided",
    help="Colors follow the edges of the photograph, or are enlarged as they are.",
)
@click.option(
    "--render-size",
    type=click.IntRange(32, 2048),
    help="Side of the square whose area the network's view has.  [default: 256]",
)
@click.option(
    "--hint",
    "points",
    multiple=True,
    metavar="X,Y,#RRGGBB",
    help="A color that is known, at a place in pixels or percent of the photograph as "
    "it is seen. May be given again.",
)
@click.option(
    "--hints",
    "files",
    multiple=True,
    metavar="FILE",
    help="Known colors: JSON of points and strokes, or a PNG of the photograph's size "
    "whose opaque pixels are known. May be given again.",
)
@click.option("--compare", is_flag=True, help="Write before and after side by side.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(list(formats.CHOICES), case_sensitive=False),
    help="Format of the results.  [default: each input's own]",
)
@click.option(
    "--quality",
    type=click.IntRange(1, 100),
    help=f"Of {_QUALITIES}, and of films (default: 80).",
)
@click.option(
    "--lossless-luma/--no-lossless-luma",
    default=None,
    help="JPEG to JPEG: keep the photograph's own gray picture bit for bit, and add "
    "colors to it.  [default: of gray JPEGs, unless --quality is given]",
)
@click.option(
    "--steady",
    type=click.Choice(STEADY),
    default="both",
    help="Films: colors follow the motion, so that they do not flicker.",
)
@click.option(
    "--codec",
    type=click.Choice(CODECS),
    help="Films: how the picture is coded; ffv1 and prores are for archives.  "
    "[default: h264]",
)
@click.option(
    "--recursive/--no-recursive",
    default=True,
    help="Look into the subfolders of a folder.",
)
@click.option(
    "--watch",
    "watching",
    is_flag=True,
    help="Go on and colorize what arrives in a folder, until Ctrl-C.",
)
@click.option("--skip-existing", is_flag=True, help="Leave results that are there.")
@click.option("--overwrite", is_flag=True, help="Replace results that are there.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    help="Photographs at a time.  [default: as many as there are cores]",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    help="ray: on the cluster of RAY_ADDRESS, or this machine; takes URLs, too.",
)
@click.option(
    "--shard",
    type=_Shard(),
    help="Do the Ith of N parts, from 0/N to N-1/N, for as many processes or machines.",
)
@click.option(
    "--log",
    type=click.Path(dir_okay=False),
    metavar="FILE.jsonl",
    help="Add a line of JSON for each input: input, output, status, seconds, error.",
)
@click.option(
    "--max-megapixels",
    type=click.FloatRange(0, min_open=True),
    default=100.0,
    help="Refuse larger photographs.",
)
def colorize(inputs: tuple[str, ...], **options: Any) -> None:
    """Colorize photographs and films: files, folders with all in them, or '-'.

    \b
    kcolor colorize photo.jpg                   writes photo-color.jpg
    kcolor colorize photo.jpg -o out.png        writes that file
    kcolor colorize album -o album-in-color     keeps the folder's tree
    kcolor colorize scans --watch               colors what arrives in the folder
    kcolor colorize photo.jpg --hint 40%,75%,#7a2030   knows the color there
    kcolor colorize - < in.jpg > out.jpg
    kcolor colorize film.mp4                    writes film-color.mp4, with its sound

    A film that was interrupted goes on when the same command is given again.
    """  # noqa: D301
    if options["skip_existing"] and options["overwrite"]:
        raise click.UsageError("--skip-existing and --overwrite exclude each other.")
    from kcolor.inference import runner
    from kcolor.inference.hints import parse_hint, read_hints
    from kcolor.inference.jobs import Settings, Status
    from kcolor.inference.log import StatusLog
    from kcolor.inference.plan import STANDARD
    from kcolor.process import keep_freed_memory, silent_libraries

    kind = formats.CHOICES[options["kind"].lower()] if options["kind"] else None
    hints = [hint for file in options["files"] for hint in read_hints(file)]
    hints += [parse_hint(text) for text in options["points"]]
    settings = Settings(
        kind=kind,
        quality=options["quality"],
        compare=options["compare"],
        max_megapixels=options["max_megapixels"],
        hints=tuple(hints),
        lossless_luma=options["lossless_luma"],
        film=FilmSettings(
            codec=options["codec"],
            quality=options["quality"],
            steady=options["steady"],
            max_megapixels=options["max_megapixels"],
        ),
    )
    network = {
        name: options[name]
        for name in ("model", "saturation", "blend", "upsampling", "render_size")
    }
    if options["watching"]:
        from kcolor.cli.watch import watch_folder

        _check_watched(options["output"])
        watch_folder(inputs, kind, options, network, settings)
        return
    jobs, there = _plan(inputs, kind, options)
    if options["log"]:
        # Names first: whole paths of a million jobs take seconds.
        name = os.path.basename(options["log"])
        files = (file for job in jobs for file in (job.source, job.target))
        alike = (file for file in files if os.path.basename(file) == name)
        if os.path.abspath(options["log"]) in map(os.path.abspath, alike):
            raise DataError(f"{options['log']}: is a photograph or its result, no log")
    if hints and len(jobs) > 1:
        raise click.UsageError(
            "--hint and --hints belong to one photograph or film; there are "
            f"{len(jobs)}. Colorize them one by one."
        )
    if options["skip_existing"]:
        done = set(there)
        jobs = [job for job in jobs if job not in done]
    elif there and not options["overwrite"]:
        more = f" (and {len(there) - 1} more)" if len(there) > 1 else ""
        raise DataError(
            f"{there[0].target}: exists{more}; use --overwrite or --skip-existing"
        )
    if any(is_film(job.source) for job in jobs):
        import av  # noqa: F401  Here it is missed before any work is done.
    skipped = there if options["skip_existing"] else []
    keep_freed_memory(shared=True)
    with ExitStack() as stack:
        log = None
        if options["log"]:
            log = stack.enter_context(StatusLog(options["log"])).append
            now = time.monotonic()
            for job in skipped:
                log(Status.of(job, "skipped", now))
        # With --debug, what libraries say may be what is looked for.
        if not is_debugging():
            stack.enter_context(silent_libraries())
        lone = len(jobs) == 1 and not skipped and not options["shard"]
        if lone and options["engine"] == "local":
            runner.colorize_one(jobs[0], network, settings, log)
            if jobs[0].target != STANDARD:
                click.echo(jobs[0].target)
            return
        run = runner.colorize_all
        faulty: list[Status] = []
        if options["engine"] == "ray":
            from kcolor.inference import ray

            run = ray.colorize_all
            # Names alone go out to the machines; there such a job would be done.
            now = time.monotonic()
            faulty = [
                Status.of(job, "failed", now, job.fault) for job in jobs if job.fault
            ]
            jobs = [job for job in jobs if not job.fault]
            if log:
                for status in faulty:
                    log(status)
        failed, summary = run(jobs, network, settings, options["jobs"], log)
        failed = faulty + failed
    if skipped:
        summary += f", {len(skipped)} already there"
    if failed:
        summary += f", {len(failed)} failed:"
    click.echo(summary, err=True)
    for status in failed:
        click.echo(f"Error: {status.error}", err=True)
    if failed:
        raise click.exceptions.Exit(1)


def _check_watched(out):
    # Now: a watch that cannot write says so once and goes on.
    from kcolor.inference.plan import STANDARD
    from kcolor.remote import is_url

    if out == STANDARD or is_url(out):
        raise click.UsageError("--watch writes into a folder, not to '-' or a URL.")
    if out is not None and os.path.isfile(out):
        raise click.UsageError(f"--watch writes into a folder; {out} is a file.")


def _plan(inputs, kind, options):
    # The jobs, and those of them whose result is there.
    from kcolor.inference import plan, plan_urls
    from kcolor.remote import is_url

    out, on_ray = options["output"], options["engine"] == "ray"
    recursive, shard = options["recursive"], options["shard"]
    if not any(map(is_url, [*inputs, out])):
        if on_ray and plan.STANDARD in [*inputs, out]:
            raise click.UsageError("--engine ray takes files, not '-'.")
        jobs = plan.plan(inputs, out, kind, recursive, options["codec"], shard)
        if options["skip_existing"]:
            jobs = plan.keep_results(jobs)
        return jobs, plan.existing(jobs)
    if not on_ray:
        raise click.UsageError("URLs need --engine ray.")
    if out is None:
        raise click.UsageError("URLs need --output.")
    jobs = plan_urls.plan_urls(inputs, out, kind, recursive, shard)
    return jobs, plan_urls.existing(jobs, out)
