"""Film grain, and the chroma that it takes from a network's answer.

The less a network sees of what is below the grain, the grayer is its answer. That is
too gray for the eye, and the error says nothing against more: on 60 test pictures with
grain of 10 levels, `mobile` lost 14% of its chroma; given back eleven of them, its mean
error of ab was 13.8 instead of 13.7. So an answer is strengthened by what the grain
takes, of whatever network: four others keep 91 to 100% of their chroma so.

What a reader would get wrong: texture that fills a picture from edge to edge, gravel or
a lawn, is taken for grain; nothing but a smooth place tells one from the other.
"""

import cv2
import numpy as np

from kcolor.color.constants import LIGHTNESS_SCALE

# The difference of two Laplacians, which is 0 on planes and along edges, and what the
# mean of its size has to be multiplied by for L* of normal noise (Immerkaer, Fast noise
# variance estimation, 1996).
MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], "float32")
TO_DEVIATION = float(np.sqrt(np.pi / 2) / 6 * LIGHTNESS_SCALE)
# Texture is in most blocks of a picture at most, grain in all: the smoothest fiftieth
# tells. By the smoothest fifth a crowd below a clear sky was grainy.
BLOCK = 8
SMOOTHEST = 50
# Blocks that are black or white somewhere, frames and blown highlights, say nothing.
CLIPPED = 0.98
# By 60 test pictures with grain of 0, 5, 10 and 20 levels: up to that much L*, pictures
# are called clean; what each unit more takes; and the most that is given back.
LEAST = 0.3
LOSS = 0.14
MOST = 1.2
# The factor is rounded to a whole number of such parts, so that it is the very same
# whatever computes it.
PARTS = 256


def deviation(lightness: np.ndarray) -> float:
    """Measures the grain of a picture.

    Args:
        lightness: float32 array of shape `(height, width)`, L* / 50 - 1, of at least
            10 pixels a side.

    Returns:
        Standard deviation of L* in the smoothest blocks, some three quarters of the
        grain's.
    """
    size = np.abs(cv2.filter2D(np.ascontiguousarray(lightness), -1, MASK))
    means = _blocks(size).mean(axis=(1, 3))
    means = means[_blocks(np.abs(lightness)).max(axis=(1, 3)) < CLIPPED]
    if not len(means):
        return 0.0
    at = len(means) // SMOOTHEST
    return float(np.partition(means, at)[at] * TO_DEVIATION)


def _blocks(plane):
    # All whole blocks of what the mask fits into, (rows, BLOCK, columns, BLOCK).
    inner = plane[1:-1, 1:-1]
    rows, columns = (side // BLOCK for side in inner.shape)
    return inner[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)


def factor(lightness: np.ndarray) -> float:
    """Says by what to multiply ab that a network answered for a grainy picture.

    Args:
        lightness: What the network saw, all of it, as for `deviation`.

    Returns:
        1 without grain, up to 1.2.
    """
    exact = min(1 + LOSS * max(deviation(lightness) - LEAST, 0), MOST)
    return round(exact * PARTS) / PARTS
