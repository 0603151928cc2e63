"""Files in a `.tar` or `.zip`, read where they are: nothing is unpacked."""

import os
import re
import tarfile
import threading
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from glob import glob
from pathlib import Path

import numpy as np

from kcolor import remote
from kcolor.data.names import Names
from kcolor.errors import DataError
from kcolor.parallel import read_ahead

# Headers of a plain file and of a folder. Others change what follows them.
_PLAIN = (b"0", b"\0", b"5")
_BLOCK = 512
# Archives in object storage that are listed at a time.
_REQUESTS = 32
# Where a header has the member's size and its own checksum.
_NUMBERS = ((124, 136), (148, 156))


def tar_shards(pattern: str) -> list[str]:
    """Lists archives that belong together.

    Args:
        pattern: Path or URL in which `{0000..0999}` counts, or `*` and `?` match.

    Returns:
        Sorted list of paths or URLs; empty if nothing matches.

    Raises:
        DataError: If one of those that are counted does not exist; of URLs that shows
            when they are read.
    """
    counted = re.search(r"\{(\d+)\.\.(\d+)\}", pattern)
    if counted is None:
        if remote.is_url(pattern):
            return remote.match(pattern) if set("*?") & set(pattern) else [pattern]
        return sorted(glob(pattern))
    first, last = counted.groups()
    shards = [
        f"{pattern[: counted.start()]}{n:0{len(first)}}{pattern[counted.end() :]}"
        for n in range(int(first), int(last) + 1)
    ]
    for shard in shards:
        # One that is not there is no smaller set, but a mistake.
        if not remote.is_url(shard) and not Path(shard).exists():
            raise DataError(f"{shard}: no such file")
    return shards


class TarReader:
    """Reads the files of an uncompressed `.tar`, or of many that belong together.

    Members lie in one piece, so each is read at its own offset, through a handle of its
    own, or by a request of its own.

    Attributes:
        names: The members' names; of several archives, each with its archive's in
            front. Of equal ones the last counts, as for `tar` itself.
    """

    def __init__(self, *archives: str) -> None:
        """Lists the members.

        Args:
            *archives: Paths or URLs of the archives, at least one.

        Raises:
            DataError: If one is no readable `.tar`.
        """
        places = []

        def names():
            # Each header of an object is a request, which takes its time.
            threads = _REQUESTS if remote.is_url(archives[0]) else 1
            with ThreadPoolExecutor(threads) as pool:
                listed = read_ahead(pool, _tar_members, archives, threads)
                fronts = _fronts(archives)
                for front, members in zip(fronts, listed, strict=True):
                    found = np.array(list(members.values()), np.int64)
                    places.append(found.reshape(-1, 2))
                    yield from (front + name for name in members)

        self.names = Names(names())
        self._places = np.concatenate(places)
        self._ends = np.cumsum([len(part) for part in places])
        self._archives = archives

    def read(self, position: int) -> bytes:
        """Returns the bytes of a member.

        Args:
            position: Its position in `names`.

        Returns:
            The whole member.

        Raises:
            OSError: If the archive cannot be read.
            DataError: If it is an object, and that cannot be read.
        """
        number = int(np.searchsorted(self._ends, position, side="right"))
        archive = self._archives[number]
        offset, size = self._places[position].tolist()
        if remote.is_url(archive):
            return remote.read_part(archive, offset, size)
        with open(archive, "rb") as file:
            file.seek(offset)
            return file.read(size)


def _fronts(archives):
    # What names of each archive's members begin with, so that no two are equal.
    if len(archives) == 1:
        return [""]
    stems = [Path(archive).stem for archive in archives]
    if len(set(stems)) == len(stems):
        return [f"{stem}/" for stem in stems]
    parts = [str(archive).replace(os.sep, "/").split("/") for archive in archives]
    shared = len(os.path.commonprefix([part[:-1] for part in parts]))
    return [
        "/".join([*part[shared:-1], stem, ""])
        for part, stem in zip(parts, stems, strict=True)
    ]


def _tar_members(archive):
    if remote.is_url(archive):
        return remote.scan(archive, partial(_members, archive))
    with open(archive, "rb") as file:
        return _members(archive, file)


def _members(archive, file):
    # Name -> offset and size.
    try:
        members = _plain_members(file)
        if members is None:
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r:") as opened:
                files = (member for member in opened if member.isfile())
                members = {_bare(m.name): (m.offset_data, m.size) for m in files}
    except tarfile.TarError as error:
        raise DataError(f"{archive}: not a readable .tar ({error})") from error
    return members


def _bare(name):
    # As `tar -C folder .` writes them.
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    return name


def _plain_members(file):
    """Lists a `.tar` of short names many times faster than `tarfile`, or returns None.

    A million members take 4.5 s of a core instead of 17. What is anything but plain, or
    damaged, is left to `tarfile`.
    """
    end = file.seek(0, os.SEEK_END)
    members: dict[str, tuple[int, int]] = {}
    offset = 0
    while offset < end:
        file.seek(offset)
        header = file.read(_BLOCK)
        if header[:1] == b"\0":
            return members
        kind, magic = header[156:157], header[257:265]
        if kind not in _PLAIN or magic[:5] != b"ustar":
            return None
        try:
            size, check = (int(header[a:b].strip(b" \0"), 8) for a, b in _NUMBERS)
            # Names that are no text are tarfile's, too.
            name = header[:100].partition(b"\0")[0].decode()
            if magic[5:6] == b"\0" and header[345] != 0:
                name = f"{header[345:500].partition(bytes(1))[0].decode()}/{name}"
        except ValueError:
            return None
        if check != sum(header) - sum(header[148:156]) + 8 * ord(" "):
            return None
        if kind != b"5" and not name.endswith("/"):
            members[_bare(name)] = (offset + _BLOCK, size)
        offset += _BLOCK + -(-size // _BLOCK) * _BLOCK
    return None


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
