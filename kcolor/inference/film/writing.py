"""Writing films: the film put together from its encoded stretches.

Sound, subtitles, chapters and texts are copied from the source.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from kcolor.errors import DataError
from kcolor.inference.film.encoding import Format, Packets
from kcolor.inference.film.reading import (
    Film,
    opened,
    packets,
    video_stream,
)


@dataclass(frozen=True)
class Times:
    """When the frames of a film are shown, in its units.

    Attributes:
        pts: int64 array, times of all frames, increasing.
        durations: int64 array, how long each is shown; 0 where the film does not say.
    """

    pts: np.ndarray
    durations: np.ndarray


def check_streams(film: Film, target: Path, form: Format) -> None:
    """Tries whether a container takes the streams of a film, before there is any work.

    Args:
        film: The film.
        target: File to be; it is not touched.
        form: Format of the video.

    Raises:
        DataError: If the container takes the video or a sound track not.
    """
    memory = io.BytesIO()
    memory.name = target.name  # By its suffix the container is chosen.
    with opened(film.path) as old:
        new = av.open(memory, "w")
        try:
            _begin(film, old, new, form, target)
        except av.error.FFmpegError as error:
            reason = f"cannot be written ({error.strerror})"
            raise DataError(f"{target}: {reason}") from error
        finally:
            # Some have no end for a film without a frame.
            with suppress(av.error.FFmpegError):
                new.close()


def assemble(
    film: Film,
    target: Path,
    form: Format,
    stretches: Sequence[Packets],
    times: Times,
) -> list[str]:
    """Puts a film together: the new video, and from the source all the rest.

    Args:
        film: The film that was read.
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
    # Matroska takes random numbers for its parts; then no two films would be equal.
    options = {"fflags": "+bitexact"}
    if _is_mp4(target):
        options = {"movflags": "+faststart"}
    with (
        opened(film.path) as old,
        av.open(str(target), "w", container_options=options) as new,
    ):
        stream, copies, left_out = _begin(film, old, new, form, target)
        # Each packet of the source waits until the video is as far.
        coming = _video_packets(stretches, times, stream, form.time_base)
        held = next(coming, None)
        for packet, copy in _copied_packets(film, old, copies):
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


def _begin(film, old, new, form, target):
    # Writes the header of a film.
    video = video_stream(old)
    try:
        stream = form.add_stream(new)
    except ValueError as error:
        raise DataError(
            f"{film.path}: a {target.suffix} file does not take this codec"
        ) from error
    stream.metadata.update(video.metadata)
    stream.disposition = video.disposition
    copies, left_out = _add_copies(old, new, video)
    new.metadata.update(old.metadata)
    new.set_chapters(old.chapters())
    new.start_encoding()
    return stream, copies, left_out


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
                reason = f"the result does not take its sound ({name}); write a .mkv"
                if context is None:
                    reason = "its sound has a codec that is not known"
                raise DataError(f"{old.name}: {reason}") from error
            left_out.append(f"{stream.type} {name}")
            continue
        copy.metadata.update(stream.metadata)
        copy.disposition = stream.disposition
        copies[stream.index] = copy
    return copies, left_out


def _copied_packets(film, old, copies):
    # Packets of the streams that are copied, times strictly increasing in each.
    last: dict[int, int] = {}
    wanted = [old.streams[index] for index in copies]
    wanted = [stream for stream in wanted if stream.type != "attachment"]
    if not wanted:
        return
    for packet in film.joins.shifted(packets(old, wanted)):
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
