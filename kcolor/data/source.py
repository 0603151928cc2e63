"""Where photographs come from: a folder, an archive, an array, or scikit-image.

A source is a list of names in sorted order and a way to read each picture on its own,
from any thread. What a reader would get wrong: pictures are always addressed by index
or name, never by the order in which a folder or archive happens to list them.
"""

import math
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from kcolor.data.names import Names
from kcolor.data.pairs import find_pictures
from kcolor.data.readers.archive import TarReader, ZipReader, tar_shards
from kcolor.data.readers.array import ArrayReader
from kcolor.data.readers.folder import FolderReader
from kcolor.errors import DataError
from kcolor.images.decode import decode_rgb
from kcolor.remote import is_url

# The color photographs (no scans, no test charts) in the scikit-image wheel.
_SAMPLE_PHOTOGRAPHS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "motorcycle_left.png",
    "rocket.jpg",
)
# Bytes of a file, or uint8 RGB where a source holds arrays.
Stored = bytes | np.ndarray


class Reader(Protocol):
    """Files by position; see `kcolor.data.readers`."""

    @property
    def names(self) -> Sequence[str]:
        """The files' POSIX paths inside the source."""
        ...

    def read(self, position: int) -> Stored:
        """Returns a file's bytes, or a picture that is decoded already."""
        ...


class PictureSource(Protocol):
    """What pipelines ask of a source: `Source` itself, or one that wraps it."""

    path: str
    names: Sequence[str]
    paired: bool
    weights: list[float]

    @property
    def failure(self) -> DataError | None:
        """The first `DataError` that reading raised, or None."""
        ...

    def __len__(self) -> int: ...

    def pair(
        self, index: int, short_side: int | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Reads a color picture and the gray one that belongs to it."""
        ...


class Source:
    """Pictures by index; see `open_source`.

    Attributes:
        path: What the user named, for messages.
        names: Sorted sequence of the pictures' POSIX paths inside the source.
        paired: Whether each color picture has a gray one that is its input.
        weights: How often a pass of training draws each picture: list of floats of
            the length of `names`; all 1 unless `open_sources` was told otherwise.
    """

    def __init__(
        self,
        path: Path | str,
        read: Callable[[int], Stored],
        names: Sequence[str],
        color: Sequence[int] | np.ndarray,
        gray: Sequence[int] | np.ndarray | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        """Says which of a reader's files are the pictures.

        Args:
            path: What the user named.
            read: Function of a position, as a reader's.
            names: The pictures' names, in any order.
            color: Position of each name's color picture.
            gray: Position of each name's gray input, or None.
            weights: Weight of each name, or None for 1 each.
        """
        names = names if isinstance(names, Names) else Names(names)
        order = names.argsort()
        self.path = str(path)
        self.names: Sequence[str] = names.take(order)
        self.paired = gray is not None
        self.weights = [1.0 if weights is None else weights[i] for i in order]
        self._read = read
        self._color = np.asarray(color, np.int64)[order]
        self._gray = None if gray is None else np.asarray(gray, np.int64)[order]
        self._failure: DataError | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def failure(self) -> DataError | None:
        """The first `DataError` that reading raised, or None.

        Pipelines that run elsewhere wrap exceptions in their own; this one names the
        file.
        """
        with self._lock:
            return self._failure

    def content(self, index: int) -> tuple[Stored, Stored | None]:
        """Returns a color picture and its gray partner as they are stored.

        Args:
            index: Position in `names`.

        Returns:
            Tuple of both; the second is None where there is none.

        Raises:
            DataError: If either cannot be read; the message names it.
        """
        with self._naming(index):
            gray = None if self._gray is None else self._read(self._gray[index])
            return self._read(self._color[index]), gray

    def decode(
        self, index: int, stored: Stored, short_side: int | None = None
    ) -> np.ndarray:
        """Decodes what `content` returned.

        Args:
            index: Position in `names`.
            stored: One of the two.
            short_side: Reduce larger pictures to this short side, see `decode_rgb`.

        Returns:
            uint8 RGB array of shape `(height, width, 3)`.

        Raises:
            DataError: If it is no picture; the message names it.
        """
        if isinstance(stored, np.ndarray):
            return stored
        with self._naming(index):
            return decode_rgb(stored, short_side)

    def read(self, index: int, short_side: int | None = None) -> np.ndarray:
        """Reads one color picture.

        Args:
            index: Position in `names`.
            short_side: Reduce larger pictures to this short side, see `decode_rgb`.

        Returns:
            uint8 RGB array of shape `(height, width, 3)`.

        Raises:
            DataError: If the picture cannot be read; the message names it.
        """
        return self._picture(index, self._color, short_side)

    def gray(self, index: int, short_side: int | None = None) -> np.ndarray | None:
        """Reads the gray picture that belongs to one color picture.

        Args:
            index: Position in `names`.
            short_side: As in `read`.

        Returns:
            uint8 RGB array of shape `(height, width, 3)`, or None where the source has
            color pictures only.

        Raises:
            DataError: If the picture cannot be read; the message names it.
        """
        if self._gray is None:
            return None
        return self._picture(index, self._gray, short_side)

    def pair(
        self, index: int, short_side: int | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Reads one color picture and the gray one that belongs to it.

        Args:
            index: Position in `names`.
            short_side: As in `read`.

        Returns:
            What `read` and `gray` return.

        Raises:
            DataError: If either cannot be read; the message names it.
        """
        return self.read(index, short_side), self.gray(index, short_side)

    def subset(self, indices: Iterable[int]) -> "Source":
        """Chooses some of the pictures.

        Args:
            indices: Positions in `names`.

        Returns:
            `Source` of those, in sorted order.
        """
        chosen = np.fromiter(indices, np.int64)
        names = self.names if isinstance(self.names, Names) else Names(self.names)
        return Source(
            self.path,
            self._read,
            names.take(chosen),
            self._color[chosen],
            None if self._gray is None else self._gray[chosen],
            [self.weights[i] for i in chosen],
        )

    def _picture(self, index, positions, short_side):
        with self._naming(index):
            stored = self._read(positions[index])
        return self.decode(index, stored, short_side)

    @contextmanager
    def _naming(self, index):
        try:
            yield
        except (OSError, ValueError, DataError) as error:
            reason = getattr(error, "strerror", None) or error
            failure = DataError(f"{self.path}: {self.names[index]}: {reason}")
            with self._lock:
                self._failure = self._failure or failure
            raise failure from error


def open_source(path: Path | str | None) -> Source:
    """Opens a source of color photographs.

    Args:
        path: A folder (searched recursively), one that holds `color/` and `gray/`
            (files pair by stem; no other picture may lie beside them), a `.tar` or
            `.zip` of either, `.tar` shards as `set-{0000..0999}.tar` or `set-*.tar`,
            URLs of `.tar`, a `.npy` or `.npz` of uint8 RGB `(count, height, width, 3)`,
            `tfds:NAME/SPLIT` for a set of tensorflow-datasets with a feature `image`,
            or None for the color photographs that come inside scikit-image.

    Returns:
        `Source`.

    Raises:
        DataError: If nothing is there, it holds no picture, a pair is incomplete, or a
            picture lies beside pairs.
    """
    reader: Reader
    if path is None:
        return _samples()
    name = str(path)
    if name.startswith("tfds:"):
        return _all_of(name, _tfds(name))
    path = Path(path)
    if is_url(name) or not path.exists():
        shards = tar_shards(name) if path.suffix == ".tar" else []
        if not shards:
            raise DataError(f"{name}: no such file or folder, nor URL of a .tar")
        path, reader = name, TarReader(*shards)
    elif path.is_dir():
        reader = FolderReader(path)
    elif path.suffix in (".npy", ".npz"):
        return _all_of(path, ArrayReader(path))
    elif path.suffix == ".tar":
        reader = TarReader(name)
    elif path.suffix == ".zip":
        reader = ZipReader(path)
    else:
        raise DataError(f"{path}: must be a folder, a .tar, .zip, .npy or .npz")
    return Source(path, reader.read, *find_pictures(path, reader.names))


def open_sources(paths: Iterable[Path | str] | Path | str | None) -> Source:
    """Opens several sources as one; names get the source's position in front.

    Args:
        paths: What `open_source` takes, or a list of it; None or an empty list means
            scikit-image's photographs. `PATH=WEIGHT` has each pass of training draw
            that many times as many pictures as the source holds: 0.3 a changing 30% of
            them, 2 each twice.

    Returns:
        `Source`.

    Raises:
        DataError: As `open_source`; or if only some of them are paired.
    """
    if isinstance(paths, str | Path):
        paths = [paths]
    chosen: list[Path | str | None] = [*(paths or [])]
    sources = [_open_weighted(path) for path in chosen or [None]]
    if len(sources) == 1:
        return sources[0]
    paired = [source.paired for source in sources]
    if any(paired) and not all(paired):
        raise DataError(
            f"{sources[paired.index(False)].path}: has no gray/ and color/ folders, "
            f"but {sources[paired.index(True)].path} has"
        )
    return _joined(sources)


def _samples():
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    reader = FolderReader(folder, _SAMPLE_PHOTOGRAPHS)
    return _all_of("scikit-image's photographs", reader)


def _tfds(name):
    # Imports TensorFlow, which no other source needs.
    from kcolor.data.readers.tfds import TfdsReader

    return TfdsReader(name)


def _open_weighted(path):
    front, equals, weight = str(path).rpartition("=")
    if path is None or not equals or Path(path).exists():
        return open_source(path)
    try:
        factor = float(weight)
    except ValueError:
        return open_source(path)
    if not 0 < factor < math.inf:
        raise DataError(f"{path}: a weight must be above 0. Received: {weight}")
    source = open_source(front)
    source.weights = [factor] * len(source)
    return source


def _joined(sources):
    color, gray, weights, starts = [], [], [], [0]
    for source in sources:
        weights += source.weights
        # Each source's positions follow those of the sources before it.
        color.append(source._color + starts[-1])
        gray.append(color[-1] if source._gray is None else source._gray + starts[-1])
        starts.append(1 + int(max(color[-1].max(), gray[-1].max())))
    names = Names(
        f"{i}/{name}" for i, source in enumerate(sources) for name in source.names
    )

    def read(position):
        part = bisect_right(starts, position) - 1
        return sources[part]._read(position - starts[part])

    return Source(
        " + ".join(source.path for source in sources),
        read,
        names,
        np.concatenate(color),
        np.concatenate(gray) if sources[0].paired else None,
        weights,
    )


def _all_of(path, reader):
    if not reader.names:
        raise DataError(f"{path}: holds no picture")
    return Source(path, reader.read, reader.names, range(len(reader.names)))
