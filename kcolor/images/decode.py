"""Bytes of a photo file to pixels in sRGB: the one decoder of colorize and training.

`Photo` reads what a file holds page by page, as it is stored; who shows or colorizes a
page turns it first (`Page.orientation`). `decode_rgb` is the same in the one shape that
training wants: upright, 8-bit RGB. What a file's pixels mean is decided by what both
stand on: `pixels`, `icc`, `to_srgb`, `png`, `tiff`, `metadata`.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from kcolor.errors import DataError
from kcolor.images import exif, icc, jpeg, metadata, opening, pixels, png
from kcolor.images.codec import decoding
from kcolor.images.opening import MAX_MEGAPIXELS
from kcolor.images.page import Page, gray_of, on_white, swap_red_and_blue, to_8_bits

# How much smaller OpenCV can decode a JPEG: by dropping frequencies, at less work.
_REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}
_LUMA = {1: cv2.IMREAD_GRAYSCALE, 2: cv2.IMREAD_REDUCED_GRAYSCALE_2}
# What training reads was chosen by its user; this only keeps a header that lies about
# its size from taking all memory.
_MAX_TRAINING_MEGAPIXELS = 1000.0


class Photo:
    """A photo file, opened and measured, its pixels not yet read.

    Attributes:
        name: What messages call it.
        format: Name of its format, see `kcolor.images.formats`.
        pages: How many pictures it holds.
    """

    def __init__(
        self,
        source: Path | str | bytes,
        name: str | None = None,
        max_megapixels: float = MAX_MEGAPIXELS,
        max_pages_area: float = opening.MAX_PAGES_AREA,
    ) -> None:
        """Opens a file.

        Args:
            source: Path, or the file's bytes.
            name: What messages call it; None: the path.
            max_megapixels: Refuse larger pages.
            max_pages_area: Refuse more pages than have so many times that together.

        Raises:
            DataError: If it is no readable photograph, or over a limit.
        """
        self.name = str(source) if name is None else name
        self._max, self._times = max_megapixels, max_pages_area
        with self._named():
            self._file: BinaryIO = (
                io.BytesIO(source)
                if isinstance(source, bytes)
                else opening.open_regular(Path(source))
            )
        try:
            with self._named():
                self._open()
        except BaseException:
            self._file.close()
            raise

    def _open(self):
        self._head = self._file.read(4096)
        self._row = opening.sniff(self._head)
        self.format = self._row.name
        if self.format == "WEBP":
            # Pillow sets the whole canvas up on opening: measure it before that.
            opening.check_size(opening.webp_size(self._head), self._max)
        self._file.seek(0)
        opener = opening.opener(self._row)
        with decoding():
            self._image = opener(self._file)
        opening.check_size(self._image.size, self._max)
        with decoding():
            self.pages = getattr(self._image, "n_frames", 1)
        if self.pages > opening.MAX_PAGES:
            raise DataError(f"{self.pages} pages; at most {opening.MAX_PAGES} are read")

    def __enter__(self) -> "Photo":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def size(self) -> tuple[int, int]:
        """Stored size of the first page, `(height, width)`."""
        width, height = self._image.size
        return height, width

    @property
    def is_gray(self) -> bool:
        """Whether the first page has one channel of 8 bits."""
        return self._image.mode == "L"

    @property
    def megapixels(self) -> float:
        """Megapixels of the first page; of an animation, of all its frames."""
        frames = self.pages if self._row.pages == "animation" else 1
        return self._image.size[0] * self._image.size[1] * frames / 1e6

    def read(self) -> Iterator[Page]:
        """Reads the pages one after the other.

        Yields:
            `Page`s; one is in memory at a time, unless the caller keeps it.

        Raises:
            DataError: If a page is damaged or over a limit.
        """
        is_document = self._row.pages == "document"
        area, times = 0, self._times if is_document else 1
        for number in range(self.pages):
            with self._named():
                if number:
                    if self.format == "TIFF":
                        # Pillow would leave a page what the one before it had.
                        self._image.info.clear()
                    with decoding():
                        self._image.seek(number)
                    opening.check_size(self._image.size, self._max)
                area += self._image.size[0] * self._image.size[1]
                if area > self._max * 1e6 * times:
                    raise DataError(
                        f"its {self.pages} pages have over {self._max * times:g} "
                        "megapixels together"
                    )
                page = self._read_page(number)
            yield page

    def _read_page(self, number):
        image = self._image
        if self.format == "WEBP":
            with decoding():
                image.load()  # How long a frame lasts is known only now.
        found, profile = self._described()
        if self._is_plain_jpeg(profile):
            # OpenCV decodes it straight into an array, to the same pixels as Pillow.
            array, alpha = self._decode_jpeg(self.read_jpeg()), None
        else:
            array, alpha = pixels.read(
                image, self._file, self._row, number, self._head, profile
            )
        orientation = 1
        if self._row.orientation and self.format != "TIFF":
            orientation = exif.orientation(found.get("exif", b""))
        return Page(array, alpha, orientation, found)

    def _described(self):
        # What the page carries, and the profile its pixels have to be converted from.
        found = metadata.read(self._image, self._row, self.pages, self._head)
        own = found.get("icc_profile")
        profile = self._profile(own)
        # A profile of gray pixels does not fit to those of the result.
        if profile or (own and own[16:20] == b"GRAY"):
            found["icc_profile"] = icc.srgb()
        return found, profile

    def _profile(self, own):
        # The profile that the pixels have to be converted from; None: they are sRGB.
        if self.format == "PNG":
            own = png.profile(self._file, png.is_gray(self._head), own)
        return None if own is None or icc.is_srgb(own) else own

    def read_rgb(self, short_side: int | None = None) -> np.ndarray:
        """Reads the first page as training takes it.

        Args:
            short_side: As `decode_rgb` has it.

        Returns:
            uint8 RGB array of shape `(height, width, 3)`, upright.

        Raises:
            DataError: If it is damaged or over a limit.
        """
        with self._named():
            rgb = self._read_fast(short_side)
        if rgb is None:
            page = next(self.read())
            rgb, alpha = page.pixels, page.alpha
            if rgb.dtype == np.uint16:
                rgb = to_8_bits(rgb)
                alpha = None if alpha is None else to_8_bits(alpha)
            if alpha is not None:
                rgb = on_white(rgb, alpha)
            if rgb.ndim == 2:
                rgb = cv2.cvtColor(rgb, cv2.COLOR_GRAY2RGB)
            rgb = exif.upright(rgb, page.orientation)
        return _shrunk(np.ascontiguousarray(rgb), short_side)

    def read_jpeg(self) -> bytes:
        """Reads the bytes of a JPEG.

        Raises:
            DataError: If it is truncated; without the file's name.
        """
        self._file.seek(0)
        data = self._file.read()
        self._file.seek(0)
        # OpenCV fills what a truncated JPEG lacks with gray and says nothing.
        # Compressed data holds no end marker, so a whole file has one after its last
        # scan's start; what lies behind it, such as a phone's film, may hold anything.
        looks_cut = data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
        if looks_cut and not jpeg.has_end(data):
            raise DataError("the JPEG is truncated")
        return data

    def read_reduced(self, data: bytes, step: int) -> Page:
        """Reads a JPEG whose colors need no conversion.

        Args:
            data: What `read_jpeg` gave.
            step: 1, or 2 for half the size, rounded up.

        Returns:
            Its `Page`, which is gray where the file has no color.

        Raises:
            DataError: If it is damaged, or its pixels are not sRGB; without the file's
                name.
        """
        found, profile = self._described()
        if profile:
            raise DataError("its color profile is not sRGB")
        orientation = exif.orientation(found.get("exif", b""))
        return Page(self._decode_jpeg(data, step), None, orientation, found)

    def _is_plain_jpeg(self, profile):
        return (
            self.format == "JPEG"
            and self.pages == 1
            and profile is None
            and self._image.mode in ("L", "RGB")
        )

    def _decode_jpeg(self, data, step=1):
        flags = (_LUMA if self.is_gray else _REDUCED)[step]
        pixels = _decoded(data, flags)
        if pixels.shape[:2] != tuple(-(-side // step) for side in self.size):
            raise DataError("damaged: its size does not agree with itself")
        if pixels.ndim == 2:
            return pixels
        # Many a gray scan is a file in color; a third of the work is left of it.
        gray = gray_of(pixels)
        return swap_red_and_blue(pixels) if gray is None else gray

    def _read_fast(self, short_side):
        # None where a profile or CMYK has to be converted.
        if self.format != "JPEG":
            return None
        image = self._image
        profile = image.info.get("icc_profile")
        if not self._is_plain_jpeg(self._profile(profile) if profile else None):
            if short_side is not None:
                image.draft(image.mode, (short_side, short_side))
            return None
        reduction = 1
        if short_side is not None:
            shortest = min(image.size)
            reduction = next(
                f for f in _REDUCED if f == 1 or shortest // f >= short_side
            )
        pixels = swap_red_and_blue(_decoded(self.read_jpeg(), _REDUCED[reduction]))
        return exif.upright(pixels, exif.orientation(image.info.get("exif", b"")))

    @contextmanager
    def _named(self):
        try:
            yield
        except DataError as error:
            raise DataError(f"{self.name}: {error}") from error.__cause__


def load(path: Path | str, max_megapixels: float = MAX_MEGAPIXELS) -> np.ndarray:
    """Reads the first page of a photo file, upright.

    Args:
        path: Path of the file.
        max_megapixels: Refuse a larger one.

    Returns:
        uint8 or uint16 array of shape `(height, width)` or `(height, width, 3)`.

    Raises:
        DataError: If it is no readable photograph, or over a limit.
    """
    with Photo(path, max_megapixels=max_megapixels) as photo:
        page = next(photo.read())
    return exif.upright(page.pixels, page.orientation)


def decode_rgb(data: bytes, short_side: int | None = None) -> np.ndarray:
    """Decodes the bytes of one picture file as training and evaluation see it.

    Args:
        data: Bytes of a file of any format and kind that `Photo` reads. Its color
            profile is converted to sRGB; what is transparent becomes white. Of several
            pages the first counts.
        short_side: Reduce the picture to this short side, in pixels, if it is larger.
            A JPEG is then decoded smaller to begin with, which is faster and differs
            by less than a level on average; None keeps every pixel.

    Returns:
        uint8 RGB array of shape `(height, width, 3)`, upright by its orientation.

    Raises:
        ValueError: If the bytes are no whole picture, or of a kind that cannot be read
            right; the message says what it is.
    """
    try:
        with Photo(data, "picture", _MAX_TRAINING_MEGAPIXELS) as photo:
            return photo.read_rgb(short_side)
    except DataError as error:
        raise ValueError(str(error).removeprefix("picture: ")) from error


def decode_luma(data: bytes, step: int = 1) -> np.ndarray:
    """Decodes the luma of a gray or YCbCr JPEG, as it is stored.

    Args:
        data: Its bytes.
        step: 1, or 2 for half the size, rounded up.

    Returns:
        uint8 array of shape `(height, width)`.

    Raises:
        DataError: If it cannot be read.
    """
    return _decoded(data, _LUMA[step])


def _decoded(data, flags):
    with decoding():
        pixels = cv2.imdecode(
            np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION
        )
    if pixels is None:
        raise DataError("damaged (not a readable JPEG)")
    return pixels


def _shrunk(rgb, short_side):
    if short_side is None or min(rgb.shape[:2]) <= short_side:
        return rgb
    scale = short_side / min(rgb.shape[:2])
    width, height = (max(short_side, round(s * scale)) for s in rgb.shape[1::-1])
    return cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
