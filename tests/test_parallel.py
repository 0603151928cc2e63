"""Working ahead in threads, sharing memory, choosing evenly."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kcolor.parallel import Share, evenly_spaced, read_ahead


@pytest.mark.parametrize("in_order", [True, False])
def test_every_item_comes_once_and_few_are_under_way(in_order):
    taken, most = 0, 0

    def items():
        nonlocal taken
        for number in range(40):
            taken += 1
            yield number

    with ThreadPoolExecutor(3) as pool:
        found = []
        for result in read_ahead(pool, lambda n: n * n, items(), 5, in_order):
            most = max(most, taken - len(found))
            found.append(result)
    wanted = [number * number for number in range(40)]
    assert (found if in_order else sorted(found)) == wanted
    assert most == 6


def test_a_slow_item_keeps_nobody_waiting_out_of_order():
    free = threading.Event()

    def work(number):
        if number == 0:
            assert free.wait(timeout=30)
        return number

    with ThreadPoolExecutor(2) as pool:
        results = read_ahead(pool, work, range(20), 4, in_order=False)
        found = [next(results) for _ in range(19)]
        free.set()
        assert 0 not in found
        assert list(results) == [0]


def test_what_was_raised_comes_out_and_the_rest_is_canceled():
    started = []

    def work(number):
        started.append(number)
        time.sleep(0.01)
        if number == 2:
            raise KeyError(number)
        return number

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(KeyError):
            list(read_ahead(pool, work, range(100), 6))
    assert len(started) < 6


def test_large_shares_take_turns():
    share = Share(100)
    together, most = 0, 0
    lock = threading.Lock()

    def work(amount):
        nonlocal together, most
        with share.of(amount):
            with lock:
                together += min(amount, 100)
                most = max(most, together)
            time.sleep(0.002)
            with lock:
                together -= min(amount, 100)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [60, 30, 70, 5, 500, 20, 45, 50, 10] * 5))
    assert 60 < most <= 100


def test_positions_are_spread_over_the_whole_list():
    assert evenly_spaced(3, None) == evenly_spaced(3, 7) == [0, 1, 2]
    for length, count in ((10, 3), (7, 7), (1000, 9)):
        chosen = evenly_spaced(length, count)
        assert len(set(chosen)) == count and chosen == sorted(chosen)
        steps = {b - a for a, b in zip(chosen, chosen[1:], strict=False)}
        assert max(steps) - min(steps) <= 1
        assert abs(chosen[0] - (length - 1 - chosen[-1])) <= 1
