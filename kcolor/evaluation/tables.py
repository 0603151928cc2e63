"""Turns the figures of an evaluation into tables and sentences, and into a CSV."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kcolor.evaluation.measurements import Measurements
from kcolor.evaluation.protocol import COLUMNS, DIRECTIONS, GRAY
from kcolor.files import replacing

_ARROWS = {1: "↑", -1: "↓", 0: ""}


def markdown_table(result: Mapping[str, Any]) -> str:
    """Writes the rows as a Markdown table.

    Args:
        result: Dict that `kcolor.evaluation.evaluate` returns.

    Returns:
        String with a newline at its end.
    """
    return "\n".join([markdown_rows(result["rows"]), "", caption(result), ""])


def markdown_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Writes only the rows, without what they mean.

    Args:
        rows: `rows` of a result, or of one of its groups.

    Returns:
        String without a newline at its end.
    """
    heading, *body = cells(rows)
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)], *body]
    cleaned = [[cell.replace("|", "/") for cell in line] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in cleaned)


def before_after_table(result: Mapping[str, Any]) -> str:
    """Writes pairs of models, before and after fine-tuning, as a Markdown table.

    Args:
        result: Dict that `kcolor.evaluation.evaluate` returns for an even number of
            models, each one before fine-tuning followed by itself after.

    Returns:
        String with a newline at its end. A change whose 95% interval holds 0 is marked.

    Raises:
        ValueError: If the number of models is odd.
    """
    heading, *body = before_after_cells(result)
    lines = [
        "| " + " | ".join(heading) + " |",
        "|---|---|" + "---:|" * (len(heading) - 2),
    ]
    lines += ["| " + " | ".join(row) + " |" for row in body]
    return "\n".join(lines) + "\n"


def cells(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Writes rows as the cells of a table.

    Args:
        rows: `rows` of a result, or of one of its groups.

    Returns:
        The heading, then a list of texts for each row; models are in the first column.
    """
    metrics = [name for name in COLUMNS if name in rows[0]]
    return [["model", *map(heading_of, metrics)]] + [
        [row["model"], *(_cell(row, name) for name in metrics)] for row in rows
    ]


def before_after_cells(result: Mapping[str, Any]) -> list[list[str]]:
    """Writes what `before_after_table` shows as the cells of a table.

    Args:
        result: See `before_after_table`.

    Returns:
        The heading, then three lists of texts for each pair: before, after, change.

    Raises:
        ValueError: See `before_after_table`.
    """
    models = list(result["protocol"]["models"])
    if not models or len(models) % 2:
        raise ValueError(
            "before and after need an even number of models: each one before "
            f"fine-tuning, then after. Received: {len(models)}"
        )
    rows = {row["model"]: row for row in result["rows"]}
    metrics = [name for name in DIRECTIONS if name in rows[GRAY]]
    changes = {(d["a"], d["b"], d["metric"]): d for d in result["differences"]}
    table = [["model", "stage", *map(heading_of, metrics)]]
    for before, after in zip(models[::2], models[1::2], strict=True):
        for stage, model in (("before", before), ("after", after)):
            figures = [number(rows[model][name], name) for name in metrics]
            table.append([model, stage, *figures])
        figures = []
        for name in metrics:
            found = changes.get((after, before, name))
            if found is None:  # of a set of pictures, which are not compared in pairs
                difference = rows[after][name] - rows[before][name]
                figures.append(number(difference, name, sign=True))
            else:
                mark = "" if found["better"] else " (not clear)"
                figures.append(number(found["difference"], name, sign=True) + mark)
        table.append(["", "change", *figures])
    return table


def statements(result: Mapping[str, Any]) -> list[str]:
    """Says in a sentence each which model is better than which.

    Args:
        result: Dict that `kcolor.evaluation.evaluate` returns.

    Returns:
        One sentence for each pair of models and metric.
    """
    sentences = []
    for item in result["differences"]:
        metric = item["metric"]
        low, high = item["ci95"]
        if low == high == 0:
            relation = f"{item['a']} and {item['b']} are equal"
        elif item["better"] is None:
            relation = f"{item['a']} and {item['b']} do not differ clearly"
        else:
            worse = item["b"] if item["better"] == item["a"] else item["a"]
            relation = f"{item['better']} is better than {worse}"
        sentences.append(
            f"{COLUMNS[metric].label}: {relation} ({item['a']} minus {item['b']} = "
            f"{number(item['difference'], metric, sign=True)}, 95% interval "
            f"{number(low, metric, sign=True)} to {number(high, metric, sign=True)})"
        )
    return sentences


def caption(result: Mapping[str, Any]) -> str:
    """Says how the rows of a result came about, and what they mean."""
    protocol = result["protocol"]
    text = (
        f"{protocol['images']} pictures, protocol {protocol['name']}; mean over "
        "pictures ± half of its 95% bootstrap interval. The row gray is the input."
    )
    features = result["rows"][0].get("features")
    if features:
        text += f" Features: {features}."
    excluded = protocol["images"] - result["rows"][0].get(
        "psnr_images", protocol["images"]
    )
    return text + uncounted(excluded)


def uncounted(count: int, what: str = "picture") -> str:
    """Says of how many pictures the PSNR is left out, as gray itself is their truth.

    Args:
        count: How many.
        what: What they are called.

    Returns:
        Sentence with a space before it; nothing if there are none.
    """
    if not count:
        return ""
    have = f"{what} has" if count == 1 else f"{what}s have"
    return (
        f" {count} {have} no color in the truth, where the PSNR of gray is infinite; "
        "no row's PSNR counts "
        f"{'it' if count == 1 else 'them'}."
    )


def group_heading(group: Mapping[str, Any]) -> str:
    """Names a group and its size: "cars (150 pictures)"."""
    count = group["rows"][0]["images"]
    return f"{group['group']} ({count} picture{'' if count == 1 else 's'})"


def heading_of(column: str) -> str:
    """Names a column, its unit and which way is better: "PSNR (dB) ↑"."""
    metric = COLUMNS[column]
    unit = f" ({metric.unit})" if metric.unit else ""
    return f"{metric.label}{unit} {_ARROWS[metric.direction]}".strip()


def number(value: float | None, column: str, sign: bool = False) -> str:
    """Writes a figure with the digits of its column.

    Args:
        value: The figure; None or NaN where there is none.
        column: Name from `kcolor.evaluation.protocol.COLUMNS`.
        sign: Whether to write a plus.

    Returns:
        The text; "n/a" where there is no figure.
    """
    if value is None or math.isnan(value):
        return "n/a"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    digits = COLUMNS[column].digits
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def write_csv(path: Path | str, measurements: Measurements) -> None:
    """Writes every picture's figures, one line for each picture and row.

    Args:
        path: File to write; whole or not at all.
        measurements: The figures.
    """
    columns = list(measurements.rows[GRAY])
    with replacing(path) as temporary:
        with open(
            temporary, "w", newline="", encoding="utf-8", errors="surrogateescape"
        ) as file:
            writer = csv.writer(file)
            writer.writerow(["image", "model", *columns])
            for i, name in enumerate(measurements.names):
                for row, values in measurements.rows.items():
                    figures = [f"{values[column][i]:.6g}" for column in columns]
                    writer.writerow([name, row, *figures])


def to_json(value: Any) -> Any:
    """Makes a result fit for strict JSON: infinite becomes "inf", NaN null."""
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, float | np.floating):
        if math.isnan(value):
            return None
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, np.integer):
        return int(value)
    return value


def _cell(row, column):
    text = number(row[column], column)
    bounds = row.get(f"{column}_ci95")
    if bounds is None or not all(map(math.isfinite, bounds)):
        return text
    return f"{text} ± {number((bounds[1] - bounds[0]) / 2, column)}"
