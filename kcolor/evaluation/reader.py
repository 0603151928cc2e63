"""Reads the pictures of a source as the protocol wants them, ahead of time."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import cv2
import numpy as np

from kcolor.data.source import Source
from kcolor.errors import DataError
from kcolor.evaluation.framing import Box, Framing, check_box
from kcolor.evaluation.manifest import Entry, Manifest, digests
from kcolor.parallel import cores, read_ahead

# Two pictures of one scene correlate above 0.9 in lightness, two scenes around 0.
SAME_PICTURE = 0.5
_FLAT = 1.0  # L*; below this standard deviation a correlation says nothing
_Result = TypeVar("_Result")


class Pair(NamedTuple):
    """One picture, as it is measured.

    Attributes:
        truth: uint8 RGB array, of the protocol's size.
        shown: What a model is shown of it, of the same shape: the source's gray picture
            or, if it has none, the truth again.
        entry: Which file and which part of it that is.
    """

    truth: np.ndarray
    shown: np.ndarray
    entry: Entry


class Reader:
    """Reads the pictures of a source ahead of time, in order, as a protocol says.

    Attributes:
        source: The source.
        paired: Whether it brings its own gray pictures.
    """

    def __init__(
        self, source: Source, frame: Framing, manifest: Manifest | None = None
    ) -> None:
        """Takes what says how pictures are read.

        Args:
            source: The source.
            frame: The protocol.
            manifest: Which part of each picture is measured; None: the protocol says.
        """
        self.source = source
        self.paired = source.paired
        self._frame = frame
        self._manifest = manifest

    def truth(self, index: int) -> np.ndarray:
        """Reads one color picture.

        Args:
            index: Position in the source.

        Returns:
            uint8 RGB array of the protocol's size.
        """
        rgb = self.source.read(index)
        return self._frame.apply(rgb, self._box(index, rgb))

    def pair(self, index: int) -> Pair:
        """Reads one color picture and what a model is shown of it.

        Args:
            index: Position in the source.

        Returns:
            The `Pair`.

        Raises:
            DataError: If the two show different pictures.
        """
        content = self.source.content(index)
        color = self.source.decode(index, content[0])
        box = self._box(index, color)
        truth = self._frame.apply(color, box)
        entry = Entry(box, *digests(content))
        if content[1] is None:
            return Pair(truth, truth, entry)
        gray = self.source.decode(index, content[1])
        name = self.source.names[index]
        aspects = [
            width / height for height, width in (color.shape[:2], gray.shape[:2])
        ]
        if abs(aspects[0] / aspects[1] - 1) > 0.02:
            raise DataError(
                f"{name}: gray and color have different shapes: {_sides(gray)} and "
                f"{_sides(color)} pixels"
            )
        if gray.shape != color.shape:
            # The box is one of the color picture's.
            if self._manifest or self._frame.size is None:
                raise DataError(
                    f"{name}: gray and color must be equally large for a manifest and "
                    f"for original. Received: {_sides(gray)} and {_sides(color)} pixels"
                )
            box = self._frame.box(*gray.shape[:2])
        gray = self._frame.apply(gray, box)
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
        return Pair(truth, gray, entry)

    def _box(self, index: int, rgb: np.ndarray) -> Box:
        height, width = rgb.shape[:2]
        name = self.source.names[index]
        if self._manifest is None:
            box = self._frame.box(height, width)
        else:
            box = self._manifest.pictures[name].box
        return check_box(box, height, width, name, self._frame)

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


def _sides(picture):
    return f"{picture.shape[1]}x{picture.shape[0]}"
