"""How far long work has come: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

# Seconds between two plain lines: a log of 50,000 files stays readable.
_INTERVAL = 10


class Show(Protocol):
    """What `progress_bar` gives: tells how far the work has come."""

    def __call__(self, done: int, total: int, failed: int = 0) -> None:
        """Shows `done` of `total` pictures, `failed` of them without a result."""


@contextmanager
def progress_bar(title: str, say_end: bool = True) -> Iterator[Show]:
    """Shows on standard error how far long work has come.

    Args:
        title: What has been done to a picture, such as `"Measured"`.
        say_end: Where there is no bar, write a line at the end too; False: the caller
            has more to say then.

    Yields:
        Function of `(done, total, failed=0)` to call whenever a picture is done.
    """
    started = time.monotonic()

    def rate(done):
        return done / max(time.monotonic() - started, 1e-9)

    if not sys.stderr.isatty():
        yield _plain_lines(title, rate, say_end)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f} images/s"),
        TextColumn("{task.fields[failed]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    task = bar.add_task(title, total=None, rate=0.0, failed="")

    def show(done, total, failed=0):
        said = f"{failed} failed" if failed else ""
        bar.update(task, completed=done, total=total, rate=rate(done), failed=said)

    with bar:
        yield show


def _plain_lines(title, rate, say_end):
    due = time.monotonic() + _INTERVAL

    def show(done, total, failed=0):
        nonlocal due
        line = f"{title} {done} of {total} pictures"
        if done == total:
            if say_end:
                sys.stderr.write(f"{line}.\n")
            return
        now = time.monotonic()
        if now < due or not done:
            return
        due = now + _INTERVAL
        said = f", {failed} failed" if failed else ""
        left = (total - done) / rate(done)
        sys.stderr.write(
            f"{line}{said}, {rate(done):.1f} images/s, {left:.0f} s left\n"
        )

    return show
