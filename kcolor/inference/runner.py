"""Colorizes files on this machine: as many at a time as cores and memory allow."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kcolor.files import remove_leftovers
from kcolor.inference.colorizer import Colorizer
from kcolor.inference.film.settings import is_film
from kcolor.inference.jobs import (
    BAD,
    Settings,
    Status,
    colorize_file,
    reason,
    run_job,
)
from kcolor.inference.plan import Job
from kcolor.parallel import Share, cores, read_ahead
from kcolor.progress import progress_bar
from kcolor.runtimes.resolve import resolve

# Megapixels that a batch works on at a time, about 1.5 GB: with 64 cores and a folder
# of large scans, memory and not the number of cores is the limit.
_AT_A_TIME = 120.0


def run(
    jobs: Iterable[Job],
    colorizer: Colorizer | Future[Colorizer],
    settings: Settings,
    workers: int = 1,
    log: Callable[[Status], None] | None = None,
) -> Iterator[Status]:
    """Colorizes many files; a bad one does not stop the rest.

    Args:
        jobs: `Job`s, taken only as far as they are needed.
        colorizer: A `Colorizer`, or a `Future` of one.
        settings: How to write the results.
        workers: Files worked on at a time.
        log: Called with each status by the thread that has done the file, so that
            those are not left out which end after an interruption.

    Yields:
        The status of each file, as it is done.
    """
    share = Share(_AT_A_TIME)

    def work(job: Job) -> Status:
        status = run_job(colorizer, job, settings, share)
        if log:
            log(status)
        return status

    pool = ThreadPoolExecutor(workers)
    try:
        # A few files ahead of the workers, so that 50,000 cost no more than 5.
        yield from read_ahead(pool, work, jobs, 2 * workers, in_order=False)
    finally:
        # After an interruption: what runs is finished and whole, nothing else starts.
        pool.shutdown(wait=True, cancel_futures=True)


def colorize_one(
    job: Job,
    network: dict[str, Any],
    settings: Settings,
    log: Callable[[Status], None] | None = None,
) -> None:
    """Colorizes one file with all cores, decoding it while the network is opened.

    Args:
        job: What to read and where to write.
        network: Keyword arguments of `Colorizer`.
        settings: How to write the result.
        log: Called with the file's status, even if it failed; or None.

    Raises:
        DataError: If the photograph or the network cannot be read.
        ValueError: If a value in `network` is out of its range.
        OSError: If the disk does not take the result.
    """
    resolve(network["model"])
    clean([job])
    started = time.monotonic()
    try:
        luma = _colorize_lone(job, network, settings)
    except BAD as error:
        if log:
            log(Status.of(job, "failed", started, reason(job, error)))
        raise
    if log:
        log(Status.of(job, "written", started, luma=luma))


def _colorize_lone(job, network, settings):
    if is_film(job.source):
        # Its frames are on all cores, each on one.
        colorizer = Colorizer(threads=1, **network)
        with progress_bar("Colorized", say_end=False, unit="frames") as show:
            return colorize_file(colorizer, job, settings, progress=show)
    with ThreadPoolExecutor(1) as opener:
        return colorize_file(opener.submit(Colorizer, **network), job, settings)


def colorize_all(
    jobs: list[Job],
    network: dict[str, Any],
    settings: Settings,
    workers: int | None = None,
    log: Callable[[Status], None] | None = None,
) -> tuple[list[Status], str]:
    """Colorizes files and shows on standard error how far it has come.

    Args:
        jobs: What to read and where to write.
        network: Keyword arguments of `Colorizer`.
        settings: How to write the results.
        workers: Files worked on at a time; None: as many as there are cores.
        log: Called with the status of each file; or None.

    Returns:
        Tuple of the failed files' statuses and a line that sums up the others.

    Raises:
        DataError: If the network cannot be read.
        ValueError: If a value in `network` is out of its range.
    """
    resolve(network["model"])
    if not jobs:
        return [], "0 written"
    clean(jobs)
    workers = min(workers or cores(), len(jobs))
    # With a file on each core, threads in a file would only wait for each other.
    colorizer = Colorizer(threads=max(1, cores() // workers), **network)
    return follow(run(jobs, colorizer, settings, workers, log), len(jobs))


def follow(statuses: Iterable[Status], count: int) -> tuple[list[Status], str]:
    """Shows on standard error how far a batch has come, to its end.

    Args:
        statuses: The status of each file, as it is done.
        count: How many there will be.

    Returns:
        Tuple of the failed files' statuses and a line that sums up the others.
    """
    started = time.monotonic()
    failed: list[Status] = []
    with progress_bar("Colorized", say_end=False) as show:
        for done, status in enumerate(statuses, 1):
            if status.error is not None:
                failed.append(status)
            show(done, count, len(failed))
    seconds = max(time.monotonic() - started, 1e-9)
    rate, written = count / seconds, count - len(failed)
    return failed, f"{written} written in {seconds:.1f} s ({rate:.1f} images/s)"


def clean(jobs: Iterable[Job]) -> None:
    """Removes what killed runs left behind in the folders of the jobs' results."""
    targets = (job.target for job in jobs)
    for folder in {path.parent for path in targets if isinstance(path, Path)}:
        remove_leftovers(folder)
