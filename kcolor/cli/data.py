"""`kcolor data`."""

from typing import Any

import click

from kcolor.cli.shared import augmentation_options, writable
from kcolor.errors import DataError


@click.group()
def data() -> None:
    """Look at photographs before a training: check them, preview them."""


@data.command("check")
@click.argument("source", metavar="SRC")
@click.option("--against", metavar="SRC", help="Find pictures that are in both.")
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    callback=writable,
    help="Write the findings as JSON.",
)
def data_check(source: str, against: str | None, json_file: str | None) -> None:
    """Count, measure and compare the pictures of SRC.

    Names unreadable files, gray and toned pictures, duplicates (also resized,
    recompressed or mirrored), and with --against what leaks between two sources. Exit
    0 whatever is found.
    """
    from kcolor.data.checks import check, report_lines
    from kcolor.data.source import open_source
    from kcolor.files import write_json
    from kcolor.progress import progress_bar

    other = open_source(against) if against else None
    with progress_bar("Checked") as show:
        findings = check(open_source(source), other, progress=show)
    for line in report_lines(findings):
        click.echo(line)
    if json_file:
        write_json(json_file, findings)


@data.command("preview")
@click.argument("sources", nargs=-1, required=True, metavar="SRC...")
@click.option(
    "-o", "--output", required=True, metavar="FILE", help="Picture file to write."
)
@click.option("--size", default=256, help="Side of the crops.")
@click.option("--count", type=click.IntRange(1), default=8, help="Pictures to draw.")
@augmentation_options
@click.option("--seed", type=click.IntRange(0), default=0)
def data_preview(sources: tuple[str, ...], output: str, **options: Any) -> None:
    """Draw pictures as `kcolor fit` would train on them: input and target."""
    import os
    from pathlib import Path

    import cv2

    from kcolor.data.preview import preview
    from kcolor.images.sheets import write_sheet
    from kcolor.training.options import FitOptions

    if not cv2.haveImageWriter(Path(output).name):
        raise DataError(f"{output}: not the name of a picture file, such as sheet.png")
    for folder in filter(os.path.isdir, sources):
        inside = Path(output).resolve().is_relative_to(Path(folder).resolve())
        if inside and Path(output).exists():
            raise DataError(f"{output}: exists, among the photographs of {folder}")
    # As `fit` refuses values; the sheet has a count of its own.
    FitOptions("unet", "", **{k: v for k, v in options.items() if k != "count"})
    sheet = preview(list(sources), **options)
    write_sheet(Path(output), sheet)
    click.echo(output)
