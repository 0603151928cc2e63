"""Reading films: every container and codec that FFmpeg reads, damaged ones too.

A frame is its plane of luma and its time. Frames come out in the same order with the
same content however often a film is read, damaged or not: colors are found in one pass
and painted in another, and an interrupted job counts on it, too.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from kcolor.errors import DataError
from kcolor.inference.film.joined import Joins, find_joins, may_be_joined

# Formats whose first plane is luma and nothing else, in the machine's own order.
_PLANAR = re.compile(r"(yuva?j?4\d\dp|gray)(9|10|12|14|16)?(le)?|nv(12|16|21|24)")
# What Matroska writes about the length of a stream.
_DURATION = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
# Errors of a container, each of which ends its reading, that are passed over.
_PATIENCE = 50
# FFmpeg's numbers for color tags (ITU-T H.273).
RGB, BT709, UNSPECIFIED, BT601, BT2020 = 0, 1, 2, 6, 9
LIMITED, FULL = 1, 2
# FFmpeg's numbers for the field that is stored and shown first; the other two differ.
TOP_FIRST, BOTTOM_FIRST = 2, 3
_BOTTOM_SHOWN_FIRST = (BOTTOM_FIRST, 4)


@dataclass
class Frame:
    """One frame in the order it is shown.

    Attributes:
        luma: uint8 or uint16 array `(height, width)`, as coded.
        pts: Time it is shown at, in units of `Facts.time_base`; increases strictly.
        duration: In the same units; 0 if the film does not say.
        picture: PyAV's frame.
    """

    luma: np.ndarray
    pts: int
    duration: int
    picture: Any


@dataclass(frozen=True)
class Facts:
    """What a film says about itself.

    Attributes:
        height: Height of a frame as stored, in pixels.
        width: Width of a frame as stored.
        depth: Bits of luma.
        is_full: Whether luma uses its whole range.
        is_gray: Whether the film has no planes of color.
        matrix: Number of the matrix between RGB and YUV (ITU-T H.273); for films that
            do not say, the one their size suggests.
        primaries: Number of the primaries, 2 if unspecified.
        transfer: Number of the transfer characteristic, 2 if unspecified.
        time_base: Unit of time in seconds.
        rate: Frames per second, on average.
        pixel_aspect: Width of a pixel over its height.
        rotation: Nine numbers of the matrix by which players turn the film, or None.
        fields: None, or `"top"` or `"bottom"`, the field that comes first.
        frames: Number of frames, guessed by length and rate where the film only says
            those; 0 if it says nothing.
        end: Time at which the film says it ends, in seconds, or 0 if it does not.
        has_alpha: Whether the film holds transparency.
    """

    height: int
    width: int
    depth: int
    is_full: bool
    is_gray: bool
    matrix: int
    primaries: int
    transfer: int
    time_base: Fraction
    rate: Fraction
    pixel_aspect: Fraction
    rotation: tuple[int, ...] | None
    fields: str | None
    frames: int
    end: float
    has_alpha: bool


@dataclass
class Film:
    """A film that can be read again and again.

    Attributes:
        path: The file.
        facts: What it says about itself.
        joins: Where its times begin again.
        damaged: Frames that the last pass found damaged.
    """

    path: Path
    max_megapixels: float = 100.0
    facts: Facts = field(init=False)
    joins: Joins = field(init=False, default_factory=Joins)
    damaged: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Opens the film and reads its first frame.

        Raises:
            DataError: If it is no film, or none that can be decoded.
            OSError: If the file cannot be read.
        """
        with opened(self.path) as container:
            stream = self._stream(container)
            pictures = (picture for picture, _ in self._decoded(container, stream))
            first = next((picture for picture in pictures if picture), None)
            if first is None:
                raise DataError(f"{self.path}: not one frame of it can be decoded")
            self.facts = _facts(container, stream, first)
            is_suspect = may_be_joined(container)
        if is_suspect:
            with opened(self.path) as container:
                every = packets(container, list(container.streams))
                self.joins = find_joins(every, video_stream(container))
        if self.joins.shifts:
            # What such a film says of its length is that of a part.
            self.facts = replace(self.facts, frames=self.joins.frames, end=0.0)

    def frames(self) -> Iterator[Frame]:
        """Reads the film from its beginning.

        Yields:
            The frames, in the order they are shown. One that is damaged is the frame
            before it again, at its own time.
        """
        self.damaged = 0
        clock = _Clock(self.facts)
        last = None
        with opened(self.path) as container:
            stream = self._stream(container)
            for picture, times in self._decoded(container, stream):
                if picture is None:
                    # Nothing was shown yet that could be repeated.
                    if last is None:
                        continue
                    pts = clock.fit(times)
                    yield Frame(last.luma, pts, last.duration, last.picture)
                    continue
                pts = clock.fit(picture.pts)
                if picture.is_corrupt and last is not None:
                    self.damaged += 1
                    yield Frame(last.luma, pts, last.duration, last.picture)
                    continue
                picture = self._as_first(picture)
                last = Frame(luma_of(picture), pts, picture.duration or 0, picture)
                yield last

    def _stream(self, container):
        stream = video_stream(container)
        if stream is None:
            raise DataError(f"{self.path}: holds no video")
        if stream.codec_context is None:
            raise DataError(f"{self.path}: its video has a codec that is not known")
        context = stream.codec_context
        megapixels = context.width * context.height / 1e6
        if megapixels > self.max_megapixels:
            raise DataError(
                f"{self.path}: frames of {context.width}x{context.height} are over "
                f"{self.max_megapixels:g} megapixels"
            )
        # With a frame on each core, what damage leaves behind depends on chance.
        context.thread_type = "SLICE"
        return stream

    def _decoded(self, container, stream):
        # Pairs (picture, None), and (None, pts) for a packet that gave no picture.
        lost: list[int] = []
        for packet in self.joins.shifted(packets(container, stream)):
            try:
                pictures = packet.decode()
            except av.error.FFmpegError as error:
                if isinstance(error, MemoryError):
                    raise DataError(f"{self.path}: not enough memory") from error
                self.damaged += 1
                if packet.pts is not None:
                    lost.append(packet.pts)
                continue
            for picture in pictures:
                while lost and (picture.pts is None or min(lost) < picture.pts):
                    lost.remove(earliest := min(lost))
                    yield None, earliest
                yield picture, None
        for pts in sorted(lost):
            yield None, pts

    def _as_first(self, picture):
        # A film may change its size or format on the way; the result cannot.
        facts = self.facts
        if (picture.width, picture.height) != (facts.width, facts.height):
            picture = _converted(picture, width=facts.width, height=facts.height)
        if depth_of(picture) != facts.depth:
            name = "yuv420p" if facts.depth == 8 else f"yuv420p{facts.depth}le"
            picture = _converted(picture, format=name)
        return picture


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Opens a film for reading.

    Yields:
        PyAV's container.

    Raises:
        DataError: If FFmpeg does not know what it is.
        OSError: If the file cannot be read.
    """
    try:
        # Texts in an old encoding are no reason to fail.
        container = av.open(str(path), metadata_errors="replace")
    except av.error.FFmpegError as error:
        if isinstance(error, OSError) and not isinstance(error, ValueError):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise DataError(f"{path}: not a film that can be read") from error
    with container:
        yield container


def video_stream(container: Any) -> Any:
    """Chooses the video of a container: the first that is no cover picture, or None."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    return None


def packets(container: Any, streams: Any) -> Iterator[Any]:
    """Reads the packets of streams, past damage."""
    # Demuxing ends at damage; what lies behind it may be whole.
    for _ in range(_PATIENCE):
        try:
            yield from container.demux(streams)
        except av.error.FFmpegError:
            continue
        return


def luma_of(picture: Any) -> np.ndarray:
    """Gives the luma of a frame, without a copy.

    Args:
        picture: PyAV's frame, in a format that `_as_first` lets pass.

    Returns:
        uint8 or uint16 array `(height, width)`.
    """
    if not _PLANAR.fullmatch(picture.format.name):
        picture = _as_planar(picture)
    dtype = np.dtype(np.uint8 if depth_of(picture) == 8 else np.uint16)
    plane = picture.planes[0]
    rows = np.frombuffer(plane, dtype)
    return rows.reshape(-1, plane.line_size // dtype.itemsize)[
        : picture.height, : picture.width
    ]


def is_turned(rotation: tuple[int, ...] | None) -> bool:
    """Says whether players turn or mirror a film, by its display matrix or None."""
    if rotation is None:
        return False
    a, b, c, d = (rotation[at] for at in (0, 1, 3, 4))
    return a <= 0 or d <= 0 or bool(b or c)


def depth_of(picture: Any) -> int:
    """Gives the bits of luma that `luma_of` hands out."""
    name = picture.format.name
    if _PLANAR.fullmatch(name):
        return picture.format.components[0].bits
    return 8 if max(part.bits for part in picture.format.components) <= 8 else 10


def _as_planar(picture):
    name = "yuv420p" if depth_of(picture) == 8 else "yuv420p10le"
    return _converted(picture, format=name)


def _converted(picture, **how):
    converted = picture.reformat(**how, dst_colorspace=_swscale_matrix(picture))
    converted.pts, converted.time_base = picture.pts, picture.time_base
    converted.duration = picture.duration
    return converted


def _swscale_matrix(picture):
    # The matrix stays what it is; RGB gets BT.709, which its tag then says.
    return "itu601" if picture.colorspace in (5, BT601) else "itu709"


def _facts(container, stream, picture):
    context = stream.codec_context
    name = picture.format.name
    is_gray = name.startswith("gray")
    is_rgb = picture.format.is_rgb or name == "pal8"
    is_full = picture.color_range == FULL or name.startswith("yuvj")
    if is_gray and picture.color_range != LIMITED:
        is_full = True  # FFmpeg's own reading of gray formats without a tag.
    matrix = picture.colorspace
    if is_rgb:
        matrix, is_full = BT709, False
    elif matrix in (RGB, UNSPECIFIED):
        matrix = BT709 if picture.height >= 720 else BT601
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    seconds, end = _length(container, stream)
    length = stream.frames or round(seconds * rate)
    aspect = stream.sample_aspect_ratio or Fraction(1)
    order = int(context.field_order or 0)
    return Facts(
        height=picture.height,
        width=picture.width,
        depth=depth_of(picture),
        is_full=is_full,
        is_gray=is_gray,
        matrix=int(matrix),
        primaries=int(picture.color_primaries),
        transfer=int(picture.color_trc),
        time_base=stream.time_base,
        rate=Fraction(rate),
        pixel_aspect=aspect if 0.1 < aspect < 10 else Fraction(1),
        rotation=_rotation(picture),
        fields=("bottom" if order in _BOTTOM_SHOWN_FIRST else "top")
        if picture.interlaced_frame or order >= TOP_FIRST
        else None,
        frames=max(0, int(length)),
        end=float(end),
        has_alpha=any(part.is_alpha for part in picture.format.components)
        or stream.metadata.get("alpha_mode") == "1",
    )


def _length(container, stream):
    # How long the video is and when it ends, in seconds; 0 if the film does not say.
    if stream.duration and "matroska" not in container.format.name:
        seconds = stream.duration * stream.time_base
        return seconds, seconds + (stream.start_time or 0) * stream.time_base
    # Matroska says of the whole film when it ends, and sound may go on for longer.
    seconds = Fraction(max(0, container.duration or 0), av.time_base)
    if own := _DURATION.fullmatch(stream.metadata.get("DURATION", "")):
        hours, minutes, rest = own.groups()
        seconds = min(seconds, 3600 * int(hours) + 60 * int(minutes) + Fraction(rest))
    return seconds, seconds


def _rotation(picture):
    data = picture.side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    return tuple(int(n) for n in np.frombuffer(bytes(data), np.int32))


class _Clock:
    # Gives every frame a time, later than the one before.

    def __init__(self, facts):
        self._step = max(1, round(1 / (facts.rate * facts.time_base)))
        self._last = None

    def fit(self, pts):
        if pts is None:
            pts = 0 if self._last is None else self._last + self._step
        if self._last is not None and pts <= self._last:
            pts = self._last + 1
        self._last = pts
        return pts
