"""What training leaves out: files that cannot be read, and pictures nearly gray."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from kcolor.color.graph import opponent_colorfulness
from kcolor.data.source import PictureSource, Source
from kcolor.errors import DataError

# More bad files than this share of a source is no accident of a few files.
_MOST_BAD = 0.05
_THREADS = 4
# Colorfulness is judged at this short side, in pixels; it hardly depends on it.
_JUDGED_AT = 256

logger = logging.getLogger(__name__)


class SkipBad:
    """A source that answers a neighbor in place of a file that cannot be read.

    Which neighbor depends on the files alone, so equal seeds still draw equal batches.
    """

    def __init__(self, source: PictureSource, file: Path | None) -> None:
        """Wraps a source.

        Args:
            source: Source to read from.
            file: Path that lists the bad files, a line each; earlier lines stay. None
                writes no list.
        """
        self.path, self.names = source.path, source.names
        self.paired, self.weights = source.paired, source.weights
        self._source, self._file = source, file
        self._failure: DataError | None = None
        self._bad: dict[int, str] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def failure(self) -> DataError | None:
        """The `DataError` that said that too many are bad, or None."""
        with self._lock:
            return self._failure

    @property
    def bad(self) -> dict[int, str]:
        """The positions in `names` that are left out so far, each with its reason."""
        with self._lock:
            return dict(self._bad)

    def pair(
        self, index: int, short_side: int | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Reads a color picture and its gray partner, see `Source.pair`.

        Args:
            index: Position in `names`.
            short_side: As for `Source.pair`.

        Returns:
            What the source returns, of the next readable picture if this one is bad.

        Raises:
            DataError: If over 5% of the source's pictures have turned out bad.
        """
        while True:
            with self._lock:
                bad = index in self._bad
            if not bad:
                try:
                    return self._source.pair(index, short_side)
                except DataError as error:
                    self.leave_out(index, str(error))
            index = (index + 1) % len(self)

    def leave_out(self, index: int, reason: str) -> None:
        """Leaves a picture out from now on.

        Args:
            index: Position in `names`.
            reason: Why it cannot be read, with its name.

        Raises:
            DataError: If over 5% of the source's pictures have turned out bad.
        """
        with self._lock:
            if index in self._bad:
                return
            self._bad[index] = reason
            logger.warning("left out: %s", reason)
            _list(self._file, [reason])
            if len(self._bad) > _MOST_BAD * len(self):
                listed = "" if self._file is None else f"; all are in {self._file}"
                self._failure = self._failure or DataError(
                    f"{self.path}: over {_MOST_BAD:.0%} of {len(self)} pictures cannot "
                    f"be read, the last because of {reason}{listed}"
                )
                raise self._failure


def without_bad(source: Source, file: Path) -> Source:
    """Reads every picture of a source once and leaves out what cannot be read.

    Args:
        source: `Source`.
        file: Path that lists the bad files, a line each; earlier lines stay.

    Returns:
        `Source` of the others.

    Raises:
        DataError: If none is left.
    """

    def read(index):
        try:
            source.pair(index)
        except DataError as error:
            return error
        return None

    with ThreadPoolExecutor(_THREADS) as pool:
        errors = list(pool.map(read, range(len(source))))
    bad = [error for error in errors if error is not None]
    for error in bad:
        logger.warning("left out: %s", error)
    if len(bad) == len(source):
        raise bad[0]
    _list(file, bad)
    return source.subset([i for i, error in enumerate(errors) if error is None])


def without_gray(source: Source, colorfulness: float) -> Source:
    """Leaves out the pictures that are nearly gray.

    Args:
        source: `Source`; a picture that cannot be read stays for others to name.
        colorfulness: Least colorfulness M3 to stay, in 8-bit levels: 0 is gray, 15
            slightly and 33 moderately colorful (Hasler and Suesstrunk 2003).

    Returns:
        `Source` of the others.

    Raises:
        DataError: If none is left.
    """

    def is_colorful(index):
        try:
            rgb, _ = source.pair(index, _JUDGED_AT)
        except DataError:
            return True
        return float(opponent_colorfulness(rgb[None])[0]) >= colorfulness

    with ThreadPoolExecutor(_THREADS) as pool:
        kept = list(pool.map(is_colorful, range(len(source))))
    logger.info(
        "%s: %d of %d pictures left out, colorfulness under %g",
        source.path,
        len(source) - sum(kept),
        len(source),
        colorfulness,
    )
    if not any(kept):
        raise DataError(f"{source.path}: no picture of colorfulness {colorfulness:g}")
    return source.subset([i for i, keep in enumerate(kept) if keep])


def _list(file, reasons):
    if file is None:
        return
    known = []
    if file.exists():
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
        known = text.splitlines()
    lines = [reason for reason in map(str, reasons) if reason not in known]
    if lines:
        with open(file, "a", encoding="utf-8", errors="surrogateescape") as out:
            out.write("".join(f"{line}\n" for line in lines))
