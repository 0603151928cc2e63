"""Contact sheets: pictures side by side in labeled columns, as one uint8 image."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from kcolor.files import writing

_LABEL_HEIGHT = 20


def contact_sheet(
    columns: Mapping[str, np.ndarray | Sequence[np.ndarray]],
) -> np.ndarray:
    """Draws columns of pictures beside each other.

    Args:
        columns: Dict of label to uint8 RGB array `(count, height, width, 3)`, or a
            list of pictures; all of the same shape.

    Returns:
        uint8 RGB array: one row per picture, one column per label, labels on top.
    """
    strips = []
    for label, images in columns.items():
        images = np.asarray(images)
        width = images.shape[2]
        head = np.full((_LABEL_HEIGHT, width, 3), 255, np.uint8)
        cv2.putText(
            head,
            label,
            (4, 14),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.42,
            (0, 0, 0),
            1,
            cv2.LINE_AA,
        )
        strips.append(np.concatenate([head, *images], axis=0))
    return np.concatenate(strips, axis=1)


def write_sheet(path: Path, sheet: np.ndarray) -> None:
    """Writes a sheet as a picture file, whole or not at all.

    Args:
        path: The file; its suffix says the format.
        sheet: uint8 RGB array of shape `(height, width, 3)`.
    """
    with writing(path) as file:
        # OpenCV itself writes no file whose path is not UTF-8.
        file.write(cv2.imencode(path.suffix, sheet[..., ::-1])[1].tobytes())
