"""Known colors that follow the motion: a dot on one frame is a dot on the whole shot.

A pass over the film of its own, before colors are found, and only where there are dots:
they go forward as frames come, and backward through the small views of their shot.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from kcolor.inference.film import steady
from kcolor.inference.film.motion import link

# Frames that a dot goes back at most; their views are kept, 65 kB each.
REACH = 1000


@dataclass(frozen=True)
class Dot:
    """A place on one frame.

    Attributes:
        frame: Number of the frame, from 0.
        x: Pixels of the small view from its left edge, as stored.
        y: Pixels from its upper edge.
        meaning: What the dot stands for; goes with it.
    """

    frame: int
    x: float
    y: float
    meaning: Any = None


class Hints(Protocol):
    """What a film is told about colors; `kcolor.inference.hints` has the words for it.

    `colorize_film` asks for the dots once, has them follow the motion, and gives each
    frame's dots back.
    """

    def describe(self) -> Any:
        """Returns what the result depends on, as JSON takes it."""

    def dots(
        self, size: tuple[int, int], orientation: int, frame: tuple[int, int]
    ) -> list[Dot]:
        """Places the hints.

        Args:
            size: Height and width of the small view, as stored.
            orientation: EXIF orientation of the view.
            frame: Height and width of a frame, as stored.

        Returns:
            The dots, on the frames that they were given for.
        """

    def draw(self, size: tuple[int, int], dots: list[Dot]) -> np.ndarray:
        """Draws the known colors of a frame.

        Args:
            size: Height and width of the small view, as stored.
            dots: The dots of this frame.

        Returns:
            float32 array `(h, w, 3)`: a* and b* / 110 and a mask, 0 or 1.
        """


def follow(views: Iterable[np.ndarray], dots: Iterable[Dot]) -> dict[int, list[Dot]]:
    """Lets dots follow the motion through their shots.

    Args:
        views: uint8 arrays `(h, w)`, the small frames of the whole film.
        dots: The dots. One ends where it is covered or leaves the picture, at cuts, and
            1000 frames before its own.

    Returns:
        Dict from a frame's number to the dots on it.
    """
    given: dict[int, list[Dot]] = {}
    for dot in dots:
        given.setdefault(dot.frame, []).append(dot)
    found: dict[int, list[Dot]] = {}
    number, last = -1, max(given, default=-1)
    shot: list[np.ndarray] = []
    moving: list[Dot] = []
    for number, (before, view, cut) in enumerate(steady.with_cuts(views)):
        motion = None
        if before is not None and not cut and moving:
            motion = link(before, view)
        if motion is not None:
            moving = _moved(moving, motion.onward, number)
        elif cut or before is None or moving:
            moving = []
        if cut:
            shot = []
        if number > last and not moving:
            break
        # Behind the last dot there is nothing to go back for.
        if number <= last:
            shot = [*shot[-REACH:], view]
        if number in given:
            moving = moving + given[number]
            _go_back(shot, given[number], number, found)
        if moving:
            found.setdefault(number, []).extend(moving)
    if number < last:
        raise ValueError(
            f"`frame` of a hint must be from 0 to {number}, the film's last one. "
            f"Received: {last}"
        )
    return found


def _go_back(shot, dots, number, found):
    for at in range(len(shot) - 1, 0, -1):
        motion = link(shot[at - 1], shot[at])
        if motion is None:
            return
        number -= 1
        dots = _moved(dots, motion.back, number)
        if not dots:
            return
        found.setdefault(number, []).extend(dots)


def _moved(dots, way, number):
    moved = []
    height, width = way.holds.shape
    for dot in dots:
        row = min(max(round(dot.y), 0), height - 1)
        column = min(max(round(dot.x), 0), width - 1)
        if way.holds[row, column]:
            dx, dy = way.offset[row, column].astype(float)
            moved.append(Dot(number, dot.x + dx, dot.y + dy, dot.meaning))
    return moved
