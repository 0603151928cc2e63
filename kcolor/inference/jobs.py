"""The job: one photograph or film read, colorized, written, and what is said of it.

`run_job` is the same wherever jobs run: on one machine, in shards or on a cluster. An
interruption at any moment leaves whole files only.
"""

import io
import logging
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from kcolor import files, remote
from kcolor.errors import DataError, one_line
from kcolor.images import decode, encode, exif, formats, opening
from kcolor.inference.colorizer import Colorizer, opened, shared
from kcolor.inference.film.settings import FilmSettings, is_film
from kcolor.inference.halved import may_be_halved, write_halved
from kcolor.inference.hints import Hint, HintPicture, as_hints
from kcolor.inference.luma import keep_luma
from kcolor.inference.plan import STANDARD, Job, kind_of
from kcolor.parallel import Share

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """How photographs are colorized and written.

    Attributes:
        kind: Format of all results; None: each input's own, or JPEG if it is one that
            cannot be written.
        quality: 1 to 100 for JPEG and WebP; None: the format's default.
        saturation: Factor of a* and b*; None: the colorizer's own.
        compare: Put the photograph before and after side by side.
        max_megapixels: Refuse larger pages.
        hints: Known colors of the photograph, as from `hints.as_hints`.
        lossless_luma: Keep a JPEG's luma as it is coded, where that can be done; None:
            that of a gray JPEG, unless a quality is asked for.
        film: How films are colorized and written.
    """

    kind: str | None = None
    quality: int | None = None
    saturation: float | None = None
    compare: bool = False
    max_megapixels: float = opening.MAX_MEGAPIXELS
    hints: tuple[Hint | HintPicture, ...] = ()
    lossless_luma: bool | None = None
    film: FilmSettings = field(default_factory=FilmSettings)


@dataclass(frozen=True)
class Status:
    """What became of a job: a row of the log, of JSON's types only.

    Attributes:
        input: Name of the photograph.
        output: Name of the result.
        status: `"written"`, `"failed"` or `"skipped"`, as its result was there.
        seconds: Time that the job took.
        error: Why there is no result, in one line that names the file; None if it is
            written.
        luma: `"kept"` bit for bit, or `"not kept: "` and why; None if nobody asked.
    """

    input: str
    output: str
    status: str
    seconds: float
    error: str | None = None
    luma: str | None = None

    @classmethod
    def of(
        cls,
        job: Job,
        status: str,
        started: float,
        error: str | None = None,
        luma: str | None = None,
    ) -> "Status":
        """Makes the status of a job that has just ended.

        Args:
            job: The job.
            status: As the attribute.
            started: When it began, by `time.monotonic`.
            error: As the attribute.
            luma: As the attribute.

        Returns:
            Its status.
        """
        seconds = round(time.monotonic() - started, 3)
        return cls(str(job.source), str(job.target), status, seconds, error, luma)


# What says that a photograph or a disk is bad, and not the program.
BAD = (DataError, ValueError, OSError)


def run_job(
    colorizer: Colorizer | Future[Colorizer],
    job: Job,
    settings: Settings,
    share: Share | None = None,
) -> Status:
    """Colorizes one file and says how that went; a bad one is no exception.

    Args:
        colorizer: A `Colorizer`, or a `Future` of one.
        job: What to read and where to write.
        settings: How to colorize and write it.
        share: Megapixels that jobs running at the same time have in common, or None.

    Returns:
        The job's `Status`. Faults of the program itself are raised, not reported.
    """
    started = time.monotonic()
    try:
        luma = colorize_file(colorizer, job, settings, share)
    except BAD as error:
        _log.debug("%s", job.source, exc_info=True)
        return Status.of(job, "failed", started, reason(job, error))
    return Status.of(job, "written", started, luma=luma)


def reason(job: Job, error: Exception) -> str:
    """Says why a job failed.

    Args:
        job: The job.
        error: What `colorize_file` raised, one of `BAD`.

    Returns:
        One line that names the file.
    """
    said = one_line(error)
    if isinstance(error, DataError) or getattr(error, "filename", None):
        return said
    return f"{job.source}: {said}"


def colorize_file(
    colorizer: Colorizer | Future[Colorizer],
    job: Job,
    settings: Settings,
    share: Share | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> str | None:
    """Colorizes one photograph or film.

    Args:
        colorizer: A `Colorizer`, or a `Future` of one: the file is decoded while the
            network is still being opened.
        job: What to read and where to write.
        settings: How to colorize and write it.
        share: Megapixels that jobs running at the same time have in common, or None.
        progress: Of a film: called with the frames done, and how many there are.

    Returns:
        What became of its luma, see `Status`.

    Raises:
        DataError: If the photograph cannot be read or written.
        OSError: If the disk does not take it.
    """
    if job.fault:
        raise DataError(job.fault)
    if is_film(job.source) and job.data is None:
        _colorize_film(colorizer, job, settings, progress)
        return "not kept: it is a film" if settings.lossless_luma else None
    name = str(job.source)
    source: Path | str | bytes = job.source if job.data is None else job.data
    if source == STANDARD:
        source, name = _standard_input(), "standard input"
    elif remote.is_url(source):
        source = remote.read(name)
    with decode.Photo(source, name, settings.max_megapixels) as photo:
        with share.of(photo.megapixels) if share else nullcontext():
            if job.target == STANDARD:
                held = io.BytesIO()
                kind = _kept(photo, settings.kind)
                luma = _convert(colorizer, photo, held, kind, settings)
                sys.stdout.buffer.write(held.getbuffer())
                sys.stdout.buffer.flush()
                return luma
            kind = kind_of(job.target, settings.kind)
            if remote.is_url(job.target):
                held = io.BytesIO()
                luma = _convert(colorizer, photo, held, kind, settings)
                remote.write(job.target, held.getvalue())
                return luma
            target = Path(job.target)
            target.parent.mkdir(parents=True, exist_ok=True)
            with files.writing(target) as file:
                return _convert(colorizer, photo, file, kind, settings)


def colorize_bytes(
    data: bytes,
    model: Colorizer | Path | str = "mobile",
    *,
    saturation: float | None = None,
    format: str | None = None,
    quality: int | None = None,
    hints: Any = None,
    max_megapixels: float = opening.MAX_MEGAPIXELS,
) -> bytes:
    """Colorizes a photo file in memory, with all that `kcolor colorize` keeps of it.

    Args:
        data: Bytes of a photo file.
        model: What `kcolor.runtimes.resolve.resolve` takes, or a `Colorizer`.
        saturation: Factor of a* and b*; None: 1, or the `Colorizer`'s own.
        format: Format of the result, as `--format` takes it, such as `"jpg"`; None:
            the input's own, or JPEG if it is one that cannot be written.
        quality: 1 to 100 for JPEG and WebP; None: the format's default.
        hints: Known colors, see `kcolor.inference.hints.as_hints`.
        max_megapixels: Refuse a larger photograph; all pages of a file together.

    Returns:
        Bytes of the photo file in color.

    Raises:
        DataError: If the photograph or the model cannot be read, or the format cannot
            hold the picture.
        ValueError: If `format` is not one that can be written, a value is out of its
            range, or a hint is none.
    """
    if format is not None and format.lower() not in formats.CHOICES:
        known = ", ".join(formats.CHOICES)
        raise ValueError(f"format must be one of {known}. Received: format={format!r}")
    if quality is not None and not 1 <= quality <= 100:
        raise ValueError(f"quality must be from 1 to 100. Received: quality={quality}")
    settings = Settings(
        kind=None if format is None else formats.CHOICES[format.lower()],
        quality=quality,
        saturation=saturation,
        max_megapixels=max_megapixels,
        hints=tuple(as_hints(hints)),
    )
    colorizer = model if isinstance(model, Colorizer) else shared(str(model))
    held = io.BytesIO()
    with decode.Photo(bytes(data), "the photograph", max_megapixels, 1) as photo:
        _convert(colorizer, photo, held, _kept(photo, settings.kind), settings)
    return held.getvalue()


def _colorize_film(colorizer, job, settings, progress):
    # PyAV is there only where films are wanted.
    from kcolor.inference.film.colorize import colorize_film
    from kcolor.inference.film.known import KnownColors

    if settings.compare:
        raise DataError(f"{job.source}: --compare is for photographs")
    source, target = Path(job.source), Path(job.target)
    hints = KnownColors(settings.hints, str(source)) if settings.hints else None
    report = colorize_film(
        opened(colorizer), source, target, settings.film, progress, hints
    )
    for note in report.notes():
        _log.warning("%s: %s", source, note)


def _standard_input() -> bytes:
    data = sys.stdin.buffer.read(opening.MAX_BYTES + 1)
    if len(data) > opening.MAX_BYTES:
        raise DataError("standard input: over 1 GB")
    return data


def _kept(photo: decode.Photo, kind: str | None) -> str:
    return kind or formats.written_as(formats.BY_NAME[photo.format]).name


def _convert(
    colorizer: Colorizer | Future[Colorizer],
    photo: decode.Photo,
    file: BinaryIO,
    kind: str,
    settings: Settings,
) -> str | None:
    said = None
    is_asked = settings.lossless_luma
    if is_asked or (is_asked is None and _is_gray_jpeg(photo, kind, settings)):
        try:
            keep_luma(colorizer, photo, file, kind, settings)
            return "kept"
        except DataError as error:
            said = f"not kept: {error}"
            if is_asked:
                _log.warning("%s: luma is %s", photo.name, said)
    try:
        _write(colorizer, photo, file, kind, settings)
    except MemoryError as error:
        raise DataError(f"{photo.name}: not enough memory") from error
    except DataError as error:
        if str(error).startswith(photo.name):
            raise
        raise DataError(f"{photo.name}: {error}") from error
    return said


def _write(colorizer, photo, file, kind, settings):
    if settings.hints and photo.pages > 1:
        raise DataError(f"hints are for one picture, and it has {photo.pages}")
    pages = photo.read()
    if kind == "JPEG" and photo.pages == 1 and not settings.compare:
        page = next(pages)
        colorizer = opened(colorizer)
        if may_be_halved(page, colorizer):
            look = settings.quality, settings.saturation, settings.hints
            write_halved(colorizer, page, file, *look)
            return
        pages = iter([page])
    colored = (_colorize_page(colorizer, page, settings) for page in pages)
    encode.write(file, colored, kind, settings.quality)


def _is_gray_jpeg(photo, kind, settings):
    # What loses nothing by the lossless way, which is the faster one.
    both_jpeg = photo.format == kind == "JPEG"
    return both_jpeg and photo.is_gray and settings.quality is None


def _colorize_page(colorizer, page, settings):
    session = opened(colorizer).session(page.pixels, page.orientation)
    before = page.pixels.copy() if settings.compare else None
    in_place = page.pixels if page.pixels.ndim == 3 else None
    page.pixels = session(settings.hints, settings.saturation, out=in_place)
    if before is not None:
        _set_beside(page, before)
    return page


def _set_beside(page, before):
    if before.ndim == 2:
        before = cv2.cvtColor(before, cv2.COLOR_GRAY2RGB)
    pair = [exif.upright(half, page.orientation) for half in (before, page.pixels)]
    page.pixels = np.hstack(pair)
    if page.alpha is not None:
        alpha = exif.upright(page.alpha, page.orientation)
        page.alpha = np.hstack([alpha, alpha])
    page.orientation = 1
    if "exif" in page.metadata:
        page.metadata["exif"] = exif.cleaned(page.metadata["exif"], 1)
