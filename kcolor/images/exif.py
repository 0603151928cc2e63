"""Orientation, and the few bytes of EXIF that colorizing has to change.

The block is kept as it came, byte for byte (a camera's own notes hold offsets that a
rewrite would break); only values are changed in place. It comes from anyone: every
offset is checked, and a block that makes no sense is left alone.
"""

import struct

_PREFIX = b"Exif\0\0"
_ORIENTATION = 0x0112
_EXIF_IFD = 0x8769
_COLOR_SPACE = 0xA001
_SHORT = 3
# What turns stored pixels upright, in this order: columns, then rows are mirrored,
# then the sides are swapped. By EXIF 2.3, section 4.6.4.
_FLIPS_COLUMNS, _FLIPS_ROWS, _SWAPS = (2, 3, 7, 8), (3, 4, 6, 7), (5, 6, 7, 8)


def orientation(data):
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


def cleaned(data, orientation=None):
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


def upright(pixels, orientation):
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


def as_stored(pixels, orientation):
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


def swaps_sides(orientation):
    """Says whether an orientation turns a picture by a quarter."""
    return orientation in _SWAPS


def _order(tiff):
    return {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(tiff[:4]))


def _first(tiff, order):
    if order is None or len(tiff) < 8:
        return None
    return struct.unpack_from(order + "I", tiff, 4)[0]


def _entries(tiff, order, at):
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
