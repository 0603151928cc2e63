"""Where photographs come from: a folder, an archive, an array, or scikit-image.

A source is a list of names in sorted order and a way to read each picture on its own,
from any thread. What a reader would get wrong: pictures are always addressed by index
or name, never by the order in which a folder or archive happens to list them.
"""

import hashlib
import math
import os
import tarfile
import zipfile
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from kcolor.data.cache import Spool
from kcolor.errors import DataError
from kcolor.images import formats
from kcolor.images.decode import decode_rgb

# The color photographs (no scans, no test charts) in the scikit-image wheel.
_SAMPLE_PHOTOGRAPHS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "motorcycle_left.png",
    "rocket.jpg",
)


class Source:
    """Pictures by index; see `open_source`.

    Attributes:
        path: What the user named, for messages.
        names: Sorted list of the pictures' POSIX paths inside the source.
        paired: Whether each color picture has a gray one that is its input.
        weights: How often a pass of training draws each picture: list of floats of
            the length of `names`; all 1 unless `open_sources` was told otherwise.
        failure: The first `DataError` that reading raised, or None. Pipelines that run
            elsewhere wrap exceptions in their own; this one names the file.
    """

    def __init__(self, path, readers, gray_readers=None, weights=None):
        """Holds the readers: dict of name to a function that returns bytes or RGB.

        Args:
            path: What the user named.
            readers: Dict of name to function for the color pictures.
            gray_readers: Dict of the same names for the gray inputs, or None.
            weights: Dict of the same names to weights, or None for 1 each.
        """
        self.path = str(path)
        self.names = sorted(readers)
        self.paired = gray_readers is not None
        self.weights = [1.0 if weights is None else weights[n] for n in self.names]
        self.failure = None
        self._readers = readers
        self._gray_readers = gray_readers

    def __len__(self):
        return len(self.names)

    def read(self, index, short_side=None):
        """Reads one color picture.

        Args:
            index: Position in `names`.
            short_side: Reduce larger pictures to this short side, see `decode_rgb`.

        Returns:
            uint8 RGB array of shape `(height, width, 3)`.

        Raises:
            DataError: If the picture cannot be read; the message names it.
        """
        return self._decode(self._readers, index, short_side)

    def gray(self, index, short_side=None):
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
        if not self.paired:
            return None
        return self._decode(self._gray_readers, index, short_side)

    def pair(self, index, short_side=None):
        """Returns what `read` and `gray` do, as a tuple."""
        return self.read(index, short_side), self.gray(index, short_side)

    def subset(self, indices):
        """Returns a source of some of the pictures, in sorted order."""
        names = [self.names[i] for i in indices]
        gray = self._gray_readers
        return Source(
            self.path,
            {name: self._readers[name] for name in names},
            gray and {name: gray[name] for name in names},
            {self.names[i]: self.weights[i] for i in indices},
        )

    def _decode(self, readers, index, short_side):
        name = self.names[index]
        try:
            content = readers[name]()
            if isinstance(content, np.ndarray):
                return content
            return decode_rgb(content, short_side)
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            reason = getattr(error, "strerror", None) or error
            failure = DataError(f"{self.path}: {name}: {reason}")
            self.failure = self.failure or failure
            raise failure from error


def open_source(path):
    """Opens a source of color photographs.

    Args:
        path: A folder (searched recursively), one that holds `color/` and `gray/`
            (files pair by stem), a `.tar` or `.zip` of either, a `.npy` or `.npz` of
            uint8 RGB `(count, height, width, 3)`, `tfds:NAME/SPLIT` for a set of
            tensorflow-datasets with a feature `image`, or None for the color
            photographs that come inside scikit-image.

    Returns:
        `Source`.

    Raises:
        DataError: If nothing is there, it holds no picture, or a pair is incomplete.
    """
    if path is None:
        return _samples()
    if str(path).startswith("tfds:"):
        return _tfds(str(path))
    path = Path(path)
    if path.is_dir():
        readers = _folder(path)
    elif not path.exists():
        raise DataError(f"{path}: no such file or folder")
    elif path.suffix == ".tar":
        readers = _tar(path)
    elif path.suffix == ".zip":
        readers = _zip(path)
    elif path.suffix in (".npy", ".npz"):
        return _array(path)
    else:
        raise DataError(f"{path}: must be a folder, a .tar, .zip, .npy or .npz")
    readers = {
        name: reader
        for name, reader in readers.items()
        if formats.of_name(name)
        and not any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
    }
    if not readers:
        raise DataError(f"{path}: holds no picture ({', '.join(formats.BY_SUFFIX)})")
    return _pair(path, readers)


def open_sources(paths):
    """Opens several sources as one; names get the source's position in front.

    Args:
        paths: List of what `open_source` takes; empty means scikit-image's photographs.
            `PATH=WEIGHT` has each pass of training draw that many times as many
            pictures as the source holds: 0.3 a changing 30% of them, 2 each twice.

    Returns:
        `Source`.

    Raises:
        DataError: As `open_source`; or if only some of them are paired.
    """
    sources = [_open_weighted(path) for path in paths or [None]]
    if len(sources) == 1:
        return sources[0]
    paired = [source.paired for source in sources]
    if any(paired) and not all(paired):
        raise DataError(
            f"{sources[paired.index(False)].path}: has no gray/ and color/ folders, "
            f"but {sources[paired.index(True)].path} has"
        )

    def merge(dicts):
        return {f"{i}/{n}": r for i, d in enumerate(dicts) for n, r in d.items()}

    return Source(
        " + ".join(source.path for source in sources),
        merge(source._readers for source in sources),
        merge(source._gray_readers for source in sources) if all(paired) else None,
        merge(dict(zip(s.names, s.weights, strict=True)) for s in sources),
    )


def _open_weighted(path):
    front, equals, weight = str(path).rpartition("=")
    if path is None or not equals or Path(path).exists():
        return open_source(path)
    try:
        weight = float(weight)
    except ValueError:
        return open_source(path)
    if not 0 < weight < math.inf:
        raise DataError(f"{path}: a weight must be above 0. Received: {weight:g}")
    source = open_source(front)
    source.weights = [weight] * len(source)
    return source


def split_by_hash(source, fraction):
    """Splits a source by a hash of each name, so that added files move no other file.

    Args:
        source: `Source` of at least one picture.
        fraction: Share that goes to validation, in (0, 1).

    Returns:
        Tuple of training and validation `Source`. Neither is empty: the picture whose
        hash is lowest always validates, and a lone picture is in both.
    """
    hashes = [hashlib.sha256(name.encode()).digest() for name in source.names]
    limit = int(fraction * 2**64).to_bytes(8, "big")
    lowest = hashes.index(min(hashes))
    chosen = {i for i, h in enumerate(hashes) if h[:8] < limit} | {lowest}
    rest = [i for i in range(len(source)) if i not in chosen]
    return source.subset(rest or [lowest]), source.subset(sorted(chosen))


def list_hash(source):
    """Returns the SHA-256 of a source's list of names, as hexadecimal digits."""
    return hashlib.sha256("\n".join(source.names).encode()).hexdigest()


def _samples():
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    readers = {name: (folder / name).read_bytes for name in _SAMPLE_PHOTOGRAPHS}
    return Source("scikit-image's photographs", readers)


def _folder(root):
    readers = {}
    for folder, _, files in os.walk(root):
        for file in files:
            path = Path(folder, file)
            readers[path.relative_to(root).as_posix()] = path.read_bytes
    return readers


def _tar(path):
    # Members of a plain .tar lie in one piece, so each can be read at its own offset
    # from any thread, and nothing is unpacked.
    def reader(member):
        def read():
            with open(path, "rb") as file:
                file.seek(member.offset_data)
                return file.read(member.size)

        return read

    try:
        with tarfile.open(path, "r:") as archive:
            return {m.name: reader(m) for m in archive if m.isfile()}
    except tarfile.TarError as error:
        raise DataError(f"{path}: not a readable .tar ({error})") from error


def _zip(path):
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise DataError(f"{path}: not a readable .zip ({error})") from error

    def reader(name):
        return lambda: archive.read(name)

    return {
        i.filename: reader(i.filename) for i in archive.infolist() if not i.is_dir()
    }


def _tfds(name):
    """Reads a set of tensorflow-datasets once and keeps its files' bytes on disk.

    Most of its formats can only be read from front to back. The bytes go to a file
    without a name, so memory stays flat and nothing is left behind.
    """
    import tensorflow_datasets as tfds

    set_name, _, split = name.removeprefix("tfds:").rpartition("/")
    try:
        builder = tfds.builder(set_name)
        if "image" not in builder.info.features:
            raise DataError(
                f"{name}: has no feature `image`, but {list(builder.info.features)}"
            )
        builder.download_and_prepare()
        # Read in the order of the shards, so that a number always means one picture.
        pictures = builder.as_dataset(
            split=split,
            shuffle_files=False,
            decoders={"image": tfds.decode.SkipDecoding()},
            read_config=tfds.ReadConfig(interleave_cycle_length=1),
        )
    except (tfds.core.DatasetNotFoundError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{name}: {reason}") from error
    spool = Spool()
    readers = {
        f"{number:08d}": partial(spool.get, spool.put(example["image"].numpy()))
        for number, example in enumerate(pictures)
    }
    if not readers:
        raise DataError(f"{name}: holds no picture")
    return Source(name, readers)


def _array(path):
    try:
        # A .npy stays on disk and is read picture by picture.
        content = np.load(path, mmap_mode="r" if path.suffix == ".npy" else None)
        if path.suffix == ".npz":
            names = content.files
            if len(names) != 1:
                raise DataError(f"{path}: must hold one array. Received: {names}")
            content = content[names[0]]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a readable NumPy file") from error
    if content.dtype != np.uint8 or content.ndim != 4 or content.shape[-1] != 3:
        raise DataError(
            f"{path}: must be uint8 RGB of shape (count, height, width, 3). "
            f"Received: {content.dtype} {content.shape}"
        )
    if not len(content):
        raise DataError(f"{path}: holds no picture")

    def reader(index):
        return lambda: np.array(content[index])

    return Source(path, {f"{i:08d}": reader(i) for i in range(len(content))})


def _pair(path, readers):
    sides = {"color": {}, "gray": {}}
    for name, reader in readers.items():
        # An archive often holds one top folder; the pair may lie below it.
        parts = name.split("/")
        side = next((p for p in parts[:2] if p in sides and p != parts[-1]), None)
        if side is None:
            return Source(path, readers)
        key = str(PurePosixPath(*[p for p in parts if p != side]).with_suffix(""))
        if key in sides[side]:
            raise DataError(f"{path}: two files of the stem {key} in {side}/")
        sides[side][key] = reader
    if not sides["gray"]:
        return Source(path, readers)
    for one, other in (("color", "gray"), ("gray", "color")):
        alone = sorted(set(sides[one]) - set(sides[other]))
        if alone:
            raise DataError(
                f"{path}: {one}/{alone[0]} has no partner of the same stem in {other}/ "
                f"({len(alone)} such)"
            )
    return Source(path, sides["color"], sides["gray"])
