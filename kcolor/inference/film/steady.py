"""Colors that do not flicker: a mean of what the network says, taken along the motion.

Everything happens in the small view. A frame's ab is averaged with that of the frames
before and behind, carried to it along optical flow; where the flow is not to be trusted
the mean begins anew, so that no color stays behind a moving object. Arrays only: the
film itself is the business of `colorize`.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

# Frames that are handed out at a time, and those looked at behind them. Memory is these
# frames, 0.8 MB each; a longer look changes the colors at a seam by less than 0.2.
WINDOW = 64
LOOKAHEAD = 48
# A new frame has at least this share of the mean: colors follow a change in time.
_CAP = 48
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
# Side in pixels of the cells in which colors are corrected as around them.
_CELL = 8
# Share of pixels that lost their way from which on a frame starts a shot.
_LOST = 0.75
# Cuts: side of the thumbnails, the least mean difference of two of them in units of
# their deviation, the factor by which it has to exceed its neighbors', and how many.
_THUMBNAIL = 96
_CUT = 0.35
_CUT_RATIO = 2.5
CUT_REACH = 3


@dataclass(frozen=True)
class State:
    """What a frame leaves to the one behind it.

    Attributes:
        mean: float16 array of shape `(h, w, 2)`, ab / 110.
        count: uint8 array of shape `(h, w)`, frames that the mean is of, 1 to 48.
    """

    mean: np.ndarray
    count: np.ndarray


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


@dataclass
class Small:
    """One frame as the network sees it.

    Attributes:
        gray: uint8 array `(h, w)`, gamma-encoded, as photographs are.
        ab: float16 array `(h, w, 2)`, a* and b* / 110, as the network says.
        link: Motion from the frame before; None where a shot starts.
    """

    gray: np.ndarray
    ab: np.ndarray
    link: Link | None = None


@dataclass(frozen=True)
class Window:
    """Frames whose colors are settled.

    Attributes:
        frames: Their `Small`s, with steady `ab`.
        ends_shot: Whether a cut, or the end of the film, comes next.
        state: State of the last of them.
    """

    frames: list[Small]
    ends_shot: bool
    state: State


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
    x, y = _targets(way)
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


_REPLICATE = cv2.BORDER_REPLICATE
_grids: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}


def _targets(way):
    shape = way.shape[:2]
    if shape not in _grids:
        y, x = np.indices(shape, np.float32)
        _grids[shape] = x, y
    x, y = _grids[shape]
    return x + way[..., 0], y + way[..., 1]


def _carry(state, way, ab):
    # The mean of the neighbor, carried here, and this frame's own colors.
    x, y = _targets(way.offset)
    count = cv2.remap(state.count, x, y, cv2.INTER_LINEAR, borderMode=_REPLICATE)
    mean = state.mean.astype(np.float32)
    mean = cv2.remap(mean, x, y, cv2.INTER_LINEAR, borderMode=_REPLICATE)
    count = np.minimum(count * way.holds, _CAP - 1)
    weight = count.astype(np.float32)[..., None]
    mean = (mean * weight + ab) / (weight + 1)
    return State(mean.astype(np.float16), count + np.uint8(1))


def _begin(ab):
    return State(ab, np.ones(ab.shape[:2], np.uint8))


def _after(state, small):
    if state is None or small.link is None:
        return _begin(small.ab)
    return _carry(state, small.link.back, small.ab)


@dataclass(frozen=True)
class _Held:
    # A frame whose colors are settled once those behind it are known: the way back has
    # done its part, the way from the frame before to this one has not.
    gray: np.ndarray
    ab: np.ndarray
    state: State
    onward: Way | None


def windows(
    frames: Iterable[Small], mode: str = "both", state: State | None = None
) -> Iterator[Window]:
    """Steadies the colors of a film, with the memory of a few seconds of it.

    Args:
        frames: The frames in order.
        mode: `"off"`, `"forward"` or `"both"`.
        state: State of the frame before the first of them, when going on in the middle
            of a film.

    Yields:
        `Window`s, which hold all frames in order. One ends at every cut; a shot longer
        than 64 frames has several.
    """
    held: deque[_Held] = deque()
    lookahead = LOOKAHEAD if mode == "both" else 0
    for small in frames:
        if small.link is None and held:
            yield _settle(held, len(held), mode, ends_shot=True)
        state = _after(state, small) if mode != "off" else _begin(small.ab)
        onward = small.link and small.link.onward
        held.append(_Held(small.gray, small.ab, state, onward))
        if len(held) == WINDOW + lookahead:
            yield _settle(held, WINDOW, mode, ends_shot=False)
    if held:
        yield _settle(held, len(held), mode, ends_shot=True)


def _settle(held, count, mode, ends_shot):
    # Takes `count` frames off, their colors settled.
    if mode == "both":
        settled = _both_ways(held, count)
    else:
        settled = [one.state.mean for one in list(held)[:count]]
    window = []
    for ab in settled:
        one = held.popleft()
        window.append(Small(one.gray, ab))
    return Window(window, ends_shot, one.state)


def _both_ways(held, count):
    settled = []
    behind = onward = None
    for at in range(len(held) - 1, -1, -1):
        one = held[at]
        behind = _begin(one.ab) if onward is None else _carry(behind, onward, one.ab)
        onward = one.onward
        if at >= count:
            continue
        # Both means hold the frame itself: it counts once.
        own = one.state.count.astype(np.float32)[..., None]
        other = behind.count.astype(np.float32)[..., None]
        frames = own + other - 1
        mean = (one.state.mean * own + behind.mean * other - one.ab) / frames
        settled.append(_as_around(one.ab, mean, frames).astype(np.float16))
    return settled[::-1]


def _as_around(ab, mean, frames):
    # A pixel that is alone has no mean, and would flicker on: it is corrected as those
    # close to it are. That has less of a say the more `frames` its mean is of.
    height, width = ab.shape[:2]
    cells = max(1, width // _CELL), max(1, height // _CELL)

    def near(values):
        small = cv2.resize(values, cells, interpolation=cv2.INTER_AREA)
        return cv2.GaussianBlur(small, (0, 0), 0.6)

    weight = near(frames - 1).reshape(*cells[::-1], 1) + np.float32(1e-3)
    around = near((mean - ab) * (frames - 1)).reshape(*cells[::-1], 2) / weight
    around = cv2.resize(around, (width, height), interpolation=cv2.INTER_LINEAR)
    return mean + (ab + around - mean) / frames**2


def with_cuts(
    views: Iterable[np.ndarray],
) -> Iterator[tuple[np.ndarray | None, np.ndarray, bool]]:
    """Finds the cuts of a film.

    Args:
        views: uint8 arrays `(h, w)`, the small frames in order.

    Yields:
        `(before, view, cut)`, three frames late: the frame before or None, the frame,
        and whether a shot starts with it. A cut is decided on the 4 frames before and
        the 3 behind, so that it may be looked for from the middle of a film on.
    """
    held: list[tuple[np.ndarray, float]] = []
    at = 0
    last = None

    def judged():
        cut = _is_cut([difference for _, difference in held], at)
        return held[at - 1][0] if at else None, held[at][0], cut

    for view in views:
        last, before = _thumbnail(view), last
        difference = 0.0 if before is None else float(np.abs(last - before).mean())
        held.append((view, difference))
        if len(held) - at > CUT_REACH:
            yield judged()
            at += 1
            if at > CUT_REACH + 1:
                del held[0]
                at -= 1
    while at < len(held):
        yield judged()
        at += 1


def _thumbnail(view):
    # Of mean 0 and deviation 1, so that a flicker of the exposure is no cut.
    scale = min(1.0, _THUMBNAIL / max(view.shape))
    size = [max(1, round(side * scale)) for side in view.shape[::-1]]
    small = cv2.resize(view, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return (small - small.mean()) / (small.std() + 8)


def _is_cut(differences, at):
    # Whether a frame differs much more from the one before than its neighbors do.
    around = sorted(differences[max(0, at - CUT_REACH) : at + CUT_REACH + 1])
    usual = around[-2] if len(around) > 1 else 0.0
    own = differences[at]
    return own == around[-1] and own > max(_CUT, _CUT_RATIO * usual)
