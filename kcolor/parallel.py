"""Reading ahead in threads, and choosing evenly: what every room does alike."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def read_ahead(
    pool: Executor,
    function: Callable[[_Item], _Result],
    items: Iterable[_Item],
    count: int,
) -> Iterator[_Result]:
    """Maps in order with at most `count` items under way, so that memory is bounded.

    Args:
        pool: Executor that runs `function`; closing it is the caller's business.
        function: Function of one item.
        items: The items; taken only as far as they are needed.
        count: How many results may wait or be under way.

    Yields:
        The results, in the order of `items`. What is still waiting when the caller
        stops is canceled.
    """
    pending = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > count:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


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
