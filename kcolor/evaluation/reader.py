"""Reads the pictures of a source as the protocol wants them, ahead of time."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import cv2
import numpy as np

from kcolor.data.source import Source
from kcolor.errors import DataError
from kcolor.images.resize import resize_square
from kcolor.parallel import cores, read_ahead

# Two pictures of one scene correlate above 0.9 in lightness, two scenes around 0.
SAME_PICTURE = 0.5
_FLAT = 1.0  # L*; below this standard deviation a correlation says nothing
_Result = TypeVar("_Result")


class Reader:
    """Reads resized pictures of a source, ahead of time and in order.

    Attributes:
        source: The source.
        paired: Whether it brings its own gray pictures.
    """

    def __init__(self, source: Source, size: int) -> None:
        """Takes the source, and the side in pixels that pictures are resized to."""
        self.source = source
        self.paired = source.paired
        self._size = size

    def truth(self, index: int) -> np.ndarray:
        """Reads one color picture.

        Args:
            index: Position in the source.

        Returns:
            uint8 RGB array `(size, size, 3)`.
        """
        return resize_square(self.source.read(index), self._size)

    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Reads one color picture and what a model is shown of it.

        Args:
            index: Position in the source.

        Returns:
            Tuple of uint8 RGB arrays `(size, size, 3)`: the truth, and the source's
            gray picture or, if it has none, the truth again.

        Raises:
            DataError: If the two show different pictures.
        """
        color = self.source.read(index)
        truth = resize_square(color, self._size)
        gray = self.source.gray(index)
        if gray is None:
            return truth, truth
        name = self.source.names[index]
        aspects = [
            width / height for height, width in (color.shape[:2], gray.shape[:2])
        ]
        if abs(aspects[0] / aspects[1] - 1) > 0.02:
            raise DataError(
                f"{name}: gray and color have different shapes: {gray.shape[1]}x"
                f"{gray.shape[0]} and {color.shape[1]}x{color.shape[0]} pixels"
            )
        gray = resize_square(gray, self._size)
        correlation = lightness_correlation(
            *(
                cv2.cvtColor(x, cv2.COLOR_RGB2LAB)[None, ..., 0] / 2.55
                for x in (truth, gray)
            )
        )[0]
        if correlation < SAME_PICTURE:  # False for NaN
            raise DataError(
                f"{name}: gray and color do not show the same picture; their lightness "
                f"correlates at {correlation:.2f}"
            )
        return truth, gray

    def ahead(
        self, read: Callable[[int], _Result], indices: Iterable[int], depth: int = 32
    ) -> Iterator[_Result]:
        """Calls `read` on each index in threads.

        Args:
            read: Function of one index.
            indices: Positions in the source.
            depth: How many results may wait, so that memory stays bounded.

        Yields:
            The results, in the order of `indices`.
        """
        with ThreadPoolExecutor(min(4, cores() + 1)) as pool:
            yield from read_ahead(pool, read, indices, depth)


def lightness_correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Correlates the lightness of pictures, to tell whether they show the same.

    Args:
        one: L* in `[0, 100]`, `(batch, height, width)`, or with 1 channel.
        other: The same of the pictures to compare with.

    Returns:
        float32 array `(batch,)` in `[-1, 1]`; NaN where `one` is flat.
    """
    one, other = (np.asarray(x, "float32").reshape(len(x), -1) for x in (one, other))
    one, other = (x - x.mean(axis=1, keepdims=True) for x in (one, other))
    deviations = [np.sqrt((x * x).mean(axis=1)) for x in (one, other)]
    product = (one * other).mean(axis=1) / np.maximum(
        deviations[0] * deviations[1], 1e-9
    )
    return np.where(deviations[0] < _FLAT, np.nan, product)
