"""The two scale constants, and the one way from uint8 RGB to the network and back.

`split` and `join` are exact inverses on uint8. A network sees lightness and answers
with ab, both in the scaled units defined here; nothing else in kcolor scales them.
"""

import cv2
import keras
import numpy as np
from keras import ops

from kcolor.color import DELTA, RGB_TO_WHITE_XYZ, lab_to_rgb, rgb_to_lab

# L* in [0, 100] becomes [-1, 1]; a* and b* (-107.9 to 98.3 over sRGB) fit in [-1, 1].
# `kcolor.inference` may not import this module (it would load Keras) and repeats both
# numbers; a test holds them equal.
LIGHTNESS_SCALE = 50.0
AB_SCALE = 110.0
# The sRGB gamut's own extremes; a prediction outside them is no color.
AB_MIN = (-86.2, -107.9)
AB_MAX = (98.3, 94.5)

# Linear light of each 8-bit level, and (fx, fy, fz, 1) to lightness and ab.
_LEVELS = np.arange(256) / 255
_LINEAR = np.where(
    _LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4
).astype("float32")
_F_TO_SPLIT = np.array(
    [
        [0, 116 / LIGHTNESS_SCALE, 0, -16 / LIGHTNESS_SCALE - 1],
        [500 / AB_SCALE, -500 / AB_SCALE, 0, 0],
        [0, 200 / AB_SCALE, -200 / AB_SCALE, 0],
    ]
)


def split(rgb):
    """Splits uint8 RGB into what the network sees and what it predicts.

    Args:
        rgb: uint8 tensor of shape `(..., 3)`, gamma-encoded sRGB.

    Returns:
        Tuple of float32 tensors: lightness `(..., 1)`, L* / 50 - 1, in `[-1, 1]`; ab
        `(..., 2)`, a* and b* / 110, in `[-1, 1]`.

    Raises:
        ValueError: If `rgb` is not uint8 or its last axis is not 3 long.
    """
    dtype = keras.backend.standardize_dtype(rgb.dtype)
    if dtype != "uint8" or rgb.shape[-1] != 3:
        raise ValueError(
            "`rgb` must be a uint8 tensor of shape (..., 3). "
            f"Received: shape={tuple(rgb.shape)}, dtype={dtype}"
        )
    lab = rgb_to_lab(ops.cast(rgb, "float32") / 255.0)
    return lab[..., :1] / LIGHTNESS_SCALE - 1.0, lab[..., 1:] / AB_SCALE


def split_on_host(batch):
    """Does what `split` does, in OpenCV: 9 times as fast as TensorFlow on a CPU.

    Args:
        batch: uint8 array of shape `(B, H, W, 3)`, gamma-encoded sRGB, or a list of
            such pictures.

    Returns:
        float32 array of shape `(B, H, W, 3)`: lightness and ab as `split` gives them,
        to 2e-6.
    """
    shape = batch[0].shape
    result = np.empty((len(batch), *shape), np.float32)
    # Fresh memory costs more than the arithmetic, so all pictures share three arrays.
    linear, f, dark = (np.empty(shape, np.float32) for _ in range(3))
    corner = np.float32(DELTA**3)
    for picture, out in zip(batch, result, strict=True):
        cv2.LUT(picture, _LINEAR, linear)
        cv2.transform(linear, RGB_TO_WHITE_XYZ, f)
        # f is a cube root and, below the corner, its tangent there.
        np.subtract(f, corner, out=dark)
        np.minimum(dark, 0, out=dark)
        np.multiply(dark, np.float32(1 / (3 * DELTA**2)), out=dark)
        np.maximum(f, corner, out=f)
        cv2.pow(f, 1 / 3, f)
        np.add(f, dark, out=f)
        cv2.transform(f, _F_TO_SPLIT, out)
    return result


def recompose(lightness, ab):
    """Merges lightness and ab into float RGB; differentiable.

    Args:
        lightness: Float tensor of shape `(..., 1)` in `split`'s unit, `[-1, 1]`.
        ab: Float tensor of shape `(..., 2)` in `split`'s unit. It is clipped to the
            gamut's range; what still lies outside sRGB loses chroma, not lightness.

    Returns:
        Float32 tensor of shape `(..., 3)`, gamma-encoded sRGB in `[0, 1]`.
    """
    lightness = (ops.cast(lightness, "float32") + 1.0) * LIGHTNESS_SCALE
    ab = ops.cast(ab, "float32") * AB_SCALE
    a = ops.clip(ab[..., :1], AB_MIN[0], AB_MAX[0])
    b = ops.clip(ab[..., 1:], AB_MIN[1], AB_MAX[1])
    lab = ops.concatenate([lightness, a, b], axis=-1)
    return lab_to_rgb(lab, gamut="desaturate")


def join(lightness, ab):
    """Merges lightness and ab into uint8 RGB, the inverse of `split`.

    Args:
        lightness: Float tensor of shape `(..., 1)` in `split`'s unit, `[-1, 1]`.
        ab: Float tensor of shape `(..., 2)` in `split`'s unit.

    Returns:
        uint8 tensor of shape `(..., 3)`, gamma-encoded sRGB.
    """
    # Adding 0.5 and truncating rounds half up, as the light path's table does.
    return ops.cast(recompose(lightness, ab) * 255.0 + 0.5, "uint8")
