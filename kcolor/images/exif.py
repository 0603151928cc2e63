"""Orientation, and the few bytes of EXIF that colorizing has to change.

The block is kept as it came, byte for byte (a camera's own notes hold offsets that a
rewrite would break); only values are changed in place. A TIFF has no block but holds
the same directories itself, for which they are taken apart here. A block comes from
anyone: every offset is checked, and one that makes no sense is left alone.
"""

import struct
from collections.abc import Iterator

import numpy as np

_PREFIX = b"Exif\0\0"
_ORIENTATION = 0x0112
_EXIF_IFD = 0x8769
_COLOR_SPACE = 0xA001
_SHORT = 3
# Tag -> type and value.
Values = dict[int, tuple[int, bytes]]
# Bytes of a value of each type, and of the numbers it is made of; TIFF 6.0, section 2.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_WORDS = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8}
# What turns stored pixels upright, in this order: columns, then rows are mirrored,
# then the sides are swapped. By EXIF 2.3, section 4.6.4.
_FLIPS_COLUMNS, _FLIPS_ROWS, _SWAPS = (2, 3, 7, 8), (3, 4, 6, 7), (5, 6, 7, 8)


def orientation(data: bytes) -> int:
    """Reads how a picture has to be turned.

    Args:
        data: EXIF block, with or without the prefix of a JPEG segment.

    Returns:
        1 to 8; 1, upright, if the block does not say.
    """
    tiff = data.removeprefix(_PREFIX)
    order = _order(tiff)
    for tag, kind, at in _entries(tiff, order, _first(tiff, order)):
        if tag == _ORIENTATION and kind == _SHORT:
            value = struct.unpack_from(order + "H", tiff, at)[0]
            return value if 1 <= value <= 8 else 1
    return 1


def cleaned(data: bytes, orientation: int | None = None) -> bytes:
    """Adapts a block to the colorized picture.

    The thumbnail goes (it is black and white), and the color space becomes sRGB.

    Args:
        data: EXIF block, with or without the prefix of a JPEG segment.
        orientation: New orientation; None keeps the one there is.

    Returns:
        The block, as long as it was or shorter.
    """
    prefix = _PREFIX if data.startswith(_PREFIX) else b""
    tiff = bytearray(data.removeprefix(_PREFIX))
    order = _order(tiff)
    first = _first(tiff, order)
    if first is None:
        return data
    for tag, kind, at in _entries(tiff, order, first):
        if tag == _ORIENTATION and kind == _SHORT and orientation:
            struct.pack_into(order + "H", tiff, at, orientation)
        if tag == _EXIF_IFD:
            inner = struct.unpack_from(order + "I", tiff, at)[0]
            for tag_, kind_, at_ in _entries(tiff, order, inner):
                if tag_ == _COLOR_SPACE and kind_ == _SHORT:
                    struct.pack_into(order + "H", tiff, at_, 1)
    return prefix + bytes(_without_thumbnail(tiff, order, first))


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns stored pixels the way they are to be seen.

    Args:
        pixels: Array of shape `(height, width, ...)`.
        orientation: EXIF orientation, 1 to 8.

    Returns:
        View of `pixels`, flipped and turned.
    """
    if orientation in _FLIPS_COLUMNS:
        pixels = pixels[:, ::-1]
    if orientation in _FLIPS_ROWS:
        pixels = pixels[::-1]
    return pixels.swapaxes(0, 1) if orientation in _SWAPS else pixels


def as_stored(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns upright pixels back: the inverse of `upright`.

    Args:
        pixels: Array of shape `(height, width, ...)`, upright.
        orientation: EXIF orientation, 1 to 8.

    Returns:
        View of `pixels`, turned and flipped.
    """
    if orientation in _SWAPS:
        pixels = pixels.swapaxes(0, 1)
    if orientation in _FLIPS_COLUMNS:
        pixels = pixels[:, ::-1]
    return pixels[::-1] if orientation in _FLIPS_ROWS else pixels


def points_as_stored(
    points: np.ndarray, height: int, width: int, orientation: int
) -> np.ndarray:
    """Finds pixels of an upright picture among the stored ones.

    Args:
        points: Integer array of shape `(N, 2)`, x and y.
        height: Height of the upright picture.
        width: Its width.
        orientation: EXIF orientation, 1 to 8.

    Returns:
        Array of the same kind: `as_stored(pixels)[y, x]` is the upright pixel.
    """
    x, y = points.T
    if orientation in _SWAPS:
        x, y, height, width = y, x, width, height
    if orientation in _FLIPS_COLUMNS:
        x = width - 1 - x
    if orientation in _FLIPS_ROWS:
        y = height - 1 - y
    return np.stack([x, y], axis=1)


def swaps_sides(orientation: int) -> bool:
    """Says whether an orientation turns a picture by a quarter."""
    return orientation in _SWAPS


def directory(data: bytes, tag: int | None = None) -> Values:
    """Takes a directory of a block apart.

    Args:
        data: EXIF block, with or without the prefix of a JPEG segment.
        tag: Tag of the first directory that points to the one wanted; None: the first.

    Returns:
        Dict of tag to its type and value, little-endian. What is damaged is left out.
    """
    tiff = data.removeprefix(_PREFIX)
    order = _order(tiff)
    at = _first(tiff, order)
    if tag is not None:
        places = [p for name, _, p in _entries(tiff, order, at) if name == tag]
        at = struct.unpack_from(order + "I", tiff, places[0])[0] if places else None
    found: Values = {}
    total = 0
    for name, kind, place in _entries(tiff, order, at):
        count = struct.unpack_from(order + "I", tiff, place - 4)[0]
        size = count * _SIZES.get(kind, 0)
        if size > 4:
            place = struct.unpack_from(order + "I", tiff, place)[0]
        value = bytes(tiff[place : place + size])
        total += size
        # Values that lie over each other would make more of a block than it is.
        if len(value) < max(size, 1) or total > len(tiff):
            continue
        if order == ">" and kind in _WORDS:
            value = np.frombuffer(value, f"u{_WORDS[kind]}").byteswap().tobytes()
        found[name] = kind, value
    return found


def packed(values: Values, place: int) -> bytes:
    """Puts a directory together.

    Args:
        values: What `directory` gave.
        place: Where in the file it will lie; its offsets count from the file's start.

    Returns:
        The directory and its values, little-endian.
    """
    entries, behind = b"", b""
    after = place + 2 + 12 * len(values) + 4
    for tag, (kind, value) in sorted(values.items()):
        entries += struct.pack("<HHI", tag, kind, len(value) // _SIZES[kind])
        if len(value) > 4:
            entries += struct.pack("<I", after + len(behind))
            behind += value + bytes(len(value) % 2)
        else:
            entries += value.ljust(4, b"\0")
    return struct.pack("<H", len(values)) + entries + bytes(4) + behind


def _order(tiff):
    return {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(tiff[:4]))


def _first(tiff, order):
    if order is None or len(tiff) < 8:
        return None
    return struct.unpack_from(order + "I", tiff, 4)[0]


def _entries(tiff, order, at) -> Iterator[tuple[int, int, int]]:
    # Yields (tag, type, position of the value) of one directory.
    if order is None or at is None or not 8 <= at <= len(tiff) - 2:
        return
    count = struct.unpack_from(order + "H", tiff, at)[0]
    for entry in range(at + 2, min(at + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind = struct.unpack_from(order + "HH", tiff, entry)
        yield tag, kind, entry + 8


def _without_thumbnail(tiff, order, first):
    if not 8 <= first <= len(tiff) - 2:
        return tiff
    link = first + 2 + 12 * struct.unpack_from(order + "H", tiff, first)[0]
    if link + 4 > len(tiff):
        return tiff
    second = struct.unpack_from(order + "I", tiff, link)[0]
    struct.pack_into(order + "I", tiff, link, 0)
    places = {tag: at for tag, _, at in _entries(tiff, order, second)}
    if 0x0201 in places and 0x0202 in places:
        start = struct.unpack_from(order + "I", tiff, places[0x0201])[0]
        size = struct.unpack_from(order + "I", tiff, places[0x0202])[0]
        if start >= 8 and start + size == len(tiff):
            del tiff[start:]
    return tiff
