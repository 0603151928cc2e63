"""One picture of a file in memory, as readers give it and writers take it."""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from kcolor.color.strips import strips

_STRIP = 1 << 16


@dataclass
class Page:
    """One picture of a file, as it is stored.

    Attributes:
        pixels: uint8 or uint16 array of shape `(height, width)`, gray, or
            `(height, width, 3)`, RGB, gamma-encoded sRGB.
        alpha: Array of shape `(height, width)` and `pixels`' dtype, or None.
        orientation: EXIF orientation, 1 to 8, that turns `pixels` upright.
        metadata: What else the page carries.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    orientation: int = 1
    metadata: dict[str, Any] = field(default_factory=dict)


def to_8_bits(values: np.ndarray) -> np.ndarray:
    """Rounds uint16 values to uint8."""
    # 257 levels of 16 bits are one of 8; the table is exact and twice as fast.
    table = ((np.arange(65536) + 128) // 257).astype("uint8")
    return table[values]


def swap_red_and_blue(pixels: np.ndarray) -> np.ndarray:
    """Turns RGB into OpenCV's BGR, or back, in place.

    Args:
        pixels: Array of shape `(height, width, 3)`.

    Returns:
        The same array.
    """
    # OpenCV copies first what it is to change in place.
    for rows in strips(pixels, _STRIP):
        cv2.cvtColor(pixels[rows], cv2.COLOR_RGB2BGR, dst=pixels[rows])
    return pixels


def gray_of(pixels: np.ndarray) -> np.ndarray | None:
    """Finds a gray picture in three equal channels.

    Args:
        pixels: Array of shape `(height, width, 3)`.

    Returns:
        Array of shape `(height, width)`, or None if there is any color.
    """
    gray = np.empty(pixels.shape[:2], pixels.dtype)
    parts = strips(pixels, _STRIP)
    # Split into memory that is there: twice as fast as into new.
    held = np.empty((2, *gray[parts[0]].shape), pixels.dtype)
    for rows in parts:
        first, *others = gray[rows], *held[:, : len(gray[rows])]
        cv2.split(pixels[rows], [first, *others])
        if not all(np.array_equal(first, other) for other in others):
            return None
    return gray


def on_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Lays a picture on white paper, for what has no transparency.

    Args:
        pixels: uint8 array of shape `(height, width)` or `(height, width, 3)`.
        alpha: uint8 array of shape `(height, width)`; 255 is opaque.

    Returns:
        uint8 array of `pixels`' shape. Mixed in gamma-encoded values, as browsers do.
    """
    share = alpha.astype("float32") / 255
    if pixels.ndim == 3:
        share = share[..., None]
    return (pixels * share + 255 * (1 - share) + 0.5).astype("uint8")
