"""Small film files with all that a film can hold, and reading them back."""

from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np

QUARTER_TURN = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)


def write_film(
    path,
    grays,
    *,
    codec="libx264",
    pix_fmt="yuv420p",
    times=None,
    time_base=Fraction(1, 12800),
    step=512,
    sound=False,
    subtitles=False,
    chapters=False,
    metadata=None,
    rotation=None,
    pixel_aspect=None,
    options=None,
    full=False,
):
    """Writes gray pictures as a film; sound is a tone in AAC or, in .mkv, FLAC."""
    height, width = grays[0].shape
    times = times or [step * at for at in range(len(grays))]
    with av.open(str(path), "w") as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=25, options=options or {"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.time_base = stream.time_base = time_base
        if full:
            stream.codec_context.color_range = 2
        if pixel_aspect:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if rotation:
            stream.set_display_matrix(rotation)
        tone = text = None
        if sound:
            name = "flac" if path.suffix == ".mkv" else "aac"
            tone = container.add_stream(name, rate=44100)
            tone.metadata["language"] = "fra"
        if subtitles:
            text = container.add_mux_stream("subrip")
        if chapters:
            container.set_chapters(
                [
                    {
                        "id": 1,
                        "start": 0,
                        "end": 400,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": "The beginning"},
                    }
                ]
            )
        for gray, pts in zip(grays, times, strict=True):
            frame = _frame(gray, pix_fmt, full)
            frame.pts, frame.time_base = pts, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if tone:
            _add_tone(container, tone, times[-1] * time_base)
        if text:
            packet = av.Packet(b"A line that is said.")
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            packet.pts = packet.dts = 80
            packet.duration = 300
            container.mux(packet)
    return path


def _frame(gray, pix_fmt, full):
    height, width = gray.shape
    depth = av.VideoFormat(pix_fmt).components[0].bits
    top = (1 << depth) - 1
    span = (0, top) if full or pix_fmt.startswith("gray") else None
    low, high = span or (16 << (depth - 8), 235 << (depth - 8))
    dtype = np.uint8 if depth == 8 else np.uint16
    luma = (gray.astype("float64") / 255 * (high - low) + low + 0.5).astype(dtype)
    frame = av.VideoFrame(width, height, pix_fmt)
    for at, plane in enumerate(frame.planes):
        rows = np.frombuffer(plane, dtype).reshape(-1, plane.line_size // luma.itemsize)
        rows[:] = 1 << (depth - 1)
        if at == 0:
            rows[:height, :width] = luma
    return frame


def _add_tone(container, stream, seconds):
    count = int(44100 * (float(seconds) + 0.04))
    wave = 0.3 * np.sin(np.arange(count) * 0.06)
    name = stream.codec_context.format.name
    wave = (wave * 32767).astype("int16") if name == "s16" else wave.astype("float32")
    at = 0
    while at < count:
        part = wave[at : at + 1024]
        planar = np.stack([part, part]) if name.endswith("p") else None
        if planar is None:
            planar = np.repeat(part, 2)[None]
        frame = av.AudioFrame.from_ndarray(planar, format=name, layout="stereo")
        frame.sample_rate, frame.pts = 44100, at
        frame.time_base = Fraction(1, 44100)
        container.mux(stream.encode(frame))
        at += 1024
    container.mux(stream.encode())


@dataclass
class Held:
    """What a film file holds."""

    lumas: list = field(default_factory=list)
    frames: list = field(default_factory=list)
    times: list = field(default_factory=list)
    sound: list = field(default_factory=list)
    sound_times: list = field(default_factory=list)
    texts: list = field(default_factory=list)
    chapters: list = field(default_factory=list)
    metadata: dict = field(default_factory=dict)
    languages: list = field(default_factory=list)
    rotation: int = 0
    stream: object = None
    pix_fmt: str = ""
    duration: float = 0.0


def read_film(path):
    """Reads all of a film."""
    held = Held()
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        held.metadata = dict(container.metadata)
        held.chapters = container.chapters()
        held.languages = [s.metadata.get("language") for s in container.streams.audio]
        held.duration = container.duration / 1e6 if container.duration else 0.0
        held.aspect = video.sample_aspect_ratio
        context = video.codec_context
        held.tags = (
            context.color_range,
            context.color_primaries,
            context.color_trc,
            context.colorspace,
        )
        held.codec = context.name
        for packet in container.demux():
            if packet.stream.type == "video":
                for frame in packet.decode():
                    held.pix_fmt = frame.format.name
                    held.rotation = frame.rotation
                    held.times.append(frame.pts * frame.time_base)
                    depth = frame.format.components[0].bits
                    dtype = np.uint8 if depth == 8 else np.uint16
                    plane = frame.planes[0]
                    rows = np.frombuffer(plane, dtype)
                    rows = rows.reshape(-1, plane.line_size // np.dtype(dtype).itemsize)
                    held.lumas.append(rows[: frame.height, : frame.width].copy())
                    held.frames.append(frame.to_ndarray(format="rgb24"))
            elif packet.size:
                if packet.stream.type == "audio":
                    held.sound.append(bytes(packet))
                    held.sound_times.append(packet.pts * packet.time_base)
                else:
                    held.texts.append(bytes(packet))
    return held
