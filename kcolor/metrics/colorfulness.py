"""Colorfulness of an image, in the signed form of Hasler and Suesstrunk.

A variant in circulation takes absolute values of the two opponent channels; its figures
are lower and cannot be compared.
"""

import keras
from keras import ops

from kcolor.metrics.stored import as_stored


def colorfulness(images):
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
    r, g, b = ops.unstack(ops.cast(as_stored(images, "images"), "float32"), 3, axis=-1)
    opponents = ops.stack([r - g, (r + g) / 2 - b], axis=-1)
    mean = ops.mean(opponents, axis=(1, 2), keepdims=True)
    variance = ops.mean(ops.square(opponents - mean), axis=(1, 2))
    spread = ops.sqrt(ops.sum(variance, axis=-1))
    offset = ops.sqrt(ops.sum(ops.square(mean[:, 0, 0]), axis=-1))
    return spread + 0.3 * offset


def colorfulness_difference(y_true, y_pred):
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


class Colorfulness(keras.metrics.MeanMetricWrapper):
    """Streams the mean of `colorfulness` over predictions; the truth is not used."""

    def __init__(self, name="colorfulness", dtype="float32"):
        super().__init__(_of_prediction, name=name, dtype=dtype)

    def get_config(self):
        """Returns the arguments of the constructor."""
        return {"name": self.name, "dtype": self.dtype}


class ColorfulnessDifference(keras.metrics.MeanMetricWrapper):
    """Streams the mean of `colorfulness_difference` over images; best at 0."""

    def __init__(self, name="colorfulness_difference", dtype="float32"):
        super().__init__(colorfulness_difference, name=name, dtype=dtype)

    def get_config(self):
        """Returns the arguments of the constructor."""
        return {"name": self.name, "dtype": self.dtype}
