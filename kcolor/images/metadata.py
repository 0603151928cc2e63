"""What a photo file carries beside its pixels, read with Pillow.

Keys of a page's metadata, each only where there is something: `pages`, how many the
file has; `exif`, `icc_profile`, `xmp`, `comment`, bytes; `dpi`, two floats; `captions`,
IPTC as the segments of a JPEG; `texts`, a PNG's; `tags`, a TIFF's texts by tag, bytes;
`lossless`, of WebP; `duration`, `loop` and `default_image`, of animations.
"""

import contextlib
import struct
from typing import Any

from PIL import Image

from kcolor.errors import DataError
from kcolor.images import exif
from kcolor.images.codec import CODEC_ERRORS, decoding
from kcolor.images.formats import Format

# What is longer is left out, but for profiles: without them colors would be wrong.
MAX_METADATA = 1 << 20
MAX_PROFILE = 1 << 24
# Text tags of a TIFF page that are worth keeping: document, description, make, model,
# page name, software, date, artist, copyright.
TIFF_TEXTS = (269, 270, 271, 272, 285, 305, 306, 315, 33432)
# The directories that say when, how and where a photograph was taken.
EXIF_DIRECTORIES = (0x8769, 0x8825)
# A camera's notes hold offsets that break when they are moved; the other points to a
# directory of no use here.
NOT_MOVED = (0x927C, 0xA005)
# What a JPEG's IPTC segment begins with, before Photoshop's resources.
PHOTOSHOP = b"Photoshop 3.0\0"
_CAPTION_TAGS = (34377, 33723)
_IPTC_RESOURCE = 0x0404
# Types of a TIFF's tags: bytes, and bytes of no known meaning.
_BYTES = (1, 7)


def read(image: Image.Image, row: Format, pages: int, head: bytes) -> dict[str, Any]:
    """Reads what the current page carries.

    Args:
        image: Pillow image; a WebP has to be loaded.
        row: The file's format.
        pages: How many pages the file has.
        head: The file's first bytes.

    Returns:
        Dict as the module describes it.

    Raises:
        DataError: If the profile is too large, or a part that Pillow reads later is
            damaged.
    """
    info = image.info
    found: dict[str, Any] = {"pages": pages}
    for key in ("exif", "xmp", "comment"):
        value = info.get(key)
        if isinstance(value, bytes) and 0 < len(value) <= MAX_METADATA:
            found[key] = value
    if "exif" in found:
        found["exif"] = exif.cleaned(found["exif"])
    profile = info.get("icc_profile")
    if isinstance(profile, bytes) and profile:
        if len(profile) > MAX_PROFILE:
            raise DataError(f"its color profile has over {MAX_PROFILE >> 20} MB")
        found["icc_profile"] = profile
    dpi = _resolution(info.get("dpi"))
    if dpi:
        found["dpi"] = dpi
    if row.name == "JPEG":
        found["captions"] = _jpeg_captions(image)
    if row.name == "PNG":
        found |= _png_texts(image)
    if row.name == "TIFF":
        found["tags"] = _tiff_texts(image)
        found |= _tiff_exif(image, found["tags"])
        found["captions"] = _tiff_captions(image)
    if row.name == "WEBP":
        found["lossless"] = b"VP8L" in head and b"VP8 " not in head
    for key in ("duration", "loop"):
        if isinstance(info.get(key), int | float):
            found[key] = info[key]
    if getattr(image, "default_image", False):
        found["default_image"] = True
    return found


def _directory(stored, name):
    values = {}
    with contextlib.suppress(*CODEC_ERRORS):
        values = dict(stored.get_ifd(name))
    return {tag: value for tag, value in values.items() if tag not in NOT_MOVED}


def _resolution(dpi):
    if not isinstance(dpi, tuple) or len(dpi) != 2:
        return None
    with contextlib.suppress(ValueError, ZeroDivisionError):
        found = tuple(float(value) for value in dpi)
        return found if all(0 < value < 1e6 for value in found) else None
    return None


def _jpeg_captions(image):
    # IPTC: who is to be seen, and where it was. Pillow would not write it back.
    found = [body for name, body in getattr(image, "applist", []) if name == "APP13"]
    return found if sum(map(len, found)) <= MAX_METADATA else []


def _png_texts(image):
    # Pillow reads on to the end of the file for them.
    with decoding():
        stored = dict(getattr(image, "text", {}))
    texts = {
        str(key): str(value)
        for key, value in stored.items()
        if key != "XML:com.adobe.xmp" and 0 < len(key) < 80
    }
    if sum(map(len, texts.values())) > MAX_METADATA:
        return {}
    return {"texts": texts}


def _tiff_texts(image):
    with decoding():
        stored = {tag: image.tag_v2.get(tag) for tag in TIFF_TEXTS}
    # Pillow takes every text for Latin-1; of what it is, the bytes know.
    return {
        tag: value.encode("latin-1", "replace")
        for tag, value in stored.items()
        if isinstance(value, str) and 0 < len(value) <= MAX_METADATA
    }


def _tiff_captions(image):
    # IPTC lies among Photoshop's resources, or in a tag of its own. Written as numbers
    # there, Pillow would read but the first; programs that do so write resources, too.
    kinds = image.tag_v2.tagtype
    with decoding():
        resources, caption = (
            image.tag_v2.get(tag) if kinds.get(tag) in _BYTES else None
            for tag in _CAPTION_TAGS
        )
    if not isinstance(resources, bytes):
        if not isinstance(caption, bytes) or not caption:
            return []
        head = struct.pack(">4sHHI", b"8BIM", _IPTC_RESOURCE, 0, len(caption))
        resources = head + caption + bytes(len(caption) % 2)
    return [PHOTOSHOP + resources] if 0 < len(resources) <= MAX_METADATA else []


def _tiff_exif(image, texts):
    # For formats that are not TIFF: EXIF numbers these tags alike.
    block = Image.Exif()
    for tag, text in texts.items():
        block[tag] = text  # Bytes: of other texts Pillow would write ASCII alone.
    with decoding():
        stored = image.getexif()
    for name in EXIF_DIRECTORIES:
        block.get_ifd(name).update(_directory(stored, name))
    data = b""
    # Values of a kind that Pillow reads but does not write: the texts have to do.
    with contextlib.suppress(*CODEC_ERRORS):
        data = exif.cleaned(block.tobytes())
    has_any = texts or any(block.get_ifd(name) for name in EXIF_DIRECTORIES)
    return {"exif": data} if has_any and 0 < len(data) <= MAX_METADATA else {}
