"""The motion between two frames, and where it is to be trusted."""

from dataclasses import dataclass

import cv2
import numpy as np

# Pixels by which the way forward and back may miss its start, and the part of the
# way's length that is added.
_MISS = 0.6
_MISS_SHARE = 0.05
# Blur against grain; deviation in levels up to which an area is flat, and the pixels
# more by which a way may miss there.
_SOFT = 0.8
_FLAT = 2.0
_FLAT_MISS = 3.0
# Levels of 255 by which lightness may differ from what the flow promises, beside what
# differs everywhere (grain).
_DIFFERENCE = 10.0
# Side in pixels of the area whose motion is tried where the flow got lost, and the
# levels by which lightness may differ then: more leaves colors behind moving objects.
_AROUND = 17
_AROUND_DIFFERENCE = 3.0
# Share of pixels that lost their way from which on a frame starts a shot.
_LOST = 0.75
_REPLICATE = cv2.BORDER_REPLICATE


@dataclass(frozen=True)
class Way:
    """Where the pixels of a frame are in a frame beside it.

    Attributes:
        offset: float16 array `(h, w, 2)`, in pixels (x, y).
        holds: bool array `(h, w)`: whether that is to be trusted.
    """

    offset: np.ndarray
    holds: np.ndarray


@dataclass(frozen=True)
class Link:
    """The motion between a frame and the one before it.

    Attributes:
        back: From this frame to the one before.
        onward: From the frame before to this one.
    """

    back: Way
    onward: Way


def link(before: np.ndarray, gray: np.ndarray) -> Link | None:
    """Measures the motion between two frames.

    Args:
        before: uint8 array `(h, w)`, the frame before, as `Small.gray`.
        gray: uint8 array `(h, w)`, this frame.

    Returns:
        `Link`, or None if the two have next to nothing in common.
    """
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # Grain has no motion of its own.
    before, gray = (cv2.GaussianBlur(one, (0, 0), _SOFT) for one in (before, gray))
    if min(gray.shape) < 24:  # DIS needs room for its patches.
        back = onward = np.zeros((*gray.shape, 2), np.float32)
    else:
        back, onward = flow.calc(gray, before, None), flow.calc(before, gray, None)
    flats = _flat(before), _flat(gray)

    def check(back, onward, difference):
        return (
            _holds(before, gray, flats[1], back, onward, difference),
            _holds(gray, before, flats[0], onward, back, difference),
        )

    back_holds, onward_holds = check(back, onward, _DIFFERENCE)
    if 1 - back_holds.mean() > _LOST:
        return None
    # What moves draws along the flow beside it, in a rim that was there before, too.
    back, onward = _mended(back, back_holds), _mended(onward, onward_holds)
    more_back, more_onward = check(back, onward, _AROUND_DIFFERENCE)
    half = np.float16
    return Link(
        Way(back.astype(half), back_holds | more_back),
        Way(onward.astype(half), onward_holds | more_onward),
    )


def _mended(way, holds):
    # Where the flow got lost, the mean motion of what holds around.
    side = (_AROUND, _AROUND)
    share = cv2.blur(holds.astype(np.float32), side)[..., None]
    mean = cv2.blur(way * holds[..., None], side) / np.maximum(share, 1e-3)
    return np.where(holds[..., None], way, mean)


def _flat(gray):
    # Where all is alike the flow wanders, and does no harm.
    seen = gray.astype(np.float32)
    mean = cv2.blur(seen, (9, 9))
    deviation = np.sqrt(np.maximum(cv2.blur(seen * seen, (9, 9)) - mean * mean, 0))
    return deviation < _FLAT + 1.5 * np.percentile(deviation[::2, ::2], 10)


def _holds(there, here, flat, way, return_way, most):
    # Whether `way` leads from each pixel of `here` to the same thing in `there`.
    height, width = here.shape
    x, y = targets(way)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    around = cv2.remap(return_way, x, y, cv2.INTER_LINEAR, borderMode=_REPLICATE)
    miss = cv2.magnitude(*cv2.split(way + around))
    length = cv2.magnitude(*cv2.split(way))
    allowed = _MISS + np.float32(_MISS_SHARE) * length + np.float32(_FLAT_MISS) * flat
    holds = inside & (miss < allowed)
    seen = here.astype(np.float32)
    found = cv2.remap(
        there.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=_REPLICATE
    )
    if holds.any():
        # Old film flickers: brightness and contrast are taken from this frame.
        mask = holds.astype(np.uint8)
        was, now = cv2.meanStdDev(found, mask=mask), cv2.meanStdDev(seen, mask=mask)
        (mean, deviation), (new_mean, new_deviation) = np.squeeze(was), np.squeeze(now)
        factor = np.float32((new_deviation + 1) / (deviation + 1))
        found = (found - np.float32(mean)) * factor + np.float32(new_mean)
    # Grain differs everywhere, a wrong way over a whole area.
    difference = cv2.blur(np.abs(seen - found), (5, 5))
    return holds & (difference < most + 2 * np.median(difference[::2, ::2]))


_grids: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}


def targets(offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gives the places that offsets lead to.

    Args:
        offset: float array `(h, w, 2)`, in pixels (x, y).

    Returns:
        x and y, float32 arrays `(h, w)`.
    """
    shape = offset.shape[:2]
    if shape not in _grids:
        grid = np.indices(shape).astype(np.float32)
        _grids[shape] = grid[1], grid[0]
    x, y = _grids[shape]
    return x + offset[..., 0], y + offset[..., 1]
