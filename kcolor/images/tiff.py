"""The pages of a TIFF that Pillow reduces or misreads.

It reads 16-bit color as 8 bits: there tifffile takes over. What else it reads wrong is
set right here, and kinds that would come out wrong are refused.
"""

import io
import struct
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from kcolor.errors import DataError
from kcolor.images import exif
from kcolor.images.codec import decoding

if TYPE_CHECKING:
    from PIL.TiffImagePlugin import TiffImageFile

_UNSIGNED, _VOID = 1, 4
_RGB = 2
_WHITE_IS_ZERO, _BLACK_IS_ZERO = 0, 1
_ASSOCIATED, _UNASSOCIATED = 1, 2
# Compressions that tifffile reads by itself: none, deflate (two numbers), packbits and
# LZMA. The rest libtiff reads for it.
_OWN_COMPRESSIONS = (1, 8, 32946, 32773, 34925)


def check(image: "TiffImageFile") -> None:
    """Refuses pages that Pillow would read, but wrong.

    Args:
        image: Pillow image at the page in question.

    Raises:
        DataError: If its pixels are signed, of floating point or over 16 bits.
    """
    with decoding():
        kinds = image.tag_v2.get(339, (_UNSIGNED,))
        bits = image.tag_v2.get(258, (1,))
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    if any(kind not in (_UNSIGNED, _VOID) for kind in kinds):
        raise DataError("signed or floating-point pixels are not supported")
    if max(bits) > 16:
        raise DataError(f"{max(bits)}-bit pixels are not supported")


def needs_tifffile(image: "TiffImageFile") -> bool:
    """Says whether Pillow would reduce or misread the page's colors.

    Args:
        image: Pillow image at the page in question.

    Returns:
        True for RGB of more than 8 bits, and for planes of RGB and alpha.
    """
    with decoding():
        bits = image.tag_v2.get(258, (1,))
        planar = image.tag_v2.get(284, 1) == 2
    if image.mode not in ("RGB", "RGBA", "RGBX"):
        return False
    return max(bits) > 8 or (planar and len(bits) > 3)


def read_gray(image: "TiffImageFile") -> np.ndarray:
    """Reads a gray page of 9 to 16 bits with Pillow.

    Args:
        image: Pillow image at the page in question, of a mode that begins with I.

    Returns:
        uint16 array `(height, width)`, upright: Pillow turns the pages of a TIFF.
    """
    with decoding():
        pixels = np.array(image)
        inverted = image.tag_v2.get(262) == _WHITE_IS_ZERO
        bits = max(image.tag_v2.get(258, (1,)))
    pixels = pixels.astype("uint16", copy=False)
    if bits < 16:
        # Pillow leaves the values as they are: 12 bits would be nearly black.
        top = (1 << bits) - 1
        scale = ((np.arange(top + 1) * 65535 + top // 2) // top).astype("uint16")
        pixels = scale[np.minimum(pixels, top)]
    return 65535 - pixels if inverted else pixels


def read_color(
    file: BinaryIO, number: int, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads a page of 16-bit color, or of four planes of 8 bits.

    Args:
        file: The file; its position is kept.
        number: Number of the page, from 0.
        size: Width and height that the page must have, either way around.

    Returns:
        Tuple of uint8 or uint16 array `(height, width, 3)` and alpha `(height, width)`
        or None, upright, as Pillow gives the other pages of a TIFF.

    Raises:
        DataError: If the page is damaged, or of a kind that cannot be read right.
    """
    from tifffile import TiffFile

    at = file.tell()
    file.seek(0)
    try:
        with decoding():
            page = TiffFile(file).pages[number]
            samples, stored = page.samplesperpixel, (page.imagewidth, page.imagelength)
            kind, dtype = int(page.photometric), page.dtype
            orientation = page.tags.valueof(274, 1)
            # A fourth sample of which nothing is said is alpha, to Pillow as well.
            extra = page.tags.valueof(338, (_UNASSOCIATED,) * (samples - 3))
        extra = extra if isinstance(extra, tuple) else (extra,)
        known = kind == _RGB and dtype in (np.uint8, np.uint16)
        if not known or samples - len(extra) != 3:
            raise DataError("TIFF pixels of a kind that is not supported")
        if sorted(stored) != sorted(size):
            raise DataError("damaged: its size does not agree with itself")
        pixels = _samples(file, page)
    finally:
        file.seek(at)
    alpha = None
    if extra and extra[0] in (_ASSOCIATED, _UNASSOCIATED):
        alpha = np.ascontiguousarray(pixels[..., 3])
    pixels = np.ascontiguousarray(pixels[..., :3])
    if alpha is not None and extra[0] == _ASSOCIATED:
        _unmultiply(pixels, alpha)
    return _turned(pixels, orientation), _turned(alpha, orientation)


def _turned(pixels, orientation):
    if pixels is None or orientation not in range(2, 9):
        return pixels
    return np.ascontiguousarray(exif.upright(pixels, orientation))


def _samples(file, page):
    # Of shape (height, width, samples), whatever the order in the file.
    shape = page.samplesperpixel, page.imagelength, page.imagewidth
    if page.compression in _OWN_COMPRESSIONS:
        with decoding():
            pixels = page.asarray(maxworkers=1)
        if pixels.size != np.prod(shape):
            raise DataError("damaged: its size does not agree with itself")
    else:
        pixels = _by_segments(file, page)
    if page.planarconfig == 2:
        return np.moveaxis(pixels.reshape(shape), 0, -1)
    return pixels.reshape(*shape[1:], shape[0])


def _by_segments(file, page):
    # libtiff, in Pillow, undoes the compression of the strips or tiles, and tifffile
    # does the rest: byte order, predictor, planes and tiles.
    planes = page.samplesperpixel if page.planarconfig == 2 else 1
    channels = page.samplesperpixel // planes
    if page.is_tiled:
        rows, width = page.tilelength, page.tilewidth
        # Tiles are all of one size: they lie under each other like strips.
        groups = 1
        height = rows * len(page.dataoffsets)
    else:
        rows, width = min(page.rowsperstrip, page.imagelength), page.imagewidth
        groups = planes
        height = page.imagelength
    row_bytes = width * channels * page.dtype.itemsize
    count = -(-height // rows)
    offsets, sizes = page.dataoffsets, page.databytecounts
    if not len(offsets) == len(sizes) == count * groups:
        raise DataError("damaged: parts of it are missing")
    how = int(page.compression), int(page.fillorder)
    page.compression, page.fillorder = 1, 1
    pixels = np.zeros(page.shaped, page.dtype)
    for first in range(0, count * groups, count):
        strips = []
        with decoding():
            for index in range(first, first + count):
                file.seek(offsets[index])
                strips.append(file.read(sizes[index]))
        data = _decompressed(strips, how, height, rows, row_bytes)
        for number in range(count):
            part = data[number * rows : (number + 1) * rows].tobytes()
            with decoding():
                segment, (plane, depth, y, x, _), _ = page.decode(part, first + number)
            window = pixels[plane, depth, y : y + segment.shape[1], x:]
            window = window[:, : segment.shape[2]]
            window[:] = segment[0, : window.shape[0], : window.shape[1]]
    return pixels


def _decompressed(strips, how, height, rows, row_bytes):
    # As a gray 8-bit TIFF of these strips, whose pixels are the bytes.
    from PIL.TiffImagePlugin import TiffImageFile

    compression, fill_order = how
    count, sizes = len(strips), [len(strip) for strip in strips]
    tables = 8 + 2 + 12 * 10 + 4
    starts = np.cumsum([tables + 8 * count, *sizes[:-1]]).tolist()
    tags = {
        256: (1, row_bytes),
        257: (1, height),
        258: (1, 8),
        259: (1, compression),
        262: (1, _BLACK_IS_ZERO),
        266: (1, fill_order),
        273: (count, tables if count > 1 else starts[0]),
        277: (1, 1),
        278: (1, rows),
        279: (count, tables + 4 * count if count > 1 else sizes[0]),
    }
    entries = [struct.pack("<HHII", tag, 4, *value) for tag, value in tags.items()]
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + b"".join(entries) + bytes(4)
    head += struct.pack(f"<{2 * count}I", *starts, *sizes)
    with decoding():
        return np.asarray(TiffImageFile(io.BytesIO(head + b"".join(strips))))


def _unmultiply(pixels, alpha):
    # Colors that were stored multiplied by their alpha, in place.
    peak = np.iinfo(pixels.dtype).max
    share = np.maximum(alpha, 1).astype("float32") / peak
    for channel in range(3):
        plane = pixels[..., channel] / share + np.float32(0.5)
        pixels[..., channel] = np.minimum(plane, peak).astype(pixels.dtype)
