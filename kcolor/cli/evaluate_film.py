"""`kcolor evaluate-film`."""

import click

from kcolor.cli.shared import json_option, model_option
from kcolor.errors import DataError


@click.command("evaluate-film")
@click.argument("films", nargs=-1, required=True, metavar="FILM...")
@model_option
@click.option(
    "--result",
    "results",
    multiple=True,
    metavar="FILE",
    help="A film that something else colored, measured beside; with one FILM only.",
)
@click.option(
    "--frames",
    type=click.IntRange(5),
    default=100,
    help="Frames of each film, from its beginning.",
)
@json_option
def evaluate_film(
    films: tuple[str, ...],
    model: str,
    results: tuple[str, ...],
    frames: int,
    json_file: str | None,
) -> None:
    """Measure how still colors hold on FILMs in color, beside gray and the truth.

    \b
    flicker     change of a* and b* along the motion, from a frame to the next
    CDC         divergence of the histograms of colors of frames 1, 2 and 4 apart
    warp error  squared difference of frames along the motion
    PSNR, chroma  as for photographs: gray film holds stillest and has neither

    Frames are shrunk to 57,600 pixels; the motion is measured on the true frames.
    """  # noqa: D301
    if results and len(films) > 1:
        raise click.UsageError("--result needs one FILM.")
    import math
    import os
    from pathlib import Path

    import cv2

    # TensorFlow writes about its own affairs while it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from kcolor.evaluation import film as measures
    from kcolor.evaluation import tables
    from kcolor.files import write_json
    from kcolor.inference.colorizer import Colorizer
    from kcolor.inference.film.reading import Film
    from kcolor.inference.film.rows import colored_rows, read_small

    colorizer = Colorizer(model)
    found: dict[str, list[dict[str, float]]] = {}
    measured = 0
    for path in films:
        truth = read_small(Film(Path(path)), frames, _PIXELS)
        if len(truth) < 5:
            raise DataError(f"{path}: has {len(truth)} frames; 5 are needed")
        measured += len(truth)
        motion = measures.estimate_motion(truth)
        grays = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in truth]
        rows: dict[str, tuple[list, list | None]] = {**colored_rows(colorizer, grays)}
        for result in results:
            other = read_small(Film(Path(result)), frames, _PIXELS)
            if len(other) != len(truth) or other[0].shape != truth[0].shape:
                raise DataError(f"{result}: not as long or as large as {path}")
            rows[Path(result).name] = other, None
        rows["truth"] = truth, None
        for name, (painted, abs_) in rows.items():
            row = measures.measure_film(painted, truth, motion, abs_)
            found.setdefault(name, []).append(row)
    means = {name: measures.mean_over_films(rows) for name, rows in found.items()}
    without = measured - int(means["gray"]["psnr_frames"])
    click.echo(_table(means))
    if without:
        click.echo(f"\n{tables.uncounted(without, 'frame').strip()}")
    if json_file:
        protocol = {"films": list(films), "frames": frames, "pixels": _PIXELS}
        listed: list[dict[str, object]] = []
        for name, row in means.items():
            psnr = row["psnr"] if math.isfinite(row["psnr"]) else None
            listed.append({"model": name, **row, "psnr": psnr})
        content = {"protocol": protocol, "rows": listed}
        write_json(json_file, tables.to_json(content))


_PIXELS = 320 * 180


def _table(rows):
    from kcolor.evaluation.tables import number

    lines = [
        "| | flicker | CDC x1000 | warp error x1000 | PSNR | chroma |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        lines.append(
            f"| {name} | {row['flicker']:.3f} | {1000 * row['cdc']:.2f} | "
            f"{1000 * row['warp_error']:.3f} | {number(row['psnr'], 'psnr')} | "
            f"{row['chroma']:.2f} |"
        )
    return "\n".join(lines)
