"""Writing films: stretches of encoded video, and the film put together from them.

A stretch is encoded by itself and kept as its bare packets, with their times in the
units of the film that is read, so that no container rounds them on the way. Sound,
subtitles, chapters and texts are copied from the source in the end.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from kcolor.errors import DataError
from kcolor.inference.film import chroma
from kcolor.inference.film.reading import (
    FULL,
    LIMITED,
    Facts,
    opened,
    packets,
    video_stream,
)
from kcolor.inference.film.settings import FilmSettings
from kcolor.parallel import cores


@dataclass(frozen=True)
class _Encoder:
    # Name that FFmpeg knows, formats from 8 bits up, options, the option that takes
    # quality with its values at 100 and 1, and whether sides have to be even.
    name: str
    formats: tuple[str, ...]
    options: dict[str, str]
    quality: tuple[str, int, int] | None = None
    is_even: bool = False


_YUV = ("yuv420p", "yuv420p10le", "yuv420p12le")
_ENCODERS = {
    "h264": _Encoder(
        "libx264", _YUV[:2], {"preset": "faster"}, ("crf", 8, 51), is_even=True
    ),
    "h265": _Encoder(
        "libx265",
        _YUV,
        {"preset": "fast", "x265-params": "log-level=error"},
        ("crf", 8, 51),
        is_even=True,
    ),
    "av1": _Encoder("libsvtav1", _YUV[:2], {"preset": "8"}, ("crf", 15, 63), True),
    "vp9": _Encoder(
        "libvpx-vp9",
        _YUV[:1],
        {"b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
        ("crf", 15, 63),
    ),
    "ffv1": _Encoder(
        "ffv1",
        ("yuv420p", "yuv420p10le", "yuv420p12le", "yuv420p16le"),
        {"level": "3", "slicecrc": "1", "g": "1"},
    ),
    "prores": _Encoder("prores_ks", ("yuv422p10le",), {"profile": "hq"}),
}
_QUALITY = 80
# OpenCV's number for the group of features that x264's AVX-512 code asks for; its
# Python module has no name for it.
_AVX512 = 256


@dataclass(frozen=True)
class Packets:
    """The packets of a stretch, in the order of the file.

    Attributes:
        data: Their bytes, one behind the other: a path of a file.
        sizes: int64 array, bytes of each.
        pts: int64 array, times in the film's units.
        keys: bool array, whether each can be jumped to.
    """

    data: Path
    sizes: np.ndarray
    pts: np.ndarray
    keys: np.ndarray


class Format:
    """How frames are coded: the encoder, its format and size."""

    def __init__(self, facts: Facts, settings: FilmSettings, target: Path) -> None:
        """Chooses the format.

        Args:
            facts: What the film says about itself.
            settings: What the user asks for.
            target: Path of the result, whose suffix may decide.

        Raises:
            DataError: If this build of FFmpeg lacks the encoder.
        """
        codec = settings.codec_for(target)
        encoder = _ENCODERS[codec]
        self._facts, self._encoder, self._codec = facts, encoder, codec
        try:
            av.codec.Codec(encoder.name, "w")
        except ValueError as error:
            raise DataError(
                f"{target}: FFmpeg was built without {encoder.name}, which "
                f"--codec {codec} needs"
            ) from error
        # The least depth that holds the film's, or the greatest there is.
        formats = [av.VideoFormat(name) for name in encoder.formats]
        fit = [one for one in formats if one.components[0].bits >= facts.depth]
        self._format = (fit or formats)[0 if fit else -1]
        self.depth = self._format.components[0].bits
        self._sides = [facts.height, facts.width]
        if encoder.is_even:
            self._sides = [side + side % 2 for side in self._sides]
        self._quality = settings.quality or _QUALITY
        self._threads = cores()
        # AVI has no place for what the others keep at the beginning.
        self._in_band = target.suffix.lower() == ".avi"

    @property
    def time_base(self) -> Fraction:
        """Unit of time of the packets, in seconds."""
        return self._facts.time_base

    @property
    def chroma_size(self) -> tuple[int, int]:
        """Height and width of a plane of chroma that belongs to the film's own size."""
        height, width = self._facts.height, self._facts.width
        return self._format.chroma_height(height), self._format.chroma_width(width)

    def describe(self) -> dict[str, object]:
        """Says what the packets depend on, as JSON takes it."""
        return {
            "encoder": self._encoder.name,
            "format": self._format.name,
            "sides": self._sides,
            "options": self._options(),
            "libraries": {k: list(v) for k, v in sorted(av.library_versions.items())},
        }

    def frame(self, luma: np.ndarray, planes: Sequence[np.ndarray], pts: int) -> Any:
        """Makes a frame for the encoder.

        Args:
            luma: uint8 or uint16 array, as the film has it.
            planes: Cb and Cr, of `chroma_size` and `depth`.
            pts: Time in the film's units.

        Returns:
            PyAV's frame.
        """
        height, width = self._sides
        frame = av.VideoFrame(width, height, self._format.name)
        luma = chroma.at_depth(luma, self._facts, self.depth)
        for values, plane in zip((luma, *planes), frame.planes, strict=True):
            chroma.copy_plane(values, plane)
        frame.pts = pts
        frame.time_base = self._facts.time_base
        return frame

    def own_chroma(self, picture: Any) -> list[np.ndarray]:
        """Gives the film's own chroma in this format.

        Args:
            picture: PyAV's frame, as read.

        Returns:
            Cb and Cr, of `chroma_size` and `depth`.
        """
        height, width = self.chroma_size
        dtype = np.uint8 if self.depth == 8 else np.uint16
        if self._facts.is_gray:
            return [np.full((height, width), 1 << (self.depth - 1), dtype)] * 2
        picture = picture.reformat(format=self._format.name)
        return [
            chroma.rows_of(plane, dtype)[:height, :width]
            for plane in picture.planes[1:]
        ]

    def open_encoder(self) -> Any:
        """Opens an encoder for one stretch; PyAV's context."""
        context = av.CodecContext.create(self._encoder.name, "w")
        context.options = self._options()
        if not self._in_band:
            context.flags |= av.codec.context.Flags.global_header
        self._set_up(context)
        return context

    def add_stream(self, container: Any) -> Any:
        """Adds a stream of this format to a container that is written.

        Raises:
            ValueError: If the container does not take the codec.
        """
        facts = self._facts
        stream = container.add_stream(
            self._encoder.name, rate=facts.rate, options=self._options()
        )
        self._set_up(stream.codec_context)
        stream.time_base = facts.time_base
        if self._codec == "h265" and container.format.name in ("mp4", "mov"):
            stream.codec_context.codec_tag = "hvc1"  # Apple's players take no other.
        if facts.rotation:
            stream.set_display_matrix(facts.rotation)
        return stream

    def _set_up(self, context):
        facts = self._facts
        context.height, context.width = self._sides
        context.pix_fmt = self._format.name
        context.time_base = facts.time_base
        context.framerate = facts.rate
        context.sample_aspect_ratio = facts.pixel_aspect
        # Colors need a matrix, also where a gray film named none.
        context.colorspace = facts.matrix
        context.color_range = FULL if facts.is_full else LIMITED
        context.color_primaries = facts.primaries
        context.color_trc = facts.transfer
        context.thread_count = self._threads
        context.thread_type = "AUTO"
        if facts.fields and self._codec in ("h264", "prores", "ffv1"):
            context.flags |= av.codec.context.Flags.interlaced_dct

    def _options(self):
        options = dict(self._encoder.options)
        if self._encoder.quality:
            name, best, worst = self._encoder.quality
            value = best + (100 - self._quality) / 2
            options[name] = str(min(worst, round(value)))
        special = []
        if self._codec == "h264" and cv2.checkHardwareSupport(_AVX512):
            # With AVX-512 x264's macroblock tree depends on chance: of 25 encodings of
            # the same 24 frames 2 to 8 differed, and a film that was interrupted would
            # not equal an undisturbed one.
            special.append("asm=AVX2")
        if self._facts.fields and self._codec == "h264":
            special.append("tff=1" if self._facts.fields == "top" else "bff=1")
        if special:
            options["x264-params"] = ":".join(special)
        return options


def encode(form: Format, frames: Iterable[Any], path: Path) -> Packets:
    """Encodes one stretch.

    Args:
        form: How.
        frames: Frames from `Format.frame`.
        path: File for the packets' bytes.

    Returns:
        `Packets`.

    Raises:
        OSError: If the disk does not take them.
    """
    sizes, pts, keys = [], [], []
    context = form.open_encoder()
    with path.open("wb") as file:
        for frame in itertools.chain(frames, [None]):
            for packet in context.encode(frame):
                file.write(bytes(packet))
                sizes.append(packet.size)
                pts.append(packet.pts)
                keys.append(packet.is_keyframe)
    return Packets(path, np.array(sizes), np.array(pts), np.array(keys, bool))


@dataclass(frozen=True)
class Times:
    """When the frames of a film are shown, in its units.

    Attributes:
        pts: int64 array, times of all frames, increasing.
        durations: int64 array, how long each is shown; 0 where the film does not say.
    """

    pts: np.ndarray
    durations: np.ndarray


def assemble(
    source: Path,
    target: Path,
    form: Format,
    stretches: Sequence[Packets],
    times: Times,
) -> list[str]:
    """Puts a film together: the new video, and from the source all the rest.

    Args:
        source: The film that was read.
        target: File to write.
        form: Format of the stretches.
        stretches: All of them, in order.
        times: Times of all frames.

    Returns:
        What of the source the target's container does not take, in words.

    Raises:
        DataError: If the container takes the video or a sound track not.
        OSError: If the disk does not take it.
    """
    options = {"movflags": "+faststart"} if _is_mp4(target) else {}
    with (
        opened(source) as old,
        av.open(str(target), "w", container_options=options) as new,
    ):
        video = video_stream(old)
        try:
            stream = form.add_stream(new)
        except ValueError as error:
            raise DataError(
                f"{target}: a {target.suffix} file does not take this codec"
            ) from error
        stream.metadata.update(video.metadata)
        stream.disposition = video.disposition
        copies, left_out = _add_copies(old, new, video)
        new.metadata.update(old.metadata)
        new.set_chapters(old.chapters())
        new.start_encoding()
        # Each packet of the source waits until the video is as far.
        coming = _video_packets(stretches, times, stream, form.time_base)
        held = next(coming, None)
        for packet, copy in _copied_packets(old, copies):
            at = packet.dts * packet.time_base
            while held is not None and held.dts * held.time_base <= at:
                new.mux(held)
                held = next(coming, None)
            packet.stream = copy
            new.mux(packet)
        while held is not None:
            new.mux(held)
            held = next(coming, None)
    return left_out


def _is_mp4(path):
    return path.suffix.lower() in (".mp4", ".m4v", ".mov")


def _add_copies(old, new, video):
    copies, left_out = {}, []
    for stream in old.streams:
        if stream is video or stream.index == video.index:
            continue
        context = stream.codec_context
        name = "of an unknown codec" if context is None else context.name
        try:
            copy = new.add_stream_from_template(stream, opaque=True)
        except (ValueError, AttributeError, av.error.FFmpegError) as error:
            if stream.type == "audio":
                raise DataError(
                    f"{new.name}: this kind of file does not take the film's sound "
                    f"({name}); write a .mkv"
                ) from error
            left_out.append(f"{stream.type} {name}")
            continue
        copy.metadata.update(stream.metadata)
        copy.disposition = stream.disposition
        copies[stream.index] = copy
    return copies, left_out


def _copied_packets(old, copies):
    # Packets of the streams that are copied, times strictly increasing in each.
    last: dict[int, int] = {}
    wanted = [old.streams[index] for index in copies]
    wanted = [stream for stream in wanted if stream.type != "attachment"]
    if not wanted:
        return
    for packet in packets(old, wanted):
        if packet.size == 0 and packet.dts is None:
            continue  # The end of a stream.
        index = packet.stream_index
        dts = packet.dts if packet.dts is not None else packet.pts
        earliest = last.get(index, -(1 << 62)) + 1
        if dts is None:
            dts = max(0, earliest)
        packet.dts = max(dts, earliest)
        if packet.pts is None or packet.pts < packet.dts:
            packet.pts = packet.dts
        last[index] = packet.dts
        yield packet, copies[index]


def _video_packets(stretches, times, stream, time_base) -> Iterator[Any]:
    pts = np.concatenate([stretch.pts for stretch in stretches])
    durations = dict(zip(times.pts.tolist(), times.durations.tolist(), strict=True))
    for (data, key), shown, decoded in zip(
        _stored(stretches), pts.tolist(), decode_times(pts).tolist(), strict=True
    ):
        packet = av.Packet(data)
        packet.stream = stream
        packet.time_base = time_base
        packet.pts, packet.dts = shown, decoded
        packet.duration = durations.get(shown, 0)
        packet.is_keyframe = key
        yield packet


def _stored(stretches):
    for stretch in stretches:
        with stretch.data.open("rb") as file:
            for size, key in zip(
                stretch.sizes.tolist(), stretch.keys.tolist(), strict=True
            ):
                yield file.read(size), key


def decode_times(pts: np.ndarray) -> np.ndarray:
    """Finds when packets have to be decoded.

    Encoders say it for their own stretch alone, and of two stretches of a film with
    uneven times the second may then begin before the first has ended.

    Args:
        pts: int64 array, when each packet is shown, in the order of the file.

    Returns:
        int64 array: increasing, nowhere later than `pts`.
    """
    shown = np.sort(pts)
    rank = np.searchsorted(shown, pts)
    delay = max(0, int((np.arange(len(pts)) - rank).max())) if len(pts) else 0
    if not delay:
        return shown
    step = max(1, int(np.diff(shown).min())) if len(pts) > 1 else 1
    early = shown[0] - step * np.arange(delay, 0, -1)
    return np.concatenate([early, shown])[: len(pts)]
