"""`Session`: one picture, colorized again and again with other hints."""

from typing import TYPE_CHECKING, Any

import numpy as np

from kcolor.color.spread import is_heard, spread
from kcolor.images import exif
from kcolor.inference.hints import as_hints, draw_hints

if TYPE_CHECKING:
    from kcolor.inference.colorizer import Colorizer


class Session:
    """What stays the same while a person puts colors right; not for several threads.

    The network runs once; one that takes known colors itself runs again for each set of
    them that lies in one area. What hints ask for is kept exactly either way.

    Example:
        >>> session = Colorizer().session(gray)
        >>> color = session([(120, 80, "#a03020")])
    """

    def __init__(
        self,
        colorizer: "Colorizer",
        pixels: np.ndarray,
        orientation: int = 1,
        size: tuple[int, int] | None = None,
    ) -> None:
        """Takes what `Colorizer.session` has checked."""
        self._colorizer = colorizer
        self._pixels = pixels
        self._orientation = orientation
        self._size = size or pixels.shape[:2]
        self._predicted: tuple[np.ndarray, np.ndarray] | None = None

    def __call__(
        self,
        hints: Any = None,
        saturation: float | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Colorizes the picture.

        Args:
            hints: Known colors, see `kcolor.inference.hints.as_hints`; they replace
                those of the call before.
            saturation: Factor of what the network says; known colors are kept as they
                are. None: the colorizer's own.
            out: Array that takes the result, or None. If it is the picture itself, the
                session ends with this call.

        Returns:
            RGB array of shape `(height, width, 3)`, of the picture's dtype, turned as
            the picture is.

        Raises:
            DataError: If a file of hints cannot be read.
            ValueError: If a hint is none, or lies outside.
        """
        colors = self.colors(hints, saturation)
        return self._colorizer.merge(self._pixels, **colors, out=out)

    def colors(
        self, hints: Any = None, saturation: float | None = None
    ) -> dict[str, Any]:
        """Finds the colors alone.

        Args:
            hints: As for a call.
            saturation: As for a call.

        Returns:
            Arguments of `Colorizer.merge`. The picture may be merged at another size,
            if the points of `known` are brought to that.

        Raises:
            DataError: If a file of hints cannot be read.
            ValueError: If a hint is none, or lies outside.
        """
        colorizer, pixels = self._colorizer, self._pixels
        hints = as_hints(hints)
        height, width = self._size
        if exif.swaps_sides(self._orientation):
            height, width = width, height
        view_size = colorizer.view_size(
            *exif.upright(pixels, self._orientation).shape[:2]
        )
        known, points, colors = draw_hints(hints, (height, width), view_size)
        if self._predicted is None:
            self._predicted = colorizer.predict(pixels, self._orientation)
        view, ab = self._predicted
        if not known[..., 2].any():
            return {
                "lightness": view,
                "ab": ab,
                "saturation": saturation,
                "known": None,
            }
        factor = colorizer.saturation if saturation is None else saturation
        hinted = None
        if colorizer.network.takes_known and is_heard(known):
            _, hinted = colorizer.predict(pixels, self._orientation, known, view)
            hinted = hinted * np.float32(factor)
        known = np.ascontiguousarray(exif.as_stored(known, self._orientation))
        places = exif.points_as_stored(points, height, width, self._orientation)
        ab = spread(view, ab * np.float32(factor), known, hinted)
        # Known colors are not to be saturated, so `ab` has its factor already.
        pins = places * pixels.shape[1::-1] // self._size[::-1], colors
        return {"lightness": view, "ab": ab, "saturation": 1.0, "known": pins}
