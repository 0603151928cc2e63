"""Painting a frame: its luma stays as it was coded, only planes of chroma are made.

Luma Y' is not lightness L*: a color of the right L* has a slightly different Y', and
the other way around. What is kept here to the bit is Y', as a player shows the film
with its color turned down. L* is then off by 0.6 on average (95%: 1.4; 16 photographs
colorized, 8-bit rounding included); H.264 at its default quality makes that 1.2 (3.2).
"""

from typing import Any

import cv2
import numpy as np

from kcolor.color import host
from kcolor.inference.film.reading import BT601, BT709, BT2020, Facts

# Weights of red and blue in luma, by the number of the matrix (ITU-T H.273).
_WEIGHTS = {
    BT709: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    BT601: (0.299, 0.114),
    7: (0.212, 0.087),
    BT2020: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}


class Painter:
    """Makes the planes of chroma that belong to a plane of luma.

    It has no memory of the frame before; threads may share it.
    """

    def __init__(
        self,
        facts: Facts,
        *,
        depth: int,
        size: tuple[int, int],
        saturation: float = 1.0,
        guided: bool = True,
    ) -> None:
        """Prepares the tables of one film.

        Args:
            facts: What the film says about itself.
            depth: Bits of the planes of chroma, 8 to 16.
            size: Height and width of the planes.
            saturation: Factor of a* and b*.
            guided: Let colors follow the edges of the frame.
        """
        self._size = size
        self._is_interlaced = facts.fields is not None
        self._depth = depth
        self._dtype = np.uint8 if depth == 8 else np.uint16
        self._saturation = saturation
        self._guided = guided
        low, high = (0, (1 << facts.depth) - 1)
        if not facts.is_full:
            low, high = 16 << (facts.depth - 8), 235 << (facts.depth - 8)
        self._low, self._high = low, high
        levels = (np.arange(256) - low) * (255 / (high - low)) + 0.5
        self._levels = np.clip(levels, 0, 255).astype(np.uint8)
        self._to_chroma = _to_chroma(facts.matrix, facts.is_full, depth)

    def gray(self, luma: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Shrinks a frame and brings it to the range that photographs have.

        Args:
            luma: uint8 or uint16 array `(height, width)`, as coded.
            size: Height and width of the result.

        Returns:
            Array of `luma`'s dtype: gamma-encoded gray, using the whole range of it.
        """
        small = luma
        if luma.shape != size:
            small = cv2.resize(luma, size[::-1], interpolation=cv2.INTER_AREA)
        if small.dtype == np.uint8:
            return cv2.LUT(small, self._levels)
        span = 65535 / (self._high - self._low)
        wide = (small.astype(np.float32) - self._low) * np.float32(span) + 0.5
        return np.clip(wide, 0, 65535).astype(np.uint16)

    def __call__(
        self, luma: np.ndarray, view: np.ndarray, ab: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """Makes the planes of a frame.

        Args:
            luma: uint8 or uint16 array `(height, width)`, as coded.
            view: float32 array `(h, w)`, lightness of the small view.
            ab: float array `(h, w, 2)`, its colors, a* and b* / 110.

        Returns:
            Cb and Cr, uint8 or uint16 arrays of the planes' size.
        """
        if not self._is_interlaced:
            return self._planes(luma, self._size, view, ab)
        # The fields are pictures of two moments, and so are the rows of chroma.
        height, width = self._size
        planes = tuple(np.empty(self._size, self._dtype) for _ in range(2))
        for first in (0, 1):
            size = (height + 1 - first) // 2, width
            field = self._planes(luma[first::2], size, view, ab)
            for plane, rows in zip(planes, field, strict=True):
                plane[first::2] = rows
        return planes

    def _planes(self, luma, size, view, ab):
        rgb = host.recolor(
            self.gray(luma, size),
            ab.astype(np.float32),
            saturation=self._saturation,
            guide=view if self._guided else None,
        )
        if rgb.dtype == np.uint8 and self._depth == 8:
            planes = cv2.transform(rgb, self._to_chroma * _ROW_OF_8)
        else:
            unit = rgb.astype(np.float32) / np.iinfo(rgb.dtype).max
            levels = cv2.transform(unit, self._to_chroma) + np.float32(0.5)
            top = (1 << self._depth) - 1
            planes = np.clip(levels, 0, top).astype(self._dtype)
        return tuple(cv2.split(planes))


# An 8-bit picture holds 255 times what the matrix expects; the last column is added.
_ROW_OF_8 = np.array([1 / 255, 1 / 255, 1 / 255, 1], np.float32)


def _to_chroma(matrix, is_full, depth):
    # (R', G', B', 1), each in [0, 1], to Cb and Cr in levels.
    red, blue = _WEIGHTS.get(matrix, _WEIGHTS[BT709])
    luma = np.array([red, 1 - red - blue, blue])
    span = (1 << depth) - 1 if is_full else 224 << (depth - 8)
    rows = [
        (np.array([0, 0, 1]) - luma) / (2 - 2 * blue) * span,
        (np.array([1, 0, 0]) - luma) / (2 - 2 * red) * span,
    ]
    return np.array([[*row, 1 << (depth - 1)] for row in rows], np.float32)


def at_depth(luma: np.ndarray, facts: Facts, depth: int) -> np.ndarray:
    """Brings luma to the depth of the result.

    Args:
        luma: uint8 or uint16 array, as coded.
        facts: What the film says about itself.
        depth: Bits of the result.

    Returns:
        `luma` itself if it has that depth already, else an array of uint8 or uint16.
    """
    if depth == facts.depth:
        return luma
    dtype = np.uint8 if depth == 8 else np.uint16
    if facts.is_full:
        factor = ((1 << depth) - 1) / ((1 << facts.depth) - 1)
        return (luma * np.float32(factor) + np.float32(0.5)).astype(dtype)
    if depth > facts.depth:
        return np.left_shift(luma.astype(dtype), depth - facts.depth)
    shift = facts.depth - depth
    rounded = (luma.astype(np.uint32) + (1 << (shift - 1))) >> shift
    return np.minimum(rounded, (1 << depth) - 1).astype(dtype)


def rows_of(plane: Any, dtype: Any) -> np.ndarray:
    """Gives the rows of a plane without a copy, with what pads them at their end."""
    return np.frombuffer(plane, dtype).reshape(
        -1, plane.line_size // np.dtype(dtype).itemsize
    )


def copy_plane(values: np.ndarray, plane: Any) -> None:
    """Copies values into a plane of a frame, which may be larger by an edge.

    Args:
        values: uint8 or uint16 array `(height, width)`.
        plane: PyAV's plane, at least as large; what is beyond gets the last values.
    """
    rows = rows_of(plane, values.dtype)
    height, width = values.shape
    rows[:height, :width] = values
    rows[:height, width : plane.width] = values[:, -1:]
    rows[height : plane.height] = rows[height - 1]
