"""How much of a picture is colored more strongly than its truth.

A red face is worse than a gray one: a mean over pixels hides a few saturated blotches,
a share of pixels counts them.
"""

import keras
from keras import ops

from kcolor.color.graph import rgb_to_lab
from kcolor.metrics.mean import MeanOverImages
from kcolor.metrics.stored import as_float, pair_as_stored

# Units of ab; chosen by eye.
EXCESS = 30.0


def chroma_excess(
    y_true: keras.KerasTensor, y_pred: keras.KerasTensor
) -> keras.KerasTensor:
    """Computes the share of pixels whose chroma exceeds the truth's by more than 30.

    Chroma is C* = sqrt(a*^2 + b*^2), whatever the hue: a wrong color as strong as the
    right one does not count, and gray pictures score 0.

    Args:
        y_true: True RGB, `(batch, height, width, 3)`, uint8 or float in `[0, 1]`.
        y_pred: Predicted RGB, same shape; both are rounded to 8 bits first.

    Returns:
        Float32 tensor `(batch,)` in percent, `[0, 100]`.

    Raises:
        ValueError: If a shape or dtype is another.
    """
    y_true, y_pred = pair_as_stored(y_true, y_pred)
    exceeds = _chroma(y_pred) - _chroma(y_true) > EXCESS
    return 100.0 * ops.mean(ops.cast(exceeds, "float32"), axis=(1, 2))


def _chroma(stored):
    ab = rgb_to_lab(as_float(stored))[..., 1:]
    return ops.sqrt(ops.sum(ops.square(ab), axis=-1))


class ChromaExcess(MeanOverImages):
    """Streams the mean of `chroma_excess` over images."""

    def __init__(self, name: str = "chroma_excess", dtype: str = "float32") -> None:
        super().__init__(chroma_excess, name, dtype, direction="down")
