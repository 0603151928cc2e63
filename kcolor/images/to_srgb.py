"""Pixels of any color profile to gamma-encoded sRGB.

8 bits go through LittleCMS, which comes with Pillow; it has no 16 bits for us, so these
go through the profile's own curves and matrix. A profile that is broken, or meant for
other pixels than these, is none, as it is to every viewer.
"""

import io
from typing import TYPE_CHECKING

import cv2
import numpy as np

from kcolor.color.curves import linear_to_srgb
from kcolor.color.strips import strips
from kcolor.images import icc
from kcolor.images.codec import decoding
from kcolor.images.page import to_8_bits

if TYPE_CHECKING:
    from PIL.Image import Image

# Pixels worked on at a time, so that float32 copies stay small.
_TILE = 1 << 18


def convert_image(image: "Image", profile: bytes) -> "Image":
    """Converts an 8-bit picture.

    Args:
        image: Pillow image of any 8-bit mode.
        profile: ICC profile of its pixels.

    Returns:
        Image of mode RGB or RGBA; or L or LA where the profile does not fit to the
        pixels.
    """
    from PIL import ImageCms

    has_clear = "transparency" in image.info
    with decoding():  # A palette, or a color that is clear, may be broken.
        if image.mode in ("P", "PA", "1", "RGBX", "YCbCr", "RGBa", "La"):
            has_alpha = has_clear or image.mode in ("PA", "RGBa", "La")
            image = image.convert("RGBA" if has_alpha else "RGB")
        elif has_clear and image.mode in ("L", "RGB"):
            image = image.convert("LA" if image.mode == "L" else "RGBA")
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    if alpha is not None:
        image = image.convert("L" if image.mode == "LA" else "RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
    except (OSError, ValueError, ImageCms.PyCMSError):
        space = None
    wanted = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}.get(space or "")
    color: Image | None = None
    if wanted == image.mode:
        try:
            color = ImageCms.profileToProfile(
                image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except ImageCms.PyCMSError:
            pass
    if color is None:
        color = image if image.mode in ("L", "RGB") else image.convert("RGB")
    if alpha is not None:
        color = color.convert("RGB")
        color.putalpha(alpha)
    return color


def convert_16(pixels: np.ndarray, profile: bytes) -> np.ndarray:
    """Converts a 16-bit picture.

    Args:
        pixels: uint16 array of shape `(height, width)`, gray, or `(height, width, 3)`.
        profile: ICC profile of its pixels.

    Returns:
        uint16 array of the same shape, or with three channels where the profile is of
        tables (8 bits fine then). What is outside sRGB is clipped, as LittleCMS does.
    """
    from PIL import Image

    found = icc.parse(profile)
    if found is None:
        color = convert_image(Image.fromarray(to_8_bits(pixels)), profile)
        return np.asarray(color).astype("uint16") * 257
    if pixels.ndim == 2:
        if found.matrix is not None:
            return pixels
        table = (linear_to_srgb(found.curves[0]) * 65535 + 0.5).astype("uint16")
        return table[pixels]
    if found.matrix is None:
        return pixels
    converted = np.empty_like(pixels)
    matrix = found.matrix.astype("float32")
    for rows in strips(pixels, _TILE):
        tile = pixels[rows]
        planes = [curve[tile[..., at]] for at, curve in enumerate(found.curves)]
        linear = cv2.transform(cv2.merge(planes), matrix)
        converted[rows] = _encoded_16(linear)
    return converted


def _encoded_16(linear):
    # `linear_to_srgb` with OpenCV's power, five times as fast.
    np.clip(linear, 0, 1, out=linear)
    curve = cv2.pow(np.maximum(linear, np.float32(0.0031308)), 1 / 2.4)
    curve *= np.float32(1.055 * 65535)
    curve += np.float32(0.5 - 0.055 * 65535)
    linear *= np.float32(12.92 * 65535)
    linear += np.float32(0.5)
    # Above the corner the line is steeper than the curve, below it the curve is flat.
    return np.minimum(linear, curve, out=curve).astype("uint16")
