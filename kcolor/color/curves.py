"""The sRGB curve and CIE's f, and their tables for 8 and 16 bits. NumPy and OpenCV."""

import functools

import cv2
import numpy as np

from kcolor.color.constants import DELTA

# Steps of linear light behind the 8-bit output: 0.2 levels apart at black, where the
# sRGB curve is steepest, so a value is off by 0.1 at most before it is rounded.
STEPS = (1 << 14) - 1


def linearize(rgb: np.ndarray) -> np.ndarray:
    """Undoes the sRGB curve.

    Args:
        rgb: Float array, gamma-encoded, in `[0, 1]`.

    Returns:
        Array of the same shape, linear light, in `[0, 1]`.
    """
    curve = ((np.maximum(rgb, 0.04045) + 0.055) / 1.055) ** 2.4
    return np.where(rgb <= 0.04045, rgb / 12.92, curve)


def linear_to_srgb(linear: np.ndarray) -> np.ndarray:
    """Applies the sRGB curve, the inverse of `linearize`.

    Args:
        linear: Float array, linear light, in `[0, 1]`.

    Returns:
        Array of the same shape, gamma-encoded, in `[0, 1]`.
    """
    curve = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, curve)


def cube_root(luminance: np.ndarray) -> np.ndarray:
    """Applies CIE's f, of which L* is 116 f - 16.

    Args:
        luminance: Float array, Y of the white, in `[0, 1]`.

    Returns:
        Array of the same shape, in `[4/29, 1]`.
    """
    return np.where(
        luminance > DELTA**3,
        np.cbrt(np.maximum(luminance, DELTA**3)),
        luminance / (3 * DELTA**2) + 4 / 29,
    )


@functools.cache
def root_of_linear() -> np.ndarray:
    """Returns f of 65,536 even steps of linear light, float32."""
    return cube_root(np.arange(65536) / 65535).astype("float32")


@functools.cache
def linear_16() -> np.ndarray:
    """Returns the linear light of each 16-bit level, float32."""
    return linearize(np.arange(65536) / 65535).astype("float32")


@functools.cache
def root_16() -> np.ndarray:
    """Returns f of each 16-bit gray, float32."""
    return cube_root(linearize(np.arange(65536) / 65535)).astype("float32")


def look_up(steps: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    """Looks 16-bit values up.

    Args:
        steps: uint16 array.
        table: Array of 65,536 values.
        out: Array of the shape of `steps` and the dtype of `table`, which takes them.
    """
    # OpenCV looks 16-bit values up since 5.0, three times as fast as NumPy.
    if _WIDE_LUT:
        cv2.LUT(steps, table, out)
    else:
        np.take(table, steps, out=out, mode="clip")


LINEAR_8 = linearize(np.arange(256) / 255).astype("float32")
ROOT_8 = cube_root(linearize(np.arange(256) / 255)).astype("float32")
# A step is what truncation leaves, so its middle speaks for it.
_MIDDLES = np.minimum((np.arange(65536) + 0.5) / STEPS, 1)
OUT_8 = (linear_to_srgb(_MIDDLES) * 255 + 0.5).astype("uint8")


def _has_wide_lut():
    try:
        cv2.LUT(np.zeros((1, 1), "uint16"), OUT_8)
    except cv2.error:
        return False
    return True


_WIDE_LUT = _has_wide_lut()
