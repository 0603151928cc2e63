"""Pictures that show one frame: equal pixel by pixel, or nearly so.

All comparisons run on thumbnails, so that 50,000 pictures are compared in memory.
"""

from collections import defaultdict
from typing import NamedTuple

import cv2
import numpy as np

# Both thresholds were measured on 16,148 distinct photographs of 128 to 256 pixels and
# on copies of 2,500 of them.
# Near: correlation of the fine structure, and root mean square difference of 8 x 8
# means in levels of 255. Copies at 30% by aliasing bilinear resize and quality 30 had
# 0.79 and more, and 10 and less, but for 1 in 1,000; properly resized ones 0.92 and 7.
# Photographs of different scenes that were as near as 10 had 0.62 and less.
_NEAR_STRUCTURE = 0.75
_NEAR_LEVELS = 10.0
# A plain sky's structure is noise (1.2 levels and less; photographs 4.8 and more).
_LEAST_STRUCTURE = 2.0

THUMBNAIL = 16  # side, in pixels
_LUMA = np.array([0.299, 0.587, 0.114], "float32")  # BT.601, as gray JPEGs are made
_ROWS = 256  # of the correlations at a time: 50 MB for 50,000 pictures
_PAIRS = 2**16

# Names of one picture in a source, and in another.
Names = tuple[list[str], list[str]]


class Picture(NamedTuple):
    """What is kept of a picture.

    Attributes:
        name: Its name in the source.
        width: In pixels.
        height: In pixels.
        digest: Of size and pixels: equal for equal pictures only.
        thumbnail: uint8 RGB array of shape `(16, 16, 3)`.
        gray: Whether it has no color.
        toned: Whether it has one hue throughout.
    """

    name: str
    width: int
    height: int
    digest: bytes
    thumbnail: np.ndarray
    gray: bool
    toned: bool


def group_alike(
    pictures: list[Picture], others: list[Picture]
) -> tuple[list[Names], list[list[Names]]]:
    """Groups the pictures of two sources by what they show.

    Args:
        pictures: Those of one source.
        others: Those of another, which are not compared with each other.

    Returns:
        List of the names of each distinct picture in both sources; and list of lists of
        those whose pictures are near each other.
    """
    by_digest: dict[bytes, Names] = defaultdict(lambda: ([], []))
    first: dict[bytes, Picture] = {}
    for side, those in enumerate((pictures, others)):
        for picture in those:
            by_digest[picture.digest][side].append(picture.name)
            first.setdefault(picture.digest, picture)
    equal, distinct = list(by_digest.values()), list(first.values())

    parent = list(range(len(distinct)))

    def root(i):
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    # Those of the first source come first, and each pair needs one of them.
    for i, j in _near_pairs(distinct, sum(bool(ours) for ours, _ in equal)):
        parent[root(j)] = root(i)
    groups = defaultdict(list)
    for i, names in enumerate(equal):
        groups[root(i)].append(names)
    return equal, [group for group in groups.values() if len(group) > 1]


def _near_pairs(pictures, count):
    """Finds pairs of positions of near pictures, one of them below `count`."""
    features = [_features(p.thumbnail) for p in pictures]
    if not features:
        return
    structure, coarse = (np.stack(part) for part in zip(*features, strict=True))
    mirrored = structure[:, :, ::-1].reshape(len(pictures), -1)
    structure = structure.reshape(len(pictures), -1)
    gray = np.array([p.gray for p in pictures])

    for start in range(0, count, _ROWS):
        rows = structure[start : min(start + _ROWS, count)]
        for mirror, columns in ((1, structure), (-1, mirrored)):
            i, j = np.nonzero(rows @ columns[start:].T >= _NEAR_STRUCTURE)
            i, j = i[i < j] + start, j[i < j] + start
            # Frames of one video may all be alike: some pairs at a time.
            for part in range(0, len(i), _PAIRS):
                pairs = i[part : part + _PAIRS], j[part : part + _PAIRS]
                near = _is_near(coarse, gray, *pairs, mirror)
                yield from zip(*(side[near].tolist() for side in pairs), strict=True)


def _is_near(coarse, gray, i, j, mirror):
    square = np.square(coarse[i] - coarse[j][:, :, ::mirror])
    *rgb, luma = square.mean(axis=(1, 2)).T
    # Beside a gray picture only lightness can be compared.
    far = np.where(gray[i] | gray[j], luma, np.maximum(luma, np.mean(rgb, axis=0)))
    return far <= _NEAR_LEVELS**2


def _features(thumbnail):
    """Returns the unit fine structure (16, 16) and means (8, 8, 4) of R, G, B, luma."""
    rgb = thumbnail.astype("float32")
    luma = rgb @ _LUMA
    half = (THUMBNAIL // 2, THUMBNAIL // 2)
    coarse = cv2.resize(np.dstack([rgb, luma]), half, interpolation=cv2.INTER_AREA)
    structure = luma - cv2.GaussianBlur(luma, (0, 0), 1.5)
    structure -= structure.mean()
    length = np.linalg.norm(structure)
    # Nothing correlates with zeros.
    scale = 0 if length < _LEAST_STRUCTURE * THUMBNAIL else 1 / length
    return scale * structure, coarse
