"""The CIEDE2000 color difference, in the full form of Sharma, Wu and Dalal.

Written with vectors in the a'b' plane instead of hue angles: the angle between two
colors then has no jump at 0 or 360 degrees that float32 could fall on the wrong side
of, and most of the trigonometry disappears.
"""

import math

import keras
from keras import ops

from kcolor.color.graph import rgb_to_lab
from kcolor.metrics.mean import MeanOverImages
from kcolor.metrics.stored import as_float, pair_as_stored

# Two hues this close to opposite (radians) count as exactly opposite. float32 cannot
# tell them apart, and the formula jumps there.
_OPPOSITE = 1e-6


def lab_difference(
    lab_true: keras.KerasTensor, lab_pred: keras.KerasTensor
) -> keras.KerasTensor:
    """Computes CIEDE2000 between colors, with kL = kC = kH = 1.

    Args:
        lab_true: Float tensor `(..., 3)`: L* in `[0, 100]`, a*, b*.
        lab_pred: The same for the other color; the difference is symmetric.

    Returns:
        Float32 tensor `(...)`, 0 for equal colors; 1 is about just noticeable.

    Source: Sharma, Wu and Dalal 2005, "The CIEDE2000 Color-Difference Formula:
    Implementation Notes, Supplementary Test Data, and Mathematical Observations",
    equations 2 to 22.
    """
    l1, a1, b1 = ops.unstack(ops.cast(lab_true, "float32"), 3, axis=-1)
    l2, a2, b2 = ops.unstack(ops.cast(lab_pred, "float32"), 3, axis=-1)

    # Equations 2 to 6: a' stretches a* near the gray axis.
    mean_chroma = (_length(a1, b1) + _length(a2, b2)) / 2
    stretch = 1.5 - 0.5 * _chroma_weight(mean_chroma)
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = _length(a1, b1), _length(a2, b2)
    mean_chroma = (c1 + c2) / 2

    # Equations 8 to 11. With unit vectors u1, u2: the sign of the turn from the one to
    # the other is the sign of their cross product.
    u1a, u1b = _direction(a1, b1, c1)
    u2a, u2b = _direction(a2, b2, c2)
    cosine = u1a * u2a + u1b * u2b
    cross = u1a * u2b - u2a * u1b
    # Opposite hues: the one in [0, 180) degrees comes first, as in equation 10.
    first = ops.logical_or(u1b > 0, ops.logical_and(u1b == 0, u1a > 0))
    opposite = ops.logical_and(ops.abs(cross) <= _OPPOSITE, cosine < 0)
    left = ops.where(opposite, first, cross > 0)
    turn = ops.where(left, 1.0, -1.0)
    # 2 sin(angle / 2), by the expression that keeps its digits.
    acute = cosine >= 0
    chord = ops.where(
        acute,
        ops.abs(cross) / ops.sqrt(ops.maximum((1 + cosine) / 2, 0.25)),
        ops.sqrt(ops.maximum(2 - 2 * cosine, 0.0)),
    )
    delta_l, delta_c = l2 - l1, c2 - c1
    # A gray has no direction (u = 0): then cross, and so delta_h, is 0 (equation 10).
    delta_h = turn * ops.sqrt(c1 * c2) * chord

    # Equation 14: the mean hue bisects the smaller angle. Where that angle is wide the
    # sum of the vectors nearly cancels, and the normal of their difference does not.
    ha = ops.where(acute, u1a + u2a, turn * (u2b - u1b))
    hb = ops.where(acute, u1b + u2b, turn * (u1a - u2a))
    norm = ops.rsqrt(ops.maximum(ha * ha + hb * hb, 1e-30))
    cos1, sin1 = ha * norm, hb * norm
    cos2, sin2 = cos1 * cos1 - sin1 * sin1, 2 * cos1 * sin1
    cos3, sin3 = cos2 * cos1 - sin2 * sin1, sin2 * cos1 + cos2 * sin1
    cos4, sin4 = cos2 * cos2 - sin2 * sin2, 2 * cos2 * sin2
    # Equation 15.
    t = (
        1
        - 0.17 * _cos_minus(cos1, sin1, 30)
        + 0.24 * cos2
        + 0.32 * _cos_minus(cos3, sin3, -6)
        - 0.20 * _cos_minus(cos4, sin4, 63)
    )
    # Equations 16 to 21. The distance of the mean hue from 275 degrees, by a turn of
    # the plane, so that atan2 jumps on the far side, where the exponential is 0.
    blue = math.radians(275)
    from_blue = ops.arctan2(
        sin1 * math.cos(blue) - cos1 * math.sin(blue),
        cos1 * math.cos(blue) + sin1 * math.sin(blue),
    )
    theta = math.radians(30) * ops.exp(-ops.square(from_blue / math.radians(25)))
    rotation = -ops.sin(2 * theta) * 2 * _chroma_weight(mean_chroma)
    lightness = ops.square((l1 + l2) / 2 - 50)
    s_l = 1 + 0.015 * lightness / ops.sqrt(20 + lightness)
    s_c = 1 + 0.045 * mean_chroma
    s_h = 1 + 0.015 * mean_chroma * t

    # Equation 22.
    part_l, part_c, part_h = delta_l / s_l, delta_c / s_c, delta_h / s_h
    square = (
        part_l * part_l + part_c * part_c + part_h * part_h + rotation * part_c * part_h
    )
    return ops.sqrt(ops.maximum(square, 0.0))


def ciede2000(
    y_true: keras.KerasTensor, y_pred: keras.KerasTensor
) -> keras.KerasTensor:
    """Computes the mean CIEDE2000 difference over the pixels of each image.

    Args:
        y_true: True RGB, `(batch, height, width, 3)`, uint8 or float in `[0, 1]`.
        y_pred: Predicted RGB, same shape; both are rounded to 8 bits first.

    Returns:
        Float32 tensor `(batch,)`, 0 for equal images.

    Raises:
        ValueError: If a shape or dtype is another.
    """
    y_true, y_pred = pair_as_stored(y_true, y_pred)
    difference = lab_difference(
        rgb_to_lab(as_float(y_true)), rgb_to_lab(as_float(y_pred))
    )
    return ops.mean(difference, axis=(1, 2))


def _length(a, b):
    return ops.sqrt(a * a + b * b)


def _direction(a, b, length):
    scale = 1 / ops.maximum(length, 1e-12)
    return a * scale, b * scale


def _chroma_weight(chroma):
    # sqrt(C^7 / (C^7 + 25^7)), scaled so that no power leaves float32's best range.
    ratio = chroma / 25
    power = ratio * ratio * ratio
    power = power * power * ratio
    return ops.sqrt(power / (power + 1))


def _cos_minus(cosine, sine, degrees):
    angle = math.radians(degrees)
    return cosine * math.cos(angle) + sine * math.sin(angle)


class CIEDE2000(MeanOverImages):
    """Streams the mean of `ciede2000` over images."""

    def __init__(self, name: str = "ciede2000", dtype: str = "float32") -> None:
        super().__init__(ciede2000, name, dtype, direction="down")
