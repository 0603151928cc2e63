"""What holds for a whole process: for the command line to set, and nobody else.

A library that changes such things changes them for the program that calls it; so
nothing in kcolor calls these functions but `kcolor.cli` and scripts.
"""

import _thread
import atexit
import ctypes
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

_Result = TypeVar("_Result")

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
_NEVER = 2**31 - 1


def keep_freed_memory(shared: bool = False) -> None:
    """Tells malloc of this process to reuse freed memory instead of returning it.

    A feature map of a training step takes tens of megabytes. By default glibc gives
    each such block back to the kernel when it is freed and asks for it again a moment
    later; the kernel then zeroes it page by page. `mobile` at 192 pixels and 24 a batch
    took 2.0 s a step with the input pipeline beside it, a third of that inside the
    kernel, and takes 1.2 s without. A photograph of 12 megapixels comes and goes in
    blocks of 36 megabytes: colorizing one costs a tenth less processor time.

    It holds for the rest of the process, which keeps what it once needed at its peak.
    Does nothing where the C library is not glibc.

    Args:
        shared: Let what one thread has freed be reused by the others, too; by default
            each has a place of its own. For few threads with large blocks.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)
        if shared:
            mallopt(_M_ARENA_MAX, 1)


def in_own_process(function: Callable[..., _Result], *arguments: Any) -> _Result:
    """Runs a function in another process, which may be ended without a word.

    A library that ends its process, as JAX does when it loses another one, leaves
    nobody to say what that means.

    Args:
        function: Function that can be pickled, as all of what it is given and answers.
        *arguments: Its arguments.

    Returns:
        What the function returned.

    Raises:
        ChildProcessError: If the process has ended before the function.
        Exception: What the function raised.
    """
    # A hundredth of a second, which no other command needs to wait for.
    import multiprocessing
    from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=_end_with_parent) as pool:
        try:
            return pool.submit(_run, function, arguments).result()
        except BrokenProcessPool as error:
            raise ChildProcessError("the process has ended") from error


def _end_with_parent():
    from multiprocessing import parent_process

    def watch(parent):
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, args=[parent_process()], daemon=True).start()


def _run(function, arguments):
    try:
        return function(*arguments)
    except BaseException:
        # The last to be registered is the first to run: what libraries do at the end,
        # such as waiting for other processes, would only keep those from noticing.
        atexit.register(os._exit, 1)
        raise


@contextmanager
def silent_libraries() -> Iterator[None]:
    """Keeps what C libraries say off the terminal; Python's own messages get through.

    LiteRT tells that it started, libtiff and OpenCV comment on damage, all of them past
    Python, in the middle of a bar and without the file's name. Pillow's warnings of
    damage that it can read past go the same way.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from _without_standard_error()


@contextmanager
def interrupts_kept() -> Iterator[None]:
    """Raises an interrupt again that came where Python drops every exception.

    Ctrl-C in the middle of a weak reference's callback or of `__del__`, of which
    libraries have many, is otherwise printed and forgotten, and the program goes on.
    """
    before, again = sys.unraisablehook, []

    def hook(unraisable):
        if not isinstance(unraisable.exc_value, KeyboardInterrupt):
            before(unraisable)
            return
        # A moment later, for raised in here it would be dropped once more.
        again.append(threading.Timer(0.1, _interrupt))
        again[-1].start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
        for timer in again:
            timer.cancel()


def _interrupt():
    # From outside, so that the main thread wakes from what it waits for.
    if os.name == "posix":
        os.kill(os.getpid(), signal.SIGINT)
    else:
        _thread.interrupt_main()


def _without_standard_error() -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:
        yield  # There is no standard error.
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    before = sys.stderr
    if before is sys.__stderr__ and before is not None:
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
