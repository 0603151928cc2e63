"""Files that appear under their names when they are complete, or never.

Everything that the package writes is written under a temporary name in the same folder,
flushed to the disk, and renamed. A name holds the host and a random token, because a
folder may be on storage that many machines share: process numbers repeat from one
machine, container or PID namespace to the next. It ends in `.kcolor-part`, which is no
picture's suffix, wherever the writer does not ask for the target's own.
"""

import functools
import hashlib
import json
import os
import re
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

# What a killed process left is nobody's for sure after this many seconds: no single
# file takes a day to write, and clocks of machines that share storage differ by less.
_ABANDONED = 24 * 3600
# .HOST-PLACE-PROCESS-TOKEN.kcolor-part and, for writers that look at it, a suffix.
_PART = re.compile(
    r"\.[\w.-]*-(?P<place>[0-9a-f]{12}|unknown)-(?P<process>\d+)-[0-9a-f]{16}"
    r"\.kcolor-part(\..*)?"
)


@contextmanager
def writing(path: Path | str) -> Iterator[BinaryIO]:
    """Opens a file that replaces `path` when the block has ended well.

    Args:
        path: The file to write. Its folder must exist.

    Yields:
        Binary file, readable, writable and seekable. If the block fails it is removed,
        and `path` stays as it was.

    Raises:
        OSError: If the disk does not take it; its `filename` is `path`.
    """
    path = Path(path)
    with _part_of(path, "") as part, part.open("r+b") as file:
        yield file


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Gives a temporary name that is renamed to `path` when the block has ended well.

    For libraries that want a name; with an open file, `writing` does.

    Args:
        path: The file to write. Its folder must exist.

    Yields:
        Path of an empty file in the same folder and with the same suffixes, for writers
        that look at them. If the block fails it is removed, and `path` stays as it was.

    Raises:
        OSError: If the disk does not take it; its `filename` is `path`.
    """
    path = Path(path)
    with _part_of(path, "".join(path.suffixes[-2:])) as part:
        yield part


def write_json(path: Path | str, content: Any) -> None:
    """Writes JSON whole or not at all.

    Args:
        path: The file to write.
        content: What `json.dumps` takes.

    Raises:
        OSError: If the disk does not take it.
    """
    with writing(path) as file:
        file.write((json.dumps(content, indent=2) + "\n").encode())


def user_cache() -> Path:
    """Returns the folder of what may be deleted: made, computed or downloaded again."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "kcolor"


def remove_leftovers(folder: Path | str) -> None:
    """Removes the temporary files that killed processes left in a folder.

    A process of this machine (host, boot and PID namespace are the same) is asked
    whether it lives. What others write is left alone, unless nothing was written to it
    for a day. What cannot be removed stays, in silence.

    Args:
        folder: The folder; nothing happens if there is none.
    """
    now = time.time()
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                continue
            owner = _PART.fullmatch(entry.name)
            if owner is None:
                continue
            with suppress(OSError):
                age = now - entry.stat(follow_symlinks=False).st_mtime
                if age > _ABANDONED or _has_died(owner):
                    os.unlink(entry.path)


@contextmanager
def _part_of(path: Path, suffix: str) -> Iterator[Path]:
    host = re.sub(r"[^\w.-]", "", socket.gethostname(), flags=re.ASCII)[:40]
    token = secrets.token_hex(8)
    name = f".{host}-{_place()}-{os.getpid()}-{token}.kcolor-part{suffix}"
    part = path.with_name(name)
    try:
        # Exclusive, so that it is ours; and as readable as the umask lets it be.
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield part
        _flush(part)
        os.replace(part, path)
    except BaseException as error:
        with suppress(OSError):
            part.unlink()
        if isinstance(error, OSError) and error.errno:
            if error.filename in (None, str(part)):
                # A person knows the file by its name, not by ours for it.
                raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _flush(part: Path) -> None:
    # A rename may reach the disk before the contents do; after a power cut there would
    # be an empty file under the final name, which --skip-existing takes for a result.
    # The folder is not flushed: a rename that is lost costs one file done again.
    with part.open("r+b") as file:
        os.fsync(file.fileno())


@functools.cache
def _place() -> str:
    # What process numbers are unique in: this boot of this machine, and one namespace
    # of it; containers of one machine may even share its host name.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        return "unknown"  # Not Linux: leftovers go by age alone.
    known = f"{socket.gethostname()} {boot} {namespace}"
    return hashlib.sha256(known.encode()).hexdigest()[:12]


def _has_died(owner: re.Match[str]) -> bool:
    if owner["place"] == "unknown" or owner["place"] != _place():
        return False  # Its number says nothing here.
    try:
        os.kill(int(owner["process"]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # It lives, and is somebody else's.
    return False


def not_listed(error: OSError) -> str:
    """Says which folder could not be listed, and why."""
    return f"{error.filename}: cannot be listed ({error.strerror or error})"
