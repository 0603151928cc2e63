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
# Where the flow got lost other motions are tried: the levels by which lightness may
# differ then, more leaves colors behind moving objects; the side in pixels of the area
# around; the pixels between those that tell the camera's motion, and how often those
# of them that go their own way are left out.
_TRIED_DIFFERENCE = 3.0
_AROUND = 17
_CAMERA_STEP = 8
_CAMERA_FITS = 4
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
    for motion in (_around, _camera):
        back = _kept(back, back_holds, motion(back, back_holds))
        onward = _kept(onward, onward_holds, motion(onward, onward_holds))
        more_back, more_onward = check(back, onward, _TRIED_DIFFERENCE)
        back_holds, onward_holds = back_holds | more_back, onward_holds | more_onward
    half = np.float16
    return Link(
        Way(back.astype(half), back_holds),
        Way(onward.astype(half), onward_holds),
    )


def _kept(values, mask, others):
    # `np.where` for two channels, at a tenth of the time.
    return cv2.copyTo(values, mask.view(np.uint8), others)


def _around(way, holds):
    # The mean motion of what holds around.
    side = (_AROUND, _AROUND)
    share = np.maximum(cv2.blur(holds.astype(np.float32), side), np.float32(1e-3))
    held = cv2.blur(cv2.copyTo(way, holds.view(np.uint8)), side)
    return cv2.divide(held, cv2.merge([share, share]))


def _camera(way, holds):
    # How the whole picture shifts, turns and grows, as far as most of it does.
    every = slice(_CAMERA_STEP // 2, None, _CAMERA_STEP)
    grid, held, offsets = (
        np.reshape(one[every, every], (-1, *one.shape[2:]))
        for one in (_grid(holds.shape), holds, way)
    )
    places = np.insert(grid, 0, 1, axis=1)
    matrix: np.ndarray = np.zeros((3, 2), np.float32)
    chosen = held
    for _ in range(_CAMERA_FITS):
        if chosen.sum() < 12:
            break
        matrix = np.linalg.lstsq(places[chosen], offsets[chosen])[0]
        miss = np.linalg.norm(offsets - places @ matrix, axis=-1)
        chosen = held & (miss <= max(_MISS, np.median(miss[chosen])))
    grid = _grid(holds.shape)
    x, y = grid[:1, :, 0], grid[:, :1, 1]
    return cv2.merge([start + x * along + y * down for start, along, down in matrix.T])


def _flat(gray):
    # Where all is alike the flow wanders, and does no harm.
    seen = gray.astype(np.float32)
    mean = cv2.blur(seen, (9, 9))
    deviation = np.sqrt(np.maximum(cv2.blur(seen * seen, (9, 9)) - mean * mean, 0))
    return deviation < _FLAT + 1.5 * np.percentile(deviation[::2, ::2], 10)


def _holds(there, here, flat, way, return_way, most):
    # Whether `way` leads from each pixel of `here` to the same thing in `there`.
    to = targets(way)
    # There is no way back from outside.
    around = cv2.remap(return_way, to, None, cv2.INTER_LINEAR, borderValue=(1e6, 1e6))
    miss = cv2.magnitude(*cv2.split(way + around))
    length = cv2.magnitude(*cv2.split(way))
    allowed = _MISS + np.float32(_MISS_SHARE) * length + np.float32(_FLAT_MISS) * flat
    holds = miss < allowed
    seen = here.astype(np.float32)
    found = cv2.remap(
        there.astype(np.float32), to, None, cv2.INTER_LINEAR, borderMode=_REPLICATE
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


_grids: dict[tuple[int, int], np.ndarray] = {}


def _grid(shape):
    # Each pixel's own place (x, y).
    if shape not in _grids:
        y, x = np.indices(shape, np.float32)
        _grids[shape] = np.stack([x, y], axis=-1)
    return _grids[shape]


def targets(offset: np.ndarray) -> np.ndarray:
    """Gives the places that offsets lead to.

    Args:
        offset: float array `(h, w, 2)`, in pixels (x, y).

    Returns:
        float32 array `(h, w, 2)`, in pixels (x, y).
    """
    return _grid(offset.shape[:2]) + offset
