"""Resizing of whole pictures to the shape that a network is measured at."""

import cv2
import numpy as np


def resize_to(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes a whole picture as evaluation does; its aspect is not kept.

    Args:
        image: uint8 array of shape `(H, W)` or `(H, W, 3)`.
        height: Height of the result.
        width: Width of the result.

    Returns:
        uint8 array of shape `(height, width)` or `(height, width, 3)`; averaged over
        areas where both sides shrink or stay, bicubic otherwise.
    """
    shrinks = image.shape[0] >= height and image.shape[1] >= width
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=interpolation)


def resize_square(rgb: np.ndarray, size: int) -> np.ndarray:
    """Resizes a whole picture to a square, see `resize_to`.

    Args:
        rgb: uint8 array of shape `(height, width, 3)`.
        size: Side of the result.

    Returns:
        uint8 array of shape `(size, size, 3)`.
    """
    return resize_to(rgb, size, size)
