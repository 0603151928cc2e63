"""The formats of photo files: the one table of what is known about each.

What can be said in a column is asked of the row. What one format alone does, its files
ask by its name: `decode.py` (measuring a WebP, the fast way to a JPEG, a PNG's profile,
a TIFF's orientation), `pixels.py` (16 bits), `metadata.py` (what is carried along) and
`encode.py` (writing). A new format is a new row and an answer to each of these.

A file's format is what its first bytes say, a result's what its name says: a name is
never believed about a file that is there. Standard library only, because the command
line's help is made from it.
"""

import os
import re
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        name: What Pillow and messages call it.
        suffixes: Lower-case suffixes with their dot; a result's is the first.
        choices: What `--format` calls it; empty if it cannot be written.
        magic: Matches the first bytes of such a file.
        plugin: Module and class that open it, imported when such a file turns up.
        extra: Package that brings `plugin`, if kcolor does not come with it.
        bits_16: Whether 16 bits of a result stay 16.
        alpha: Whether transparency stays.
        orientation: Whether a tag can say how the picture is turned; otherwise it is
            turned before it is written.
        pages: What several pictures in one file are: `"animation"`, `"document"`, or
            None where a result can hold only one.
        quality: Quality where none is asked for, 1 to 100; None: it has no such thing.
        max_edge: Longest side it can hold, in pixels; None: longer than kcolor's limit.
    """

    name: str
    suffixes: tuple[str, ...]
    choices: tuple[str, ...]
    magic: re.Pattern[bytes]
    plugin: tuple[str, str]
    extra: str | None = None
    bits_16: bool = False
    alpha: bool = False
    orientation: bool = False
    pages: str | None = None
    quality: int | None = None
    max_edge: int | None = None

    @property
    def writable(self) -> bool:
        """Whether results can be of this format."""
        return bool(self.choices)

    def holds(self, height: int, width: int) -> bool:
        """Tells whether a picture of this size is not too long for it."""
        return self.max_edge is None or max(height, width) <= self.max_edge


FORMATS = (
    Format(
        "JPEG",
        (".jpg", ".jpeg", ".jpe", ".jfif"),
        ("jpg", "jpeg"),
        re.compile(rb"\xff\xd8"),
        ("PIL.JpegImagePlugin", "JpegImageFile"),
        orientation=True,
        quality=95,
        max_edge=65_500,  # The limit of libjpeg.
    ),
    Format(
        "PNG",
        (".png",),
        ("png",),
        re.compile(rb"\x89PNG\r\n\x1a\n"),
        ("PIL.PngImagePlugin", "PngImageFile"),
        bits_16=True,
        alpha=True,
        orientation=True,
        pages="animation",
    ),
    Format(
        "TIFF",
        (".tif", ".tiff"),
        ("tif", "tiff"),
        # Little and big endian; 42 is TIFF and 43 BigTIFF.
        re.compile(rb"II[*+]\0|MM\0[*+]"),
        ("PIL.TiffImagePlugin", "TiffImageFile"),
        bits_16=True,
        alpha=True,
        orientation=True,
        pages="document",
    ),
    Format(
        "WEBP",
        (".webp",),
        ("webp",),
        re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
        ("PIL.WebPImagePlugin", "WebPImageFile"),
        alpha=True,
        orientation=True,
        pages="animation",
        quality=90,
        max_edge=16_383,  # RFC 9649: 14 bits.
    ),
    Format(
        "BMP",
        (".bmp",),
        ("bmp",),
        re.compile(rb"BM"),
        ("PIL.BmpImagePlugin", "BmpImageFile"),
    ),
    Format(
        "GIF",
        (".gif",),
        ("gif",),
        re.compile(rb"GIF8[79]a"),
        ("PIL.GifImagePlugin", "GifImageFile"),
        alpha=True,
        pages="animation",
    ),
    Format(
        "PPM",
        (".ppm", ".pgm", ".pnm"),
        ("ppm",),
        re.compile(rb"P[12356]\s"),
        ("PIL.PpmImagePlugin", "PpmImageFile"),
    ),
    Format(
        "HEIC",
        (".heic", ".heif"),
        (),
        re.compile(rb".{4}ftyp(heic|heix|hevc|mif1)", re.DOTALL),
        ("pillow_heif", "HeifImageFile"),
        extra="pillow-heif",
    ),
)
BY_NAME = {row.name: row for row in FORMATS}
BY_SUFFIX = {suffix: row for row in FORMATS for suffix in row.suffixes}
# What `--format` takes.
CHOICES = {choice: row.name for row in FORMATS for choice in row.choices}


def of_name(name: str | os.PathLike[str]) -> Format | None:
    """Finds the format that a file's name stands for.

    Args:
        name: Path or name of a file.

    Returns:
        Its row, or None if the name has no suffix of a known format.
    """
    return BY_SUFFIX.get(PurePath(name).suffix.lower())


def of_bytes(head: bytes) -> Format | None:
    """Finds the format of a file's first bytes.

    Args:
        head: At least the first 12 bytes.

    Returns:
        Its row, or None if no known format begins like that.
    """
    return next((row for row in FORMATS if row.magic.match(head)), None)


def written_as(own: Format | None) -> Format:
    """Chooses the format of a result that nobody chose one for.

    Args:
        own: The input's format; None: unknown.

    Returns:
        The input's own row, or JPEG's if it is one that cannot be written.
    """
    return own if own and own.writable else BY_NAME["JPEG"]
