"""Lists of pictures: split in two, and told apart by a hash."""

import hashlib

import numpy as np

from kcolor.data.source import PictureSource, Source


def split_by_hash(source: Source, fraction: float) -> tuple[Source, Source]:
    """Splits a source by a hash of each name, so that added files move no other file.

    Args:
        source: `Source` of at least one picture.
        fraction: Share that goes to validation, in (0, 1).

    Returns:
        Tuple of training and validation `Source`. Neither is empty: the picture whose
        hash is lowest always validates, and a lone picture is in both.
    """
    # The first eight bytes of 32: no two of a billion names are likely to share them.
    starts = (hashlib.sha256(as_bytes(name)).digest()[:8] for name in source.names)
    hashes = np.fromiter((int.from_bytes(start) for start in starts), np.uint64)
    lowest = int(hashes.argmin())
    validates = hashes < np.uint64(int(fraction * 2**64))
    validates[lowest] = True
    rest = np.flatnonzero(~validates)
    return (
        source.subset(rest if len(rest) else [lowest]),
        source.subset(np.flatnonzero(validates)),
    )


def list_hash(source: PictureSource) -> str:
    """Digests a source's list of names.

    Args:
        source: `Source`.

    Returns:
        SHA-256 as hexadecimal digits.
    """
    digest = hashlib.sha256()
    for number, name in enumerate(source.names):
        digest.update(as_bytes(f"\n{name}" if number else name))
    return digest.hexdigest()


def as_bytes(name: str) -> bytes:
    """Returns the bytes of a name, of a file whose name is not UTF-8, too."""
    return name.encode("utf-8", "surrogatepass")
