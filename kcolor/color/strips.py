"""Pictures worked on strip by strip, so that what is in work stays in the cache."""

import numpy as np


def strips(pixels: np.ndarray, most: int) -> list[slice]:
    """Divides a picture into strips of whole rows.

    Args:
        pixels: Array of shape `(height, width, ...)`, not empty.
        most: Pixels of a strip at most; a strip has one row at least.

    Returns:
        Slices of rows, the first of them the largest.
    """
    step = max(1, most // pixels.shape[1])
    return [slice(top, top + step) for top in range(0, len(pixels), step)]
