"""Measures batches of pictures: one function a metric, compiled together.

A metric of pixels is an entry in `_ELEMENTWISE` or `_FILTERS`, one that needs a network
an entry in `_LEARNED`; `protocol.COLUMNS` says what it is called.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
from keras import ops

from kcolor.errors import DataError
from kcolor.evaluation.compilation import compiled
from kcolor.evaluation.protocol import COLUMNS, Options
from kcolor.metrics import lpips
from kcolor.metrics.chroma import chroma_excess
from kcolor.metrics.ciede2000 import ciede2000
from kcolor.metrics.colorfulness import colorfulness, colorfulness_unsigned
from kcolor.metrics.psnr import psnr
from kcolor.metrics.ssim import ssim
from kcolor.metrics.stored import as_float


def _compared(name, of):
    # A figure of the prediction, and how far it is from the truth's.
    def difference(truth, prediction):
        return of(prediction) - of(truth)

    return {
        name: lambda truth, prediction: of(prediction),
        f"{name}_difference": difference,
        f"{name}_distance": lambda *pair: ops.abs(difference(*pair)),
    }


# Column -> function of (truth, prediction), both uint8 RGB (batch, height, width, 3).
_ELEMENTWISE = {
    "psnr": psnr,
    "ciede2000": ciede2000,
    **_compared("colorfulness", colorfulness),
    **_compared("colorfulness_unsigned", colorfulness_unsigned),
    "chroma_excess": chroma_excess,
}
_FILTERS = {"ssim": ssim}
# Column -> LPIPS' backbone.
_LEARNED = {"lpips": "alex", "lpips_squeeze": "squeeze"}


def find_networks(options: Options) -> dict[str, Path]:
    """Finds the parameters of the metrics that need a network.

    Args:
        options: Says which metrics are wanted, and where their parameters may lie.

    Returns:
        Dict of metric to its file.

    Raises:
        DataError: If a file is not there.
    """
    networks = {}
    for metric, backbone in _LEARNED.items():
        if metric not in options.chosen:
            continue
        file = lpips.find_weights(options.lpips_weights, backbone)
        if file is None:
            raise DataError(
                f"{metric} cannot be measured: no LPIPS weights in --lpips-weights, "
                f"${lpips.ENVIRONMENT_VARIABLE} or {lpips.usual_weights(backbone)}; "
                "scripts/make_lpips_weights.py writes the file"
            )
        networks[metric] = file
    return networks


class Scorers:
    """Measures pictures of several rows against one truth."""

    def __init__(
        self,
        rows: Sequence[str],
        metrics: Iterable[str],
        networks: Mapping[str, Path],
        *,
        any_size: bool = False,
    ) -> None:
        """Builds one model for each way of compiling.

        Args:
            rows: The rows that every batch has.
            metrics: Names from `protocol.METRICS`.
            networks: Dict of each that needs a network to its file.
            any_size: Whether batches come in many sizes.
        """
        self._rows = list(rows)
        wanted = set(metrics)
        columns = [
            name
            for name, metric in COLUMNS.items()
            if (metric.comes_with or name) in wanted
        ]
        images = [
            keras.Input((None, None, 3), dtype="uint8", name=f"image{i}")
            for i in range(len(self._rows) + 1)
        ]
        truth, predictions = images[0], images[1:]
        elementwise, others = (
            {
                f"{column}/{i}": functions[column](truth, prediction)
                for i, prediction in enumerate(predictions)
                for column in columns
                if column in functions
            }
            for functions in (_ELEMENTWISE, _FILTERS)
        )
        for column in columns:
            if column in _LEARNED:
                others |= _learned(column, networks[column], truth, predictions)
        self._models = [
            compiled(
                keras.Model(images, outputs),
                elementwise=outputs is elementwise,
                any_size=any_size,
            )
            for outputs in (elementwise, others)
            if outputs
        ]

    def __call__(
        self, truth: np.ndarray, pictures: Mapping[str, np.ndarray]
    ) -> dict[tuple[str, str], np.ndarray]:
        """Measures one batch.

        Args:
            truth: uint8 RGB array `(batch, height, width, 3)`.
            pictures: Dict of each row to an array of the same kind.

        Returns:
            Dict of (row, column) to float32 array `(batch,)`.
        """
        figures = {}
        inputs = [truth, *(pictures[row] for row in self._rows)]
        for model in self._models:
            for name, values in model.predict_on_batch(inputs).items():
                column, position = name.rsplit("/", 1)
                figures[self._rows[int(position)], column] = np.asarray(values)
        return figures


def _learned(column, file, truth, predictions):
    # The truth goes through the network once, not once a row.
    features = lpips.build_features(file, _LEARNED[column])
    distance = lpips.build_distance(file, _LEARNED[column])
    of_truth = features(as_float(truth))
    return {
        f"{column}/{i}": distance([*of_truth, *features(as_float(prediction))])
        for i, prediction in enumerate(predictions)
    }
