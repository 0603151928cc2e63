"""Encoding films: how a film is encoded, and one stretch of it.

A stretch is encoded by itself and kept as its bare packets, with their times in the
units of the film that is read, so that no container rounds them on the way.
"""

import itertools
from collections.abc import Iterable, Sequence
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
    BOTTOM_FIRST,
    FULL,
    LIMITED,
    TOP_FIRST,
    Facts,
    is_turned,
)
from kcolor.inference.film.settings import FilmSettings
from kcolor.parallel import cores


@dataclass(frozen=True)
class _Encoder:
    # Name that FFmpeg knows, formats from 8 bits up, options, the option that takes
    # quality with its values at 100 and 1, whether sides have to be even, and whether
    # it can say that frames are interlaced.
    name: str
    formats: tuple[str, ...]
    options: dict[str, str]
    quality: tuple[str, int, int] | None = None
    is_even: bool = False
    has_fields: bool = False


_YUV = ("yuv420p", "yuv420p10le", "yuv420p12le")
_ENCODERS = {
    "h264": _Encoder(
        "libx264", _YUV[:2], {"preset": "faster"}, ("crf", 8, 51), True, True
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
        has_fields=True,
    ),
    "prores": _Encoder(
        "prores_ks", ("yuv422p10le",), {"profile": "hq"}, has_fields=True
    ),
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
            DataError: If this build of FFmpeg lacks the encoder, or the container
                would let a film that players turn lie on its side.
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
        if self._in_band and is_turned(facts.rotation):
            raise DataError(
                f"{target}: an .avi file cannot say that the film is turned; write a "
                ".mkv or .mp4"
            )

    @property
    def time_base(self) -> Fraction:
        """Unit of time of the packets, in seconds."""
        return self._facts.time_base

    @property
    def chroma_size(self) -> tuple[int, int]:
        """Height and width of a plane of chroma that belongs to the film's own size."""
        height, width = self._facts.height, self._facts.width
        return self._format.chroma_height(height), self._format.chroma_width(width)

    def left_out(self) -> list[str]:
        """Says what of the film the codec does not keep, in words."""
        left_out = []
        if self._facts.fields and not self._encoder.has_fields:
            keep = ", ".join(name for name, one in _ENCODERS.items() if one.has_fields)
            left_out.append(f"that frames are interlaced ({keep} keep it)")
        if self._facts.has_alpha:
            left_out.append("transparency")
        return left_out

    def padding(self) -> str | None:
        """Says in words that frames get an edge, or None if they do not."""
        height, width = self._sides
        if (height, width) == (self._facts.height, self._facts.width):
            return None
        size = f"{self._facts.width}x{self._facts.height}"
        return f"{size} padded to {width}x{height}: {self._codec} needs even sides"

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
        if facts.fields and self._encoder.has_fields:
            context.flags |= av.codec.context.Flags.interlaced_dct
            context.field_order = TOP_FIRST if facts.fields == "top" else BOTTOM_FIRST

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
