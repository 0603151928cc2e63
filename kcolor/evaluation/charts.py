"""The histograms of a report, as the points of SVG lines."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kcolor.evaluation.tables import heading_of, number

WIDTH, HEIGHT = 320, 150
# Of the axis, in pixels from the top; the tallest bar leaves 10 above it.
BASE = 130
_TOP = 10
_BINS = 30
# Okabe and Ito's palette, which color-blind readers can tell apart; gray first.
_COLORS = ("#888888", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


@dataclass(frozen=True)
class Histogram:
    """How the figures of one metric are spread in every row.

    Attributes:
        label: What is shown.
        highest: Pictures in the tallest bar.
        lines: Tuples of the points of a row's outline, as SVG writes them, and its
            color.
        ticks: Tuples of x, SVG's text anchor, and the value there.
    """

    label: str
    highest: int
    lines: list[tuple[str, str]]
    ticks: list[tuple[int, str, str]]


def row_colors(rows: list[str]) -> dict[str, str]:
    """Gives each row a color, again from the first where they run out."""
    return {row: _COLORS[i % len(_COLORS)] for i, row in enumerate(rows)}


def histogram(
    column: str, values: Mapping[str, np.ndarray], colors: Mapping[str, str]
) -> Histogram:
    """Counts the pictures of each row by their figures.

    Args:
        column: Name from `kcolor.evaluation.protocol.COLUMNS`.
        values: Dict of row to array `(pictures,)`; infinite ones are left out, which
            the label then says.
        colors: Dict of row to its color.

    Returns:
        What the page draws in `WIDTH` by `HEIGHT` pixels.
    """
    finite = {row: x[np.isfinite(x)] for row, x in values.items()}
    everything = np.concatenate(list(finite.values()))
    low, high = (everything.min(), everything.max()) if everything.size else (0, 1)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, _BINS + 1)
    counts = {row: np.histogram(x, edges)[0] for row, x in finite.items()}
    highest = max(1, *(int(count.max()) for count in counts.values()))
    infinite = sum(map(len, values.values())) - len(everything)
    note = f"; {infinite} infinite values are not shown" if infinite else ""
    return Histogram(
        label=f"{heading_of(column)}, number of pictures{note}",
        highest=highest,
        lines=[
            (_outline(count / highest), colors[row]) for row, count in counts.items()
        ],
        ticks=[
            (round(share * WIDTH), anchor, number(low + share * (high - low), column))
            for share, anchor in ((0, "start"), (0.5, "middle"), (1, "end"))
        ],
    )


def _outline(heights):
    # The upper edge of bars, from left to right.
    x = np.repeat(np.linspace(0, WIDTH, len(heights) + 1), 2)[1:-1]
    y = np.repeat(BASE - heights * (BASE - _TOP), 2)
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
