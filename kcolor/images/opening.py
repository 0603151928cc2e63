"""Opening a photo file: what may be opened, and within which limits.

Everything here happens before a pixel is read, because a file from anywhere may say of
itself whatever it likes.
"""

import stat
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

from kcolor.errors import DataError
from kcolor.images import formats
from kcolor.images.formats import Format

# Limits for files nobody meant to be looked at. Only the first can be raised.
MAX_MEGAPIXELS = 100.0
MAX_EDGE = 65_500  # What a JPEG can hold.
MAX_PAGES = 2_000
# All pages of a scan together, in multiples of what one page may have. The frames of
# an animation, which Pillow collects before it writes them, may have as much as one.
MAX_PAGES_AREA = 20
MAX_BYTES = 1 << 30


def open_regular(path: Path) -> BinaryIO:
    """Opens a file for reading, if it is one.

    Args:
        path: Path of the file.

    Returns:
        The open file.

    Raises:
        DataError: If it is missing, no regular file or over `MAX_BYTES`.
    """
    try:
        about = path.stat()
        # Asked before it is opened: a pipe would keep us waiting.
        if stat.S_ISDIR(about.st_mode):
            raise DataError("is a folder")
        if not stat.S_ISREG(about.st_mode):
            raise DataError("not a regular file")
        if about.st_size > MAX_BYTES:
            raise DataError("over 1 GB")
        return path.open("rb")
    except FileNotFoundError as error:
        raise DataError("no such file") from error
    except OSError as error:
        raise DataError(str(error.strerror)) from error


def sniff(head: bytes) -> Format:
    """Finds a file's format by its first bytes.

    Args:
        head: The first bytes.

    Returns:
        Its row in the table of formats.

    Raises:
        DataError: If it is empty or of no known format.
    """
    found = formats.of_bytes(head)
    if found:
        return found
    if not head:
        raise DataError("the file is empty")
    known = ", ".join(row.name for row in formats.FORMATS)
    raise DataError(f"not a readable picture of a known kind ({known})")


def opener(row: Format) -> type:
    """Imports the Pillow class that reads a format.

    Args:
        row: The format.

    Returns:
        The class; it is called with the open file.

    Raises:
        DataError: If the package that brings it is not installed.
    """
    module, name = row.plugin
    try:
        return getattr(import_module(module), name)
    except ImportError as error:
        if row.extra is None:
            raise
        raise DataError(
            f"{row.name} needs {row.extra}, which is not installed. "
            f"Install it with: pip install {row.extra}"
        ) from error


def check_size(size: tuple[int, int], max_megapixels: float) -> None:
    """Refuses pictures without pixels, or with too many.

    Args:
        size: Width and height in pixels.
        max_megapixels: The most a page may have.

    Raises:
        DataError: If a limit is passed.
    """
    width, height = size
    if min(width, height) < 1:
        raise DataError("it has no pixels")
    if max(width, height) > MAX_EDGE:
        raise DataError(
            f"{width} x {height} pixels; an edge may have at most {MAX_EDGE}"
        )
    if width * height > max_megapixels * 1e6:
        raise DataError(
            f"{width} x {height} pixels, over the limit of {max_megapixels:g} "
            "megapixels (raise it with --max-megapixels)"
        )


def webp_size(head: bytes) -> tuple[int, int]:
    """Measures a WebP's canvas by its first chunk; there are three kinds (RFC 9649).

    Args:
        head: The first 30 bytes of the file.

    Returns:
        Tuple `(width, height)`; `(1, 1)` if there is nothing to measure: opening the
        file will say what is wrong.
    """
    kind, body = head[12:16], head[20:]
    if kind == b"VP8X" and len(body) >= 10:
        width = int.from_bytes(body[4:7], "little") + 1
        return width, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8L" and len(body) >= 5:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and len(body) >= 10:
        width = int.from_bytes(body[6:8], "little") & 0x3FFF
        return width, int.from_bytes(body[8:10], "little") & 0x3FFF
    return 1, 1
