"""The numbers behind every conversion, NumPy only.

`graph` (Keras) and `host` (NumPy/OpenCV) both take them from here, so that a light
install and a trained network cannot disagree.
"""

import numpy as np

# Linear sRGB -> CIE XYZ, BT.709 primaries and D65, as in scikit-image. Dividing by
# the row sums (the white) makes r = g = b give a* = b* = 0; a white point rounded
# separately from the matrix misses that by up to 0.005.
_RGB_TO_XYZ = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
RGB_TO_WHITE_XYZ = _RGB_TO_XYZ / _RGB_TO_XYZ.sum(axis=1, keepdims=True)
WHITE_XYZ_TO_RGB = np.linalg.inv(RGB_TO_WHITE_XYZ)
DELTA = 6 / 29  # CIE 15:2004; exact, so both branches of f and its inverse meet.

# L* in [0, 100] becomes [-1, 1]; a* and b* (-107.9 to 98.3 over sRGB) fit in [-1, 1].
LIGHTNESS_SCALE = 50.0
AB_SCALE = 110.0
# The sRGB gamut's own extremes; a prediction outside them is no color.
AB_MIN = (-86.2, -107.9)
AB_MAX = (98.3, 94.5)
# A network halves its input five times and doubles it back.
STRIDE = 32


def nearest_multiple(side: float, stride: int = STRIDE) -> int:
    """Rounds a side to one that a network takes, halves up.

    Args:
        side: In pixels.
        stride: What the sides of a network's input are multiples of.

    Returns:
        The nearest multiple of `stride`, at least `stride` itself.
    """
    return max(stride, int(side / stride + 0.5) * stride)
