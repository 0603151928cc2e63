"""Simulated clicks: true colors at places that a person might have pointed at.

What a reader would get wrong: a click is a small square of one color, the mean of the
truth under it. A person names a color, not a pixel's grain.
"""

import numpy as np

MOST = 100
LARGEST = 9
CENTERED, UNIFORM = "centered", "uniform"


def simulate_hints(
    ab: np.ndarray, rng: np.random.Generator, share: float
) -> np.ndarray:
    """Draws a person's hints for a picture, or none.

    Args:
        ab: float32 array of shape `(H, W, 2)`, true a* and b* / 110.
        rng: Generator that all draws come from.
        share: Probability, in [0, 1], that there are any.

    Returns:
        float32 array of shape `(H, W, 3)`, a* and b* / 110 and a mask: 1 to 100
        squares, each count's logarithm as likely, of 1 to 9 pixels a side; half of them
        anywhere, half of them about the middle. All zero without hints.
    """
    if rng.random() >= share:
        return np.zeros((*ab.shape[:2], 3), "float32")
    count = int(np.exp(rng.uniform(0, np.log(MOST + 1))))
    most = min(LARGEST, *ab.shape[:2])
    sides = rng.integers(1, most + 1, count)
    corners = np.where(
        rng.random((count, 1)) < 0.5,
        draw_corners(count, sides, ab.shape[:2], UNIFORM, rng),
        draw_corners(count, sides, ab.shape[:2], CENTERED, rng),
    )
    return reveal(ab, corners, sides)


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
