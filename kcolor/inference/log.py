"""A log of jobs: one line of JSON for each input, whatever became of it."""

import dataclasses
import json
import os
from pathlib import Path
from types import TracebackType

from kcolor.inference.jobs import Status


class StatusLog:
    """Adds lines to a file; may be shared by threads, and by processes of one machine.

    A line is one write at the end of the file, and is there as soon as `append`
    returns: a killed run lacks the lines of the files it was working on, and no other.
    """

    def __init__(self, path: Path | str) -> None:
        """Opens the file, or makes it; what it holds stays.

        Args:
            path: The file to write. Its folder must exist.

        Raises:
            OSError: If it cannot be written.
        """
        self._path = Path(path)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._file = os.open(path, flags, 0o666)
        # A disk that was full or lost its power may have cut the last line short.
        end = os.lseek(self._file, 0, os.SEEK_END)
        if end:
            os.lseek(self._file, end - 1, os.SEEK_SET)
            if os.read(self._file, 1) != b"\n":
                self._write(b"\n")

    def __enter__(self) -> "StatusLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def append(self, status: Status) -> None:
        """Adds the line of one job.

        Args:
            status: What became of it. Its attributes are the line's names.

        Raises:
            OSError: If the disk does not take it.
        """
        # Names may hold bytes that are no UTF-8; escaped, every line is ASCII.
        self._write(json.dumps(dataclasses.asdict(status)).encode() + b"\n")

    def _write(self, line):
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        if written != len(line):
            raise OSError(f"{self._path}: no room for a line of the log")
