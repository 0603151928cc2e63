"""Turns the figures of an evaluation into files to read.

A Markdown table, a CSV of every picture, and one HTML page that holds its pictures and
style inside and has no script: it can be mailed, and opened without a network.
"""

import base64
import csv
import html
import math
from pathlib import Path

import cv2
import numpy as np

from kcolor.evaluation.measure import (
    CHECK_ROWS,
    COLUMNS,
    DIRECTIONS,
    GRAY,
    LABELS,
    PROTOCOL,
    UNITS,
    to_json,
)
from kcolor.files import replacing, write_json

_DIGITS = {"psnr": 2, "ssim": 3, "lpips": 3, "lpips_squeeze": 3, "ciede2000": 2}
_ARROWS = {1: "↑", -1: "↓"}
_SHEET_PICTURES = 4  # per contact sheet
_BINS = 30
# Okabe and Ito's palette, which color-blind readers can tell apart; gray first.
_COLORS = ("#888888", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


def markdown_table(result):
    """Writes the rows as a Markdown table.

    Args:
        result: Dict that `kcolor.evaluation.evaluate` returns.

    Returns:
        String with a newline at its end; "n/a" where a metric was not measured.
    """
    return "\n".join([markdown_rows(result["rows"]), "", _caption(result), ""])


def markdown_rows(rows):
    """Writes only the rows, without what they mean.

    Args:
        rows: `rows` of a result, or of one of its groups.

    Returns:
        String without a newline at its end.
    """
    heading, *body = _figures(rows)
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)], *body]
    cleaned = [[cell.replace("|", "/") for cell in line] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in cleaned)


def group_heading(group):
    """Names a group and its size: "cars (150 pictures)"."""
    count = group["rows"][0]["images"]
    return f"{group['group']} ({count} picture{'' if count == 1 else 's'})"


def before_after_table(result):
    """Writes pairs of models, before and after fine-tuning, as a Markdown table.

    Args:
        result: Dict that `kcolor.evaluation.evaluate` returns for an even number of
            models, each one before fine-tuning followed by itself after.

    Returns:
        String with a newline at its end. A change whose 95% interval holds 0 is marked.

    Raises:
        ValueError: If the number of models is odd.
    """
    heading, *body = _before_after(result)
    lines = [
        "| " + " | ".join(heading) + " |",
        "|---|---|" + "---:|" * (len(heading) - 2),
    ]
    lines += ["| " + " | ".join(row) + " |" for row in body]
    return "\n".join(lines) + "\n"


def statements(result):
    """Says in a sentence each which model is better than which.

    Args:
        result: Dict that `kcolor.evaluation.evaluate` returns.

    Returns:
        List of strings, one for each pair of models and metric.
    """
    sentences = []
    for item in result["differences"]:
        metric, low, high = item["metric"], *item["ci95"]
        if low == high == 0:
            relation = f"{item['a']} and {item['b']} are equal"
        elif item["better"] is None:
            relation = f"{item['a']} and {item['b']} do not differ clearly"
        else:
            worse = item["b"] if item["better"] == item["a"] else item["a"]
            relation = f"{item['better']} is better than {worse}"
        sentences.append(
            f"{LABELS[metric]}: {relation} ({item['a']} minus {item['b']} = "
            f"{_number(item['difference'], metric, sign=True)}, 95% interval "
            f"{_number(low, metric, sign=True)} to {_number(high, metric, sign=True)})"
        )
    return sentences


def write_csv(path, measurements):
    """Writes every picture's figures, one line for each picture and row.

    Args:
        path: File to write; whole or not at all.
        measurements: `kcolor.evaluation.Measurements`.
    """
    metrics = list(measurements.rows[GRAY])
    with replacing(path) as temporary:
        with open(temporary, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["image", "model", *metrics])
            for i, name in enumerate(measurements.names):
                for row, values in measurements.rows.items():
                    figures = [f"{values[metric][i]:.6g}" for metric in metrics]
                    writer.writerow([name, row, *figures])


def choose_pictures(measurements, count=_SHEET_PICTURES):
    """Chooses the pictures of the contact sheets.

    Args:
        measurements: `kcolor.evaluation.Measurements`.
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
    taken, sheets = set(), {}
    for title, positions in chosen.items():
        fresh = [int(i) for i in positions if int(i) not in taken]
        taken.update(fresh)
        sheets[title] = [measurements.names[i] for i in fresh]
    return metric, row, sheets


def write_report(folder, result, measurements, pictures, *, before_after=False):
    """Writes `index.html`, `table.md`, `results.json` and `per_image.csv`.

    Args:
        folder: Folder to write to; made if it is not there.
        result: Dict that `kcolor.evaluation.summarize` returns.
        measurements: `kcolor.evaluation.Measurements` it was made of.
        pictures: Function from a list of names to what `kcolor.evaluation.render`
            returns for them.
        before_after: Whether the models are pairs, see `before_after_table`.

    Returns:
        `pathlib.Path` of the page.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    page = _page(result, measurements, pictures, before_after)
    table = markdown_table(result)
    if before_after:
        table += "\n" + before_after_table(result)
    _write_text(folder / "index.html", page)
    _write_text(folder / "table.md", table)
    write_json(folder / "results.json", to_json(result))
    write_csv(folder / "per_image.csv", measurements)
    return folder / "index.html"


def _write_text(path, text):
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _metrics(rows):
    return [metric for metric in COLUMNS if metric in rows[0]]


def _heading(metric):
    unit = f" ({UNITS[metric]})" if metric in UNITS else ""
    arrow = _ARROWS.get(DIRECTIONS.get(metric), "")
    return f"{LABELS[metric]}{unit} {arrow}".strip()


def _number(value, metric, sign=False):
    if value is None or math.isnan(value):
        return "n/a"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    digits = _DIGITS.get(metric, 1)
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def _half_width(row, metric):
    bounds = row.get(f"{metric}_ci95")
    if bounds is None or not all(map(math.isfinite, bounds)):
        return ""
    return _number((bounds[1] - bounds[0]) / 2, metric)


def _cell(row, metric):
    half = _half_width(row, metric)
    return _number(row[metric], metric) + (f" ± {half}" if half else "")


def _caption(result):
    protocol = result["protocol"]
    text = (
        f"{protocol['images']} pictures at {protocol['size']}x{protocol['size']}; mean "
        "over pictures ± half of its 95% bootstrap interval. The row gray is the input."
    )
    excluded = protocol["images"] - result["rows"][0].get(
        "psnr_images", protocol["images"]
    )
    if excluded:
        text += (
            f" {excluded} pictures have no color in the truth, where the PSNR of gray "
            "is infinite; no row's PSNR counts them."
        )
    for metric, reason in protocol["missing"].items():
        text += f" {LABELS[metric]} is n/a: {reason}."
    return text


def _before_after(result):
    models = list(result["protocol"]["models"])
    if not models or len(models) % 2:
        raise ValueError(
            "before and after need an even number of models: each one before "
            f"fine-tuning, then after. Received: {len(models)}"
        )
    metrics = [metric for metric in _metrics(result["rows"]) if metric in DIRECTIONS]
    rows = {row["model"]: row for row in result["rows"]}
    changes = {(d["a"], d["b"], d["metric"]): d for d in result["differences"]}
    table = [["model", "stage", *(_heading(metric) for metric in metrics)]]
    for before, after in zip(models[::2], models[1::2], strict=True):
        for stage, model in (("before", before), ("after", after)):
            cells = [_number(rows[model][metric], metric) for metric in metrics]
            table.append([model, stage, *cells])
        cells = []
        for metric in metrics:
            change = changes.get((after, before, metric))
            if change is None:
                cells.append("n/a")
                continue
            mark = "" if change["better"] else " (not clear)"
            cells.append(_number(change["difference"], metric, sign=True) + mark)
        table.append(["", "change", *cells])
    return table


def _page(result, measurements, pictures, before_after):
    title = "Evaluation: " + (", ".join(measurements.models) or GRAY)
    sections = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{html.escape(_caption(result))}</p>",
        _html_table(_figures(result["rows"]), "Means"),
    ]
    if before_after:
        sections.append("<h2>Before and after</h2>")
        sections.append(_html_table(_before_after(result), "Change by fine-tuning", 2))
    if result["differences"]:
        items = "".join(f"<li>{html.escape(s)}</li>" for s in statements(result))
        sections.append(f"<h2>Which is better</h2><p>{_PAIRED}</p><ul>{items}</ul>")
    sections.append("<h2>Distributions</h2>" + _histograms(measurements))
    sections.append(_sheets(measurements, pictures))
    if "groups" in result:
        sections.append("<h2>Groups</h2>")
        for group in result["groups"]:
            figures = _figures(group["rows"])
            sections.append(_html_table(figures, group_heading(group)))
    sections.append("<h2>Protocol</h2>" + _protocol(result["protocol"]))
    return _HTML.format(
        title=html.escape(title), style=_STYLE, body="\n".join(sections)
    )


def _figures(rows):
    metrics = _metrics(rows)
    table = [["model", *(_heading(metric) for metric in metrics)]]
    return table + [
        [r["model"], *(_cell(r, metric) for metric in metrics)] for r in rows
    ]


def _html_table(table, caption, labels=1):
    heading, *body = table
    head = "".join(
        f'<th scope="col"{_LEFT if i < labels else ""}>{html.escape(cell)}</th>'
        for i, cell in enumerate(heading)
    )
    lines = []
    for row in body:
        cells = "".join(
            f'<th scope="row">{html.escape(cell)}</th>'
            if i < labels
            else f"<td>{html.escape(cell)}</td>"
            for i, cell in enumerate(row)
        )
        lines.append(f"<tr>{cells}</tr>")
    return (
        f'<div class="scroll" tabindex="0"><table><caption>{html.escape(caption)}'
        f"</caption><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
        "</table></div>"
    )


def _histograms(measurements):
    shown = {
        row: values
        for row, values in measurements.rows.items()
        if row not in CHECK_ROWS
    }
    colors = {row: _COLORS[i % len(_COLORS)] for i, row in enumerate(shown)}
    legend = "".join(
        f'<li><span style="background:{color}"></span>{html.escape(row)}</li>'
        for row, color in colors.items()
    )
    charts = [
        _histogram(
            metric, {row: values[metric] for row, values in shown.items()}, colors
        )
        for metric in measurements.rows[GRAY]
    ]
    return (
        f'<ul class="legend">{legend}</ul><div class="charts">{"".join(charts)}</div>'
    )


def _histogram(metric, values, colors):
    finite = {row: x[np.isfinite(x)] for row, x in values.items()}
    everything = np.concatenate(list(finite.values()))
    low, high = (everything.min(), everything.max()) if everything.size else (0, 1)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, _BINS + 1)
    counts = {row: np.histogram(x, edges)[0] for row, x in finite.items()}
    top = max(1, *(int(c.max()) for c in counts.values()))
    width, height, base = 320, 150, 130
    lines = []
    for row, count in counts.items():
        x = np.repeat(np.linspace(0, width, _BINS + 1), 2)[1:-1]
        y = np.repeat(base - count / top * (base - 10), 2)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        lines.append(
            f'<polyline points="{points}" fill="none" stroke="{colors[row]}" '
            'stroke-width="2"/>'
        )
    ticks = "".join(
        f'<text x="{share * width:.0f}" y="{height - 4}" text-anchor="{anchor}">'
        f"{_number(low + share * (high - low), metric)}</text>"
        for share, anchor in ((0, "start"), (0.5, "middle"), (1, "end"))
    )
    infinite = sum(len(x) for x in values.values()) - len(everything)
    note = f"; {infinite} infinite values are not shown" if infinite else ""
    label = html.escape(f"{_heading(metric)}, number of pictures{note}")
    return (
        f'<figure><figcaption>{label} (highest: {top})</figcaption><svg viewBox="0 0 '
        f'{width} {height}" role="img" aria-label="Histogram of {label}"><line x1="0" '
        f'y1="{base}" x2="{width}" y2="{base}" class="axis"/>{"".join(lines)}{ticks}'
        "</svg></figure>"
    )


def _sheets(measurements, pictures):
    metric, row, sheets = choose_pictures(measurements)
    positions = {name: i for i, name in enumerate(measurements.names)}
    parts = [
        "<h2>Pictures</h2>",
        f"<p>Ranked by the {html.escape(LABELS[metric])} of {html.escape(row)}. Each "
        "row of pictures: gray, each model, truth.</p>",
    ]
    for title, names in sheets.items():
        if not names:
            continue
        shown = pictures(names)
        columns = len(shown)
        parts.append(f"<h3>{title.capitalize()}</h3>")
        for i, name in enumerate(names):
            figure = _number(measurements.rows[row][metric][positions[name]], metric)
            cells = "".join(
                f'<div><img src="{_data_uri(images[i])}" width="{images.shape[2]}" '
                f'height="{images.shape[1]}" loading="lazy" '
                f'alt="{html.escape(label)} of {html.escape(name)}">'
                f"<span>{html.escape(label)}</span></div>"
                for label, images in shown.items()
            )
            parts.append(
                f'<figure class="sheet"><div class="scroll" tabindex="0"><div '
                f'class="strip" style="--columns:{columns}">{cells}</div></div>'
                f"<figcaption>{html.escape(name)}: {html.escape(LABELS[metric])} "
                f"{figure}</figcaption></figure>"
            )
    return "".join(parts)


def _data_uri(rgb):
    ok, data = cv2.imencode(
        ".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88]
    )
    if not ok:
        raise OSError("OpenCV could not encode a JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")


def _protocol(protocol):
    rows = []
    for key, value in protocol.items():
        if key == "metrics":
            rows += [(LABELS[metric], PROTOCOL[metric]) for metric in value]
        elif isinstance(value, dict):
            rows += [
                (f"{key.replace('_', ' ')}: {k}", _flat(v)) for k, v in value.items()
            ]
        else:
            rows.append((key.replace("_", " "), _flat(value)))
    items = "".join(
        f"<dt>{html.escape(key)}</dt><dd>{html.escape(value)}</dd>"
        for key, value in rows
    )
    return f"<dl>{items}</dl>"


def _flat(value):
    if isinstance(value, dict):
        return ", ".join(f"{k} {_flat(v)}" for k, v in value.items())
    return "none" if value is None else str(value)


_LEFT = ' class="label"'

_PAIRED = (
    "Every picture is compared with itself in the other row; a difference is called "
    "better only if its whole 95% interval lies on one side of 0. Colorfulness is "
    "neither better nor worse: it should be that of the truth."
)

_STYLE = """
:root { color-scheme: light dark; --line: #8886; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 0 auto;
  padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.2; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
th[scope=row], .label { text-align: left; }
tr > :first-child { position: sticky; left: 0; background: Canvas; }
ul { padding-left: 1.2rem; }
.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap;
  gap: .3rem 1rem; }
.legend span { display: inline-block; width: 1rem; height: .6rem; margin-right: .4rem; }
.charts { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)); }
figure { margin: 0; }
figcaption { font-size: .85rem; }
svg { width: 100%; height: auto; display: block; }
svg text { font-size: 12px; fill: currentColor; }
.axis { stroke: currentColor; stroke-width: 1; }
.sheet { margin: 0 0 1.2rem; }
.sheet .scroll { margin: 0; }
.strip { display: grid; gap: 4px; max-width: calc(var(--columns) * 256px);
  grid-template-columns: repeat(var(--columns), minmax(80px, 1fr)); }
.strip img { width: 100%; height: auto; display: block; }
.strip span { font-size: .8rem; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr;
  gap: .2rem 1rem; font-size: .9rem; }
dt { font-weight: 600; max-width: 16rem; }
dd { margin: 0; min-width: 0; }
@media (max-width: 30rem) {
  dl { display: block; }
  dd { margin: 0 0 .5rem; }
  th, td { padding: .3rem .5rem; font-size: .9rem; }
}
"""

_HTML = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""
