"""Colorfulness of an image, in the signed form of Hasler and Suesstrunk.

A variant in circulation takes absolute values of the two opponent channels: the
`unsigned` figures. They differ, mostly downwards, and cannot be compared.
"""

import keras

from kcolor.color.graph import opponent_colorfulness
from kcolor.metrics.mean import MeanOverImages
from kcolor.metrics.stored import as_stored


def colorfulness(images: keras.KerasTensor) -> keras.KerasTensor:
    """Computes how colorful images are.

    Args:
        images: RGB, `(batch, height, width, 3)`, uint8 or float in `[0, 1]`; rounded to
            8 bits first.

    Returns:
        Float32 tensor `(batch,)`, 0 for gray, about 40 for a usual photograph (in units
        of 8-bit levels).

    Raises:
        ValueError: If the shape or dtype is another.

    Source: Hasler and Suesstrunk 2003, "Measuring Colourfulness in Natural Images",
    section 7, metric M3.
    """
    return opponent_colorfulness(as_stored(images, "images"))


def colorfulness_unsigned(images: keras.KerasTensor) -> keras.KerasTensor:
    """Computes the variant that most tables of the field show under the same name.

    Args:
        images: See `colorfulness`.

    Returns:
        Float32 tensor `(batch,)`, 0 for gray, in units of 8-bit levels.

    Raises:
        ValueError: If the shape or dtype is another.

    Source: what DDColor's `basicsr/metrics/colorfulness.py` computes.
    """
    return opponent_colorfulness(as_stored(images, "images"), unsigned=True)


def colorfulness_difference(
    y_true: keras.KerasTensor, y_pred: keras.KerasTensor
) -> keras.KerasTensor:
    """Computes the colorfulness that a prediction has more than its truth.

    Args:
        y_true: True RGB, `(batch, height, width, 3)`, uint8 or float in `[0, 1]`.
        y_pred: Predicted RGB, same shape.

    Returns:
        Float32 tensor `(batch,)`; negative where the prediction is the paler one.

    Raises:
        ValueError: If a shape or dtype is another.
    """
    return colorfulness(y_pred) - colorfulness(y_true)


def _of_prediction(y_true, y_pred):
    return colorfulness(y_pred)


class Colorfulness(MeanOverImages):
    """Streams the mean of `colorfulness` over predictions; the truth is not used."""

    def __init__(self, name: str = "colorfulness", dtype: str = "float32") -> None:
        super().__init__(_of_prediction, name, dtype)


class ColorfulnessDifference(MeanOverImages):
    """Streams the mean of `colorfulness_difference` over images; best at 0."""

    def __init__(
        self, name: str = "colorfulness_difference", dtype: str = "float32"
    ) -> None:
        super().__init__(colorfulness_difference, name, dtype)
