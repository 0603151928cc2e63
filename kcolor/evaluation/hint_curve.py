"""How much a few known colors help: PSNR by number of hints.

Hints are squares of true color at places drawn in advance: of one picture, the first n
of one list are its n hints, for every row. A network that does not know hints keeps
what it says and takes them by `kcolor.color.spread` alone.
"""

import html
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kcolor.color.graph import join
from kcolor.color.host import split_on_host
from kcolor.color.spread import is_heard, spread
from kcolor.data.hints import CENTERED, UNIFORM, draw_corners, reveal
from kcolor.data.lists import as_bytes
from kcolor.data.source import Source, open_source
from kcolor.errors import DataError
from kcolor.evaluation.charts import row_colors
from kcolor.evaluation.framing import framing
from kcolor.evaluation.rows import load_rows
from kcolor.evaluation.tables import number, uncounted
from kcolor.images.resize import resize_square
from kcolor.metrics.psnr import psnr
from kcolor.parallel import evenly_spaced, read_ahead
from kcolor.runtimes.network import Predictor

COUNTS = (0, 1, 2, 5, 10, 20, 50)
GRAY_ROW = "gray + spread alone"


@dataclass(frozen=True)
class Protocol:
    """How hints are drawn.

    Attributes:
        side: Pixels of a square's side; it has the mean color of the truth under it.
        places: `"centered"` or `"uniform"`, see `kcolor.data.hints.draw_corners`.
        source: Whose protocol it follows, and where it departs from it.
    """

    side: int
    places: str
    source: str


PROTOCOLS = {
    "sig17": Protocol(
        6,
        CENTERED,
        "Zhang et al. 2017, Real-Time User-Guided Image Colorization, as in the "
        "authors' later code; the n hints here are the first n of one list",
    ),
    "icolorit": Protocol(
        2,
        UNIFORM,
        "Yun et al. 2023, iColoriT; its own seed and its own lists are not used",
    ),
}


def hint_curve(
    models: Sequence[Predictor | Path | str],
    data: Source | Path | str,
    *,
    counts: Sequence[int] = COUNTS,
    protocol: str = "sig17",
    size: int = 256,
    limit: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Measures models with more and more hints.

    Args:
        models: See `kcolor.evaluation.rows.load_rows`.
        data: What `kcolor.data.source.open_source` takes, or its result; its color
            pictures are used.
        counts: Numbers of hints; 0 is always measured, too.
        protocol: One of `PROTOCOLS`.
        size: Side in pixels that every picture is resized to.
        limit: Number of pictures, spread evenly over the sorted list; None: all.
        seed: Seed of the places.
        progress: Function called with (pictures done, pictures in all), or None.

    Returns:
        Dict with `protocol`, `rows` and `places`. A row has `model`, `images`, and
        lists `hints`, `psnr` (dB, mean over pictures of the value on 8-bit RGB) and
        `gain` over the same row without hints. Pictures without color in the truth,
        where the PSNR of gray is infinite, count in no row; if there are such, the
        others are `psnr_images`. `places` is, for each picture's name, the first row
        and column of each square.

    Raises:
        ValueError: If an argument is out of its range.
        DataError: If a model or picture cannot be used, a model answers RGB only, or
            no picture has color.
    """
    counts = sorted({0, *counts})
    if protocol not in PROTOCOLS:
        raise ValueError(
            f"protocol must be one of {', '.join(PROTOCOLS)}. Received: {protocol!r}"
        )
    if counts[0] < 0 or counts[-1] > 10_000:
        raise ValueError(f"counts must be from 0 to 10000. Received: {counts}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1. Received: {limit}")
    framing("square256", size)  # Which sizes are too small.
    rules = PROTOCOLS[protocol]
    source = data if isinstance(data, Source) else open_source(data)
    predictors = load_rows(models)
    indices = evenly_spaced(len(source), limit)
    names = [source.names[index] for index in indices]
    places = {
        name: draw_places(name, rules, counts[-1], size, seed).tolist()
        for name in names
    }
    figures: dict[str, list[np.ndarray]] = {}
    for done, (name, rgb) in enumerate(_pictures(source, indices, size), start=1):
        split = split_on_host([rgb])[0]
        known = [
            reveal(
                split[..., 1:],
                np.array(places[name][:n], "intp").reshape(-1, 2),
                rules.side,
            )
            for n in counts
        ]
        rows = dict(_answers(predictors, split[..., :1], known))
        answers = np.concatenate(list(rows.values()))
        shown = join(np.repeat(split[None, ..., :1], len(answers), axis=0), answers)
        truth = np.repeat(rgb[None], len(answers), axis=0)
        values = np.asarray(psnr(truth, np.asarray(shown)), "float64")
        for row, part in zip(rows, np.split(values, len(rows)), strict=True):
            figures.setdefault(row, []).append(part)
        if progress:
            progress(done, len(indices))
    # Of the first row, the first figure is that of gray without hints.
    colored = np.isfinite([part[0] for part in figures[GRAY_ROW]])
    if not colored.any():
        raise DataError(f"{source.path}: no picture has color to measure hints by")
    return {
        "protocol": {
            "name": protocol,
            "source": rules.source,
            "side": rules.side,
            "places": rules.places,
            "size": size,
            "seed": seed,
            "images": len(indices),
            "psnr": "per image on uint8 RGB, peak 255, mean over images",
        },
        "rows": [
            _row(row, counts, np.array(parts), colored)
            for row, parts in figures.items()
        ],
        "places": places,
    }


def draw_places(
    name: str, protocol: Protocol, count: int, size: int, seed: int
) -> np.ndarray:
    """Draws a picture's hints; they depend on its name, not on which others there are.

    Args:
        name: Name of the picture in its source.
        protocol: How they are drawn.
        count: How many.
        size: Side of the square picture.
        seed: Seed of all pictures.

    Returns:
        Integer array of shape `(count, 2)`: first row and column of each square.
    """
    rng = np.random.default_rng((seed, zlib.crc32(as_bytes(name))))
    sides = (size, size)
    return draw_corners(count, protocol.side, sides, protocol.places, rng)


def markdown_table(result: dict[str, Any]) -> str:
    """Writes a curve as Markdown.

    Args:
        result: What `hint_curve` returns.

    Returns:
        Table of PSNR and, in brackets, gain; with a newline at its end.
    """
    hints = result["rows"][0]["hints"]
    lines = [
        "| hints | " + " | ".join(map(str, hints)) + " |",
        "| --- |" + " ---: |" * len(hints),
    ]
    for row in result["rows"]:
        cells = [
            number(value, "psnr")
            + (f" ({number(gain, 'psnr', sign=True)})" if count else "")
            for count, value, gain in zip(hints, row["psnr"], row["gain"], strict=True)
        ]
        lines.append(
            f"| {row['model'].replace('|', '/')} | " + " | ".join(cells) + " |"
        )
    rules, first = result["protocol"], result["rows"][0]
    left_out = first["images"] - first.get("psnr_images", first["images"])
    lines += [
        "",
        f"PSNR in dB (gain over no hints) of {rules['images']} pictures at "
        f"{rules['size']}x{rules['size']}; hints of {rules['side']}x{rules['side']} "
        f"pixels, {rules['places']}, protocol {rules['name']}, seed {rules['seed']}."
        + uncounted(left_out),
        "",
    ]
    return "\n".join(lines)


def svg(result: dict[str, Any], width: int = 640, height: int = 360) -> str:
    """Draws a curve: PSNR over the number of hints, whose axis is logarithmic.

    Args:
        result: What `hint_curve` returns.
        width: Width of the drawing.
        height: Height of the drawing.

    Returns:
        SVG element.
    """
    left, right, top, bottom = 48, 16, 12, 40 + 18 * len(result["rows"])
    hints = result["rows"][0]["hints"]
    figures = np.array([row["psnr"] for row in result["rows"]])
    # With enough hints a small picture may be exact, and has no place on the axis.
    figures = figures[np.isfinite(figures)]
    low, high = np.floor(figures.min()), np.ceil(figures.max() + 1e-6)
    end = np.log1p(max(hints[-1], 1))

    def x(count):
        return left + (width - left - right) * np.log1p(count) / end

    def y(value):
        return height - bottom - (height - top - bottom) * (value - low) / (high - low)

    parts = []
    for value in np.arange(low, high + 1):
        parts.append(
            f'<path d="M{left} {y(value):.1f}H{width - right}" stroke="#dddddd"/>'
            f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">'
            f"{value:.0f}</text>"
        )
    for count in hints:
        parts.append(
            f'<text x="{x(count):.1f}" y="{height - bottom + 16}" '
            f'text-anchor="middle">{count}</text>'
        )
    colors = row_colors([row["model"] for row in result["rows"]])
    for at, row in enumerate(result["rows"]):
        color = colors[row["model"]]
        points = " ".join(
            f"{x(n):.1f},{y(v):.1f}"
            for n, v in zip(hints, row["psnr"], strict=True)
            if np.isfinite(v)
        )
        line = height - bottom + 36 + 18 * at
        parts.append(
            f'<g stroke="{color}" stroke-width="2" fill="none">'
            f'<polyline points="{points}"/><path d="M{left} {line - 4}h24"/></g>'
            f'<text x="{left + 32}" y="{line}">{html.escape(row["model"])}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">' + "".join(parts) + "</svg>"
    )


def _pictures(
    source: Source, indices: Sequence[int], size: int
) -> Iterator[tuple[str, np.ndarray]]:
    def read(index):
        return source.names[index], resize_square(source.read(index), size)

    with ThreadPoolExecutor(2) as pool:
        yield from read_ahead(pool, read, indices, 8)


def _answers(predictors, lightness, known):
    # Row and its ab for all counts, `(counts, H, W, 2)`.
    plane = lightness[..., 0]
    nothing = np.zeros((*plane.shape, 2), "float32")
    yield GRAY_ROW, np.stack([spread(plane, nothing, hints) for hints in known])
    for name, predictor in predictors.items():
        alone = predictor.predict_ab(lightness[None])[0]
        answers = np.stack([spread(plane, alone, hints) for hints in known])
        yield f"{name} + spread", answers
        if predictor.takes_known:
            # As a session does it.
            answers = answers.copy()
            for at, hints in enumerate(known):
                if is_heard(hints):
                    hinted = predictor.predict_ab(lightness[None], hints[None])[0]
                    answers[at] = spread(plane, alone, hints, hinted)
            yield f"{name}, hinted", answers


def _row(model, counts, figures, colored):
    means = figures[colored].mean(axis=0)
    row = {
        "model": model,
        "images": len(figures),
        "hints": list(counts),
        "psnr": [round(float(value), 4) for value in means],
        "gain": [round(float(value), 4) for value in _gain(means)],
    }
    if not colored.all():
        row["psnr_images"] = int(colored.sum())
    return row


def _gain(means):
    # Both infinite is no difference.
    return np.subtract(
        means, means[0], out=np.zeros_like(means), where=means != means[0]
    )
