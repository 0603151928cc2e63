"""What a batch tells the terminal: a bar on a terminal, plain lines otherwise."""

import os
import sys
import time
import warnings
from contextlib import contextmanager

from kcolor.errors import DataError

# Seconds between two plain lines: a log of 50,000 files stays readable.
_INTERVAL = 10


@contextmanager
def silent_libraries():
    """Keeps what C libraries say off the terminal; Python's own messages get through.

    LiteRT tells that it started, libtiff and OpenCV comment on damage, all of them past
    Python, in the middle of a bar and without the file's name. Pillow's warnings of
    damage that it can read past go the same way.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from _without_descriptor()


def _without_descriptor():
    try:
        kept = os.dup(2)
    except OSError:
        yield  # There is no standard error.
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    before = sys.stderr
    if before is not None and before is sys.__stderr__:
        sys.stderr = os.fdopen(
            os.dup(kept), "w", 1, encoding=before.encoding, errors=before.errors
        )
    try:
        yield
    finally:
        if sys.stderr is not before:
            sys.stderr.close()
            sys.stderr = before
        os.dup2(kept, 2)
        os.close(kept)


def say_written(job):
    """Names the one result, unless the result itself went to standard output."""
    if job.target != "-":
        sys.stdout.write(f"{job.target}\n")


def show(results, total, skipped=0):
    """Follows a batch to its end.

    Args:
        results: Iterable of `(job, error or None)`, as `batch.run` yields them.
        total: How many there will be.
        skipped: Files left out, for the summary.

    Returns:
        Number of errors. Each is told when it happens and again at the end.
    """
    started = time.monotonic()
    failed, done = [], 0
    with _bar(total) as advance:
        for job, error in results:
            done += 1
            if error is not None:
                failed.append(_line(job, error))
            advance(done, len(failed), started)
    seconds = max(time.monotonic() - started, 1e-9)
    written = done - len(failed)
    summary = f"{written} written"
    if done:
        summary += f" in {seconds:.1f} s ({done / seconds:.1f} images/s)"
    if skipped:
        summary += f", {skipped} already there"
    if failed:
        summary += f", {len(failed)} failed:"
    sys.stderr.write(f"{summary}\n")
    for line in failed:
        sys.stderr.write(f"Error: {line}\n")
    return len(failed)


def _line(job, error):
    if isinstance(error, DataError):
        text = str(error)
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.filename or job.target}: {error.strerror}"
    else:
        text = f"{job.source}: {error}"
    return " ".join(text.split())


def _bar(total):
    return _RichBar(total) if sys.stderr.isatty() else _PlainLines(total)


class _PlainLines:
    def __init__(self, total):
        self._total = total
        self._next = time.monotonic() + _INTERVAL

    def __enter__(self):
        return self._advance

    def __exit__(self, *_):
        pass

    def _advance(self, done, failed, started):
        now = time.monotonic()
        if now < self._next or done == self._total:
            return
        self._next = now + _INTERVAL
        rate = done / (now - started)
        left = (self._total - done) / rate
        sys.stderr.write(
            f"{done}/{self._total}, {failed} failed, {rate:.1f} images/s, "
            f"{left:.0f} s left\n"
        )


class _RichBar:
    def __init__(self, total):
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:.1f} images/s"),
            TextColumn("{task.fields[failed]} failed"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("", total=total, rate=0.0, failed=0)

    def __enter__(self):
        self._progress.start()
        return self._advance

    def __exit__(self, *_):
        self._progress.stop()

    def _advance(self, done, failed, started):
        rate = done / max(time.monotonic() - started, 1e-9)
        self._progress.update(self._task, completed=done, rate=rate, failed=failed)
