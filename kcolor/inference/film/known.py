"""Known colors of a film: hints as `kcolor.inference.hints` reads them, as dots."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcolor.errors import DataError
from kcolor.images import exif
from kcolor.inference.film.follow import Dot
from kcolor.inference.hints import Hint, HintPicture, draw_hints


class KnownColors:
    """What `colorize_film` is told about colors, see `follow.Hints`.

    A stroke is as many dots as it has pixels in the small view, so that each follows
    what it lies on.
    """

    def __init__(self, hints: Sequence[Hint | HintPicture], name: str) -> None:
        """Takes the hints.

        Args:
            hints: As from `as_hints`. One without a frame belongs to the first.
            name: The film's, for messages.

        Raises:
            DataError: If one is a picture, which has no frame.
        """
        self._hints: list[Hint] = []
        for hint in hints:
            if isinstance(hint, HintPicture):
                raise DataError(
                    f"{name}: a film takes hints as points and strokes, with their "
                    f"frame. Received: {hint.name}"
                )
            self._hints.append(hint)

    def describe(self) -> Any:
        """Returns what the result depends on, as JSON takes it."""
        return [
            {
                "points": [[str(x), str(y)] for x, y in hint.points],
                "color": list(hint.color),
                "radius": str(hint.radius),
                "frame": hint.frame or 0,
            }
            for hint in self._hints
        ]

    def dots(
        self, size: tuple[int, int], orientation: int, frame: tuple[int, int]
    ) -> list[Dot]:
        """Places the hints, see `follow.Hints`."""
        if exif.swaps_sides(orientation):
            size, frame = size[::-1], frame[::-1]
        dots = []
        for hint in self._hints:
            known, _, _ = draw_hints([hint], frame, size)
            known = exif.as_stored(known, orientation)
            dots += [
                Dot(hint.frame or 0, float(x), float(y), known[y, x, :2].copy())
                for y, x in np.argwhere(known[..., 2] > 0)
            ]
        return dots

    def draw(self, size: tuple[int, int], dots: list[Dot]) -> np.ndarray:
        """Draws the known colors of a frame, see `follow.Hints`."""
        known = np.zeros((*size, 3), "float32")
        for dot in dots:
            x, y = round(dot.x), round(dot.y)
            if 0 <= x < size[1] and 0 <= y < size[0]:
                known[y, x] = (*dot.meaning, 1)
        return known
