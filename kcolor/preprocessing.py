"""The two scale constants, and the one way from uint8 RGB to the network and back.

`split` and `join` are exact inverses on uint8. A network sees lightness and answers
with ab, both in the scaled units defined here; nothing else in kcolor scales them.
"""

import keras
from keras import ops

from kcolor.color import lab_to_rgb, rgb_to_lab

# L* in [0, 100] becomes [-1, 1]; a* and b* (-107.9 to 98.3 over sRGB) fit in [-1, 1].
# `kcolor.inference` may not import this module (it would load Keras) and repeats both
# numbers; a test holds them equal.
LIGHTNESS_SCALE = 50.0
AB_SCALE = 110.0
# The sRGB gamut's own extremes; a prediction outside them is no color.
AB_MIN = (-86.2, -107.9)
AB_MAX = (98.3, 94.5)


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
