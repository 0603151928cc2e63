"""`kcolor evaluate`."""

from typing import Any

import click

from kcolor.cli.shared import MODEL, json_option, writable


@click.command()
@click.argument("models", nargs=-1, required=True, type=MODEL, metavar="MODEL...")
@click.option(
    "--data",
    required=True,
    metavar="SRC",
    help="Folder, .tar or .zip of color photographs, or with color/ and gray/ in it.",
)
@click.option(
    "--protocol",
    metavar="NAME",
    help="square256: whole pictures, made square. center256: their central squares. "
    "original: full size, as colorize does it.  [default: the manifest's or square256]",
)
@click.option("--size", type=int, help="Side to resize to, instead of 256.")
@click.option(
    "--manifest",
    metavar="FILE",
    help="Measure the very pictures that a manifest names; fail at any other.",
)
@click.option(
    "--write-manifest",
    callback=writable,
    metavar="FILE",
    help="Write a manifest: names, what is measured of each, SHA-256.",
)
@click.option(
    "--limit", type=int, help="Pictures to use, spread over the list.  [default: all]"
)
@click.option(
    "--metrics",
    metavar="LIST",
    help="Of psnr, ssim, lpips, lpips_squeeze, ciede2000, colorfulness, "
    "colorfulness_unsigned, chroma_excess, fid, kid, with commas between them.  "
    "[default: all but lpips_squeeze, colorfulness_unsigned, chroma_excess, fid and "
    "kid]",
)
@click.option(
    "--lpips-weights",
    metavar="FILE",
    help="Parameters of LPIPS.  [default: $KCOLOR_LPIPS_WEIGHTS, or AlexNet's that "
    "come with kcolor and SqueezeNet's in the user's cache]",
)
@click.option(
    "--fid-features",
    type=click.Choice(["inception", "alexnet"]),
    default="inception",
    help="Network of FID and KID. alexnet comes with kcolor; figures of different "
    "networks cannot be compared.",
)
@click.option(
    "--fid-weights",
    metavar="FILE",
    help="InceptionV3's parameters, as keras.applications publishes them without the "
    "classifier.  [default: downloaded once]",
)
@click.option(
    "--force", is_flag=True, help="Measure FID and KID of too few pictures, too."
)
@click.option("--by-group", is_flag=True, help="Add the figures of each subfolder.")
@click.option(
    "--self-check",
    is_flag=True,
    help="Add the rows truth, sepia and shuffled; fail unless all rows are possible.",
)
@click.option(
    "--samples",
    type=click.IntRange(2),
    help="Of models that sample: measure so many answers to each picture, beside noise "
    "of the same spread.",
)
@click.option(
    "--before-after",
    is_flag=True,
    help="The models come in pairs: before fine-tuning, after.",
)
@click.option(
    "--hint-curve",
    "hint_counts",
    metavar="LIST",
    help="Measure PSNR with so many known colors instead, such as 0,1,2,5,10,20,50.",
)
@click.option(
    "--hint-protocol",
    type=click.Choice(["sig17", "icolorit"]),
    default="sig17",
    help="How known colors are drawn for --hint-curve.",
)
@json_option
@click.option(
    "--per-image",
    metavar="FILE",
    callback=writable,
    help="Write every picture's figures as CSV.",
)
@click.option("--report", metavar="DIR", help="Write a page with charts and pictures.")
@click.option("--batch-size", default=8, help="Changes no figure.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    help="Of the bootstrap, of hints and of samples.",
)
def evaluate(
    models: tuple[str, ...],
    data: str,
    metrics: str | None,
    json_file: str | None,
    per_image: str | None,
    report: str | None,
    write_manifest: str | None,
    **options: Any,
) -> None:
    """Measure MODELs against the truth, always beside the row gray.

    MODEL is a preset, a run folder, or a .keras, .tflite, .onnx or SavedModel path. All
    rows are measured on the same pictures, so that several models can be compared.
    """
    import logging
    import os
    from pathlib import Path

    # TensorFlow writes about its own affairs while it compiles.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if options["before_after"] and len(models) % 2:
        raise click.UsageError("--before-after needs an even number of models.")
    if options["hint_counts"] is not None:
        others = (metrics, per_image, write_manifest)
        _hint_curve(models, data, json_file, report, options, others)
        return
    if write_manifest and options["limit"] is not None:
        raise click.UsageError(
            "--write-manifest names all pictures; it does not go with --limit."
        )
    from kcolor.data.source import open_source
    from kcolor.evaluation import diversity, manifest, tables
    from kcolor.evaluation.measure import measure, render
    from kcolor.evaluation.protocol import Options
    from kcolor.evaluation.report import write_report
    from kcolor.evaluation.self_check import check
    from kcolor.evaluation.statistics import summarize
    from kcolor.files import write_json
    from kcolor.process import keep_freed_memory
    from kcolor.progress import progress_bar
    from kcolor.runtimes.resolve import load_predictor

    keep_freed_memory()
    how = Options(
        metrics=metrics and [name.strip() for name in metrics.split(",")],
        **{name: options[name] for name in _MEASURING},
    )
    source = open_source(data)
    predictors = [load_predictor(model) for model in models]
    if report:
        Path(report).mkdir(parents=True, exist_ok=True)
    sampled = None
    if options["samples"]:
        with progress_bar("Sampled") as show:
            sampled = diversity.diversity(
                predictors,
                source,
                options["samples"],
                how,
                seed=options["seed"],
                progress=show,
            )
    with progress_bar("Measured") as show:
        measured = measure(predictors, source, how, progress=show)
    result = summarize(measured, by_group=options["by_group"], seed=options["seed"])
    click.echo(tables.markdown_table(result))
    if how.self_check:
        check(measured, seed=options["seed"])
        click.echo("Self-check passed.\n")
    if options["before_after"]:
        click.echo(tables.before_after_table(result))
    for group in result.get("groups", ()):
        click.echo(f"{tables.group_heading(group)}\n")
        click.echo(tables.markdown_rows(group["rows"]) + "\n")
    for sentence in tables.statements(result):
        click.echo(sentence)
    if sampled:
        result["samples"] = sampled
        click.echo("\n" + diversity.markdown_table(sampled))
    if write_manifest and measured.manifest:
        manifest.write_manifest(write_manifest, measured.manifest)
    if json_file:
        write_json(json_file, tables.to_json(result))
    if per_image:
        tables.write_csv(per_image, measured)
    if report:
        page = write_report(
            report,
            result,
            measured,
            lambda names: render(predictors, source, names, how),
            before_after=options["before_after"],
        )
        click.echo(f"\n{page}")


_MEASURING = (
    "protocol",
    "size",
    "manifest",
    "limit",
    "lpips_weights",
    "fid_features",
    "fid_weights",
    "force",
    "batch_size",
    "self_check",
)


def _hint_curve(models, data, json_file, report, options, others):
    from pathlib import Path

    from kcolor.evaluation import hint_curve, tables
    from kcolor.files import replacing, write_json
    from kcolor.progress import progress_bar
    from kcolor.runtimes.resolve import load_predictor

    names = ["self_check", "by_group", "before_after", "lpips_weights"]
    names += ["protocol", "manifest", "fid_weights", "force", "samples"]
    if any((*others, *(options[name] for name in names))):
        raise click.UsageError(
            "--hint-curve measures PSNR alone; of the others it takes --size, --limit, "
            "--seed, --json and --report."
        )
    try:
        counts = [int(count) for count in options["hint_counts"].split(",")]
    except ValueError:
        raise click.BadParameter(
            f"must be whole numbers with commas between them. Received: "
            f"{options['hint_counts']!r}",
            param_hint="--hint-curve",
        ) from None
    with progress_bar("Measured") as show:
        result = hint_curve.hint_curve(
            [load_predictor(model) for model in models],
            data,
            counts=counts,
            protocol=options["hint_protocol"],
            size=256 if options["size"] is None else options["size"],
            limit=options["limit"],
            seed=options["seed"],
            progress=show,
        )
    places = result.pop("places")
    click.echo(hint_curve.markdown_table(result))
    if json_file:
        # The hints themselves, so that others can be measured with the same ones.
        path = Path(json_file)
        write_json(path.with_name(f"{path.stem}-places.json"), places)
        write_json(path, tables.to_json(result))
    if report:
        Path(report).mkdir(parents=True, exist_ok=True)
        drawing = Path(report) / "hint-curve.svg"
        with replacing(drawing) as temporary:
            temporary.write_text(hint_curve.svg(result), encoding="utf-8")
        click.echo(drawing)
