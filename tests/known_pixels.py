"""Known colors at single pixels of a small view."""

import numpy as np


def known_at(shape, **places):
    """Gives known colors as `spread` takes them: p30_10=(a, b) is row 30, column 10."""
    known = np.zeros((*shape, 3), "float32")
    for place, ab in places.items():
        y, x = map(int, place[1:].split("_"))
        known[y, x] = *ab, 1
    return known
