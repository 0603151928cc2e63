"""What a color profile says: curves and primaries, read from and put into ICC bytes.

A profile's description is not asked: "GIMP built-in Linear sRGB" names sRGB and is not.
Profiles come from anyone; one that makes no sense reads as None.
"""

import functools
import struct
from typing import NamedTuple

import numpy as np

from kcolor.color.curves import linear_to_srgb

# Linear sRGB to the profiles' own white, D50: IEC 61966-2-1 through the Bradford
# adaptation of ICC.1, as in every sRGB profile.
_SRGB_TO_D50 = np.array(
    [
        [0.43607, 0.38515, 0.14307],
        [0.22249, 0.71687, 0.06061],
        [0.01392, 0.09708, 0.71410],
    ]
)
_RGB = (b"r", b"g", b"b")
# g, a, b, c and d of a parametric curve of kind 3.
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
# A profile this close to sRGB is sRGB: converting would move a value by one level of
# 255 at most, which is what the tables of some vendors' sRGB are off by.
_SAME_CURVE = 1.0 / 255
_SAME_MATRIX = 0.004


class Profile(NamedTuple):
    """A profile that is curves and a matrix, without tables.

    Attributes:
        curves: float32 array `(1 or 3, 65536)`: linear light of each stored value.
        matrix: float64 array `(3, 3)`: from that to linear sRGB; None: gray.
    """

    curves: np.ndarray
    matrix: np.ndarray | None


@functools.lru_cache(maxsize=16)
def parse(data: bytes) -> Profile | None:
    """Reads a profile.

    Args:
        data: ICC profile.

    Returns:
        Its curves and matrix, or None if it is built of tables, of another space than
        gray or RGB, or broken.
    """
    tags, space = _tags(data), data[16:20]
    # Where there are tables as well, they count.
    if b"A2B0" in tags or space not in (b"GRAY", b"RGB "):
        return None
    if space == b"GRAY":
        curve = _curve(tags.get(b"kTRC", b""))
        return None if curve is None else Profile(curve[None], None)
    curves = [_curve(tags.get(name, b"")) for name in (b"rTRC", b"gTRC", b"bTRC")]
    primaries = [_xyz(tags.get(name, b"")) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    whole = [curve for curve in curves if curve is not None]
    if len(whole) < 3 or any(primary is None for primary in primaries):
        return None
    to_d50 = np.array(primaries, "float64").T
    if to_d50[1].sum() <= 0:
        return None
    return Profile(np.stack(whole), np.linalg.solve(_SRGB_TO_D50, to_d50))


@functools.lru_cache(maxsize=16)
def is_srgb(data: bytes) -> bool:
    """Says whether a profile is sRGB, or for gray pixels sRGB's curve.

    Args:
        data: ICC profile.

    Returns:
        True if its curves and primaries are sRGB's to within a level of 255, whatever
        it is called.
    """
    profile = parse(data)
    if profile is None:
        return False
    if profile.matrix is not None:
        if np.abs(profile.matrix - np.eye(3)).max() > _SAME_MATRIX:
            return False
    off = linear_to_srgb(profile.curves) - np.arange(65536, dtype="float32") / 65535
    return bool(np.abs(off).max() <= _SAME_CURVE)


@functools.cache
def srgb() -> bytes:
    """Returns the profile that converted pictures carry."""
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def build(
    gamma: float | None,
    chromaticities: tuple[float, ...] | None = None,
    gray: bool = False,
) -> bytes:
    """Makes a profile of one curve.

    Args:
        gamma: Exponent that makes stored values linear; None: sRGB's curve.
        chromaticities: x and y of white, red, green and blue: eight numbers; None:
            those of sRGB.
        gray: Whether it is for gray pixels.

    Returns:
        ICC profile, version 4.
    """
    values = _SRGB_CURVE if gamma is None else (gamma,)
    curve = struct.pack(">4sIHH", b"para", 0, 0 if gamma else 3, 0)
    curve += b"".join(struct.pack(">i", round(65536 * v)) for v in values)
    tags = {b"kTRC": curve} if gray else {name + b"TRC": curve for name in _RGB}
    tags[b"wtpt"] = _xyz_tag(_D50)
    if not gray:
        matrix = _SRGB_TO_D50 if chromaticities is None else _to_d50(chromaticities)
        for name, column in zip(_RGB, matrix.T, strict=True):
            tags[name + b"XYZ"] = _xyz_tag(column)
    body, table, start = b"", b"", 132 + 12 * len(tags)
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    head = struct.pack(
        ">I4xI4s4s4s12x4s28x3i48x",
        start + len(body),
        0x04300000,
        b"mntr",
        b"GRAY" if gray else b"RGB ",
        b"XYZ ",
        b"acsp",
        *(round(65536 * value) for value in _D50),
    )
    return head + struct.pack(">I", len(tags)) + table + body


def spans_a_gamut(chromaticities: tuple[float, ...]) -> bool:
    """Says whether `build` can make a profile of these chromaticities.

    Args:
        chromaticities: As `build` takes them.

    Returns:
        True if every color of the triangle, and its white, is one of light.
    """
    places = np.reshape(chromaticities, (4, 2))
    if places.min() < 0 or places.max() > 1 or places[:, 1].min() < 0.001:
        return False
    white, red, green, blue = (np.array([x, y, 1]) for x, y in places.tolist())
    if abs(np.linalg.det([red, green, blue])) < 0.01:
        return False
    return bool(np.linalg.solve(np.stack([red, green, blue], axis=1), white).min() > 0)


def _to_d50(chromaticities):
    white, *primaries = (
        np.array([x / y, 1, (1 - x - y) / y])
        for x, y in np.reshape(chromaticities, (4, 2)).tolist()
    )
    columns = np.stack(primaries, axis=1)
    to_xyz = columns * np.linalg.solve(columns, white)
    cones = (_BRADFORD @ np.array(_D50)) / (_BRADFORD @ white)
    return np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD @ to_xyz


def _xyz_tag(values):
    return struct.pack(">4sI3i", b"XYZ ", 0, *(round(65536 * v) for v in values))


def _tags(profile):
    # ICC.1:2022, section 7.3: signature, offset and size of each tag.
    found: dict[bytes, bytes] = {}
    if len(profile) < 132:
        return found
    count = min(struct.unpack_from(">I", profile, 128)[0], 100)
    for at in range(132, min(132 + 12 * count, len(profile) - 11), 12):
        name, start, size = struct.unpack_from(">4sII", profile, at)
        found[name] = profile[start : start + size]
    return found


def _xyz(tag):
    # In 16.16 fixed point.
    if len(tag) < 20:
        return None
    return [value / 65536 for value in struct.unpack_from(">3i", tag, 8)]


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
