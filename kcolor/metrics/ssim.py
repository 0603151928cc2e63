"""Structural similarity, per image, with the window of the original publication.

Equal to scikit-image's `structural_similarity(gaussian_weights=True, sigma=1.5,
use_sample_covariance=False, data_range=255, channel_axis=-1)`; its default settings (a
flat 7x7 window) give other figures.
"""

import keras
import numpy as np
from keras import ops

from kcolor.metrics.mean import MeanOverImages
from kcolor.metrics.stored import as_float, pair_as_stored

SIGMA = 1.5
WINDOW = 11
# K1 = 0.01 and K2 = 0.03 of the publication, for images in [0, 1].
_C1 = 0.01**2
_C2 = 0.03**2


def ssim(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
    """Computes the mean structural similarity over positions and channels.

    Args:
        y_true: True RGB, `(batch, height, width, 3)`, uint8 or float in `[0, 1]`; both
            sides at least 11.
        y_pred: Predicted RGB, same shape; both are rounded to 8 bits first.

    Returns:
        Float32 tensor `(batch,)`, at most 1, which is for equal images.

    Raises:
        ValueError: If a shape or dtype is another, or a side is below 11.

    Source: Wang et al. 2004, "Image Quality Assessment: From Error Visibility to
    Structural Similarity", equation 13; windows that would leave the image are left
    out.
    """
    y_true, y_pred = pair_as_stored(y_true, y_pred)
    if any(side is not None and side < WINDOW for side in y_true.shape[1:3]):
        raise ValueError(
            f"SSIM needs images of at least {WINDOW}x{WINDOW} pixels. "
            f"Received: shape={tuple(y_true.shape)}"
        )
    # Variances do not change with an offset, and around 0 they lose fewer digits.
    x, y = as_float(y_true) - 0.5, as_float(y_pred) - 0.5
    # Equation 13 needs the two variances only as their sum: four blurs, not five.
    blurred = _blur(ops.concatenate([x, y, x * x + y * y, x * y], axis=-1))
    mean_x, mean_y, mean_squares, mean_product = ops.split(blurred, 4, axis=-1)
    variances = mean_squares - mean_x * mean_x - mean_y * mean_y
    covariance = mean_product - mean_x * mean_y
    mean_x, mean_y = mean_x + 0.5, mean_y + 0.5
    similarity = (
        (2 * mean_x * mean_y + _C1)
        * (2 * covariance + _C2)
        / ((mean_x * mean_x + mean_y * mean_y + _C1) * (variances + _C2))
    )
    return ops.mean(similarity, axis=(1, 2, 3))


def _blur(images):
    # Depthwise, so no backend turns it into a TF32 matrix product, whose rounding is
    # as large as the variances of a smooth image.
    taps = np.exp(-0.5 * (np.arange(WINDOW) - WINDOW // 2) ** 2 / SIGMA**2)
    taps = np.tile(taps[:, None] / taps.sum(), (1, images.shape[-1])).astype("float32")
    for shape in ((WINDOW, 1, -1, 1), (1, WINDOW, -1, 1)):
        images = ops.depthwise_conv(
            images,
            ops.convert_to_tensor(taps.reshape(shape)),
            padding="valid",
            data_format="channels_last",
        )
    return images


class SSIM(MeanOverImages):
    """Streams the mean of `ssim` over images."""

    def __init__(self, name: str = "ssim", dtype: str = "float32") -> None:
        super().__init__(ssim, name, dtype, direction="up")
