"""Writes TIFF: 8 and 16 bits, alpha, several pages, one page in memory at a time.

Pillow writes no 16-bit color, and OpenCV neither resolution, text nor profile; baseline
TIFF 6.0 with deflate and a horizontal predictor takes less code than joining the two.
"""

import struct
import zlib
from fractions import Fraction

import numpy as np

from kcolor.errors import DataError

_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _UNDEFINED = 1, 2, 3, 4, 5, 7
_FORMATS = {_SHORT: "H", _LONG: "I"}
# Strips of about this many bytes: readers decode one at a time.
_STRIP = 1 << 18


def write(file, pages):
    """Writes a TIFF file.

    Args:
        file: Binary file, writable and seekable, at its beginning.
        pages: Iterable of `kcolor.images.decode.Page`s with RGB pixels, uint8 or
            uint16; taken one at a time.

    Raises:
        DataError: If the file would pass 4 GB, the format's limit.
    """
    file.write(b"II*\0" + bytes(4))
    link = 4
    for page in pages:
        try:
            link = _write_page(file, page, link)
        except struct.error as error:
            # An offset that no longer fits in 32 bits.
            raise DataError(
                "the TIFF file would pass 4 GB, the format's limit"
            ) from error


def _write_page(file, page, link):
    samples = page.pixels
    if page.alpha is not None:
        samples = np.dstack([samples, page.alpha])
    height, width, channels = samples.shape
    bits = samples.dtype.itemsize * 8
    rows = max(1, min(height, _STRIP // (width * channels * bits // 8)))
    offsets, sizes = [], []
    for top in range(0, height, rows):
        strip = zlib.compress(_predicted(samples[top : top + rows]), 4)
        offsets.append(file.tell())
        sizes.append(len(strip))
        file.write(strip)
    tags = {
        256: (_LONG, [width]),
        257: (_LONG, [height]),
        258: (_SHORT, [bits] * channels),
        259: (_SHORT, [8]),  # Deflate, as Adobe defines it.
        262: (_SHORT, [2]),  # RGB.
        273: (_LONG, offsets),
        274: (_SHORT, [page.orientation]),
        277: (_SHORT, [channels]),
        278: (_LONG, [rows]),
        279: (_LONG, sizes),
        284: (_SHORT, [1]),
        317: (_SHORT, [2]),  # Horizontal differences.
    }
    if page.alpha is not None:
        tags[338] = (_SHORT, [2])  # Unassociated alpha.
    _describe(tags, page.metadata)
    return _write_directory(file, tags, link)


def _predicted(strip):
    differences = strip.copy()
    differences[:, 1:] -= strip[:, :-1]
    if differences.dtype == np.uint16:
        return differences.astype("<u2").tobytes()
    return differences.tobytes()


def _describe(tags, metadata):
    for tag, text in metadata.get("tags", {}).items():
        tags[tag] = (_ASCII, text.encode("utf-8", "replace") + b"\0")
    if metadata.get("dpi"):
        for tag, value in zip((282, 283), metadata["dpi"], strict=True):
            ratio = Fraction(value).limit_denominator(1000)
            packed = struct.pack("<II", ratio.numerator, ratio.denominator)
            tags[tag] = (_RATIONAL, packed)
        tags[296] = (_SHORT, [2])  # Inches.
    if metadata.get("xmp"):
        tags[700] = (_BYTE, metadata["xmp"])
    if metadata.get("icc_profile"):
        tags[34675] = (_UNDEFINED, metadata["icc_profile"])


def _write_directory(file, tags, link):
    entries, behind = [], b""
    if file.tell() % 2:
        file.write(b"\0")
    start = file.tell()
    after = start + 2 + 12 * len(tags) + 4
    for tag, (kind, value) in sorted(tags.items()):
        count = len(value) // 8 if kind == _RATIONAL else len(value)
        if isinstance(value, list):
            value = struct.pack(f"<{count}{_FORMATS[kind]}", *value)
        if len(value) > 4:
            place = struct.pack("<I", after + len(behind))
            behind += value + bytes(len(value) % 2)
        else:
            place = value.ljust(4, b"\0")
        entries.append(struct.pack("<HHI", tag, kind, count) + place)
    file.write(struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4) + behind)
    end = file.tell()
    file.seek(link)
    file.write(struct.pack("<I", start))
    file.seek(end)
    return start + 2 + 12 * len(tags)
