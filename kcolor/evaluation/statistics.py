"""Takes means over pictures: how good a row is, and how sure that is.

Intervals are bootstrap percentiles over pictures. Rows are compared picture by picture,
which tells them apart long before their own intervals do.
"""

import itertools
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from kcolor.evaluation.measurements import Measurements
from kcolor.evaluation.protocol import CHECK_ROWS, COLUMNS, DIRECTIONS, GRAY

SAMPLES = 2000  # of the bootstrap


def summarize(
    measurements: Measurements,
    *,
    by_group: bool = False,
    seed: int = 0,
    samples: int = SAMPLES,
) -> dict[str, Any]:
    """Takes means, intervals and paired differences.

    Args:
        measurements: The figures of every picture.
        by_group: Whether to add the figures of each subfolder.
        seed: Seed of the bootstrap.
        samples: Number of bootstrap samples.

    Returns:
        Dict with `protocol`, `rows` (one dict a row: `model`, `images`, each metric's
        mean and its `..._ci95`, figures of the whole set), `differences` (one dict for
        each pair of rows and metric) and, if asked for, `groups`. Infinite values stay
        `math.inf`; `kcolor.evaluation.tables.to_json` writes them.
    """
    bootstrap = Bootstrap(seed, samples)
    everything = np.arange(len(measurements.names))
    result = {
        "protocol": {
            **measurements.protocol,
            "models": measurements.models,
            "bootstrap": {
                "interval": "95%, percentiles over images",
                "samples": samples,
                "seed": seed,
            },
        },
        "rows": [
            row | measurements.sets.get(row["model"], {})
            for row in _rows(measurements, everything, bootstrap)
        ],
        "differences": _differences(measurements, bootstrap),
    }
    if by_group:
        rows = {
            row: values
            for row, values in measurements.rows.items()
            if row not in CHECK_ROWS
        }
        compared = replace(measurements, rows=rows)
        result["groups"] = [
            {"group": group, "rows": _rows(compared, members, bootstrap)}
            for group, members in groups(measurements.names).items()
        ]
    return result


def groups(names: Sequence[str]) -> dict[str, np.ndarray]:
    """Sorts pictures by their folder.

    Args:
        names: POSIX paths.

    Returns:
        Dict of folder, without what all folders have in common in front, to integer
        array of positions in `names`; sorted by folder.
    """
    folders = [PurePosixPath(name).parent.parts for name in names]
    common = len(os.path.commonprefix(folders)) if folders else 0
    # A lone folder keeps its own name.
    common = min(common, min(len(folder) for folder in folders) - 1)
    common = max(common, 0)
    members: dict[str, list[int]] = {}
    for position, folder in enumerate(folders):
        members.setdefault("/".join(folder[common:]) or ".", []).append(position)
    return {group: np.array(members[group]) for group in sorted(members)}


class Bootstrap:
    """95% percentile intervals of means over pictures."""

    def __init__(self, seed: int = 0, samples: int = SAMPLES) -> None:
        """Takes the seed and the number of samples."""
        self._samples = samples
        self._seed = seed

    def intervals(self, columns: np.ndarray) -> np.ndarray:
        """Computes the interval of each column's mean.

        Args:
            columns: Float array `(pictures, columns)`.

        Returns:
            Float64 array `(columns, 2)` of low and high; NaN for fewer than 2
            pictures, infinite where the mean is.
        """
        count, width = columns.shape
        if count < 2:  # one picture says nothing about others
            return np.full((width, 2), math.nan)
        finite = np.isfinite(columns).all(axis=0)
        bounds = np.repeat(columns.mean(axis=0)[:, None], 2, axis=1)
        # The same draws for every column: differences between rows stay paired, and
        # the same pictures get the same interval wherever they are asked for.
        generator = np.random.default_rng(self._seed)
        means = np.empty((self._samples, int(finite.sum())))
        for i in range(self._samples):
            drawn = generator.integers(0, count, count)
            weights = np.bincount(drawn, minlength=count) / count
            means[i] = weights @ columns[:, finite]
        bounds[finite] = np.percentile(means, [2.5, 97.5], axis=0).T
        return bounds


def _table(
    measurements: Measurements, members: np.ndarray
) -> Iterator[tuple[list[str], np.ndarray]]:
    # Yields (metrics, positions of the pictures that count for them). A picture whose
    # truth is gray itself has infinite PSNR in the gray row and would make that row's
    # mean infinite, so it is left out of every row's PSNR alike.
    metrics = list(measurements.rows[GRAY])
    if "psnr" in metrics:
        colored = np.isfinite(measurements.rows[GRAY]["psnr"][members])
        if not colored.all():
            yield ["psnr"], members[colored]
            metrics.remove("psnr")
    if metrics:
        yield metrics, members


def _rows(measurements, members, bootstrap):
    rows: dict[str, dict[str, Any]] = {
        name: {"model": name, "images": len(members)} for name in measurements.rows
    }
    for metrics, counted in _table(measurements, members):
        pairs = list(itertools.product(rows, metrics))
        columns = np.stack(
            [measurements.rows[row][metric][counted] for row, metric in pairs], axis=1
        )
        bounds = bootstrap.intervals(columns)
        for (row, metric), column, bound in zip(pairs, columns.T, bounds, strict=True):
            rows[row][metric] = float(column.mean()) if len(column) else math.nan
            rows[row][f"{metric}_ci95"] = [float(x) for x in bound]
            if len(counted) != len(members):
                rows[row][f"{metric}_images"] = len(counted)
    return list(rows.values())


def _differences(measurements, bootstrap):
    differences = []
    pairs = list(itertools.combinations([GRAY, *measurements.models], 2))
    everything = np.arange(len(measurements.names))
    for metrics, counted in _table(measurements, everything):
        triples = [
            (one, other, metric)
            for other, one in pairs
            for metric in metrics
            if metric in DIRECTIONS
        ]
        if not triples or not len(counted):
            continue
        columns = np.zeros((len(counted), len(triples)))
        for column, (one, other, metric) in zip(columns.T, triples, strict=True):
            first = measurements.rows[one][metric][counted]
            second = measurements.rows[other][metric][counted]
            # Both infinite is no difference.
            np.subtract(first, second, out=column, where=first != second)
        bounds = bootstrap.intervals(columns)
        for (one, other, metric), column, bound in zip(
            triples, columns.T, bounds, strict=True
        ):
            low, high = sorted(bound * DIRECTIONS[metric])
            better = one if low > 0 else other if high < 0 else None
            differences.append(
                {
                    "a": one,
                    "b": other,
                    "metric": metric,
                    "difference": float(column.mean()),
                    "ci95": [float(x) for x in bound],
                    "better": better,
                }
            )

    names = list(COLUMNS)

    def order(item):
        return pairs.index((item["b"], item["a"])), names.index(item["metric"])

    return sorted(differences, key=order)
