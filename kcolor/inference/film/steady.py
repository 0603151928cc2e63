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

from kcolor.inference.film.motion import Link, Way, targets

# Frames that are handed out at a time, and those looked at behind them. Memory is these
# frames, 0.8 MB each; a longer look changes the colors at a seam by less than 0.2.
WINDOW = 40
LOOKAHEAD = 48
# A new frame has at least this share of the mean: colors follow a change in time.
_CAP = 48
# Side in pixels of the cells in which colors are corrected as around them.
_CELL = 8
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


@dataclass
class Small:
    """One frame as the network sees it.

    Attributes:
        gray: uint8 array `(h, w)`, gamma-encoded, as photographs are.
        ab: float16 array `(h, w, 2)`, a* and b* / 110, as `Colorizer.predict` says.
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


def _carry(state, way, ab):
    # The mean of the neighbor, carried here, and this frame's own colors.
    to = targets(way.offset)
    edge = cv2.BORDER_REPLICATE
    count = cv2.remap(state.count, to, None, cv2.INTER_LINEAR, borderMode=edge)
    mean = state.mean.astype(np.float32)
    mean = cv2.remap(mean, to, None, cv2.INTER_LINEAR, borderMode=edge)
    count = np.minimum(count * way.holds, _CAP - 1) + np.uint8(1)
    mean += _twice(1 / count.astype(np.float32)) * (ab - mean)
    return State(mean.astype(np.float16), count)


def _twice(plane):
    # For a* and b*: NumPy takes five times as long to broadcast over two channels.
    return cv2.merge([plane, plane])


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
        than 40 frames has several.
    """
    held: deque[_Held] = deque()
    lookahead = LOOKAHEAD if mode == "both" else 0
    for small in frames:
        if small.link is None and held:
            yield _settle(held, len(held), mode, ends_shot=True)
        state = _after(state, small) if mode != "off" else _begin(small.ab)
        onward = small.link.onward if small.link else None
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
        own = one.state.count.astype(np.float32)
        other = behind.count.astype(np.float32)
        frames = own + other - 1
        total = one.state.mean * _twice(own) + behind.mean * _twice(other)
        mean = (total - one.ab) / _twice(frames)
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

    weight = near(frames - 1) + np.float32(1e-3)
    around = near((mean - ab) * _twice(frames - 1)) / _twice(weight)
    around = cv2.resize(around, (width, height), interpolation=cv2.INTER_LINEAR)
    return mean + (ab + around - mean) / _twice(frames**2)


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
