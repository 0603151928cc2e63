"""The lossless way: a JPEG's own luma, bit for bit, and new chroma beside it.

Take the color away from such a result, and the photograph's own gray picture is back.
Nothing of luma is coded anew (`kcolor.images.jpeg`); chroma is computed at its own
size, from a picture decoded at that size.

What a reader would get wrong: L* is not luma. The result has the luma of the
photograph, so where its colors are strong its L* is another one.
"""

from concurrent.futures import Future
from typing import TYPE_CHECKING, BinaryIO

import cv2
import numpy as np

from kcolor.color.luma import chroma, split
from kcolor.errors import DataError
from kcolor.images import decode, encode, jpeg
from kcolor.inference.colorizer import Colorizer, opened

if TYPE_CHECKING:
    from kcolor.inference.jobs import Settings

# From this short side on, half of it is still twice what a network looks at: chroma of
# a gray photograph is then of half its size. Below, as the ordinary way has it.
LARGE = 1024


def keep_luma(
    colorizer: Colorizer | Future[Colorizer],
    photo: decode.Photo,
    file: BinaryIO,
    kind: str,
    settings: "Settings",
) -> None:
    """Colorizes a JPEG and keeps its luma; writes all of it or nothing.

    Args:
        colorizer: A `Colorizer`, or a `Future` of one.
        photo: The photograph.
        file: Binary file that takes the result.
        kind: Format of the result.
        settings: How to colorize and write it.

    Raises:
        DataError: If the luma cannot be kept; the message says why and does not name
            the file.
        ValueError: If a hint lies outside.
    """
    if photo.format != "JPEG" or kind != "JPEG":
        raise DataError("photograph and result are not both JPEG")
    if photo.pages > 1 or settings.compare:
        raise DataError("the result is of several pictures")
    data = photo.read_jpeg()
    luma = jpeg.luma_of(data)
    is_large = min(luma.height, luma.width) >= LARGE
    sampling = luma.sampling or ((2, 2) if is_large else (1, 1))
    step = 2 if is_large and sampling == (2, 2) else 1
    page = photo.read_reduced(data, step)
    # Otherwise it may be odd: a scan is damaged, or missing, or one too many.
    if not luma.is_read:
        own = page.pixels if photo.is_gray else decode.decode_luma(data, step)
        if not np.array_equal(own, decode.decode_luma(jpeg.alone(luma), step)):
            raise DataError("the JPEG is damaged")
    colorizer = opened(colorizer)
    if colorizer.blend != 1:
        raise DataError("it is blended with the photograph")
    size = luma.height, luma.width
    session = colorizer.session(page.pixels, page.orientation, size)
    color = session(settings.hints, settings.saturation)
    down, across = (side // step for side in sampling)
    seen = page.pixels if page.pixels.ndim == 2 else split(page.pixels)[0]
    look = settings.quality, luma.is_progressive
    planes = [
        encode.code_chroma(shrink(plane, down, across), *look)
        for plane in chroma(color, seen)
    ]
    encode.write_jpeg(file, jpeg.join(luma, planes, sampling), page.metadata)


def shrink(pixels: np.ndarray, down: int, across: int) -> np.ndarray:
    """Averages the pixels that a sample of chroma stands for.

    Args:
        pixels: uint8 array of shape `(height, width)` or `(height, width, 3)`.
        down: Rows of pixels that a sample stands for.
        across: Columns likewise.

    Returns:
        uint8 array of `pixels`' sides divided by `down` and `across` and rounded up: an
        odd last pixel is repeated.
    """
    height, width = -(-pixels.shape[0] // down), -(-pixels.shape[1] // across)
    bottom, right = height * down - pixels.shape[0], width * across - pixels.shape[1]
    if bottom or right:
        pixels = cv2.copyMakeBorder(pixels, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    if pixels.shape[:2] == (height, width):
        return pixels
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
