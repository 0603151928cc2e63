"""Working ahead in threads, sharing memory, choosing evenly: what rooms do alike."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def read_ahead(
    pool: Executor,
    function: Callable[[_Item], _Result],
    items: Iterable[_Item],
    count: int,
    in_order: bool = True,
) -> Iterator[_Result]:
    """Maps with at most `count` items under way, so that memory is bounded.

    Args:
        pool: Executor that runs `function`; closing it is the caller's business.
        function: Function of one item.
        items: The items; taken only as far as they are needed.
        count: How many results may wait or be under way.
        in_order: Whether results come in the order of `items`, or each as soon as it
            is there, so that one slow item keeps no worker waiting.

    Yields:
        The results. What is still waiting when the caller stops is canceled.

    Raises:
        Exception: What `function` raised, when its result would have come.
    """
    pending: deque[Future[_Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > count:
                yield _take(pending, in_order).result()
        while pending:
            yield _take(pending, in_order).result()
    finally:
        for future in pending:
            future.cancel()


def _take(pending: deque[Future[_Result]], in_order: bool) -> Future[_Result]:
    if in_order:
        return pending.popleft()
    wait(pending, return_when=FIRST_COMPLETED)
    done = next(future for future in pending if future.done())
    pending.remove(done)
    return done


class Share:
    """Lets threads work on as much at a time as fits in memory together."""

    def __init__(self, limit: float) -> None:
        """Sets the limit.

        Args:
            limit: How much may be taken at a time, in any unit. What is over it has to
                be alone.
        """
        self._limit = limit
        self._taken = 0.0
        self._changed = threading.Condition()

    @contextmanager
    def of(self, amount: float) -> Iterator[None]:
        """Waits until there is room, and keeps it for the block.

        Args:
            amount: How much to take, in the limit's unit.
        """
        amount = min(amount, self._limit)
        with self._changed:
            self._changed.wait_for(lambda: self._taken + amount <= self._limit)
            self._taken += amount
        try:
            yield
        finally:
            with self._changed:
                self._taken -= amount
                self._changed.notify_all()


def evenly_spaced(length: int, count: int | None) -> list[int]:
    """Chooses positions evenly over a list, so that sorted groups keep their shares.

    Args:
        length: Length of the list.
        count: How many to choose, or None for all.

    Returns:
        Increasing list of `min(length, count)` different positions.
    """
    if count is None or count >= length:
        return list(range(length))
    return [(2 * i + 1) * length // (2 * count) for i in range(count)]


def cores() -> int:
    """Counts the cores this process may use, fewer than there are in a container."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
