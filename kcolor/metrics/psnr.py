"""Peak signal-to-noise ratio, per image.

The mean over images is the mean of these values; pooling the squared errors of all
images first is another figure, off by several dB.
"""

import math

import keras
from keras import ops

from kcolor.metrics.mean import MeanOverImages
from kcolor.metrics.stored import pair_as_stored


def psnr(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
    """Computes the peak signal-to-noise ratio over all three channels.

    Args:
        y_true: True RGB, `(batch, height, width, 3)`, uint8 or float in `[0, 1]`.
        y_pred: Predicted RGB, same shape; both are rounded to 8 bits first.

    Returns:
        Float32 tensor `(batch,)` in dB, for a peak of 255; inf for equal images.

    Raises:
        ValueError: If a shape or dtype is another.
    """
    y_true, y_pred = pair_as_stored(y_true, y_pred)
    difference = ops.cast(y_true, "float32") - ops.cast(y_pred, "float32")
    error = ops.mean(ops.square(difference / 255.0), axis=(1, 2, 3))
    decibel = ops.log(ops.maximum(error, 1e-30)) * (-10.0 / math.log(10.0))
    return ops.where(error > 0, decibel, ops.full_like(decibel, math.inf))


class PSNR(MeanOverImages):
    """Streams the mean of `psnr` over images; inf once two images were equal."""

    def __init__(self, name: str = "psnr", dtype: str = "float32") -> None:
        super().__init__(psnr, name, dtype, direction="up")
