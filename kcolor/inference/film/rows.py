"""The ways to color a film beside each other, so that they can be measured."""

from collections.abc import Sequence

import cv2
import numpy as np

from kcolor.color import host
from kcolor.color.constants import AB_SCALE
from kcolor.inference.colorizer import Colorizer
from kcolor.inference.film import steady
from kcolor.inference.film.motion import link
from kcolor.inference.film.reading import Film

# Name of a row, and the mode of `steady.windows` behind it.
_MODES = {"frame by frame": "off", "forward": "forward", "forward and backward": "both"}


def read_small(film: Film, count: int, pixels: int) -> list[np.ndarray]:
    """Reads the first frames of a film in color, shrunk.

    Args:
        film: The film.
        count: Frames at most.
        pixels: Pixels of a frame at most.

    Returns:
        uint8 arrays `(h, w, 3)`, RGB.
    """
    frames = []
    for frame in film.frames():
        rgb = frame.picture.to_ndarray(format="rgb24")
        scale = min(1.0, (pixels / rgb[..., 0].size) ** 0.5)
        size = [max(1, round(side * scale)) for side in rgb.shape[1::-1]]
        frames.append(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
        if len(frames) == count:
            break
    return frames


def colored_rows(
    colorizer: Colorizer, grays: Sequence[np.ndarray]
) -> dict[str, tuple[list[np.ndarray], list[np.ndarray]]]:
    """Colors a film without color, frame by frame, forward, and forward and backward.

    Args:
        colorizer: The network.
        grays: uint8 arrays `(h, w)`, the frames.

    Returns:
        Dict from a row's name to its frames, uint8 `(h, w, 3)`, and to their a* and b*
        before they were rounded, float32 `(h, w, 2)`.
    """
    shape = grays[0].shape
    views: list[np.ndarray] = []
    small: list[steady.Small] = []
    for before, gray, cut in steady.with_cuts(grays):
        view, ab = colorizer.predict(gray)
        size = view.shape[::-1]
        seen = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        motion = None
        if before is not None and not cut:
            motion = link(small[-1].gray, seen)
        views.append(view)
        small.append(steady.Small(seen, ab.astype(np.float16), motion))
    rows = {"gray": [np.zeros_like(one.ab, np.float32) for one in small]}
    for name, mode in _MODES.items():
        windows = steady.windows(small, mode)
        rows[name] = [s.ab.astype(np.float32) for w in windows for s in w.frames]
    return {
        name: (
            [
                host.recolor(gray, ab, guide=view)
                for gray, ab, view in zip(grays, abs_, views, strict=True)
            ],
            [cv2.resize(ab, shape[::-1]) * np.float32(AB_SCALE) for ab in abs_],
        )
        for name, abs_ in rows.items()
    }
