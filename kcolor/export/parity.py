"""Parity: runs an exported file in its own runtime against Keras, on real pictures.

The limits are those that the documentation promises; a file that exceeds them is never
kept.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kcolor.color.constants import AB_SCALE
from kcolor.color.graph import join, split
from kcolor.data.hints import simulate_hints
from kcolor.data.source import open_source
from kcolor.errors import DataError
from kcolor.export.model import Network
from kcolor.images.resize import resize_to
from kcolor.parallel import evenly_spaced
from kcolor.runtimes.network import Predictor

PICTURES = 16
# How far the 8-bit answer may be from Keras': largest and mean difference in levels.
LIMITS: dict[str, dict[str, float]] = {
    "none": {"max_levels": 1},
    "fp16": {"max_levels": 2},
    "dynamic": {"mean_levels": 2.0},
    "int8": {"mean_levels": 2.0},
}
# How much worse a quantized file may be than Keras on true colors.
COST_LIMITS = {"psnr": 0.3, "ciede2000": 0.3}


def pictures(data: Any = None, limit: int | None = None) -> list[np.ndarray]:
    """Reads the pictures that a file is verified on.

    Args:
        data: Source as `kcolor.data.source.open_source` takes it; None for the
            photographs that come inside scikit-image.
        limit: Number to use, spread evenly over the source; None for `PICTURES`.

    Returns:
        List of uint8 RGB arrays `(height, width, 3)`. A source of fewer pictures gives
        mirrored and turned ones too.
    """
    source = open_source(data)
    limit = PICTURES if limit is None else limit
    images = [source.read(i) for i in evenly_spaced(len(source), limit)]
    variants = (
        lambda x: x,
        lambda x: x[::-1],
        lambda x: x.transpose(1, 0, 2),
        lambda x: x[:, ::-1],
    )
    return [
        np.ascontiguousarray(
            variants[i // len(images) % len(variants)](images[i % len(images)])
        )
        for i in range(limit)
    ]


def known_colors(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Makes true colors of pictures known here and there, as training does.

    Args:
        images: uint8 RGB array `(B, H, W, 3)`.
        rng: Generator that all draws come from.

    Returns:
        float32 array `(B, H, W, 3)`, a* and b* / 110 and a mask; none is empty.
    """
    truths = np.concatenate([np.asarray(part) for part in split(images)], axis=-1)
    return np.stack([simulate_hints(truth, rng, share=1.0)[1] for truth in truths])


def resized(images: Iterable[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Resizes pictures to `(height, width)`, as evaluation does.

    Args:
        images: uint8 RGB arrays.
        size: `(height, width)`.

    Returns:
        uint8 RGB array `(len(images), height, width, 3)`.
    """
    return np.stack([resize_to(image, *size) for image in images])


def of_many_sizes(images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Resizes each picture to another size, smaller and larger than the network's.

    Args:
        images: Iterable of uint8 RGB arrays.

    Yields:
        uint8 RGB arrays `(height, width, 3)`; odd sides and both orientations occur.
    """
    sizes = [(300, 451), (351, 512), (53, 37), (256, 256), (401, 299), (37, 53)]
    for i, image in enumerate(images):
        yield resized([image], sizes[i % len(sizes)])[0]


class Differences:
    """Collects how far answers are from Keras', over any number of pictures.

    Answers to known colors are collected apart: a fault of theirs must not vanish in a
    mean over both.
    """

    def __init__(self) -> None:
        """Starts with no picture."""
        self._hinted: Differences | None = None
        self._rng = np.random.default_rng(0)
        self._ab_sum = self._ab_max = 0.0
        self._levels_sum = self._levels_max = 0
        self._values_ab = self._values = 0
        self.pictures = 0

    def add_network(
        self, network: Network, predictor: Predictor, images: np.ndarray
    ) -> None:
        """Adds answers of a file about pictures, without known colors and with them.

        Args:
            network: What the file was made from.
            predictor: The file.
            images: uint8 RGB array `(B, H, W, 3)`.

        Raises:
            DataError: If an answer has another shape, or is no number.
        """
        lightness = np.asarray(split(images)[0])
        expected = network.plain(lightness, training=False)
        self.add_ab(lightness, expected, predictor.predict_ab(lightness))
        if network.takes_known:
            known = known_colors(images, self._rng)
            named = {"lightness": lightness, "known": known}
            expected = network.model(named, training=False)
            self._hinted = self._hinted or Differences()
            answer = predictor.predict_ab(lightness, known)
            self._hinted.add_ab(lightness, expected, answer)

    def add_ab(self, lightness: Any, expected: Any, answer: Any) -> None:
        """Adds answers of a network.

        Args:
            lightness: float32 array `(B, H, W, 1)` in [-1, 1].
            expected: Keras' ab, float32 `(B, H, W, 2)`, not bounded.
            answer: The file's ab, likewise.

        Raises:
            DataError: If the answer has another shape, or is no number.
        """
        answer = np.asarray(answer)
        if answer.shape != tuple(expected.shape) or not np.isfinite(answer).all():
            raise DataError(
                f"the file answers ab of shape {answer.shape} "
                f"({'finite' if np.isfinite(answer).all() else 'not finite'}); Keras "
                f"answers {tuple(expected.shape)}"
            )
        self._count_ab(np.abs(answer - np.asarray(expected)) * AB_SCALE)
        self._count_levels(join(lightness, expected), join(lightness, answer))

    def add_rgb(self, expected: Any, answer: Any) -> None:
        """Adds answers of a file that gives pictures.

        Args:
            expected: Keras' picture, uint8 RGB `(B, H, W, 3)`.
            answer: The file's picture, likewise.

        Raises:
            DataError: If the answer has another shape or type.
        """
        answer = np.asarray(answer)
        if answer.shape != tuple(expected.shape) or answer.dtype != np.uint8:
            raise DataError(
                f"the file answers a picture of shape {answer.shape}, {answer.dtype}; "
                f"Keras answers {tuple(expected.shape)}, uint8"
            )
        self._count_ab(
            np.abs(np.asarray(split(answer)[1]) - np.asarray(split(expected)[1]))
            * AB_SCALE
        )
        self._count_levels(expected, answer)

    def _count_ab(self, difference: np.ndarray) -> None:
        self._ab_sum += float(difference.sum(dtype="float64"))
        self._ab_max = max(self._ab_max, float(difference.max()))
        self._values_ab += difference.size

    def _count_levels(self, expected: Any, answer: Any) -> None:
        difference = np.abs(np.asarray(expected, "int16") - np.asarray(answer, "int16"))
        self._levels_sum += int(difference.sum(dtype="int64"))
        self._levels_max = max(self._levels_max, int(difference.max()))
        self._values += difference.size
        self.pictures += len(difference)

    def figures(self) -> dict[str, Any]:
        """Returns the figures as JSON has them.

        Returns:
            Dict with `pictures` and, in units of a* and b* and in levels of 255,
            `ab_mean`, `ab_max`, `levels_mean`, `levels_max`; and, of a network that
            takes known colors, `hinted`, the same of its answers to them.
        """
        hinted = {} if self._hinted is None else {"hinted": self._hinted.figures()}
        return {
            "pictures": self.pictures,
            "ab_mean": self._ab_sum / self._values_ab,
            "ab_max": self._ab_max,
            "levels_mean": self._levels_sum / self._values,
            "levels_max": self._levels_max,
            **hinted,
        }


def check(name: Path | str, figures: dict[str, Any], quantize: str = "none") -> None:
    """Refuses figures that are out of their limits.

    Args:
        name: What the message calls the file.
        figures: Dict as `Differences.figures` returns it.
        quantize: Key of `LIMITS`.

    Raises:
        DataError: If a limit is exceeded.
    """
    if "hinted" in figures:
        check(f"{name}, with known colors", figures["hinted"], quantize)
    limits = LIMITS[quantize]
    for key, limit in limits.items():
        value = figures["levels_max" if key == "max_levels" else "levels_mean"]
        if not value <= limit:
            what = "largest" if key == "max_levels" else "mean"
            raise DataError(
                f"{name}: its answer differs from Keras' by more than its limit "
                f"({what} difference {value:.3g} of 255 levels, limit {limit:g}); "
                "the file was removed"
            )


def cost(
    model: keras.Model,
    path: Path,
    name: Path | str,
    data: Any,
    size: int,
    limit: int | None,
) -> dict[str, Any]:
    """Measures what an exported file loses on true colors, beside Keras.

    Args:
        model: `keras.Model` that the file was made from.
        path: The file, or the folder of a SavedModel.
        name: What messages call the file.
        data: Source of color photographs.
        size: Side that pictures are resized to.
        limit: Number of pictures to use; None for all.

    Returns:
        Dict of metric to dict with the figures `keras` and `file` and `worse`, how much
        worse the file is.
    """
    from kcolor.evaluation import evaluate
    from kcolor.evaluation.protocol import DIRECTIONS
    from kcolor.runtimes.keras import KerasPredictor
    from kcolor.runtimes.resolve import load_predictor

    predictor = load_predictor(str(path))
    predictor.name = str(name)
    result = evaluate(
        [KerasPredictor("keras", model), predictor],
        data,
        size=size,
        limit=limit,
    )
    keras_row, file_row = result["rows"][1:3]
    return {
        "images": file_row["images"],
        **{
            metric: {
                "keras": keras_row[metric],
                "file": file_row[metric],
                "worse": direction * (keras_row[metric] - file_row[metric]),
            }
            for metric, direction in DIRECTIONS.items()
            if file_row.get(metric) is not None
        },
    }


def check_cost(name: Path | str, figures: dict[str, Any]) -> None:
    """Refuses a file that loses too much quality on true colors.

    Args:
        name: What the message calls the file.
        figures: Dict as `cost` returns it.

    Raises:
        DataError: If a limit is exceeded.
    """
    for metric, limit in COST_LIMITS.items():
        worse = figures[metric]["worse"]
        if not worse <= limit:
            raise DataError(
                f"{name}: it is {worse:.3g} worse than Keras in {metric} "
                f"(limit {limit:g}); the file was removed"
            )
