"""The named protocols: what part of a photograph is measured, and at what size.

`square256` and `center256` show every model the same small square. `original` measures
what a user gets: the photograph at its own size, through `kcolor.inference`. Figures of
different protocols cannot be compared.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kcolor.errors import DataError
from kcolor.images.resize import resize_square
from kcolor.metrics import lpips

_SMALLEST = max(lpips.SMALLEST.values())
PROTOCOLS = ("square256", "center256", "original")
_RESIZED = (
    "resized to size x size on uint8 RGB; cv2.INTER_AREA where both sides shrink, else "
    "cv2.INTER_CUBIC"
)
_TEXTS = {
    "square": f"whole picture, {_RESIZED}",
    "center": f"central square as large as the shorter side, {_RESIZED}",
    "original": "whole picture at its own size; colors as kcolor.inference.colorizer "
    "puts them on it, guided by the picture's edges",
}


class Box(NamedTuple):
    """The part of an upright photograph that is measured, in its pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Framing:
    """What is done to a photograph before it is measured.

    Attributes:
        shape: `"square"`, the whole picture, its aspect lost; `"center"`, its central
            square; `"original"`, nothing.
        size: Side in pixels of what is measured; None for `"original"`.
    """

    shape: str
    size: int | None

    @property
    def name(self) -> str:
        """The protocol's name, such as `"square256"`."""
        return f"{self.shape}{self.size or ''}"

    @property
    def text(self) -> str:
        """What is done, in words."""
        return _TEXTS[self.shape]

    def box(self, height: int, width: int) -> Box:
        """Says which part of a photograph is measured.

        Args:
            height: Height of the upright photograph.
            width: Width of it.

        Returns:
            The `Box`.
        """
        if self.shape != "center":
            return Box(0, 0, width, height)
        side = min(height, width)
        return Box((width - side) // 2, (height - side) // 2, side, side)

    def apply(self, rgb: np.ndarray, box: Box) -> np.ndarray:
        """Cuts out what is measured and brings it to its size.

        Args:
            rgb: uint8 array `(height, width, 3)`.
            box: The part of it.

        Returns:
            uint8 array `(size, size, 3)`; `(box.height, box.width, 3)` for `original`.
        """
        left, top, width, height = box
        part = rgb[top : top + height, left : left + width]
        return part if self.size is None else resize_square(part, self.size)


def framing(name: str, size: int | None = None) -> Framing:
    """Finds a protocol by its name.

    Args:
        name: One of `PROTOCOLS`; another number may follow `square` and `center`.
        size: Side in pixels that replaces the number, or None.

    Returns:
        The `Framing`.

    Raises:
        ValueError: If there is no such protocol, or it has no size to be replaced, or
            the size is too small for LPIPS.
    """
    found = re.fullmatch(r"(square|center)([1-9]\d{0,4})|original", name)
    if not found:
        raise ValueError(
            f"protocol must be one of {', '.join(PROTOCOLS)}. Received: {name!r}"
        )
    if found[1] is None:
        if size is not None:
            raise ValueError(f"original has no size to choose. Received: {size=}")
        return Framing(name, None)
    side = int(found[2]) if size is None else size
    if side < _SMALLEST:
        raise ValueError(f"size must be at least {_SMALLEST}. Received: {side}")
    return Framing(found[1], side)


def check_box(box: Box, height: int, width: int, name: str, frame: Framing) -> Box:
    """Refuses a box that reaches out of its photograph or is too small for `original`.

    Args:
        box: The part that is to be measured.
        height: Height of the upright photograph.
        width: Width of it.
        name: What messages call it.
        frame: The protocol.

    Returns:
        `box`.

    Raises:
        DataError: If it does.
    """
    left, top, wide, high = box
    if left < 0 or top < 0 or left + wide > width or top + high > height:
        raise DataError(
            f"{name}: the manifest's box {list(box)} lies outside its {width}x{height} "
            "pixels"
        )
    if frame.size is None and min(wide, high) < _SMALLEST:
        raise DataError(
            f"{name}: {wide}x{high} pixels are too few to be measured as they are; "
            f"original needs {_SMALLEST}x{_SMALLEST}"
        )
    return box
