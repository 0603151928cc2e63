"""Files in a folder and the folders below it."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from kcolor.data.names import Names
from kcolor.errors import DataError
from kcolor.files import not_listed

_log = logging.getLogger(__name__)


class FolderReader:
    """Reads the files of a folder.

    Attributes:
        names: POSIX paths relative to the folder.
    """

    def __init__(self, root: Path, names: Sequence[str] | None = None) -> None:
        """Lists the files, or takes the list.

        Args:
            root: The folder.
            names: Paths relative to it; None finds every file below it.

        Raises:
            DataError: If the folder, or one below it, cannot be listed.
        """
        self.names = Names(_files(root) if names is None else names)
        self._root = root

    def read(self, position: int) -> bytes:
        """Returns the bytes of a file.

        Args:
            position: Its position in `names`.

        Returns:
            The whole file.

        Raises:
            OSError: If it cannot be read.
        """
        return (self._root / self.names[position]).read_bytes()


def _files(root):
    for folder, folders, files in os.walk(root, onerror=_refuse):
        for name in folders:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                _log.warning("%s: a link to a folder is not followed", path)
        inside = Path(folder).relative_to(root)
        yield from ((inside / file).as_posix() for file in files)


def _refuse(error):
    raise DataError(not_listed(error)) from error
