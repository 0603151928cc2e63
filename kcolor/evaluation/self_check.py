"""The self-check: rows whose figures are known, and what is wrong if they differ.

The row `truth` is a second, independent read of each picture: a source that does not
give the same picture twice is found by it. `sepia` is the truth's lightness in one
color. `shuffled` is another picture's truth: a row that is no closer to the truth than
that was paired wrongly.
"""

from collections.abc import Sequence

import numpy as np

from kcolor.color.constants import LIGHTNESS_SCALE
from kcolor.errors import DataError
from kcolor.evaluation.measurements import Measurements
from kcolor.evaluation.protocol import COLUMNS, GRAY
from kcolor.evaluation.reader import SAME_PICTURE, Reader, lightness_correlation
from kcolor.evaluation.rows import Painter
from kcolor.evaluation.statistics import Bootstrap
from kcolor.parallel import evenly_spaced

_SEPIA_PICTURES = 256
# Sepia has the truth's lightness but for rounding and the gamut's edge.
_SAME_LIGHTNESS = 0.98
# Rounding and other batch sizes' orders of summation stay far below one level.
_SAME_LEVELS = 1.0


class CheckRows:
    """Makes the rows of the self-check."""

    def __init__(
        self, reader: Reader, painter: Painter, indices: Sequence[int]
    ) -> None:
        """Chooses the partners of `shuffled` and the color of `sepia`.

        Args:
            reader: Reads the pictures.
            painter: Colorizes them.
            indices: The pictures that are measured.

        Raises:
            ValueError: If there are fewer than 2.
        """
        if len(indices) < 2:
            raise ValueError(
                f"--self-check needs at least 2 pictures. Received: {len(indices)}"
            )
        self._reader, self._painter = reader, painter
        half = len(indices) // 2
        partners = [*indices[half:], *indices[:half]]
        self._partners = dict(zip(indices, partners, strict=True))
        chosen = [indices[i] for i in evenly_spaced(len(indices), _SEPIA_PICTURES)]
        means = [
            painter.split(truth[None])[1].mean(axis=(0, 1, 2))
            for truth in reader.ahead(reader.truth, chosen)
        ]
        self._sepia = np.mean(means, axis=0)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Reads a picture again, and its partner.

        Args:
            index: Position in the source.

        Returns:
            Tuple of uint8 RGB arrays `(size, size, 3)`: of `truth` and of `shuffled`.
        """
        return self._reader.truth(index), self._reader.truth(self._partners[index])

    def sepia(self, shown: np.ndarray) -> np.ndarray:
        """Gives a batch of uint8 RGB one color, its lightness kept."""
        return self._painter.tint(self._painter.split(shown)[0], self._sepia)

    def check_neighbors(
        self, shown: np.ndarray, pictures: dict[str, np.ndarray]
    ) -> None:
        """Fails if a picture would become another among copies of itself.

        A network that mixes up its batch, or normalizes over it, fails here; nothing
        else could see colors that lie on the right lightness.

        Args:
            shown: uint8 RGB array `(batch, height, width, 3)`.
            pictures: Dict of row to what became of it.

        Raises:
            DataError: If a row's picture depends on the others of its batch.
        """
        for position in {0, len(shown) - 1}:
            copies = np.repeat(shown[[position]], len(shown), axis=0)
            for row, alone in self._painter.paint(copies).items():
                if row == GRAY:
                    continue
                difference = np.abs(
                    alone[0].astype("float32") - pictures[row][position]
                ).mean()
                if difference > _SAME_LEVELS:
                    raise DataError(
                        f"self-check failed: row {row}: what it makes of a picture "
                        "depends on the other pictures of its batch (by "
                        f"{difference:.1f} of 255 levels on average)"
                    )

    def correlations(
        self, truth: np.ndarray, pictures: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Correlates the lightness of a batch with the truth's.

        Args:
            truth: uint8 RGB array `(batch, height, width, 3)`.
            pictures: Dict of row to arrays of the same kind.

        Returns:
            Dict of each model's row and `sepia` to float32 array `(batch,)`.
        """
        expected = self._painter.split(truth)[0] * LIGHTNESS_SCALE
        return {
            row: lightness_correlation(
                expected, self._painter.split(pictures[row])[0] * LIGHTNESS_SCALE
            )
            for row in [*self._painter.rows, "sepia"]
        }


def check(measurements: Measurements, *, seed: int = 0) -> None:
    """Fails unless the figures are possible for correctly paired pictures.

    Args:
        measurements: Figures with the rows of the self-check.
        seed: Seed of the bootstrap.

    Raises:
        DataError: If a row is not what it must be; the message says which and how.
    """
    failures = [
        *_truth_failures(measurements),
        *_similarity_failures(measurements, seed),
        *_lightness_failures(measurements),
        *_color_failures(measurements),
    ]
    if failures:
        raise DataError("self-check failed: " + "; ".join(failures))


def _truth_failures(measurements):
    for name, values in measurements.rows["truth"].items():
        metric = COLUMNS[name]
        if metric.best is None:
            continue
        wrong = ~np.isclose(values, metric.best, rtol=0, atol=1e-4)
        if wrong.any():
            picture = measurements.names[int(np.argmax(wrong))]
            yield (
                f"row truth: {metric.label} is {values[wrong][0]:.4g} and not "
                f"{metric.best:g} for {picture}; the source gave another picture when "
                "it was read again"
            )
            return


def _similarity_failures(measurements, seed):
    similarity = {row: figures["ssim"] for row, figures in measurements.rows.items()}
    shown = [GRAY, *measurements.models, "sepia"]
    leads = np.stack([similarity[row] - similarity["shuffled"] for row in shown])
    lowest = Bootstrap(seed).intervals(leads.T)[:, 0]
    for row, low in zip(shown, lowest, strict=True):
        if not low > 0:
            yield (
                f"row {row}: SSIM {np.mean(similarity[row]):.3f} is no better than "
                f"that of other pictures ({np.mean(similarity['shuffled']):.3f}), so "
                "its pictures are not those of the truth"
            )


def _lightness_failures(measurements):
    for row, values in measurements.lightness_correlation.items():
        known = values[np.isfinite(values)]
        least = _SAME_LIGHTNESS if row == "sepia" else SAME_PICTURE
        if known.size and np.mean(known) < least:
            yield (
                f"row {row}: its lightness correlates with the truth's at "
                f"{np.mean(known):.2f} only, so it shows other pictures"
            )


def _color_failures(measurements):
    rows = measurements.rows
    if "colorfulness" not in rows[GRAY]:
        return
    if not measurements.protocol["paired"] and rows[GRAY]["colorfulness"].any():
        yield "row gray: is not gray"
    if not rows["sepia"]["colorfulness"].any():
        yield "row sepia: has no color"
