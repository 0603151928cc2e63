"""Pictures in a NumPy file."""

import zipfile
from pathlib import Path

import numpy as np

from kcolor.errors import DataError


class ArrayReader:
    """Reads the pictures of a `.npy` or `.npz`.

    Attributes:
        names: The pictures' positions, eight digits each.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file; a `.npy` stays on disk and is read picture by picture.

        Args:
            path: File of one uint8 RGB array `(count, height, width, 3)`.

        Raises:
            DataError: If it is no such file.
        """
        self._pictures = _load(path)
        if self._pictures.dtype != np.uint8 or self._pictures.shape[3:] != (3,):
            raise DataError(
                f"{path}: must be uint8 RGB of shape (count, height, width, 3). "
                f"Received: {self._pictures.dtype} {self._pictures.shape}"
            )
        self.names = [f"{i:08d}" for i in range(len(self._pictures))]

    def read(self, position: int) -> np.ndarray:
        """Returns a picture.

        Args:
            position: Its position in the array.

        Returns:
            uint8 RGB array of shape `(height, width, 3)`.
        """
        return np.array(self._pictures[position])


def _load(path):
    try:
        content = np.load(path, mmap_mode="r" if path.suffix == ".npy" else None)
        if isinstance(content, np.ndarray):
            return content
        with content:
            if len(content.files) != 1:
                raise DataError(
                    f"{path}: must hold one array. Received: {content.files}"
                )
            return content[content.files[0]]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a readable NumPy file") from error
