"""Photo files: what may be read, within which limits, and what is kept of it.

Pillow reads, because it notices damage that OpenCV passes over; OpenCV takes over for
16-bit color, which Pillow reduces to 8. Pixels stay as they are stored, and the file's
orientation tag with them: who shows or colorizes them turns them first
(`Page.orientation`). Anything wrong with a file is a `DataError` that names it,
whatever the codec raised.
"""

import contextlib
import io
import stat
import struct
import zlib
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np

from kcolor.color import host as merge
from kcolor.errors import DataError
from kcolor.images import exif, formats, icc

# Limits for files nobody meant to be looked at. Only the first can be raised.
MAX_MEGAPIXELS = 100.0
MAX_EDGE = 65_500  # What a JPEG can hold.
MAX_PAGES = 2_000
# All pages of a scan together, in multiples of what one page may have. The frames of
# an animation, which Pillow collects before it writes them, may have as much as one.
MAX_PAGES_AREA = 20
MAX_BYTES = 1 << 30
MAX_METADATA = 1 << 20

# Text tags of a TIFF page that are worth keeping: document, description, make, model,
# page name, software, date, artist, copyright.
TIFF_TEXTS = (269, 270, 271, 272, 285, 305, 306, 315, 33432)
# What Pillow, zlib and the parsers under them raise on bytes that are no picture.
CODEC_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    ZeroDivisionError,
    RuntimeError,
    EOFError,
    AssertionError,
    struct.error,
    zlib.error,
    cv2.error,
)


@dataclass
class Page:
    """One picture of a file, as it is stored.

    Attributes:
        pixels: uint8 or uint16 array of shape `(height, width)`, gray, or
            `(height, width, 3)`, RGB, gamma-encoded sRGB.
        alpha: Array of shape `(height, width)` and `pixels`' dtype, or None.
        orientation: EXIF orientation, 1 to 8, that turns `pixels` upright.
        metadata: What else the page carries.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    orientation: int = 1
    metadata: dict = field(default_factory=dict)


class Photo:
    """A photo file, opened and measured, its pixels not yet read."""

    def __init__(self, source, name=None, max_megapixels=MAX_MEGAPIXELS):
        """Opens a file.

        Args:
            source: Path, or the file's bytes.
            name: What messages call it; None: the path.
            max_megapixels: Refuse larger pages.

        Raises:
            DataError: If it is no readable photograph, or over a limit.
        """
        self.name = str(source) if name is None else name
        self._max = max_megapixels
        self._file = io.BytesIO(source) if isinstance(source, bytes) else None
        if self._file is None:
            self._file = _open_regular(Path(source), self.name)
        try:
            head = self._file.read(64)
            row = _sniff(head, self.name)
            self.format = row.name
            if self.format == "WEBP":
                # Pillow sets the whole canvas up on opening: measure it before that.
                self._check_size(*_webp_size(head))
            self._file.seek(0)
            with self._codec():
                self._image = _reader(row, self.name)(self._file)
            self._check_size(*self._image.size)
            with self._codec():
                self.pages = getattr(self._image, "n_frames", 1)
            if self.pages > MAX_PAGES:
                self._refuse(f"{self.pages} pages; at most {MAX_PAGES} are read")
        except BaseException:
            self._file.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    @property
    def size(self):
        """Stored size of the first page, `(height, width)`."""
        width, height = self._image.size
        return height, width

    @property
    def megapixels(self):
        """Megapixels of the first page; of an animation, of all its frames."""
        frames = 1 if self.format == "TIFF" else self.pages
        return self._image.size[0] * self._image.size[1] * frames / 1e6

    def read(self):
        """Reads the pages one after the other.

        Yields:
            `Page`s; one is in memory at a time, unless the caller keeps it.

        Raises:
            DataError: If a page is damaged or over a limit.
        """
        area, times = 0, MAX_PAGES_AREA if self.format == "TIFF" else 1
        for number in range(self.pages):
            if number:
                with self._codec():
                    self._image.seek(number)
                self._check_size(*self._image.size)
            area += self._image.size[0] * self._image.size[1]
            if area > self._max * 1e6 * times:
                self._refuse(
                    f"its {self.pages} pages have over {self._max * times:g} "
                    "megapixels together"
                )
            with self._codec():
                page = self._read_page(number)
            yield page

    def _read_page(self, number):
        image, head = self._image, self._head()
        if self.format == "WEBP":
            image.load()  # How long a frame lasts is known only now.
        metadata = _metadata(image, self.format, head)
        orientation = 1
        if self.format in ("JPEG", "PNG", "WEBP"):
            orientation = exif.orientation(metadata.get("exif", b""))
        if _is_16_bit(image, self.format, head):
            if self.format == "TIFF" and not image.mode.startswith("I"):
                # Pillow turns the pages of a TIFF upright as it reads them.
                orientation = _tiff_orientation(image)
            pixels, alpha = self._read_16_bit(image, number)
            profile = metadata.get("icc_profile")
            if profile and not icc.is_srgb(profile):
                pixels = _to_srgb_16(pixels, profile)
                metadata["icc_profile"] = _srgb_profile()
        else:
            pixels, alpha = _read_8_bit(image, metadata)
        return Page(pixels, alpha, orientation, metadata)

    def _head(self):
        at = self._file.tell()
        self._file.seek(0)
        head = self._file.read(4096)
        self._file.seek(at)
        return head

    def _read_16_bit(self, image, number):
        if image.mode.startswith("I"):
            pixels = np.array(image)
            if pixels.dtype != np.uint16:
                if pixels.min() < 0 or pixels.max() > 65535:
                    self._refuse("32-bit pixels are not supported")
                pixels = pixels.astype("uint16")
            if self.format == "TIFF" and image.tag_v2.get(262) == 0:
                pixels = 65535 - pixels
            return pixels, None
        at = self._file.tell()
        self._file.seek(0)
        data = np.frombuffer(self._file.read(MAX_BYTES), "uint8")
        self._file.seek(at)
        if self.format == "TIFF":
            found, pages = cv2.imdecodemulti(
                data, cv2.IMREAD_UNCHANGED, range=(number, number + 1)
            )
            pixels = pages[0] if found and pages else None
        else:
            pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        del data
        if pixels is None or pixels.dtype != np.uint16:
            self._refuse("damaged, or 16-bit pixels of a kind that is not supported")
        if sorted(pixels.shape[:2]) != sorted(image.size):
            self._refuse("damaged: its size does not agree with itself")
        if pixels.ndim == 2:
            return pixels, None
        alpha = np.ascontiguousarray(pixels[..., 3]) if pixels.shape[2] == 4 else None
        return np.ascontiguousarray(pixels[..., 2::-1]), alpha

    def _check_size(self, width, height):
        if min(width, height) < 1:
            self._refuse("it has no pixels")
        if max(width, height) > MAX_EDGE:
            self._refuse(
                f"{width} x {height} pixels; an edge may have at most {MAX_EDGE}"
            )
        if width * height > self._max * 1e6:
            self._refuse(
                f"{width} x {height} pixels, over the limit of {self._max:g} "
                "megapixels (raise it with --max-megapixels)"
            )

    def _refuse(self, reason):
        raise DataError(f"{self.name}: {reason}")

    @contextlib.contextmanager
    def _codec(self):
        from PIL.Image import DecompressionBombError

        try:
            yield
        except MemoryError as error:
            raise DataError(f"{self.name}: not enough memory to read it") from error
        except (*CODEC_ERRORS, DecompressionBombError) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise DataError(f"{self.name}: damaged ({reason})") from error


def load(path, max_megapixels=MAX_MEGAPIXELS):
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


def to_8_bits(values):
    """Rounds uint16 values to uint8."""
    # 257 levels of 16 bits are one of 8; the table is exact and twice as fast.
    table = ((np.arange(65536) + 128) // 257).astype("uint8")
    return table[values]


def _sniff(head, name):
    found = formats.of_bytes(head)
    if found:
        return found
    if not head:
        raise DataError(f"{name}: the file is empty")
    known = ", ".join(row.name for row in formats.FORMATS)
    raise DataError(f"{name}: not a photograph of a known kind ({known})")


def _reader(row, name):
    module, opener = row.plugin
    try:
        return getattr(import_module(module), opener)
    except ImportError as error:
        if row.extra is None:
            raise
        raise DataError(
            f"{name}: {row.name} needs {row.extra}, which is not installed. "
            f"Install it with: pip install {row.extra}"
        ) from error


def _open_regular(path, name):
    try:
        about = path.stat()
        # Asked before it is opened: a pipe would keep us waiting.
        if stat.S_ISDIR(about.st_mode):
            raise DataError(f"{name}: is a folder")
        if not stat.S_ISREG(about.st_mode):
            raise DataError(f"{name}: not a regular file")
        if about.st_size > MAX_BYTES:
            raise DataError(f"{name}: over 1 GB")
        return path.open("rb")
    except FileNotFoundError as error:
        raise DataError(f"{name}: no such file") from error
    except OSError as error:
        raise DataError(f"{name}: {error.strerror}") from error


def _webp_size(head):
    # The three kinds of first chunk; RFC 9649.
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
    return 1, 1  # Nothing to measure: opening it will say what is wrong.


def _is_16_bit(image, kind, head):
    if image.mode.startswith("I"):
        return True
    if kind == "PNG":
        return head[24] == 16 and image.mode != "P"
    if kind == "TIFF":
        bits = image.tag_v2.get(258, (1,))
        return max(bits) == 16 and image.mode in ("RGB", "RGBA", "RGBX", "LA")
    return False


def _read_8_bit(image, metadata):
    if image.mode in ("F", "LAB", "HSV"):
        raise ValueError(f"pixels of kind {image.mode} are not supported")
    image.load()
    profile = metadata.get("icc_profile")
    if profile and not icc.is_srgb(profile):
        image = _to_srgb(image, profile)
        metadata["icc_profile"] = _srgb_profile()
    has_alpha = image.mode in ("LA", "PA", "RGBA", "La", "RGBa")
    if has_alpha or "transparency" in image.info:
        image = image if image.mode in ("LA", "RGBA") else image.convert("RGBA")
        alpha = np.array(image.getchannel("A"))
        image = image.convert("L" if image.mode == "LA" else "RGB")
        return _to_array(image), alpha
    if image.mode in ("1", "L"):
        image = image.convert("L")
    elif image.mode != "RGB":
        image = image.convert("RGB")
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


def _to_srgb(image, profile):
    from PIL import ImageCms

    if image.mode in ("P", "PA", "1", "RGBX", "YCbCr"):
        has_alpha = image.mode == "PA" or "transparency" in image.info
        image = image.convert("RGBA" if has_alpha else "RGB")
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    if alpha is not None:
        image = image.convert("L" if image.mode == "LA" else "RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
    except (OSError, ImageCms.PyCMSError):
        space = None  # A broken profile is none, as it is to every viewer.
    wanted = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}.get(space)
    if wanted != image.mode:
        # A profile for other pixels than these says nothing about them.
        color = image if image.mode in ("L", "RGB") else image.convert("RGB")
    else:
        try:
            color = ImageCms.profileToProfile(
                image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except ImageCms.PyCMSError:
            color = image.convert("RGB")
    if alpha is not None:
        color = color.convert("RGB")
        color.putalpha(alpha)
    return color


def _to_srgb_16(pixels, profile):
    luminance = icc.to_luminance(pixels, profile)
    if luminance is not None:
        return (merge.linear_to_srgb(luminance) * 65535 + 0.5).astype("uint16")
    # A profile of tables, or a broken one: Pillow, which has 8 bits for it.
    from PIL import Image

    color = _to_srgb(Image.fromarray(to_8_bits(pixels)), profile)
    return np.asarray(color).astype("uint16") * 257


def _srgb_profile():
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _metadata(image, kind, head):
    info = image.info
    found = {"pages": getattr(image, "n_frames", 1)}
    for key in ("exif", "icc_profile", "xmp"):
        value = info.get(key)
        if isinstance(value, bytes) and 0 < len(value) <= MAX_METADATA:
            found[key] = value
    if "exif" in found:
        found["exif"] = exif.cleaned(found["exif"])
    dpi = info.get("dpi")
    if dpi and all(0 < float(value) < 1e6 for value in dpi):
        found["dpi"] = tuple(float(value) for value in dpi)
    comment = info.get("comment")
    if isinstance(comment, bytes) and len(comment) <= MAX_METADATA:
        found["comment"] = comment
    if kind == "JPEG":
        found["captions"] = _jpeg_captions(image)
    if kind == "PNG":
        texts = {
            str(key): str(value)
            for key, value in getattr(image, "text", {}).items()
            if key != "XML:com.adobe.xmp" and 0 < len(key) < 80
        }
        if sum(map(len, texts.values())) <= MAX_METADATA:
            found["texts"] = texts
    if kind == "TIFF":
        found["tags"] = _tiff_texts(image)
        if found["tags"]:
            found["exif"] = _texts_as_exif(found["tags"])
    if kind == "WEBP":
        found["lossless"] = b"VP8L" in head and b"VP8 " not in head
    for key in ("duration", "loop"):
        if isinstance(info.get(key), int | float):
            found[key] = info[key]
    return found


def _jpeg_captions(image):
    # IPTC: who is to be seen, and where it was. Pillow would not write it back.
    found = [body for name, body in getattr(image, "applist", []) if name == "APP13"]
    return found if sum(map(len, found)) <= MAX_METADATA else []


def _tiff_texts(image):
    texts = {}
    for tag in TIFF_TEXTS:
        value = image.tag_v2.get(tag)
        if isinstance(value, str) and 0 < len(value) <= MAX_METADATA:
            texts[tag] = value
    return texts


def _texts_as_exif(texts):
    # For formats that are not TIFF: EXIF numbers these tags alike.
    from PIL.Image import Exif

    block = Exif()
    for tag, text in texts.items():
        block[tag] = text
    return block.tobytes()


def _tiff_orientation(image):
    value = image.tag_v2.get(274, 1)
    return value if value in range(1, 9) else 1
