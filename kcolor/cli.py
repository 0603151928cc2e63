"""The command line: click only. Each command imports what it needs when it runs.

Errors that a user can mend (DataError, ValueError, OSError) become one line and exit 1
here and nowhere else; click itself answers wrong usage with exit 2.
"""

import sys
from contextlib import contextmanager

import click

from kcolor import __version__
from kcolor.errors import DataError

# Module that a command cannot do without -> extra that brings it.
_EXTRAS = {
    "tfds": ("tensorflow_datasets",),
    "train": ("tensorflow", "keras", "skimage", "matplotlib"),
    "export": (
        "tf2onnx",
        "onnx",
        "onnxruntime",
        "ai_edge_quantizer",
        "tensorflow_serving",
    ),
}


class _Group(click.Group):
    """Turns the errors of every command into one line and the agreed exit codes."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except click.exceptions.Exit:
            raise
        except ModuleNotFoundError as error:
            raise click.ClickException(_missing(error)) from error
        except (DataError, ValueError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            raise click.ClickException(_one_line(error)) from error
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(130)


def _missing(error):
    module = (error.name or "").split(".")[0]
    for extra, modules in _EXTRAS.items():
        if module in modules:
            return (
                f"this command needs {module}, which is not installed. "
                f"Install it with: pip install 'kcolor[{extra}]'"
            )
    if module == "kcolor":  # a broken install, not something to install
        raise error
    return f"this command needs {module}, which is not installed"


def _one_line(error):
    if isinstance(error, OSError) and error.strerror:
        name = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{name}"
    return " ".join(str(error).split())


def _augmentation_options(command):
    """Adds the options of augmentation, which `fit` and `data preview` share."""
    options = (
        click.option(
            "--crop-min",
            default=0.5,
            show_default=True,
            help="Least side of a crop, as a share of the picture's shorter side.",
        ),
        click.option(
            "--crop-max",
            default=1.0,
            show_default=True,
            help="Greatest side of a crop.",
        ),
        click.option(
            "--degrade",
            default=0.0,
            show_default=True,
            help="Share of inputs made to look like old photographs.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="kcolor")
def main():
    """Colorize black-and-white photographs; train, evaluate and export the models."""


@main.command()
@click.argument("system", type=click.Choice(["resnet", "unet", "pix2pix", "mobile"]))
@click.option(
    "-o",
    "--output",
    "run",
    required=True,
    type=click.Path(file_okay=False),
    help="Run folder to write.",
)
@click.option(
    "--data",
    multiple=True,
    metavar="SRC",
    help="Folder, .tar or .zip of color photographs, or tfds:NAME/SPLIT; repeatable. "
    "SRC=0.3 draws 30% of it in each pass. Without it: the photographs that come "
    "inside scikit-image.",
)
@click.option("--val-data", metavar="SRC", help="Source to validate on.")
@click.option("--backbone", metavar="NAME", help="Encoder, such as resnet18.")
@click.option(
    "--backbone-weights",
    default="imagenet",
    show_default=True,
    metavar="imagenet|none|FILE",
    help="Initial values of the encoder.",
)
@click.option(
    "--loss",
    type=click.Choice(["l2", "l1", "huber", "psnr"]),
    help="Pixel loss on ab; psnr: on the picture, best for last steps.  [default: as "
    "published, l1 for pix2pix, else l2]",
)
@click.option(
    "--perceptual",
    default=0.0,
    show_default=True,
    help="Weight of an LPIPS term on the recomposed picture.",
)
@click.option(
    "--colorfulness",
    default=0.0,
    show_default=True,
    help="Weight of a term that asks for the truth's colorfulness.",
)
@click.option("--lpips-weights", metavar="FILE", help="Parameters of LPIPS.")
@click.option(
    "--teacher",
    metavar="MODEL",
    help="Run, .keras file or bundled preset (mobile) whose answers are a second "
    "target (distillation).",
)
@click.option(
    "--teacher-weight",
    default=0.5,
    show_default=True,
    help="Share of the pixel loss that looks at the teacher.",
)
@click.option(
    "--discriminator",
    type=click.Choice(["patch", "classifier"]),
    default="patch",
    show_default=True,
    help="Of pix2pix: patch judges each 70x70 patch, so it sees local color and gives "
    "a gradient everywhere; classifier, the published one, judges the whole picture.",
)
@click.option(
    "--lambda-l1",
    default=100.0,
    show_default=True,
    help="Of pix2pix: weight of the pixel loss.",
)
@click.option(
    "--gan-loss",
    type=click.Choice(["bce", "hinge"]),
    default="bce",
    show_default=True,
    help="Of pix2pix: adversarial loss.",
)
@click.option(
    "--pretrain-epochs",
    default=0,
    show_default=True,
    help="Of pix2pix: first epochs on the pixel loss alone.",
)
@click.option("--size", default=256, show_default=True, help="Side of the crops.")
@click.option("--batch-size", default=16, show_default=True)
@click.option("--epochs", default=30, show_default=True)
@click.option("--steps-per-epoch", type=int, help="Without it: one pass over the data.")
@click.option(
    "--learning-rate",
    type=float,
    help="Peak rate.  [default: 2e-4 for pix2pix, else 1e-3]",
)
@click.option(
    "--encoder-rate",
    default=0.2,
    show_default=True,
    help="Factor on the encoder's learning rate.",
)
@click.option(
    "--schedule",
    type=click.Choice(["cosine", "one-cycle", "constant"]),
    default="cosine",
    show_default=True,
    help="Course of the learning rate after the warm-up.",
)
@click.option("--warmup-steps", default=100, show_default=True)
@click.option("--weight-decay", default=1e-4, show_default=True)
@click.option(
    "--clip-norm",
    default=1.0,
    show_default=True,
    help="Largest norm of the gradients; 0 for no limit.",
)
@click.option(
    "--ema",
    default=0.999,
    show_default=True,
    help="Momentum of the weights' moving average; 0 for none.",
)
@click.option(
    "--patience",
    default=0,
    show_default=True,
    help="Stop after so many epochs without a lower validation loss; 0: never.",
)
@click.option(
    "--freeze-epochs",
    default=0,
    show_default=True,
    help="First epochs in which the encoder stays as it is.",
)
@click.option(
    "--freeze-levels",
    default=0,
    show_default=True,
    help="Encoder levels (P1, P2, ...) that never move.",
)
@_augmentation_options
@click.option(
    "--min-colorfulness",
    default=0.0,
    show_default=True,
    help="Leave out pictures of less colorfulness (M3; 15 is slight, 33 moderate).",
)
@click.option(
    "--val-fraction",
    default=0.05,
    show_default=True,
    help="Share to validate on without --val-data.",
)
@click.option(
    "--val-images",
    default=256,
    show_default=True,
    help="Most pictures to validate on.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "mixed_float16", "mixed_bfloat16"]),
    default="auto",
    show_default=True,
)
@click.option(
    "--cache",
    type=click.Choice(["none", "memory", "disk"]),
    default="none",
    show_default=True,
    help="Where decoded pictures are kept.",
)
@click.option(
    "--init-from",
    metavar="MODEL",
    help="Run, .keras file or bundled preset (mobile) to start from.",
)
@click.option("--resume", is_flag=True, help="Go on with the run in the run folder.")
@click.option("--seed", default=0, show_default=True)
@click.pass_context
def fit(ctx, **arguments):
    """Train SYSTEM on a folder of color photographs.

    The run folder receives model.keras, history.csv, sample pictures, TensorBoard logs
    and checkpoints. With --resume, options that are not given are the run's own.
    """
    from kcolor.training import fit, resume_arguments

    _log_to_terminal()
    arguments["data"] = list(arguments["data"])
    if arguments["resume"]:
        saved = resume_arguments(arguments["run"])
        for name in arguments:
            source = ctx.get_parameter_source(name)
            if source is click.core.ParameterSource.DEFAULT and name in saved:
                arguments[name] = saved[name]
    history = fit(**arguments)
    click.echo(
        f"{arguments['run']}: {len(history)} epochs, "
        f"validation PSNR {history[-1]['val_psnr']:.2f} dB "
        f"(gray: {history[-1]['val_psnr_gray']:.2f})"
    )


def _log_to_terminal():
    import logging

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    package = logging.getLogger("kcolor")
    package.handlers[:] = [handler]
    package.setLevel(logging.INFO)


@main.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    help="File or folder to write; '-' is standard output. Default: NAME-color beside "
    "the input.",
)
@click.option("--model", default="mobile", show_default=True, help="Preset or .tflite.")
@click.option(
    "--saturation",
    type=click.FloatRange(0, 10),
    default=1.0,
    show_default=True,
    help="Strength of the colors; 0 is gray.",
)
@click.option(
    "--blend",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="Share of the colorized picture; the rest is the input as it is.",
)
@click.option(
    "--upsampling",
    type=click.Choice(["guided", "bilinear"]),
    default="guided",
    show_default=True,
    help="Colors follow the edges of the photograph, or are enlarged as they are.",
)
@click.option(
    "--render-size",
    type=click.IntRange(32, 2048),
    help="Side of the square whose area the network's view has.  [default: 256]",
)
@click.option("--compare", is_flag=True, help="Write before and after side by side.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(
        ["jpg", "jpeg", "png", "tif", "tiff", "webp", "bmp", "gif", "ppm"],
        case_sensitive=False,
    ),
    help="Format of the results.  [default: each input's own]",
)
@click.option(
    "--quality",
    type=click.IntRange(1, 100),
    help="Of JPEG and WebP.  [default: 95 and 90]",
)
@click.option(
    "--recursive/--no-recursive",
    default=True,
    show_default=True,
    help="Look into the subfolders of a folder.",
)
@click.option("--skip-existing", is_flag=True, help="Leave results that are there.")
@click.option("--overwrite", is_flag=True, help="Replace results that are there.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    help="Photographs at a time.  [default: as many as there are cores]",
)
@click.option(
    "--max-megapixels",
    type=click.FloatRange(0, min_open=True),
    default=100.0,
    show_default=True,
    help="Refuse larger photographs.",
)
def colorize(inputs, **options):
    """Colorize photographs: files, folders with all that is in them, or '-'.

    \b
    kcolor colorize photo.jpg                   writes photo-color.jpg
    kcolor colorize photo.jpg -o out.png        writes that file
    kcolor colorize album -o album-in-color     keeps the folder's tree
    kcolor colorize - < in.jpg > out.jpg
    """  # noqa: D301
    if options["skip_existing"] and options["overwrite"]:
        raise click.UsageError("--skip-existing and --overwrite exclude each other.")
    from kcolor.inference import batch

    kind = batch.FORMATS[options["kind"].lower()] if options["kind"] else None
    jobs = batch.plan(inputs, options["output"], kind, options["recursive"])
    there = batch.existing(jobs)
    if options["skip_existing"]:
        done = set(there)
        jobs = [job for job in jobs if job not in done]
    elif there and not options["overwrite"]:
        more = f" (and {len(there) - 1} more)" if len(there) > 1 else ""
        raise DataError(
            f"{there[0].target}: exists{more}; use --overwrite or --skip-existing"
        )
    batch.remove_leftovers(jobs)
    settings = batch.Settings(
        kind=kind,
        quality=options["quality"],
        compare=options["compare"],
        max_megapixels=options["max_megapixels"],
    )
    network = {
        name: options[name]
        for name in ("model", "saturation", "blend", "upsampling", "render_size")
    }
    failed = batch.colorize_all(
        jobs, network, settings, options["jobs"], skipped=len(there)
    )
    if failed:
        raise click.exceptions.Exit(1)


@main.command()
def models():
    """List the models of kcolor with their size, speed and figures."""
    from kcolor import presets
    from kcolor.benchmark import align

    cards = presets.cards()
    if not cards:
        raise DataError("no preset comes with this installation")
    digits = {"psnr": 2, "ssim": 3, "lpips": 3, "ciede2000": 2, "colorfulness": 2}
    lines = [["model", "bundled", "MB", "ms", *digits]]
    for name, card in cards.items():
        gray, own = (
            [f"{row[metric]:.{count}f}" for metric, count in digits.items()]
            for row in card["figures"]["rows"]
        )
        if len(lines) == 1:  # All cards are of the same pictures.
            lines.append(["(left gray)", "", "", "", *gray])
        bundled = "yes" if card["bundled"] else "no"
        size, speed = f"{card['megabytes']:.1f}", f"{card['milliseconds']:.0f}"
        lines.append([name, bundled, size, speed, *own])
    click.echo(align(lines))
    protocol = card["figures"]["protocol"]
    click.echo(
        f"\nms: a picture of 256x256 on one thread of {card['machine']['processor']}. "
        f"Figures: means over {protocol['images']} test pictures at {protocol['size']}."
    )
    for name, card in cards.items():
        click.echo(f"\n{name}")
        for key, value in card.items():
            if isinstance(value, str) and key != "name":
                click.echo(f"    {key}: {value}")


@main.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--data",
    required=True,
    metavar="SRC",
    help="Folder, .tar or .zip of color photographs, or with color/ and gray/ in it.",
)
@click.option("--size", default=256, show_default=True, help="Side to resize to.")
@click.option(
    "--limit", type=int, help="Pictures to use, spread over the list.  [default: all]"
)
@click.option(
    "--metrics",
    metavar="LIST",
    help="Of psnr, ssim, lpips, lpips_squeeze, ciede2000, colorfulness, with commas "
    "between them.  [default: all but lpips_squeeze; lpips if its weights are found]",
)
@click.option(
    "--lpips-weights",
    metavar="FILE",
    help="Parameters of LPIPS.  [default: $KCOLOR_LPIPS_WEIGHTS, or the user's cache]",
)
@click.option("--by-group", is_flag=True, help="Add the figures of each subfolder.")
@click.option(
    "--self-check",
    is_flag=True,
    help="Add the rows truth, sepia and shuffled; fail unless all rows are possible.",
)
@click.option(
    "--before-after",
    is_flag=True,
    help="The models come in pairs: before fine-tuning, after.",
)
@click.option("--json", "json_file", metavar="FILE", help="Write the figures as JSON.")
@click.option(
    "--per-image", metavar="FILE", help="Write every picture's figures as CSV."
)
@click.option("--report", metavar="DIR", help="Write a page with charts and pictures.")
@click.option("--batch-size", default=8, show_default=True, help="Changes no figure.")
@click.option("--seed", default=0, show_default=True, help="Of the bootstrap.")
def evaluate(models, data, metrics, json_file, per_image, report, **options):
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
    for file in filter(None, (json_file, per_image)):
        folder = Path(file).absolute().parent
        if not os.access(folder, os.W_OK):
            raise DataError(f"{file}: cannot be written; {folder} is not writable")
    if options["before_after"] and len(models) % 2:
        raise click.UsageError("--before-after needs an even number of models.")
    from kcolor import evaluation
    from kcolor import report as reporting
    from kcolor.data.sources import open_source
    from kcolor.runs import load_predictor, write_json

    source = open_source(data)
    predictors = [load_predictor(model) for model in models]
    if report:
        Path(report).mkdir(parents=True, exist_ok=True)
    measuring = ("size", "limit", "lpips_weights", "batch_size", "self_check")
    with _progress("Measured") as show:
        measured = evaluation.measure(
            predictors,
            source,
            metrics=metrics and [name.strip() for name in metrics.split(",")],
            progress=show,
            **{name: options[name] for name in measuring},
        )
    result = evaluation.summarize(
        measured, by_group=options["by_group"], seed=options["seed"]
    )
    click.echo(reporting.markdown_table(result))
    if options["self_check"]:
        evaluation.check(measured, seed=options["seed"])
        click.echo("Self-check passed.\n")
    if options["before_after"]:
        click.echo(reporting.before_after_table(result))
    for group in result.get("groups", ()):
        click.echo(f"{reporting.group_heading(group)}\n")
        click.echo(reporting.markdown_rows(group["rows"]) + "\n")
    for sentence in reporting.statements(result):
        click.echo(sentence)
    if json_file:
        write_json(json_file, evaluation.to_json(result))
    if per_image:
        reporting.write_csv(per_image, measured)
    if report:
        page = reporting.write_report(
            report,
            result,
            measured,
            lambda names: evaluation.render(
                predictors, source, names, size=options["size"]
            ),
            before_after=options["before_after"],
        )
        click.echo(f"\n{page}")


@main.group()
def data():
    """Look at photographs before a training: check them, preview them."""


@data.command("check")
@click.argument("source", metavar="SRC")
@click.option("--against", metavar="SRC", help="Find pictures that are in both.")
@click.option("--json", "json_file", metavar="FILE", help="Write the findings as JSON.")
def data_check(source, against, json_file):
    """Count, measure and compare the pictures of SRC.

    Names unreadable files, gray and toned pictures, duplicates (also resized,
    recompressed or mirrored), and with --against what leaks between two sources. Exit
    0 whatever is found.
    """
    from kcolor.data.checks import check, report_lines
    from kcolor.data.sources import open_source
    from kcolor.runs import write_json

    sources = open_source(source), against and open_source(against)
    with _progress("Checked") as show:
        findings = check(*sources, progress=show)
    for line in report_lines(findings):
        click.echo(line)
    if json_file:
        write_json(json_file, findings)


@data.command("preview")
@click.argument("sources", nargs=-1, required=True, metavar="SRC...")
@click.option(
    "-o", "--output", required=True, metavar="FILE", help="Picture file to write."
)
@click.option("--size", default=256, show_default=True, help="Side of the crops.")
@click.option("--count", default=8, show_default=True, help="Pictures to draw.")
@_augmentation_options
@click.option("--seed", default=0, show_default=True)
def data_preview(sources, output, **options):
    """Draw the first pictures that `kcolor fit` would train on: input and target."""
    from pathlib import Path

    import cv2

    from kcolor.data.preview import preview
    from kcolor.runs import replacing

    output = Path(output)
    if not cv2.haveImageWriter(output.name):
        raise DataError(f"{output}: not the name of a picture file, such as sheet.png")
    sheet = preview(list(sources), **options)
    with replacing(output) as temporary:
        cv2.imwrite(str(temporary), sheet[..., ::-1])
    click.echo(output)


@contextmanager
def _progress(title):
    """Yields a function of (done, total): a bar on a terminal, or plain lines."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    announced = set()

    def show(done, total):
        bar.update(task, completed=done, total=total)
        tenth = 10 * done // total
        if bar.disable and tenth not in announced:
            announced.add(tenth)
            click.echo(f"{title} {done} of {total} pictures.", err=True)

    with bar:
        task = bar.add_task(title)
        yield show


def _parse_size(ctx, param, value):
    if value is None or value == "any":
        return value
    try:
        return int(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is neither a number nor 'any'.") from error


@main.command()
@click.argument("model")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    help="File to write; for saved-model the folder that receives the next version.",
)
@click.option(
    "--format",
    type=click.Choice(["saved-model", "tflite", "onnx"]),
    required=True,
)
@click.option(
    "--io",
    type=click.Choice(["rgb", "network"]),
    default="rgb",
    show_default=True,
    help="rgb: picture to picture. network: lightness to ab. A SavedModel has both.",
)
@click.option(
    "--size",
    callback=_parse_size,
    metavar="N|any",
    help="Side of the pictures, a multiple of 32.  [default: 256 for tflite, any for "
    "the others]",
)
@click.option(
    "--quantize",
    type=click.Choice(["none", "fp16", "dynamic", "int8"]),
    default="none",
    show_default=True,
    help="tflite only.",
)
@click.option("--calibration", metavar="SRC", help="Photographs to calibrate int8 on.")
@click.option(
    "--data",
    metavar="SRC",
    help="Color photographs to verify on, which also gives the cost in quality. "
    "Without it: the photographs that come inside scikit-image.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=300,
    show_default=True,
    help="Pictures of --data to use.",
)
@click.option(
    "--encoding",
    type=click.Choice(["png", "jpeg"]),
    default="png",
    show_default=True,
    help="Of a SavedModel's answers.",
)
@click.option(
    "--license",
    "license_name",
    default="not stated",
    show_default=True,
    help="License of the weights; the file says it.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@click.option("--json", "json_file", metavar="FILE", help="Write the figures too.")
def export(model, output, json_file, **options):
    """Write MODEL (a run folder or .keras file) for another runtime, and verify it.

    The written file is run in its own runtime against Keras. A file whose answers are
    too far away is removed.
    """
    if options["quantize"] == "int8" and not options["calibration"]:
        raise click.UsageError("--quantize int8 needs --calibration SRC.")
    if options["quantize"] != "int8" and options["calibration"]:
        raise click.UsageError("--calibration is for --quantize int8.")
    if options["format"] != "tflite" and options["quantize"] != "none":
        raise click.UsageError("--quantize is for --format tflite.")
    from kcolor.export import report
    from kcolor.runs import write_json

    result = report.export(model, output, **options)
    click.echo(report.table(result))
    if json_file:
        write_json(json_file, result)


@main.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--size", type=click.IntRange(1), default=256, show_default=True)
@click.option(
    "--threads",
    type=click.IntRange(1),
    multiple=True,
    default=(1, 2),
    show_default=True,
    help="Repeatable.",
)
@click.option("--json", "json_file", metavar="FILE", help="Write the figures too.")
def benchmark(models, size, threads, json_file):
    """Measure models beside each other: latency, throughput, load time, memory.

    Each model and thread count runs in a process of its own; they take turns.
    """
    from kcolor.benchmark import benchmark, table
    from kcolor.runs import write_json

    result = benchmark(models, size, threads)
    click.echo(table(result["rows"]))
    if json_file:
        write_json(json_file, result)


if __name__ == "__main__":
    sys.exit(main())
