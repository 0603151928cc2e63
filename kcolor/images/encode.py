"""Writes photo files, with everything that came along with the pixels.

Pillow writes most formats; OpenCV writes JPEG, straight from the array, and 16-bit PNG,
and the metadata is put into its output; TIFF is in `write_tiff`.
"""

import contextlib
import functools
import io
import struct
import zlib
from collections.abc import Iterable
from typing import Any, BinaryIO

import cv2
import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from kcolor.errors import DataError
from kcolor.images import exif, formats, jpeg, write_tiff
from kcolor.images.page import Page, on_white, swap_red_and_blue, to_8_bits

# Bytes that a segment of a JPEG holds.
_SEGMENT = 65_533


def write(
    file: BinaryIO, pages: Iterable[Page], kind: str, quality: int | None = None
) -> None:
    """Writes pages as a photo file.

    Args:
        file: Binary file, writable and seekable.
        pages: Iterable of `Page`s with RGB pixels, taken one at a time.
        kind: Name of a writable format of `formats`.
        quality: 1 to 100 for JPEG and WebP; None: the format's default, or lossless
            where the input was.

    Raises:
        DataError: If the format cannot hold the picture, or not all its pages.
    """
    pages = iter(pages)
    if kind == "TIFF":
        write_tiff.write(file, pages)
        return
    first = next(pages)
    count = first.metadata.get("pages", 1)
    pages_are = "document" if "tags" in first.metadata else "animation"
    row = formats.BY_NAME[kind]
    if count > 1 and row.pages != pages_are:
        many = _written_out(
            row.name for row in formats.FORMATS if row.pages in (pages_are, "document")
        )
        raise DataError(
            f"it has {count} pages, and {kind} would hold only one (write {many})"
        )
    if row.bits_16 and count == 1 and first.pixels.dtype == np.uint16:
        _write_png_16(file, first)
        return
    first = _fit_to(row, first)
    if not row.holds(*first.pixels.shape[:2]):
        raise DataError(
            f"an edge of a {kind} picture may have at most {row.max_edge} pixels"
        )
    if kind == "JPEG":
        write_jpeg(file, code_jpeg(first.pixels, quality), first.metadata)
        return
    image, options = _as_image(first, kind), _options(first.metadata, kind, quality)
    if count > 1:
        rest = [_fit_to(row, page) for page in pages]
        options |= _animation([first.metadata, *(p.metadata for p in rest)], kind)
        options["append_images"] = [_as_image(page, kind) for page in rest]
    with _unwritable(kind):
        image.save(file, format=kind, **options)


def _written_out(names):
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last


def _fit_to(row, page):
    # What Pillow cannot write: 16 bits are rounded to 8, alpha is laid on white, an
    # orientation tag is carried out.
    pixels, alpha, metadata = page.pixels, page.alpha, page.metadata
    if pixels.dtype == np.uint16:
        pixels = to_8_bits(pixels)
        alpha = None if alpha is None else to_8_bits(alpha)
    if alpha is not None and not row.alpha:
        pixels, alpha = on_white(pixels, alpha), None
    orientation = page.orientation
    # A JPEG has to do without a longer block, and without what it says.
    has_tag = row.orientation and len(metadata.get("exif", b"")) <= _SEGMENT - 6
    if orientation != 1 and not has_tag:
        pixels = exif.upright(pixels, orientation)
        alpha = None if alpha is None else exif.upright(alpha, orientation)
        metadata = metadata | {"exif": exif.cleaned(metadata.get("exif", b""), 1)}
        orientation = 1
    return Page(np.ascontiguousarray(pixels), alpha, orientation, metadata)


def _as_image(page, kind):
    image = Image.fromarray(page.pixels)
    if page.alpha is not None:
        image.putalpha(Image.fromarray(np.ascontiguousarray(page.alpha)))
    if kind == "GIF" and page.alpha is None:
        image = image.quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
    if "duration" in page.metadata:
        image.info["duration"] = page.metadata["duration"]
    return image


def _options(metadata, kind, quality):
    kept = {
        key: metadata[key]
        for key in ("exif", "icc_profile", "dpi", "xmp", "comment")
        if metadata.get(key)
    }
    if kind == "PNG":
        return _png_texts(kept, metadata) | {"compress_level": 2}
    if kind == "WEBP":
        lossless = metadata.get("lossless", False) and quality is None
        return kept | {
            "quality": quality or formats.BY_NAME[kind].quality,
            "lossless": lossless,
            "method": 3,
        }
    if kind == "GIF":
        return {key: kept[key] for key in ("comment",) if key in kept}
    return {"dpi": kept["dpi"]} if kind == "BMP" and "dpi" in kept else {}


def _png_texts(kept, metadata):
    from PIL.PngImagePlugin import PngInfo

    kept.pop("comment", None)
    xmp = kept.pop("xmp", None)
    info = PngInfo()
    for key, value in metadata.get("texts", {}).items():
        info.add_itxt(key, value)
    if xmp:
        info.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
    return kept | {"pnginfo": info}


def _animation(frames, kind):
    options: dict[str, Any] = {"save_all": True}
    if kind == "WEBP":
        # Pillow takes the duration of each frame from GIF and PNG only.
        options["duration"] = [int(frame.get("duration", 100)) for frame in frames]
    if "loop" in frames[0]:
        options["loop"] = frames[0]["loop"]
    elif kind != "GIF":
        options["loop"] = 1  # A GIF that does not say is shown once.
    if kind == "GIF":
        options |= {"disposal": 2, "optimize": False}
    if kind == "PNG":
        options["default_image"] = frames[0].get("default_image", False)
    return options


def code_jpeg(pixels: np.ndarray, quality: int | None = None) -> bytes:
    """Codes pixels as a JPEG without metadata.

    Args:
        pixels: uint8 array of shape `(height, width)`, gray, or `(height, width, 3)`,
            RGB, whose red and blue are swapped where they are.
        quality: 1 to 100; None: the format's default.

    Returns:
        Bytes of the file, which begins with a JFIF header. Colors that end at an edge
        stay there: chroma is of full size.

    Raises:
        DataError: If it cannot be coded.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, _or_usual(quality)]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    # OpenCV reads the array as it is, where Pillow would copy it into an image first.
    own = pixels if pixels.ndim == 2 else swap_red_and_blue(pixels)
    done, data = cv2.imencode(".jpg", own, options)
    if not done:
        raise DataError("cannot be written as JPEG")
    return data.tobytes()


def code_chroma(
    plane: np.ndarray, quality: int | None = None, is_progressive: bool = False
) -> jpeg.Jpeg:
    """Codes Cb or Cr as `code_jpeg` does, for `kcolor.images.jpeg.join`.

    Args:
        plane: uint8 array of shape `(height, width)`.
        quality: 1 to 100; None: the format's default.
        is_progressive: Whether in several scans, each finer than the one before.

    Returns:
        A gray file, taken apart, with the quantization table that a file in color of
        that quality has for chroma.
    """
    table = _chroma_table(_or_usual(quality))
    coded = io.BytesIO()
    options = {"qtables": [table], "progressive": is_progressive}
    Image.fromarray(plane).save(coded, "JPEG", **options)
    return jpeg.parse(coded.getvalue())


def _or_usual(quality):
    return quality or formats.BY_NAME["JPEG"].quality


@functools.lru_cache(maxsize=8)
def _chroma_table(quality):
    smallest = code_jpeg(np.zeros((1, 1, 3), "uint8"), quality)
    with JpegImageFile(io.BytesIO(smallest)) as image:
        return image.quantization[1]


def write_jpeg(
    file: BinaryIO, data: bytes | memoryview, metadata: dict[str, Any]
) -> None:
    """Writes a JPEG that is encoded already, and what belongs to the picture.

    Args:
        file: Binary file, writable.
        data: The encoded picture. It begins with a JFIF header, which ends at byte 20.
        metadata: That of its `Page`.
    """
    head = bytearray(data[:20])
    if metadata.get("dpi"):
        x, y = (min(round(value), 65_535) for value in metadata["dpi"])
        struct.pack_into(">BHH", head, 13, 1, x, y)
    file.write(head)
    for marker, body in _jpeg_parts(metadata):
        # What is longer came from a format without that limit, and cannot come along.
        if len(body) <= _SEGMENT:
            file.write(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body)
    file.write(data[20:])


def _jpeg_parts(metadata):
    # (marker, body) of each segment, in the order in which readers expect them.
    if metadata.get("exif"):
        yield 0xE1, b"Exif\0\0" + metadata["exif"].removeprefix(b"Exif\0\0")
    if metadata.get("xmp"):
        yield 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + metadata["xmp"]
    profile, step = metadata.get("icc_profile", b""), 65_519
    count = -(-len(profile) // step)
    for number in range(count if count < 256 else 0):
        part = profile[number * step : (number + 1) * step]
        yield 0xE2, b"ICC_PROFILE\0" + bytes([number + 1, count]) + part
    for caption in metadata.get("captions", ()):
        yield 0xED, caption
    if metadata.get("comment"):
        yield 0xFE, metadata["comment"]


def _write_png_16(file, page):
    channels = [page.pixels[..., 2], page.pixels[..., 1], page.pixels[..., 0]]
    if page.alpha is not None:
        channels.append(page.alpha)
    fast = [cv2.IMWRITE_PNG_COMPRESSION, 2]
    done, data = cv2.imencode(".png", cv2.merge(channels), fast)
    if not done:
        raise DataError("the 16-bit PNG could not be written")
    # The header chunk ends at byte 33; what describes the picture goes behind it.
    file.write(data[:33].tobytes())
    for kind, body in _png_chunks(page.metadata):
        checksum = zlib.crc32(kind + body)
        file.write(struct.pack(">I", len(body)) + kind + body)
        file.write(struct.pack(">I", checksum))
    file.write(data[33:].data)


def _png_chunks(metadata):
    if metadata.get("icc_profile"):
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata["icc_profile"])
    if metadata.get("dpi"):
        x, y = (round(float(value) / 0.0254) for value in metadata["dpi"])
        yield b"pHYs", struct.pack(">IIB", x, y, 1)
    if metadata.get("exif"):
        yield b"eXIf", metadata["exif"].removeprefix(b"Exif\0\0")
    texts = dict(metadata.get("texts", {}))
    if metadata.get("xmp"):
        texts["XML:com.adobe.xmp"] = metadata["xmp"].decode("utf-8", "replace")
    for key, value in texts.items():
        name = key.encode("latin-1", "replace")[:79]
        yield b"iTXt", name + b"\0\0\0\0\0" + value.encode("utf-8")


@contextlib.contextmanager
def _unwritable(kind):
    try:
        yield
    except DataError:
        raise
    except OSError as error:
        if error.errno:
            raise  # Disk full, folder gone: the system's own message names it.
        raise DataError(f"cannot be written as {kind} ({error})") from error
    except (ValueError, TypeError, KeyError, struct.error, OverflowError) as error:
        raise DataError(f"cannot be written as {kind} ({error})") from error
