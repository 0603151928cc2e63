"""Files in a `.tar` or `.zip`, read where they are: nothing is unpacked."""

import tarfile
import threading
import zipfile
import zlib
from pathlib import Path

from kcolor.errors import DataError


class TarReader:
    """Reads the files of an uncompressed `.tar`.

    Its members lie in one piece, so each is read at its own offset, through a handle of
    its own.

    Attributes:
        names: The members' names. Of equal ones the last counts, as for `tar` itself.
    """

    def __init__(self, path: Path) -> None:
        """Lists the members.

        Args:
            path: The archive.

        Raises:
            DataError: If it is no readable `.tar`.
        """
        try:
            with tarfile.open(path, "r:") as archive:
                members = {
                    m.name: (m.offset_data, m.size) for m in archive if m.isfile()
                }
        except tarfile.TarError as error:
            raise DataError(f"{path}: not a readable .tar ({error})") from error
        self.names = list(members)
        self._places = list(members.values())
        self._path = path

    def read(self, position: int) -> bytes:
        """Returns the bytes of a member.

        Args:
            position: Its position in `names`.

        Returns:
            The whole member.

        Raises:
            OSError: If the archive cannot be read.
        """
        offset, size = self._places[position]
        with open(self._path, "rb") as file:
            file.seek(offset)
            return file.read(size)


class ZipReader:
    """Reads the files of a `.zip`.

    Attributes:
        names: The members' names. Of equal ones the last counts.
    """

    def __init__(self, path: Path) -> None:
        """Lists the members.

        Args:
            path: The archive, which stays open.

        Raises:
            DataError: If it is no readable `.zip`.
        """
        try:
            self._archive = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise DataError(f"{path}: not a readable .zip ({error})") from error
        members = {m.filename: m for m in self._archive.infolist() if not m.is_dir()}
        self.names = list(members)
        self._members = list(members.values())
        self._lock = threading.Lock()

    def read(self, position: int) -> bytes:
        """Returns the bytes of a member.

        Args:
            position: Its position in `names`.

        Returns:
            The whole member, decompressed.

        Raises:
            OSError: If the archive cannot be read.
            ValueError: If the member is damaged, encrypted, or packed in a way that
                Python's `zipfile` does not know.
        """
        try:
            # ZipFile counts its open members without a lock; reading one takes turns
            # inside, and threads decompress side by side.
            with self._lock:
                file = self._archive.open(self._members[position])
            try:
                return file.read()
            finally:
                with self._lock:
                    file.close()
        except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
            raise ValueError(f"cannot be unpacked ({error})") from error
