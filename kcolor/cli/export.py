"""`kcolor export`."""

from contextlib import nullcontext
from typing import Any

import click

from kcolor.cli.shared import MODEL, is_debugging, json_option
from kcolor.export import ENCODINGS, FORMATS, IO, QUANTIZE


def _parse_size(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> int | str | None:
    if value is None or value == "any":
        return value
    try:
        return int(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is neither a number nor 'any'.") from error


@click.command()
@click.argument("model", type=MODEL)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    help="File to write; for saved-model the folder that receives the next version.",
)
@click.option(
    "--format",
    type=click.Choice(FORMATS),
    required=True,
)
@click.option(
    "--io",
    type=click.Choice(IO),
    default="rgb",
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
    type=click.Choice(QUANTIZE),
    default="none",
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
    help="Pictures of --data to use.",
)
@click.option(
    "--encoding",
    type=click.Choice(ENCODINGS),
    default="png",
    help="Of a SavedModel's answers.",
)
@click.option(
    "--license",
    "license_name",
    default="not stated",
    help="License of the weights; the file says it.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@json_option
def export(model: str, output: str, json_file: str | None, **options: Any) -> None:
    """Write MODEL (a preset, run folder or .keras file) for another runtime; verify it.

    The written file is run in its own runtime against Keras. A file whose answers are
    too far away is removed.
    """
    if options["quantize"] == "int8" and not options["calibration"]:
        raise click.UsageError("--quantize int8 needs --calibration SRC.")
    if options["quantize"] != "int8" and options["calibration"]:
        raise click.UsageError("--calibration is for --quantize int8.")
    if options["format"] != "tflite" and options["quantize"] != "none":
        raise click.UsageError("--quantize is for --format tflite.")
    import logging
    import os

    # TensorFlow writes about its own affairs while it traces, at several sizes on
    # purpose; the converters' C++ and LiteRT comment on every step.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    from kcolor.export import export as run
    from kcolor.export.report import table
    from kcolor.files import write_json
    from kcolor.process import silent_libraries

    # With --debug, what libraries say may be what is looked for.
    with nullcontext() if is_debugging() else silent_libraries():
        result = run(model, output, **options)
    click.echo(table(result))
    if json_file:
        write_json(json_file, result)
