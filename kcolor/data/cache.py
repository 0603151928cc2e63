"""Keeps decoded pictures in memory or on disk, so that each is decoded once."""

import threading
from pathlib import Path

import numpy as np

from kcolor.data.source import PictureSource
from kcolor.data.spool import Spool
from kcolor.errors import DataError

# Threads that want different pictures should rarely wait for each other's decoding.
_LOCKS = 64


class Cache:
    """A source whose pictures are decoded once; see `Source` for what it answers."""

    def __init__(
        self,
        source: PictureSource,
        short_side: int | None = None,
        folder: Path | str | None = None,
    ) -> None:
        """Wraps a source.

        Args:
            source: Source to read from.
            short_side: Short side that pictures are kept at, see `Source.pair`.
            folder: Where to keep pictures in one file without a name, which is gone
                with the process however that ends; None keeps them in memory.
        """
        self.path, self.names = source.path, source.names
        self.paired, self.weights = source.paired, source.weights
        self._source, self._short_side = source, short_side
        self._kept: list = [None] * len(source)
        self._locks = [threading.Lock() for _ in range(_LOCKS)]
        self._store = _Memory() if folder is None else _Disk(folder)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def failure(self) -> DataError | None:
        """The first `DataError` of the source."""
        return self._source.failure

    def pair(
        self, index: int, short_side: int | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Reads a color picture and its gray partner, see `Source.pair`.

        Args:
            index: Position in `names`.
            short_side: The cache's own, or None, which also means its own.

        Returns:
            What the source returned when the picture was read first.

        Raises:
            DataError: If either cannot be read.
            ValueError: If `short_side` is another than pictures are kept at.
        """
        if short_side not in (None, self._short_side):
            raise ValueError(
                f"`short_side` must be {self._short_side}, which pictures are kept at. "
                f"Received: {short_side}"
            )
        with self._locks[index % _LOCKS]:
            kept = self._kept[index]
            if kept is None:
                pair = self._source.pair(index, self._short_side)
                self._kept[index] = tuple(map(self._store.put, pair))
                return pair
        color, gray = kept
        return self._store.get(color), self._store.get(gray)


class _Memory:
    put = get = staticmethod(lambda picture: picture)


class _Disk:
    def __init__(self, folder):
        self._spool = Spool(folder)

    def put(self, picture):
        if picture is None:
            return None
        return self._spool.put(picture.tobytes()), picture.shape

    def get(self, kept):
        if kept is None:
            return None
        place, shape = kept
        return np.frombuffer(self._spool.get(place), np.uint8).reshape(shape)
