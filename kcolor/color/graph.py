"""sRGB <-> CIE L*a*b*, and uint8 RGB to what a network sees and back, in `keras.ops`.

`split` and `join` are exact inverses on uint8. A network sees lightness and answers
with ab, both in the scaled units of `constants`; nothing else in kcolor scales them.
Everything is elementwise float32. A matmul would run in TF32 on recent GPUs, and a
mixed-precision layer would hand us float16; either one changes 8-bit colors.
"""

import keras
from keras import ops

from kcolor.color.constants import (
    AB_MAX,
    AB_MIN,
    AB_SCALE,
    DELTA,
    LIGHTNESS_SCALE,
    RGB_TO_WHITE_XYZ,
    WHITE_XYZ_TO_RGB,
)


def rgb_to_lab(rgb: keras.KerasTensor) -> keras.KerasTensor:
    """Converts gamma-encoded sRGB to CIE L*a*b* (D65, 2 degree observer).

    Args:
        rgb: Float tensor of shape `(..., 3)`, values in `[0, 1]`.

    Returns:
        Float32 tensor of shape `(..., 3)`. L* is in `[0, 100]`; over the sRGB
        gamut a* is in `[-86.2, 98.3]` and b* in `[-107.9, 94.5]`.

    Raises:
        ValueError: If the last axis is not 3 long or `rgb` holds integers.
    """
    _check(rgb, "rgb")
    rgb = ops.cast(rgb, "float32")
    linear = ops.where(
        rgb <= 0.04045,
        rgb / 12.92,
        _power((ops.maximum(rgb, 0.04045) + 0.055) / 1.055, 2.4),
    )
    xyz = _mix(linear, RGB_TO_WHITE_XYZ)
    # maximum() keeps the unused branch's gradient finite where xyz is 0.
    f = ops.where(
        xyz > DELTA**3,
        _power(ops.maximum(xyz, DELTA**3), 1 / 3),
        xyz / (3 * DELTA**2) + 4 / 29,
    )
    fx, fy, fz = ops.unstack(f, 3, axis=-1)
    return ops.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], axis=-1)


def lab_to_rgb(lab: keras.KerasTensor, gamut: str = "clip") -> keras.KerasTensor:
    """Converts CIE L*a*b* to sRGB.

    Args:
        lab: Float tensor of shape `(..., 3)`, units as `rgb_to_lab` returns.
        gamut: What becomes of colors outside sRGB. `"clip"` clips each channel, as
            scikit-image does; it shifts lightness and hue. `"desaturate"` mixes the
            color with the gray of its own luminance, in linear light, until it fits:
            chroma is lost and L* is kept.

    Returns:
        Float32 tensor of shape `(..., 3)`, values in `[0, 1]`.

    Raises:
        ValueError: If the last axis is not 3 long, `lab` holds integers, or `gamut` is
            neither of the two.
    """
    _check(lab, "lab")
    if gamut not in ("clip", "desaturate"):
        raise ValueError(
            f"`gamut` must be 'clip' or 'desaturate'. Received: gamut={gamut!r}"
        )
    lightness, a, b = ops.unstack(ops.cast(lab, "float32"), 3, axis=-1)
    fy = (lightness + 16) / 116
    f = ops.stack([fy + a / 500, fy, fy - b / 200], axis=-1)
    xyz = ops.where(f > DELTA, f * f * f, 3 * DELTA**2 * (f - 4 / 29))
    linear = _mix(xyz, WHITE_XYZ_TO_RGB)
    if gamut == "desaturate":
        linear = _desaturate(linear, ops.clip(xyz[..., 1:2], 0.0, 1.0))
    linear = ops.clip(linear, 0.0, 1.0)
    return ops.where(
        linear <= 0.0031308,
        12.92 * linear,
        1.055 * _power(ops.maximum(linear, 0.0031308), 1 / 2.4) - 0.055,
    )


def opponent_colorfulness(
    rgb: keras.KerasTensor, *, unsigned: bool = False
) -> keras.KerasTensor:
    """Computes colorfulness from opponent channels; differentiable but at one color.

    Args:
        rgb: Float tensor of shape `(batch, height, width, 3)`, any scale.
        unsigned: Whether to take the absolute values of the opponent channels, which
            the publication does not.

    Returns:
        Float32 tensor of shape `(batch,)` in the unit of `rgb`, 0 for gray.

    Source: Hasler and Suesstrunk 2003, "Measuring Colourfulness in Natural Images",
    section 7, metric M3.
    """
    r, g, b = ops.unstack(ops.cast(rgb, "float32"), 3, axis=-1)
    opponents = ops.stack([r - g, (r + g) / 2 - b], axis=-1)
    if unsigned:
        opponents = ops.abs(opponents)
    mean = _mean_of_rows(opponents)
    variance = _mean_of_rows(ops.square(opponents - mean[:, None, None]))
    spread = _square_root(ops.sum(variance, axis=-1))
    offset = _square_root(ops.sum(ops.square(mean), axis=-1))
    return spread + 0.3 * offset


def split(rgb: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
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


def recompose(lightness: keras.KerasTensor, ab: keras.KerasTensor) -> keras.KerasTensor:
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


def join(lightness: keras.KerasTensor, ab: keras.KerasTensor) -> keras.KerasTensor:
    """Merges lightness and ab into uint8 RGB, the inverse of `split`.

    Args:
        lightness: Float tensor of shape `(..., 1)` in `split`'s unit, `[-1, 1]`.
        ab: Float tensor of shape `(..., 2)` in `split`'s unit.

    Returns:
        uint8 tensor of shape `(..., 3)`, gamma-encoded sRGB.
    """
    # Adding 0.5 and truncating rounds half up, as the light path's table does.
    return ops.cast(recompose(lightness, ab) * 255.0 + 0.5, "uint8")


def _mean_of_rows(x):
    # Over both axes at once, TensorFlow's float32 sum was up to 0.002 off in the
    # colorfulness of a photograph.
    return ops.mean(ops.mean(x, axis=2), axis=1)


def _square_root(x):
    # Its gradient is infinite at 0, where a gray picture lies; maximum() keeps the
    # unused branch's finite.
    return ops.where(x > 1e-12, ops.sqrt(ops.maximum(x, 1e-12)), 0.0)


def _desaturate(linear, luminance):
    # On the line from the gray (Y, Y, Y) to the color, luminance is Y everywhere, so
    # walking towards gray changes neither Y nor L*. Each channel says how far from
    # gray it may go; the tightest one decides for all three.
    offset = linear - luminance
    room = ops.where(offset > 0, 1 - luminance, luminance)
    reach = room / ops.maximum(ops.abs(offset), 1e-6)
    share = ops.minimum(ops.min(reach, axis=-1, keepdims=True), 1.0)
    return luminance + share * offset


def _power(x, exponent):
    # Vectorized on CPUs, where a general power is not: 2 to 4 times faster.
    return ops.exp(exponent * ops.log(x))


def _mix(channels, matrix):
    c = ops.unstack(channels, 3, axis=-1)
    rows = [sum(float(w) * x for w, x in zip(row, c, strict=True)) for row in matrix]
    return ops.stack(rows, axis=-1)


def _check(image, name):
    dtype = keras.backend.standardize_dtype(image.dtype)
    if image.shape[-1] != 3 or "float" not in dtype:
        raise ValueError(
            f"`{name}` must be a float tensor of shape (..., 3). "
            f"Received: shape={tuple(image.shape)}, dtype={dtype}"
        )
