"""Writes the report of an evaluation: a page, and the files behind it.

The page holds its pictures and style inside and has no script: it can be mailed, and
opened without a network. `report.html` says how it looks; this file says what is in it.
"""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import jinja2
import markupsafe
import numpy as np

from kcolor.evaluation import charts, tables
from kcolor.evaluation.measurements import Measurements
from kcolor.evaluation.protocol import CHECK_ROWS, COLUMNS, DIRECTIONS, GRAY
from kcolor.files import replacing, write_json
from kcolor.images.resize import resize_to

_FOLDER = Path(__file__).parent
_SHEET_PICTURES = 4  # per contact sheet
_SHOWN = 768  # longer side of a picture on the page, at most


def write_report(
    folder: Path | str,
    result: Mapping[str, Any],
    measurements: Measurements,
    pictures: Callable[[list[str]], Mapping[str, Sequence[np.ndarray]]],
    *,
    before_after: bool = False,
) -> Path:
    """Writes `index.html` and, each with the protocol's name, what it was made of.

    That is `table-PROTOCOL.md`, `results-PROTOCOL.json` and `per_image-PROTOCOL.csv`.

    Args:
        folder: Folder to write to; made if it is not there.
        result: Dict that `kcolor.evaluation.statistics.summarize` returns.
        measurements: The figures it was made of.
        pictures: Function from a list of names to what
            `kcolor.evaluation.measure.render` returns for them.
        before_after: Whether the models are pairs, see
            `kcolor.evaluation.tables.before_after_table`.

    Returns:
        Path of the page.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    page = _page(result, measurements, pictures, before_after)
    table = tables.markdown_table(result)
    if before_after:
        table += "\n" + tables.before_after_table(result)
    name = result["protocol"]["name"]
    _write_text(folder / "index.html", page)
    _write_text(folder / f"table-{name}.md", table)
    write_json(folder / f"results-{name}.json", tables.to_json(result))
    tables.write_csv(folder / f"per_image-{name}.csv", measurements)
    return folder / "index.html"


def choose_pictures(
    measurements: Measurements, count: int = _SHEET_PICTURES
) -> tuple[str, str, dict[str, list[str]]]:
    """Chooses the pictures of the contact sheets.

    Args:
        measurements: The figures.
        count: Pictures in each sheet.

    Returns:
        Tuple: the metric that ranks, the row that is ranked (the first model, or gray
        if there is none), and a dict of "best", "median" and "worst" to a list of
        names. No picture is in two sheets.
    """
    row = next(iter(measurements.models), GRAY)
    values = measurements.rows[row]
    metric = next(
        m for m in ("lpips", "ciede2000", "psnr", "ssim", *values) if m in values
    )
    order = np.argsort(-values[metric] * DIRECTIONS.get(metric, 1), kind="stable")
    count = max(1, min(count, len(order) // 3))
    middle = (len(order) - count) // 2
    chosen = {
        "best": order[:count],
        "median": order[middle : middle + count],
        "worst": order[::-1][:count],
    }
    taken: set[int] = set()
    sheets = {}
    for title, positions in chosen.items():
        fresh = [int(i) for i in positions if int(i) not in taken]
        taken.update(fresh)
        sheets[title] = [measurements.names[i] for i in fresh]
    return metric, row, sheets


def _write_text(path, text):
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def _page(result, measurements, pictures, before_after):
    shown = {
        row: values
        for row, values in measurements.rows.items()
        if row not in CHECK_ROWS
    }
    colors = charts.row_colors(list(shown))
    histograms = [
        charts.histogram(
            column, {row: values[column] for row, values in shown.items()}, colors
        )
        for column in measurements.rows[GRAY]
    ]
    metric, ranked_row, sheets = choose_pictures(measurements)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style = (_FOLDER / "report.css").read_text(encoding="utf-8")
    return environment.get_template("report.html").render(
        title=f"Evaluation ({result['protocol']['name']}): "
        + (", ".join(measurements.models) or GRAY),
        style=markupsafe.Markup(style),  # the package's own
        caption=tables.caption(result),
        means=tables.cells(result["rows"]),
        before_after=before_after and tables.before_after_cells(result),
        statements=tables.statements(result),
        charts=charts,
        colors=colors,
        histograms=histograms,
        ranked_by=COLUMNS[metric].label,
        ranked_row=ranked_row,
        sheets={
            title: _strips(names, pictures(names), measurements, ranked_row, metric)
            for title, names in sheets.items()
            if names
        },
        groups=[
            (tables.group_heading(group), tables.cells(group["rows"]))
            for group in result.get("groups", ())
        ],
        protocol=list(_protocol(result["protocol"])),
    )


def _strips(names, shown, measurements, row, metric):
    values = measurements.rows[row][metric]
    return [
        {
            "name": name,
            "figure": tables.number(values[measurements.names.index(name)], metric),
            "width": shown[GRAY][i].shape[1],
            "height": shown[GRAY][i].shape[0],
            "images": {label: _data_uri(images[i]) for label, images in shown.items()},
        }
        for i, name in enumerate(names)
    ]


def _data_uri(rgb):
    # A page of a dozen photographs at full size would be too heavy to mail.
    shrink = max(1, max(rgb.shape[:2]) / _SHOWN)
    rgb = resize_to(rgb, *(max(1, round(side / shrink)) for side in rgb.shape[:2]))
    ok, data = cv2.imencode(
        ".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88]
    )
    if not ok:
        raise OSError("OpenCV could not encode a JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def _protocol(protocol: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in protocol.items():
        term = key.replace("_", " ")
        if key == "metrics":
            for metric, text in value.items():
                yield COLUMNS[metric].label, text
        elif isinstance(value, dict):
            for name, item in value.items():
                yield f"{term}: {name}", _flat(item)
        else:
            yield term, _flat(value)


def _flat(value):
    if isinstance(value, dict):
        return ", ".join(f"{name} {_flat(item)}" for name, item in value.items())
    return "none" if value is None else str(value)
