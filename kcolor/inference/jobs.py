"""From files to files: what is read, where it goes, and writing it whole or not at all.

A result is written under a temporary name in its own folder and renamed when it is
complete, so that an interruption at any moment leaves whole files only. No input is
ever overwritten, and nothing is written outside the output folder.
"""

import io
import itertools
import os
import re
import sys
import threading
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from kcolor.errors import DataError
from kcolor.images import decode as photo
from kcolor.images import encode, exif, formats, opening

STANDARD = "-"
# Megapixels that a batch works on at a time, about 1.5 GB: with 64 cores and a folder
# of large scans, memory and not the number of cores is the limit.
_AT_A_TIME = 120.0
_numbers = itertools.count()
_PART = re.compile(r"\.(\d+)-\d+\.kcolor-part")


@dataclass(frozen=True)
class Job:
    """One file to colorize: where it is and where it goes (`"-"`: standard streams)."""

    source: Path | str
    target: Path | str


@dataclass(frozen=True)
class Settings:
    """How files are written.

    Attributes:
        kind: Format of all results; None: each input's own, or JPEG if it is one that
            cannot be written.
        quality: 1 to 100 for JPEG and WebP; None: the format's default.
        compare: Put the photograph before and after side by side.
        max_megapixels: Refuse larger pages.
    """

    kind: str | None = None
    quality: int | None = None
    compare: bool = False
    max_megapixels: float = opening.MAX_MEGAPIXELS


def plan(inputs, out=None, kind=None, recursive=True):
    """Decides which files are read and where each result goes.

    Args:
        inputs: Paths of photo files and folders, or `["-"]`.
        out: Path of a file or a folder, `"-"`, or None: beside the input, as
            `NAME-color.SUFFIX` or, for a folder, `FOLDER-color`.
        kind: Format of all results, or None.
        recursive: Look into subfolders of a folder; the results keep its tree.

    Returns:
        List of `Job`s.

    Raises:
        DataError: If an input is missing or empty, two results would have one name, or
            a result would overwrite an input or leave the output folder.
    """
    if STANDARD in inputs or out == STANDARD:
        return _plan_standard(inputs, out)
    jobs = []
    several = len(inputs) > 1
    for source in map(Path, inputs):
        if source.is_dir():
            jobs += _plan_folder(source, out, kind, recursive, several)
        elif not source.exists():
            raise DataError(f"{source}: no such file or folder")
        else:
            jobs.append(Job(source, _file_target(source, out, kind, several)))
    _check_targets(jobs)
    return jobs


def _plan_standard(inputs, out):
    if len(inputs) > 1:
        raise DataError("standard input or output takes one photograph, not several")
    source = inputs[0]
    if source != STANDARD:
        source = Path(source)
        if source.is_dir():
            raise DataError(f"{source}: a folder cannot go to standard output")
    return [Job(source, STANDARD if out in (None, STANDARD) else Path(out))]


def _plan_folder(source, out, kind, recursive, several):
    if out is None:
        resolved = source.resolve()
        out = resolved.with_name(f"{resolved.name}-color")
    elif several:
        out = Path(out) / source.resolve().name
    out = Path(out)
    if out.is_file():
        raise DataError(f"{out}: is a file; a folder's results need a folder")
    found = []
    for folder, folders, names in os.walk(source):
        # Results of an earlier run are no input, wherever they lie.
        folders[:] = sorted(
            name
            for name in folders
            if recursive and not _same(Path(folder) / name, out)
        )
        found += [
            Path(folder) / name for name in sorted(names) if formats.of_name(name)
        ]
    if not found:
        where = "" if recursive else " (--recursive looks into its subfolders)"
        raise DataError(f"{source}: no photographs in this folder{where}")
    jobs = [Job(path, out / _renamed(path.relative_to(source), kind)) for path in found]
    root = out.resolve()
    for parent in {job.target.parent for job in jobs}:
        if not parent.resolve().is_relative_to(root):
            raise DataError(f"{parent}: a link leads out of the output folder")
    return jobs


def _file_target(source, out, kind, several):
    name = _renamed(Path(source.name), kind)
    if out is None:
        return source.with_name(f"{name.stem}-color{name.suffix}")
    if several or Path(out).is_dir() or str(out).endswith(("/", os.sep)):
        return Path(out) / name
    return Path(out)


def _renamed(path, kind):
    own = formats.of_name(path)
    wanted = formats.BY_NAME[kind] if kind else formats.written_as(own)
    return path if wanted is own else path.with_suffix(wanted.suffixes[0])


def _check_targets(jobs):
    sources = {job.source.resolve(): job.source for job in jobs}
    seen = {}
    for job in jobs:
        target = job.target.resolve()
        if target in sources:
            raise DataError(
                f"{job.target}: would overwrite an input; choose another --output"
            )
        if target in seen:
            raise DataError(
                f"{job.target}: both {seen[target]} and {job.source} would be written "
                "to it; colorize them apart"
            )
        seen[target] = job.source


def _same(path, other):
    return path.resolve() == other.resolve()


def kind_of(target, kind=None):
    """Finds the format of a result by its name.

    Args:
        target: Path of the result.
        kind: The format asked for, or None.

    Returns:
        Name of a writable format of `formats`.

    Raises:
        DataError: If the name has a suffix that no format has.
    """
    if kind:
        return kind
    found = formats.of_name(target)
    if found and found.writable:
        return found.name
    known = ", ".join(sorted(formats.CHOICES))
    raise DataError(f"{target}: no known format in this name ({known}); use --format")


def colorize_file(colorizer, job, settings, share=None):
    """Colorizes one photo file.

    Args:
        colorizer: A `Colorizer`, or a `concurrent.futures.Future` of one: the file is
            decoded while the network is still being opened.
        job: What to read and where to write.
        settings: How to write it.
        share: `Share` of memory that several files have in common, or None.

    Raises:
        DataError: If the photograph cannot be read or written.
        OSError: If the disk does not take it.
    """
    if job.target != STANDARD:
        kind = kind_of(job.target, settings.kind)
    source, name = job.source, None
    if source == STANDARD:
        name = "standard input"
        source = sys.stdin.buffer.read(opening.MAX_BYTES + 1)
        if len(source) > opening.MAX_BYTES:
            raise DataError(f"{name}: over 1 GB")
    with photo.Photo(source, name, settings.max_megapixels) as opened:
        if job.target == STANDARD:
            own = formats.BY_NAME[opened.format]
            kind = settings.kind or formats.written_as(own).name
        pages = (_colorize_page(colorizer, page, settings) for page in opened.read())
        try:
            with share.of(opened.megapixels) if share else nullcontext():
                _write(job.target, pages, kind, settings.quality)
        except MemoryError as error:
            raise DataError(f"{opened.name}: not enough memory") from error
        except DataError as error:
            if str(error).startswith(opened.name):
                raise
            raise DataError(f"{opened.name}: {error}") from error


def _write(target, pages, kind, quality):
    if target == STANDARD:
        held = io.BytesIO()
        encode.write(held, pages, kind, quality)
        sys.stdout.buffer.write(held.getbuffer())
        sys.stdout.buffer.flush()
        return
    with _whole(target) as file:
        encode.write(file, pages, kind, quality)


class Share:
    """Lets as many files be worked on at a time as fit in memory together."""

    def __init__(self, megapixels=_AT_A_TIME):
        """Sets the limit; a file that is over it has to be alone."""
        self._limit = megapixels
        self._taken = 0.0
        self._changed = threading.Condition()

    @contextmanager
    def of(self, megapixels):
        """Waits until there is room for a file, and keeps it for the block."""
        amount = min(megapixels, self._limit)
        with self._changed:
            self._changed.wait_for(lambda: self._taken + amount <= self._limit)
            self._taken += amount
        try:
            yield
        finally:
            with self._changed:
                self._taken -= amount
                self._changed.notify_all()


def _colorize_page(colorizer, page, settings):
    if isinstance(colorizer, Future):
        colorizer = colorizer.result()
    view, ab = colorizer.predict(page.pixels, page.orientation)
    before = page.pixels.copy() if settings.compare else None
    in_place = page.pixels if page.pixels.ndim == 3 else None
    page.pixels = colorizer.merge(page.pixels, view, ab, out=in_place)
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


def run(jobs, colorizer, settings, workers=1):
    """Colorizes many files; a bad one does not stop the rest.

    Args:
        jobs: `Job`s.
        colorizer: A `Colorizer`, or a `Future` of one.
        settings: How to write the results.
        workers: Files worked on at a time.

    Yields:
        `(job, error)` as each is done; error is None, or the `DataError`,
        `ValueError` or `OSError` that says why there is no result.
    """
    share = Share()

    def attempt(job):
        try:
            colorize_file(colorizer, job, settings, share)
        except (DataError, ValueError, OSError) as error:
            return job, error
        return job, None

    if workers == 1:
        yield from map(attempt, jobs)
        return
    pool = ThreadPoolExecutor(workers)
    try:
        waiting = deque(jobs)
        running = set()
        while waiting or running:
            # A few files ahead of the workers, so that 50,000 cost no more than 5.
            while waiting and len(running) < 2 * workers:
                running.add(pool.submit(attempt, waiting.popleft()))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        # After an interruption: what runs is finished and whole, nothing else starts.
        pool.shutdown(wait=True, cancel_futures=True)


def colorize_all(jobs, network, settings, workers=None, skipped=0):
    """Colorizes files and tells the terminal about it.

    One file is decoded while the network is being opened, and gets all cores. Of
    several, as many as there are cores are worked on at a time.

    Args:
        jobs: `Job`s.
        network: Keyword arguments of `Colorizer`.
        settings: How to write the results.
        workers: Files worked on at a time; None: as many as there are cores.
        skipped: Files left out because their result is there, for the summary.

    Returns:
        Number of files that failed; each is named on standard error.

    Raises:
        DataError, ValueError, OSError: If the only file fails, or the network cannot
            be opened.
    """
    from kcolor import progress
    from kcolor.inference.colorizer import Colorizer, find_model
    from kcolor.parallel import cores

    find_model(network["model"])
    with progress.silent_libraries():
        if len(jobs) == 1 and not skipped:
            with ThreadPoolExecutor(1) as opener:
                colorize_file(opener.submit(Colorizer, **network), jobs[0], settings)
            progress.say_written(jobs[0])
            return 0
        workers = min(workers or cores(), max(1, len(jobs)))
        # With a file on each core, threads in a file would only wait for each other.
        threads = max(1, cores() // workers)
        results = []
        if jobs:
            colorizer = Colorizer(threads=threads, **network)
            results = run(jobs, colorizer, settings, workers)
        return progress.show(results, len(jobs), skipped)


def remove_leftovers(jobs):
    """Removes the temporary files that killed runs left in the jobs' output folders."""
    for folder in {job.target.parent for job in jobs if job.target != STANDARD}:
        with suppress(OSError):
            for path in folder.glob(".*.kcolor-part"):
                owner = _PART.fullmatch(path.name)
                if owner and not _is_alive(int(owner[1])):
                    path.unlink(missing_ok=True)


def _is_alive(process):
    if os.name == "nt":
        return True  # Signal 0 is no question there, it would end the process.
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # Somebody else's.
    return True


def existing(jobs):
    """Lists the jobs whose result is there already."""
    return [job for job in jobs if job.target != STANDARD and job.target.exists()]


@contextmanager
def _whole(target):
    """Opens a file that appears under its name when it is complete, or never."""
    part = target.with_name(f".{os.getpid()}-{next(_numbers)}.kcolor-part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w+b") as file:
            yield file
        os.replace(part, target)
    except BaseException as error:
        with suppress(OSError):
            part.unlink()
        if isinstance(error, OSError) and error.errno:
            # The system names the temporary file, or none at all.
            raise OSError(error.errno, error.strerror, str(target)) from error
        raise
