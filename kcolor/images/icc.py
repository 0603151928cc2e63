"""Profiles of 16-bit files, whose pixels Pillow's color management cannot convert.

Only lightness is kept of a photograph, so luminance is all that has to be right: three
curves and three weights of a matrix profile, or the one curve of a gray one.
"""

import struct

import numpy as np


def is_srgb(profile):
    """Says whether a profile is sRGB, by its description.

    Every vendor's version of it names the standard there; version 4 in UTF-16.
    """
    return b"sRGB" in profile or b"s\0R\0G\0B" in profile


def to_luminance(pixels, profile):
    """Measures the relative luminance of 16-bit pixels.

    Args:
        pixels: uint16 array of shape `(height, width)`, gray, or
            `(height, width, 3)`, RGB.
        profile: ICC profile of the same color space.

    Returns:
        float32 array of shape `(height, width)` in `[0, 1]`, or None if the profile is
        of another space, or is built of tables instead of a matrix and curves.
    """
    tags = _tags(profile)
    space = bytes(profile[16:20])
    if pixels.ndim == 2 and space == b"GRAY":
        curve = _curve(tags.get(b"kTRC", b""))
        return None if curve is None else curve[pixels]
    if pixels.ndim == 2 or space != b"RGB ":
        return None
    curves = [_curve(tags.get(name, b"")) for name in (b"rTRC", b"gTRC", b"bTRC")]
    weights = [_luminance(tags.get(name, b"")) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    if any(curve is None for curve in curves) or None in weights or sum(weights) <= 0:
        return None
    luminance = np.zeros(pixels.shape[:2], "float32")
    for channel, (curve, weight) in enumerate(zip(curves, weights, strict=True)):
        luminance += curve[pixels[..., channel]] * np.float32(weight / sum(weights))
    return np.clip(luminance, 0, 1)


def _tags(profile):
    # ICC.1:2022, section 7.3: signature, offset and size of each tag.
    found = {}
    if len(profile) < 132:
        return found
    count = min(struct.unpack_from(">I", profile, 128)[0], 100)
    for at in range(132, min(132 + 12 * count, len(profile) - 11), 12):
        name, start, size = struct.unpack_from(">4sII", profile, at)
        found[name] = profile[start : start + size]
    return found


def _luminance(tag):
    # Y of an XYZ tag, in 16.16 fixed point.
    return struct.unpack_from(">i", tag, 12)[0] / 65536 if len(tag) >= 20 else None


def _curve(tag):
    # The curve of a tag at all 65,536 values, float32, or None; sections 10.6, 10.18.
    x = np.arange(65536) / 65535
    if tag[:4] == b"curv" and len(tag) >= 12:
        count = struct.unpack_from(">I", tag, 8)[0]
        if len(tag) < 12 + 2 * count:
            return None
        if count == 0:
            return x.astype("float32")
        points = np.frombuffer(tag, ">u2", count, 12)
        if count == 1:
            return (x ** (points[0] / 256)).astype("float32")
        at = np.linspace(0, 1, count)
        return np.interp(x, at, points / 65535).astype("float32")
    if tag[:4] == b"para" and len(tag) >= 16:
        kind = struct.unpack_from(">H", tag, 8)[0]
        count = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}.get(kind)
        if count is None or len(tag) < 12 + 4 * count:
            return None
        values = [v / 65536 for v in struct.unpack_from(f">{count}i", tag, 12)]
        return _parametric(x, kind, *values)
    return None


def _parametric(x, kind, g, a=1.0, b=0.0, c=0.0, d=0.0, e=0.0, f=0.0):
    # Kinds 1 and 2 break where a x + b is 0, and add c on both sides of it.
    if kind in (1, 2):
        d = -b / a if a else 0.0
        e = f = c
        c = 0.0
    curve = np.maximum(a * x + b, 0) ** g + e
    if kind:
        curve = np.where(x >= d, curve, c * x + f)
    return np.clip(np.nan_to_num(curve), 0, 1).astype("float32")
