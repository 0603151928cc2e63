"""Simulated clicks: true colors at places that a person might have pointed at.

What a reader would get wrong: a click is a small square of one color, the mean of the
truth under it. A person names a color, not a pixel's grain. And a person hints where
the network is wrong: half of the pictures get an area of a color that was never there.
From true colors alone a network learns that one red coat makes a red picture.
"""

import cv2
import numpy as np

from kcolor.color.constants import AB_SCALE, LIGHTNESS_SCALE

MOST = 100
LARGEST = 9
RECOLORED = 0.5
# An area's size, as a share of the picture, and how many places are tried for one.
_AREA = 0.005, 0.4
_TRIES = 8
# Holes as narrow as this are closed, and hints keep half of it from an area's edge.
_NARROW = np.ones((5, 5), "uint8")
CENTERED, UNIFORM = "centered", "uniform"


def simulate_hints(
    target: np.ndarray, rng: np.random.Generator, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a person's hints for a picture, or none.

    Args:
        target: float32 array of shape `(H, W, 3)`, the true L* / 50 - 1, and a* and b*
            / 110; it is not changed.
        rng: Generator that all draws come from.
        share: Probability, in [0, 1], that there are any.

    Returns:
        `(target, known)`, float32 `(H, W, 3)` both. Known are a* and b* / 110 and a
        mask: 1 to 100 squares, each count's logarithm as likely, of 1 to 9 pixels a
        side; half of them anywhere, half of them about the middle. All zero without
        hints. In half of the pictures that have hints an area of `target` has a color
        of its own, and the first square lies in it; see `recolor`.
    """
    if rng.random() >= share:
        return target, np.zeros_like(target)
    count = int(np.exp(rng.uniform(0, np.log(MOST + 1))))
    most = min(LARGEST, *target.shape[:2])
    sides = rng.integers(1, most + 1, count)
    corners = np.where(
        rng.random((count, 1)) < 0.5,
        draw_corners(count, sides, target.shape[:2], UNIFORM, rng),
        draw_corners(count, sides, target.shape[:2], CENTERED, rng),
    )
    if rng.random() < RECOLORED:
        area = draw_area(target, rng)
        inside = np.argwhere(cv2.erode(area, _NARROW))
        if len(inside):
            target = recolor(target, area, rng)
            sides[0] = min(sides[0], 5)
            corners[0] = np.maximum(rng.choice(inside) - sides[0] // 2, 0)
    return target, reveal(target[..., 1:], corners, sides)


def draw_area(target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws an area of about one color that hangs together, such as a coat or a wall.

    Args:
        target: As `simulate_hints` takes it.
        rng: Generator that all draws come from.

    Returns:
        uint8 array of shape `(H, W)`, 1 inside: 0.5% to 40% of the picture; all 0
        where none was found around the places that were tried.
    """
    height, width = target.shape[:2]
    scale = np.array([LIGHTNESS_SCALE, AB_SCALE, AB_SCALE], "float32")
    lab = np.ascontiguousarray(target * scale)
    # Like the first pixel, neighbor by neighbor; what belongs becomes 1 in the mask.
    flags = 4 | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY | 1 << 8
    for _ in range(_TRIES):
        place = int(rng.integers(width)), int(rng.integers(height))
        apart = [rng.uniform(6, 20), *[rng.uniform(4, 12)] * 2]
        area = np.zeros((height + 2, width + 2), "uint8")
        cv2.floodFill(lab, area, place, 0, apart, apart, flags)
        area = cv2.morphologyEx(area[1:-1, 1:-1], cv2.MORPH_CLOSE, _NARROW)
        if _AREA[0] <= area.mean() <= _AREA[1]:
            return area
    return np.zeros((height, width), "uint8")


def recolor(
    target: np.ndarray, area: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Gives an area another mean color, of any hue; its lightness stays.

    Args:
        target: As `simulate_hints` takes it; it is not changed.
        area: uint8 array of shape `(H, W)`, 1 where the color changes.
        rng: Generator that all draws come from.

    Returns:
        A copy of `target` with the color changed, softly at the area's edge. The new
        mean has a chroma of 0 to 50, less where dark or light.
    """
    lightness, *ab = target[area > 0].mean(axis=0)
    hue = rng.uniform(0, 2 * np.pi)
    light = (lightness + 1) * LIGHTNESS_SCALE
    # About what sRGB shows of every hue.
    chroma = np.sqrt(rng.random()) * min(50.0, light, 1.2 * (100 - light)) / AB_SCALE
    change = chroma * np.array([np.cos(hue), np.sin(hue)]) - ab
    soft = cv2.GaussianBlur(area.astype("float32"), (0, 0), 1.0)[..., None]
    result = target.copy()
    result[..., 1:] += soft * change.astype("float32")
    return result


def draw_corners(
    count: int,
    sides: np.ndarray | int,
    size: tuple[int, int],
    places: str,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draws where squares lie that are wholly inside a picture.

    Args:
        count: Number of squares.
        sides: Sides of the squares in pixels, `(count,)`, or one for all.
        size: `(height, width)` of the picture.
        places: `"uniform"`: anywhere; `"centered"`: normal about the middle, with a
            deviation of a quarter of the picture.
        rng: Generator that all draws come from.

    Returns:
        Integer array of shape `(count, 2)`, row and column of each first pixel.
    """
    room = np.array(size) - np.broadcast_to(sides, (count,))[:, None]
    if places == UNIFORM:
        return rng.integers(0, room + 1)
    drawn = rng.normal((room + 1) / 2, (room + 1) / 4)
    return np.clip(drawn, 0, room).astype("intp")


def reveal(ab: np.ndarray, corners: np.ndarray, sides: np.ndarray | int) -> np.ndarray:
    """Shows the mean color of some squares of a picture and nothing else.

    Args:
        ab: float32 array of shape `(H, W, 2)`, true a* and b* / 110.
        corners: Integer array of shape `(N, 2)`, as from `draw_corners`.
        sides: Their sides in pixels, `(N,)`, or one for all.

    Returns:
        float32 array of shape `(H, W, 3)`, a* and b* / 110 and a mask, 0 or 1; of two
        squares that overlap, the later one lies above.
    """
    known = np.zeros((*ab.shape[:2], 3), "float32")
    for (row, column), side in zip(
        corners, np.broadcast_to(sides, (len(corners),)), strict=True
    ):
        square = slice(row, row + side), slice(column, column + side)
        known[square] = [*ab[square].mean(axis=(0, 1)), 1]
    return known
