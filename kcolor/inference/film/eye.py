"""What the network sees of a frame, and what it says about it."""

import threading
from collections.abc import Iterable

import cv2
import numpy as np

from kcolor.color import host
from kcolor.color.spread import spread
from kcolor.images import exif
from kcolor.inference.colorizer import Colorizer
from kcolor.inference.film import steady
from kcolor.inference.film.chroma import Painter
from kcolor.inference.film.follow import Dot, Hints, follow
from kcolor.inference.film.motion import link
from kcolor.inference.film.reading import Facts
from kcolor.parallel import cores


class Eye:
    """Shrinks frames and asks the network; threads may share it."""

    def __init__(
        self,
        colorizer: Colorizer,
        facts: Facts,
        painter: Painter,
        mode: str,
        hints: Hints | None = None,
    ) -> None:
        """Decides on the size of the small view.

        Args:
            colorizer: The network.
            facts: What the film says about itself.
            painter: Brings luma to the range of photographs.
            mode: `"off"`, `"forward"` or `"both"`, as for `steady.windows`.
            hints: Known colors, or None.
        """
        self._colorizer, self._painter, self._hints = colorizer, painter, hints
        self._is_steady = mode != "off"
        self._frame = facts.height, facts.width
        self._orientation = orientation_of(facts.rotation)
        self._dots: dict[int, list[Dot]] = {}
        # Each call at a time has a network of its own, 55 MB with `mobile`. Half as
        # many as cores do: motion is measured meanwhile, and takes as long.
        self._answering = threading.Semaphore(max(1, cores() // 2))
        # Faces are as wide as the audience sees them.
        shown = max(1, round(facts.width * facts.pixel_aspect))
        if exif.swaps_sides(self._orientation):
            self._size = colorizer.view_size(shown, facts.height)[::-1]
        else:
            self._size = colorizer.view_size(facts.height, shown)

    def shrink(self, luma: np.ndarray) -> np.ndarray:
        """Makes the small view of a frame.

        Args:
            luma: uint8 or uint16 array `(height, width)`, as coded.

        Returns:
            uint8 array `(h, w)`, gamma-encoded gray, turned as the frame is.
        """
        view = self._painter.gray(luma, self._size)
        return view if view.dtype == np.uint8 else (view >> 8).astype(np.uint8)

    def look_for_hints(self, views: Iterable[np.ndarray]) -> None:
        """Lets known colors follow the motion; reads the film only if there are any.

        Args:
            views: Views of the whole film, in order.
        """
        if self._hints is not None:
            dots = self._hints.dots(self._size, self._orientation, self._frame)
            self._dots = follow(views, dots)

    def see(
        self, item: tuple[int, tuple[np.ndarray | None, np.ndarray, bool]]
    ) -> steady.Small:
        """Asks the network about a frame, and measures the motion up to it.

        Args:
            item: The frame's number, and what `steady.with_cuts` says about it.

        Returns:
            `steady.Small`.
        """
        number, (before, view, cut) = item
        ab = self._colors(view)
        dots = self._dots.get(number)
        if dots and self._hints is not None:
            known = self._hints.draw(view.shape, dots)
            # A network that takes known colors is not asked: as these come and go, what
            # it makes of them would change from frame to frame.
            ab = spread(host.lightness(view), ab, known)
        motion = None
        if before is not None and not cut and self._is_steady:
            motion = link(before, view)
        return steady.Small(view, ab.astype(np.float16), motion)

    def _colors(self, view):
        with self._answering:
            _, ab = self._colorizer.predict(view, self._orientation)
        if ab.shape[:2] != view.shape:  # Rounded twice.
            ab = cv2.resize(ab, view.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return ab


def orientation_of(rotation: tuple[int, ...] | None) -> int:
    """Says in EXIF's numbers how a film is turned.

    Args:
        rotation: Nine numbers of the display matrix, or None.

    Returns:
        1 to 8; 1 unless it is turned by quarters or mirrored.
    """
    if rotation is None:
        return 1
    a, b, c, d = (int(np.sign(rotation[at])) for at in (0, 1, 3, 4))
    return _ORIENTATIONS.get((a, b, c, d), 1)


# Signs of the display matrix's a, b, c, d: x' = a x + c y, y' = b x + d y, y downwards.
_ORIENTATIONS = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}
