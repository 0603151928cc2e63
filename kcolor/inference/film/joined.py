"""Films whose times begin again: recordings joined byte by byte, the cells of a DVD.

The streams of such a film begin again one after the other, each at a packet of its
own. All get the same shift there, or sound and picture would part.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import numpy as np

# Seconds by which decode times have to go back. They never do within a recording, not
# with B-frames either, and what a muxer delivers late is late by some frames; FFmpeg's
# own program is content with 0.1 s. Appended clips may be no longer than a second.
_BACK = 0.5
# MPEG counts 33 bits at 90 kHz, and FFmpeg adds a whole round to times that lie below
# the first of a file: so more than half a round ahead is a way back.
_MPEG_CLOCK, _HALF_ROUND = Fraction(1, 90000), 1 << 32
# Packets that have to follow a step back, or else it is one damaged time.
_SUSTAINED = 3
# Packets about a join among which the last or first one shown is: more than any
# encoder puts in another order.
_REORDERED = 40


@dataclass
class Joins:
    """Where the streams of a film begin again.

    Attributes:
        shifts: For each stream that has to be shifted, by its index: numbers of
            packets, and the seconds to add from each on.
        frames: Packets of the video; 0 if its times do not begin again.
    """

    shifts: dict[int, list[tuple[int, Fraction]]] = field(default_factory=dict)
    frames: int = 0

    def shifted(self, packets: Iterable[Any]) -> Iterator[Any]:
        """Shifts the packets of a film, read from its beginning, to one clock."""
        if not self.shifts:
            yield from packets
            return
        counts: dict[int, int] = {}
        for packet in packets:
            index = packet.stream_index
            number = counts[index] = counts.get(index, -1) + 1
            own = self.shifts.get(index, [])
            at = bisect_right(own, number, key=lambda one: one[0])
            if at:
                ticks = round(own[at - 1][1] / packet.time_base)
                if packet.pts is not None:
                    packet.pts += ticks
                if packet.dts is not None:
                    packet.dts += ticks
            yield packet


def may_be_joined(container: Any) -> bool:
    """Says whether the times of such a container may begin again."""
    return bool(container.format.flags & av.format.Flags.ts_discont.value)


def find_joins(packets: Iterable[Any], video: Any) -> Joins:
    """Finds where the times of a film begin again.

    Args:
        packets: All packets of the film, in its order.
        video: PyAV's stream that leads: where it does not begin again, nothing does.

    Returns:
        `Joins`; empty for nearly every film.
    """
    tracks: dict[int, _Track] = {}
    for order, packet in enumerate(packets):
        if packet.stream_index not in tracks:
            tracks[packet.stream_index] = _Track(packet.stream)
        tracks[packet.stream_index].add(packet, order)
    lead = tracks.get(video.index)
    if lead is None:
        return Joins()
    begins = lead.steps_back()
    if not begins:
        return Joins()
    splits = {index: _splits(track, lead, begins) for index, track in tracks.items()}
    shifts: list[Fraction] = []
    for at in range(len(begins)):
        # As far as the stream needs that was shown the longest: none may overlap.
        needed = [
            track.gap(splits[index], at)
            for index, track in tracks.items()
            if track.is_shown and splits[index][at] is not None
        ]
        last = shifts[-1] if shifts else Fraction(0)
        shifts.append(last + max(gap for gap in needed if gap is not None))
    return Joins(
        {
            index: [
                (tracks[index].numbers[position], shift)
                for position, shift in zip(own, shifts, strict=True)
                if position is not None
            ]
            for index, own in splits.items()
        },
        lead.frames,
    )


class _Track:
    # The packets of a stream that have a time, in ticks of the stream.

    def __init__(self, stream):
        self.is_shown = stream.type in ("video", "audio")
        self._base = stream.time_base
        rate = stream.average_rate if stream.type == "video" else None
        self._usual = round(1 / (rate * self._base)) if rate else 0
        self.count = self.frames = 0
        self.numbers, self.orders, self.times, self.shown, self.ends = (
            array("q") for _ in range(5)
        )

    def add(self, packet, order):
        if packet.dts is not None:
            shown = packet.dts if packet.pts is None else packet.pts
            self.numbers.append(self.count)
            self.orders.append(order)
            self.times.append(packet.dts)
            self.shown.append(shown)
            self.ends.append(shown + (packet.duration or self._usual))
        self.count += 1
        self.frames += packet.size > 0

    def seconds(self, position):
        return float(self.times[position] * self._base)

    def steps_back(self):
        # Positions at which the times go back and stay there.
        if len(self.times) < 2:
            return []
        back = float(_BACK / self._base)
        ahead = _HALF_ROUND if self._base == _MPEG_CLOCK else np.inf
        steps: np.ndarray = np.diff(np.frombuffer(self.times, np.int64))
        usual = max(1.0, float(np.median(np.abs(steps))))
        found = []
        for at in (np.flatnonzero((steps < -back) | (steps > ahead)) + 1).tolist():
            last, time = self.times[at - 1], self.times[at]
            following = self.times[at : at + 1 + _SUSTAINED]
            stays = all(t <= last or t > last + ahead for t in following)
            # One damaged time ahead of the others: the film only returns to them.
            before = self.times[max(0, at - 1 - _SUSTAINED) : at - 1]
            returns = any(0 < time - t <= (_SUSTAINED + 1) * usual for t in before)
            if stays and not returns:
                found.append(at)
        return found

    def gap(self, splits, at):
        # Seconds between the end before a join and the beginning behind it.
        here = splits[at]
        if not here:
            return None
        earlier = [one for one in splits[max(0, at - 1) : at] if one is not None]
        later = [one for one in splits[at + 1 : at + 2] if one is not None]
        first = max([here - _REORDERED, *earlier, 0])
        last = min([here + _REORDERED, *later, len(self.times)])
        if first >= here or last <= here:
            return None
        return (max(self.ends[first:here]) - min(self.shown[here:last])) * self._base


def _splits(track, lead, begins):
    # For each join, the position from which on a track belongs to what comes then, or
    # None if nothing of it does.
    if track is lead:
        return begins
    joins = [lead.orders[at] for at in begins]
    near: dict[int, list[int]] = {}
    for at in track.steps_back():
        near.setdefault(_nearest(joins, track.orders[at]), []).append(at)
    splits: list[int | None] = []
    for number, (begin, join) in enumerate(zip(begins, joins, strict=True)):
        # Its own step back, which may come some packets before that of the video ...
        own = [at for at in near.get(number, ()) if _is_behind(track, at, lead, begin)]
        if own:
            splits.append(min(own, key=lambda at: abs(track.orders[at] - join)))
            continue
        # ... or, of subtitles, the first one that fits the new times.
        first = bisect_left(track.orders, join)
        last = len(track.orders)
        if number + 1 < len(joins):
            last = bisect_left(track.orders, joins[number + 1])
        following = (
            at for at in range(first, last) if _is_behind(track, at, lead, begin)
        )
        splits.append(next(following, None))
    return splits


def _nearest(joins, order):
    # Number of the join that is nearest in the file.
    at = bisect_left(joins, order)
    near = [one for one in (at - 1, at) if 0 <= one < len(joins)]
    return min(near, key=lambda one: abs(joins[one] - order))


def _is_behind(track, at, lead, begin):
    # Whether a packet is nearer to the times of the video behind a join than to those
    # of its own stream before.
    led = bisect_right(lead.orders, track.orders[at]) - 1
    time = track.seconds(at)
    old = track.seconds(at - 1) if at else lead.seconds(begin - 1)
    return abs(time - lead.seconds(max(begin, led))) <= abs(time - old)
