"""The pixels of the page that Pillow has before it, as sRGB of 8 or 16 bits.

Pillow reads, because it notices damage that OpenCV passes over. It reduces 16-bit color
to 8, so there OpenCV takes over for PNG, and tifffile for TIFF.
"""

from typing import TYPE_CHECKING, BinaryIO, cast

import cv2
import numpy as np

from kcolor.errors import DataError
from kcolor.images import png, tiff, to_srgb
from kcolor.images.codec import decoding
from kcolor.images.formats import Format
from kcolor.images.opening import MAX_BYTES

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.TiffImagePlugin import TiffImageFile

_Pixels = tuple[np.ndarray, np.ndarray | None]


def read(
    image: "Image",
    file: BinaryIO,
    row: Format,
    number: int,
    head: bytes,
    profile: bytes | None,
) -> _Pixels:
    """Reads the pixels of the current page.

    Args:
        image: Pillow image at that page.
        file: The file; its position is kept.
        row: The file's format.
        number: Number of the page, from 0.
        head: The file's first bytes.
        profile: Color profile to convert from; None: they are sRGB.

    Returns:
        Tuple of uint8 or uint16 array `(height, width)` or `(height, width, 3)`, and
        alpha `(height, width)` or None. Those of a TIFF are upright, others as stored.

    Raises:
        DataError: If the page is damaged, or of a kind that cannot be read right.
    """
    if row.name == "TIFF":
        page = cast("TiffImageFile", image)
        tiff.check(page)
        if tiff.needs_tifffile(page):
            pixels, alpha = tiff.read_color(file, number, image.size)
            return _converted(pixels, profile), alpha
    if image.mode.startswith("I"):
        pixels, alpha = _read_gray_16(image, row)
    elif _is_png_16(image, row, head):
        pixels, alpha = _read_png_16(image, file, png.is_gray(head))
    else:
        return _read_8_bit(image, profile)
    return _converted(pixels, profile), alpha


def _is_png_16(image, row, head):
    # Of an animation OpenCV would read the first frame again and again; Pillow reads it
    # with 8 bits, as animations are written.
    if row.name != "PNG" or getattr(image, "is_animated", False):
        return False
    return head[24] == 16 and image.mode != "P"


def _converted(pixels, profile):
    if profile is None:
        return pixels
    if pixels.dtype == np.uint16:
        return to_srgb.convert_16(pixels, profile)
    from PIL.Image import fromarray

    return np.asarray(to_srgb.convert_image(fromarray(pixels), profile))


def _read_gray_16(image, row):
    if row.name == "TIFF":
        return tiff.read_gray(image), None
    with decoding():
        pixels = np.array(image)
    if pixels.min() < 0 or pixels.max() > 65535:
        raise DataError("32-bit pixels are not supported")
    pixels = pixels.astype("uint16", copy=False)
    clear = image.info.get("transparency")  # One gray of a PNG.
    if not isinstance(clear, int):
        return pixels, None
    return pixels, np.where(pixels == clear, 0, 65535).astype("uint16")


def _read_png_16(image, file, is_gray):
    at = file.tell()
    file.seek(0)
    data = np.frombuffer(file.read(MAX_BYTES), "uint8")
    file.seek(at)
    with decoding():
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise DataError("damaged, or 16-bit pixels of a kind that is not supported")
    if pixels.shape[1::-1] != image.size:
        raise DataError("damaged: its size does not agree with itself")
    if pixels.ndim == 2:
        return pixels, None
    alpha = np.ascontiguousarray(pixels[..., 3]) if pixels.shape[2] == 4 else None
    if is_gray:
        return np.ascontiguousarray(pixels[..., 0]), alpha
    return np.ascontiguousarray(pixels[..., 2::-1]), alpha


def _read_8_bit(image: "Image", profile: bytes | None) -> _Pixels:
    if image.mode in ("F", "LAB", "HSV"):
        raise DataError(f"pixels of kind {image.mode} are not supported")
    with decoding():
        image.load()
    if profile:
        image = to_srgb.convert_image(image, profile)
    has_alpha = image.mode in ("LA", "PA", "RGBA", "La", "RGBa")
    if has_alpha or "transparency" in image.info:
        with decoding():  # A palette, or a color that is clear, may be broken.
            image = image if image.mode in ("LA", "RGBA") else image.convert("RGBA")
        alpha = np.array(image.getchannel("A"))
        image = image.convert("L" if image.mode == "LA" else "RGB")
        return _to_array(image), alpha
    if image.mode not in ("L", "RGB"):
        with decoding():
            image = image.convert("L" if image.mode == "1" else "RGB")
    return _to_array(image), None


def _to_array(image):
    # In strips: np.asarray() would have a second full-size copy in between. Small ones,
    # because from 128 KB on every allocation is a fresh mapping, four times slower.
    width, height = image.size
    channels = () if image.mode == "L" else (3,)
    pixels = np.empty((height, width, *channels), "uint8")
    step = max(1, 100_000 // (4 * width))
    for top in range(0, height, step):
        bottom = min(top + step, height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return pixels
