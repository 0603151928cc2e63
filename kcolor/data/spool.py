"""A file without a name: bytes on disk that are gone with the process."""

import tempfile
import threading
from pathlib import Path


class Spool:
    """Keeps byte strings on disk for all threads of this process."""

    def __init__(self, folder: Path | str | None = None) -> None:
        """Opens the file.

        Args:
            folder: Where, or None for the system's temporary folder.
        """
        self._file = tempfile.TemporaryFile(dir=folder)
        self._end, self._lock = 0, threading.Lock()

    def __del__(self) -> None:
        self._file.close()

    def put(self, data: bytes) -> tuple[int, int]:
        """Keeps a byte string.

        Args:
            data: The bytes.

        Returns:
            Its place, which `get` wants to see.
        """
        with self._lock:
            start = self._end
            self._file.seek(start)
            self._file.write(data)
            self._end += len(data)
            return start, len(data)

    def get(self, place: tuple[int, int]) -> bytes:
        """Returns the bytes that `put` kept.

        Args:
            place: What `put` returned.

        Returns:
            The bytes.
        """
        start, size = place
        # One handle for all threads, so place and read must not be parted.
        with self._lock:
            self._file.seek(start)
            return self._file.read(size)
