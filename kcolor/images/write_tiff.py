"""Writes TIFF: 8 and 16 bits, alpha, several pages, one page in memory at a time.

tifffile packs the pixels. It writes no EXIF directories, so these are put into the file
beside it; the rest of what describes a page goes through it as tags.
"""

import io
import struct
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np

from kcolor.errors import DataError
from kcolor.images import exif, metadata
from kcolor.images.page import Page

# Room is left for the tags, and for what deflate adds to noise.
_LIMIT = (1 << 32) - (1 << 25)
_ASCII = 2


def write(file: BinaryIO, pages: Iterable[Page]) -> None:
    """Writes a TIFF file, compressed by deflate without loss.

    Args:
        file: Binary file, writable and seekable, at its beginning.
        pages: Pages with RGB pixels, uint8 or uint16; taken one at a time.

    Raises:
        DataError: If the file would pass 4 GB, the format's limit.
    """
    from tifffile import TiffWriter

    with TiffWriter(file, byteorder="<") as writer:
        for page in pages:
            options = _options(file, page)
            samples = page.pixels
            if page.alpha is not None:
                samples = np.dstack([samples, page.alpha])
            # Before it is compressed: a limit that is met while writing is too late.
            if file.tell() + samples.nbytes > _LIMIT:
                raise DataError("the TIFF file would pass 4 GB, the format's limit")
            writer.write(samples, **options)
    _name_directories(file)


def _options(file, page):
    found = page.metadata
    options: dict[str, Any] = {
        "photometric": "rgb",
        "planarconfig": "contig",
        "compression": "adobe_deflate",
        "compressionargs": {"level": 4},
        "predictor": True,
        "metadata": None,
        "software": False,
        "iccprofile": found.get("icc_profile"),
        "extratags": _described(file, page),
        # Files are written beside each other already.
        "maxworkers": 1,
    }
    if page.alpha is not None:
        options["extrasamples"] = ["unassalpha"]
    if found.get("dpi"):
        ratios = [Fraction(value).limit_denominator(1000) for value in found["dpi"]]
        options["resolution"] = tuple((r.numerator, r.denominator) for r in ratios)
        options["resolutionunit"] = "INCH"
    return options


def _name_directories(file):
    # tifffile writes no tag that points to an EXIF directory. So it was given the
    # number before, which no other tag has and which sorts alike, and that is put right
    # now, page after page.
    given = {tag - 1: tag for tag in metadata.EXIF_DIRECTORIES}
    link = 4
    while True:
        file.seek(link)
        (at,) = struct.unpack("<I", file.read(4))
        if at == 0:
            break
        file.seek(at)
        (count,) = struct.unpack("<H", file.read(2))
        entries = file.read(12 * count)
        for number in range(count):
            (tag,) = struct.unpack_from("<H", entries, 12 * number)
            if tag in given:
                file.seek(at + 2 + 12 * number)
                file.write(struct.pack("<H", given[tag]))
        link = at + 2 + 12 * count
    file.seek(0, io.SEEK_END)


def _described(file, page):
    # What the page carries, as tags: (number, type, count, value, first page only).
    found = page.metadata
    block = found.get("exif", b"")
    tags: list[tuple[int, str, int, Any, bool]] = [
        (274, "H", 1, page.orientation, False)
    ]
    for tag, text in (found.get("tags") or _texts(block)).items():
        data = text + b"\0"
        tags.append((tag, "s", len(data), data, False))
    captions = found.get("captions", ())
    resources = b"".join(part.removeprefix(metadata.PHOTOSHOP) for part in captions)
    if resources:
        tags.append((34377, "B", len(resources), resources, False))
    if found.get("xmp"):
        tags.append((700, "B", len(found["xmp"]), found["xmp"], False))
    # When, how and where it was taken: directories that lie in front of the page.
    for tag in metadata.EXIF_DIRECTORIES:
        values = exif.directory(block, tag)
        values = {t: v for t, v in values.items() if t not in metadata.NOT_MOVED}
        if values:
            if file.tell() % 2:
                file.write(b"\0")
            tags.append((tag - 1, "I", 1, file.tell(), False))
            file.write(exif.packed(values, file.tell()))
    return tags


def _texts(block):
    texts = {}
    for tag, (kind, value) in exif.directory(block).items():
        if tag in metadata.TIFF_TEXTS and kind == _ASCII:
            texts[tag] = value.rstrip(b"\0")
    return {tag: text for tag, text in texts.items() if text}
