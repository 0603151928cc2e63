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
def progress_bar(
    title: str, say_end: bool = True, unit: str = "images"
) -> Iterator[Show]:
    """Shows on standard error how far long work has come.

    Args:
        title: What has been done to a picture, such as `"Measured"`.
        say_end: Where there is no bar, write a line at the end too; False: the caller
            has more to say then.
        unit: What is counted.

    Yields:
        Function of `(done, total, failed=0)` to call whenever a picture is done.
    """
    started = time.monotonic()

    def rate(done):
        return done / max(time.monotonic() - started, 1e-9)

    if not sys.stderr.isatty():
        yield _plain_lines(title, rate, say_end, unit)
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
        TextColumn(f"{{task.fields[rate]:.1f}} {unit}/s"),
        TextColumn("{task.fields[failed]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    task = bar.add_task(title, total=None, rate=0.0, failed="")

    def show(done, total, failed=0):
        said = f"{failed} failed" if failed else ""
        bar.update(
            task, completed=done, total=total or None, rate=rate(done), failed=said
        )

    with bar:
        yield show


def _plain_lines(title, rate, say_end, unit):
    due = time.monotonic() + _INTERVAL

    def show(done, total, failed=0):
        nonlocal due
        counted = "pictures" if unit == "images" else unit
        # A film does not always say how long it is.
        line = f"{title} {done} of {total or '?'} {counted}"
        if done == total:
            if say_end:
                sys.stderr.write(f"{line}.\n")
            return
        now = time.monotonic()
        if now < due or not done:
            return
        due = now + _INTERVAL
        said = f", {failed} failed" if failed else ""
        left = f", {(total - done) / rate(done):.0f} s left" if total else ""
        sys.stderr.write(f"{line}{said}, {rate(done):.1f} {unit}/s{left}\n")

    return show
