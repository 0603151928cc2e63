"""Colors that a PNG states in chunks of its own, without a color profile.

The PNG standard (third edition, section 13.14 and table 27) is followed, and with it
the browsers: cICP counts before an ICC profile, that before sRGB, that before gAMA and
cHRM. Pillow and OpenCV ignore all but the profile, and show such a file too dark or too
light.
"""

import struct
from typing import BinaryIO

from kcolor.errors import DataError
from kcolor.images import icc

# libpng's own threshold: a gamma this close to sRGB's 1 / 2.2 means sRGB.
_CLOSE = 0.05
_SRGB_GAMMA = 1 / 2.2
# Code points of ITU-T H.273 that are 8 or 16 bits of ordinary RGB: primaries (white,
# red, green, blue) and curves; 13 is sRGB's, 8 is none.
_D65 = (0.3127, 0.3290)
_PRIMARIES = {1: None, 12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)}
_LINEAR, _SRGB = 8, 13
_MAX_CHUNKS = 1000


def is_gray(head: bytes) -> bool:
    """Says whether a file's color type is gray, with alpha or without.

    Args:
        head: The file's first bytes, 26 at least.
    """
    return head[25] in (0, 4)


def profile(file: BinaryIO, gray: bool, own: bytes | None) -> bytes | None:
    """Finds the color profile of a PNG, or makes the one that its chunks stand for.

    Args:
        file: The file; its position is kept.
        gray: Whether its pixels are gray.
        own: ICC profile that came with it, or None.

    Returns:
        ICC profile; None: the pixels are sRGB.

    Raises:
        DataError: If its colors are of a kind that cannot be read right, such as HDR.
    """
    at = file.tell()
    try:
        chunks = dict(_color_chunks(file))
    finally:
        file.seek(at)
    if len(chunks.get(b"cICP", b"")) == 4:
        return _of_code_points(chunks[b"cICP"], gray)
    if own is not None or b"sRGB" in chunks:
        return own
    gamma = struct.unpack(">I", chunks.get(b"gAMA", bytes(4)))[0] / 100_000
    places = _chromaticities(chunks.get(b"cHRM", b""))
    if not 0.1 <= gamma <= 10 or (
        abs(gamma / _SRGB_GAMMA - 1) <= _CLOSE and places is None
    ):
        return None
    # Below the threshold the curve is sRGB's, of which a power is but an imitation.
    curve = None if abs(gamma / _SRGB_GAMMA - 1) <= _CLOSE else 1 / gamma
    if not gray and places is not None:
        return icc.build(curve, places)
    return None if curve is None else icc.build(curve, gray=gray)


def _color_chunks(file):
    # (name, body) of those before the pixels that are about color.
    file.seek(8)
    for _ in range(_MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            return
        size, name = struct.unpack(">I4s", head)
        if name in _SIZES and size == _SIZES[name]:
            yield name, file.read(size)
            file.seek(4, 1)
        else:
            file.seek(size + 4, 1)


_SIZES = {b"cICP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32}


def _of_code_points(body, gray):
    primaries, curve, matrix, full = body
    known = primaries in _PRIMARIES and curve in (_LINEAR, _SRGB)
    if not known or matrix != 0 or full != 1:
        raise DataError(
            f"colors of the kind cICP {primaries}/{curve}/{matrix}/{full} are not "
            "supported"
        )
    gamma = 1.0 if curve == _LINEAR else None
    if gray or _PRIMARIES[primaries] is None:
        return None if gamma is None else icc.build(gamma, gray=gray)
    return icc.build(gamma, _PRIMARIES[primaries])


def _chromaticities(body):
    # None for those of sRGB, and for numbers that span nothing.
    if len(body) != 32:
        return None
    places = tuple(value / 100_000 for value in struct.unpack(">8I", body))
    standard = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
    if all(abs(a - b) < 0.002 for a, b in zip(places, standard, strict=True)):
        return None
    return places if icc.spans_a_gamut(places) else None
