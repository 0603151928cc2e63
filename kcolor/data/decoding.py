"""Bytes of a picture file to upright uint8 RGB, whatever wrote the file."""

import io

import cv2
import numpy as np
from PIL import Image, ImageOps

# How much smaller OpenCV can decode a JPEG: by dropping frequencies, at less work.
_REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}


def decode(data, short_side=None):
    """Decodes the bytes of one picture file.

    Args:
        data: Bytes of a JPEG, PNG, WebP, BMP, GIF or TIFF file: 8 or 16 bits, gray,
            RGB, CMYK or palette. What is transparent becomes white. Of several frames
            the first counts.
        short_side: Reduce the picture to this short side, in pixels, if it is larger.
            A JPEG is then decoded smaller to begin with, which is faster and differs
            by less than a level on average; None keeps every pixel.

    Returns:
        uint8 RGB array of shape `(height, width, 3)`, upright by its EXIF orientation.

    Raises:
        ValueError: If the bytes are no whole picture.
    """
    if not data:
        raise ValueError("the file is empty")
    jpeg = data[:2] == b"\xff\xd8"
    # OpenCV fills what a truncated JPEG lacks with gray and says nothing. Compressed
    # data holds no end marker, so a whole file has one after its last scan's start.
    if jpeg and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
        raise ValueError("the JPEG is truncated")
    if _may_be_transparent(data):
        rgb = _on_white(data)
    else:
        rgb = _decode(data, _REDUCED[_reduction(data, short_side) if jpeg else 1])
    if short_side is None or min(rgb.shape[:2]) <= short_side:
        return rgb
    scale = short_side / min(rgb.shape[:2])
    width, height = (max(short_side, round(s * scale)) for s in rgb.shape[1::-1])
    return cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)


def _decode(data, flags):
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ValueError(f"not a readable picture ({error.err})") from error
    if bgr is None:
        raise ValueError("not a readable picture")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _reduction(data, short_side):
    """Returns the largest reduction that leaves the short side long enough."""
    if short_side is None:
        return 1
    try:
        with Image.open(io.BytesIO(data)) as image:
            shortest = min(image.size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 1  # OpenCV shall say what is wrong with the file
    return next(f for f in _REDUCED if f == 1 or shortest // f >= short_side)


def _may_be_transparent(data):
    """Tells by a PNG's or WebP's head whether it carries transparency."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        with_alpha = data[25:26] in (b"\x04", b"\x06")  # the color type of IHDR
        return with_alpha or b"tRNS" in data[: max(0, data.find(b"IDAT"))]
    if data[:4] == b"RIFF" and data[12:16] == b"VP8X":
        return bool(data[20] & 0x10)
    if data[:4] == b"RIFF" and data[12:16] == b"VP8L":
        return bool(data[24] & 0x10)
    return False


def _on_white(data):
    # OpenCV drops the alpha and shows whatever color was left below it.
    try:
        with Image.open(io.BytesIO(data)) as image:
            picture = ImageOps.exif_transpose(image).convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"not a readable picture ({error})") from error
    white = Image.new("RGBA", picture.size, "white")
    return np.array(Image.alpha_composite(white, picture).convert("RGB"))
