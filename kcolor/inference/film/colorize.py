"""From a film to the same film in color.

The film is read twice, one reader some seconds ahead of the other. The first shrinks
its frames, asks the network and steadies the colors; the second paints the frames at
their full size and encodes them. So memory holds small views, whatever the film's size
and length.
"""

import copy
import hashlib
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
import numpy as np

from kcolor import __version__
from kcolor.color import host
from kcolor.errors import DataError
from kcolor.inference.colorizer import Colorizer
from kcolor.inference.film import steady
from kcolor.inference.film.chroma import Painter
from kcolor.inference.film.encoding import Format, encode
from kcolor.inference.film.eye import Eye
from kcolor.inference.film.follow import Hints
from kcolor.inference.film.reading import Film
from kcolor.inference.film.settings import FilmSettings, check_target
from kcolor.inference.film.work import Stretch, Work
from kcolor.inference.film.writing import Times, assemble, check_streams
from kcolor.parallel import cores, read_ahead

# Frames of a stretch: it ends with the first shot behind the one, and wherever it is at
# the other, where H.264 sets a frame to start from anyway.
_SHORT, _LONG = 48, 250


@dataclass
class Report:
    """How a film came out.

    Attributes:
        frames: Frames written.
        expected: Frames that the source says it has, 0 if it does not. A guess where
            it only says how long it is.
        damaged: Frames that could not be decoded; each shows the one before it again.
        resumed: Of them, frames that an earlier run had finished.
        left_out: What of the source the result does not take, in words.
        padding: What edge the frames got, in words, or None.
        length: Seconds that the source says it lasts, 0 if it does not.
        reached: Seconds that the result lasts.
    """

    frames: int = 0
    expected: int = 0
    damaged: int = 0
    resumed: int = 0
    left_out: list[str] = field(default_factory=list)
    padding: str | None = None
    length: float = 0.0
    reached: float = 0.0

    def notes(self) -> list[str]:
        """Says in words what the user should know."""
        notes = []
        if self.damaged:
            notes.append(f"{self.damaged} damaged frames, shown as the one before")
        # By time: of frames of uneven length their number says nothing.
        if self.reached < 0.95 * self.length:
            reached, length = f"{self.reached:.1f}", f"{self.length:.1f}"
            notes.append(f"ends early, after {reached} of {length} seconds")
        if self.padding:
            notes.append(self.padding)
        if self.left_out:
            notes.append(f"left out: {', '.join(self.left_out)}")
        return notes


def colorize_film(
    colorizer: Colorizer,
    source: Path,
    target: Path,
    settings: FilmSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
    hints: Hints | None = None,
) -> Report:
    """Colorizes one film.

    An interrupted film goes on with its last finished stretch when it is colorized
    again in the same way; until it is complete nothing is at `target`.

    Args:
        colorizer: The network and how strong its colors are.
        source: The film, of any kind that FFmpeg reads.
        target: The film to write; its suffix decides on the container.
        settings: How; None: as `FilmSettings` is by default.
        progress: Called with the frames that this run has done, and how many it has to
            do, or 0 if the film does not say.
        hints: Known colors, which follow the motion through their shots; or None.

    Returns:
        `Report`.

    Raises:
        DataError: If the film cannot be read, or not be written in this way.
        OSError: If a file cannot be read, or the disk does not take the film.
    """
    settings = settings or FilmSettings()
    check_target(target)
    film = Film(source, settings.max_megapixels)
    form = Format(film.facts, settings, target)
    check_streams(film, target, form)
    work = Work(target, _job(colorizer, film, settings, form, hints))
    try:
        run = _Run(colorizer, film, form, settings, work, progress, hints)
        return run.run(target)
    except av.error.FFmpegError as error:
        if isinstance(error, OSError) and error.errno:
            raise OSError(error.errno, error.strerror, str(target)) from error
        raise DataError(f"{target}: cannot be written ({error.strerror})") from error
    except OSError as error:
        if error.filename is not None and Path(error.filename) == source:
            raise
        # The user knows the film, not the work folder.
        raise OSError(error.errno, error.strerror, str(target)) from error
    finally:
        work.close()


def _job(colorizer, film, settings, form, hints):
    # All that the packets depend on: what was finished with other values is of no use.
    stat = film.path.stat()
    return {
        "kcolor": __version__,
        "source": [str(film.path.resolve()), stat.st_size, stat.st_mtime_ns],
        "network": _voice(colorizer),
        "colors": [
            colorizer.saturation,
            colorizer.blend,
            colorizer.upsampling,
            [list(canvas) for canvas in colorizer.canvases],
        ],
        "joins": {
            str(index): [[first, str(shift)] for first, shift in shifts]
            for index, shifts in film.joins.shifts.items()
        },
        "steady": settings.steady,
        "hints": hints and hints.describe(),
        "format": form.describe(),
    }


def _voice(colorizer):
    # Networks come in files, folders and memory; what they say tells them apart.
    probe = np.random.default_rng(0).integers(0, 256, (96, 144), np.uint8)
    _, ab = colorizer.predict(probe)
    return hashlib.sha256(ab.tobytes()).hexdigest()


class _Run:
    # One film on its way.

    def __init__(self, colorizer, film, form, settings, work, progress, hints):
        self._film, self._form, self._work = film, form, work
        self._settings = settings
        self._progress = progress or (lambda done, total: None)
        self._painter = Painter(
            film.facts,
            depth=form.depth,
            size=form.chroma_size,
            saturation=colorizer.saturation,
            guided=colorizer.upsampling == "guided",
        )
        self._blend = colorizer.blend
        self._eye = Eye(colorizer, film.facts, self._painter, settings.steady, hints)
        self._stopped = threading.Event()

    def run(self, target: Path) -> Report:
        stretches = self._work.stretches
        resumed = sum(len(stretch.times.pts) for stretch in stretches)
        report = Report(resumed, self._film.facts.frames, resumed=resumed)
        with (
            ThreadPoolExecutor(cores()) as workers,
            ThreadPoolExecutor(1) as ahead,
        ):
            try:
                self._eye.look_for_hints(self._views(0))
                windows = self._windows(resumed, workers, ahead)
                self._encode_all(windows, workers, report)
            finally:
                self._stopped.set()
        report.damaged = self._film.damaged
        film = self._work.folder / f"film{target.suffix.lower()}"
        times = Times(
            np.concatenate([stretch.times.pts for stretch in stretches]),
            np.concatenate([stretch.times.durations for stretch in stretches]),
        )
        packets = [stretch.packets for stretch in stretches]
        report.left_out = [
            *self._form.left_out(),
            *assemble(self._film, film, self._form, packets, times),
        ]
        report.padding = self._form.padding()
        report.length, report.reached = _lengths(self._film.facts, times)
        self._work.publish(film)
        return report

    def _windows(self, start, workers, ahead) -> Iterator[steady.Window]:
        # The windows from frame `start` on, each found while the one before is painted.
        last = self._work.stretches[-1] if start else None
        # Frames that cuts are decided by; an undisturbed run looks at the same ones.
        first = max(0, start - steady.CUT_REACH - 1)
        looked_at = itertools.islice(
            zip(itertools.count(first), steady.with_cuts(self._views(first))),
            start - first,
            None,
        )

        def small_frames():
            # A cut that only the flow noticed is known from the run before.
            begins = last is not None and last.ends_shot
            for small in read_ahead(workers, self._eye.see, looked_at, 2 * cores()):
                if begins:
                    small.link, begins = None, False
                yield small

        goes_on = last is not None and not last.ends_shot
        state = self._work.state if goes_on else None
        found = steady.windows(small_frames(), self._settings.steady, state)
        coming = ahead.submit(next, found, None)
        while (window := coming.result()) is not None:
            coming = ahead.submit(next, found, None)
            yield window

    def _views(self, first):
        film = copy.copy(self._film)  # A pass of its own, with what is known already.
        for number, frame in enumerate(film.frames()):
            if self._stopped.is_set():
                return
            if number >= first:
                yield self._eye.shrink(frame.luma)

    def _encode_all(self, windows, workers, report):
        frames = self._film.frames()
        for _ in itertools.islice(frames, report.frames):
            pass
        self._show(report)
        for window in windows:
            stretch = _stretch(window, windows)
            self._encode(stretch, frames, workers, report)
        # What is left are packets that hold no frame.
        for _ in frames:
            pass

    def _encode(self, stretch, frames, workers, report):
        last: steady.Window
        times: list[int] = []
        durations: list[int] = []

        def items():
            nonlocal last
            for last in stretch:
                for small in last.frames:
                    frame = next(frames, None)
                    if frame is None:
                        raise DataError(f"{self._film.path}: changed while it was read")
                    times.append(frame.pts)
                    durations.append(frame.duration)
                    yield frame, small

        def painted():
            for picture in read_ahead(workers, self._paint, items(), 2 * cores()):
                yield picture
                report.frames += 1
                self._show(report)

        packets = encode(self._form, painted(), self._work.data_path())
        shown = Times(np.array(times), np.array(durations))
        self._work.add(Stretch(packets, shown, last.ends_shot), last.state)

    def _show(self, report):
        left = max(0, report.expected - report.resumed)
        self._progress(report.frames - report.resumed, left)

    def _paint(self, item):
        frame, small = item
        planes = self._painter(frame.luma, host.lightness(small.gray), small.ab)
        if self._blend != 1:
            own = self._form.own_chroma(frame.picture)
            planes = tuple(
                cv2.addWeighted(plane, self._blend, kept, 1 - self._blend, 0)
                for plane, kept in zip(planes, own, strict=True)
            )
        return self._form.frame(frame.luma, planes, frame.pts)


def _lengths(facts, times):
    # Seconds that the film says it lasts, and that it does.
    begin, last = int(times.pts[0]), int(times.pts[-1])
    # One that does not say for how long it is shown may be as long as any before.
    steps = np.diff(times.pts)
    shown = int(times.durations[-1]) or int(steps.max() if len(steps) else 0)
    reached = float((last + shown - begin) * facts.time_base)
    length = facts.end - float(begin * facts.time_base) if facts.end else 0.0
    return length, reached


def _stretch(window, following):
    # The windows that are encoded in one go.
    count = 0
    while window is not None:
        yield window
        count += len(window.frames)
        if count >= (_SHORT if window.ends_shot else _LONG):
            return
        window = next(following, None)
