"""Keeps decoded pictures in memory or on disk, so that each is decoded once."""

import tempfile
import threading

import numpy as np


class Cache:
    """A source whose pictures are decoded once; see `Source` for what it answers."""

    def __init__(self, source, short_side=None, folder=None):
        """Wraps a source.

        Args:
            source: `Source` to read from.
            short_side: Short side that pictures are kept at, see `Source.pair`.
            folder: Where to keep pictures in one file without a name, which is gone
                with the process however that ends; None keeps them in memory.
        """
        self.path, self.names = source.path, source.names
        self.paired, self.weights = source.paired, source.weights
        self._source, self._short_side = source, short_side
        self._kept = [None] * len(source)
        self._store = _Memory() if folder is None else _Disk(folder)

    def __len__(self):
        return len(self.names)

    @property
    def failure(self):
        """The first `DataError` of the source."""
        return self._source.failure

    def pair(self, index, short_side=None):
        """Reads a color picture and its gray partner, see `Source.pair`.

        `short_side` must be the cache's own or None, which also means its own.
        """
        if short_side not in (None, self._short_side):
            raise ValueError(
                f"`short_side` must be {self._short_side}, which pictures are kept at. "
                f"Received: {short_side}"
            )
        # Two threads may decode the same picture at once; the later one wins.
        if self._kept[index] is None:
            pair = self._source.pair(index, self._short_side)
            self._kept[index] = [p if p is None else self._store.put(p) for p in pair]
            return pair
        return tuple(p if p is None else self._store.get(p) for p in self._kept[index])


class Spool:
    """A file without a name that keeps byte strings for all threads of this process."""

    def __init__(self, folder=None):
        """Opens the file.

        Args:
            folder: Where, or None for the system's temporary folder.
        """
        self._file = tempfile.TemporaryFile(dir=folder)
        self._end, self._lock = 0, threading.Lock()

    def __del__(self):
        self._file.close()

    def put(self, data):
        """Keeps bytes; returns what `get` wants to see."""
        with self._lock:
            self._file.seek(self._end)
            self._file.write(data)
            self._end += len(data)
            return self._end - len(data), len(data)

    def get(self, kept):
        """Returns the bytes that `put` kept."""
        start, size = kept
        # One handle for all threads, so place and read must not be parted.
        with self._lock:
            self._file.seek(start)
            return self._file.read(size)


class _Memory:
    put = get = staticmethod(lambda picture: picture)


class _Disk:
    def __init__(self, folder):
        self._spool = Spool(folder)

    def put(self, picture):
        return self._spool.put(picture.tobytes()), picture.shape

    def get(self, kept):
        place, shape = kept
        return np.frombuffer(self._spool.get(place), np.uint8).reshape(shape)
