"""The figures of single pictures, which everything after measuring works on."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kcolor.evaluation.manifest import Manifest


@dataclass
class Measurements:
    """Every metric of every picture in every row, before any mean is taken.

    Attributes:
        names: The pictures' names, sorted.
        rows: Dict of row to dict of metric to float64 array `(pictures,)`; `gray`
            first, then the models, then the rows of the self-check.
        models: Dict of row to dict of what it is (`path`, `kind`, `sha256`).
        protocol: How the figures came about, for the JSON.
        lightness_correlation: Dict of model's row to float64 array `(pictures,)`: of
            the prediction's L* with the truth's; NaN where the truth is flat. Only
            measured for the self-check.
        sets: Dict of row to the figures of all its pictures together, see
            `kcolor.evaluation.distances`; empty unless one was asked for.
        manifest: Which files the pictures are, and which part of each was measured.
    """

    names: list[str]
    rows: dict[str, dict[str, np.ndarray]]
    models: dict[str, dict[str, str | None]]
    protocol: dict[str, Any]
    lightness_correlation: dict[str, np.ndarray] = field(default_factory=dict)
    sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    manifest: Manifest | None = None
