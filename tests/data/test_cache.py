"""Tests for kcolor.data.cache: each picture is decoded once, and nothing is left."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from memory_source import source_of

from kcolor.data.cache import Cache


def picture(seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (5 + seed, 7, 3), "uint8")


@pytest.fixture(params=["memory", "disk"])
def folder(request, tmp_path):
    return tmp_path if request.param == "disk" else None


@pytest.fixture
def source():
    reads = []

    def reader(seed):
        def read():
            time.sleep(source.pause)
            reads.append(seed)
            return picture(seed)

        return read

    readers = {f"{i}": reader(i) for i in range(4)}
    source = source_of(readers, {f"{i}": reader(10 + i) for i in range(4)})
    source.reads, source.pause = reads, 0
    return source


def test_each_picture_is_read_once(source, folder):
    cache = Cache(source, folder=folder)
    for index in (0, 3, 0, 0, 3):
        color, gray = cache.pair(index)
        np.testing.assert_array_equal(color, picture(index))
        np.testing.assert_array_equal(gray, picture(10 + index))
    assert source.reads == [0, 10, 3, 13]


def test_threads_share_a_cache(source, folder):
    cache = Cache(source, folder=folder)
    order = np.random.default_rng(0).integers(0, 4, 400).tolist()
    with ThreadPoolExecutor(8) as pool:
        for index, pair in zip(order, pool.map(cache.pair, order), strict=True):
            np.testing.assert_array_equal(pair[1], picture(10 + index))


def test_threads_that_want_one_picture_decode_it_once(source, folder):
    barrier = threading.Barrier(8)
    cache = Cache(source, folder=folder)

    def read(_):
        barrier.wait()
        return cache.pair(2)

    source.pause = 0.05  # long enough that all have asked before the first has it
    with ThreadPoolExecutor(8) as pool:
        pairs = list(pool.map(read, range(8)))
    assert source.reads == [2, 12]
    for color, _ in pairs:
        np.testing.assert_array_equal(color, picture(2))


def test_unpaired_pictures_have_no_partner(folder):
    cache = Cache(source_of({"a": lambda: picture(0)}), folder=folder)
    assert cache.pair(0)[1] is cache.pair(0)[1] is None


def test_cache_keeps_one_size(source, folder):
    cache = Cache(source, 64, folder)
    cache.pair(0, 64)
    with pytest.raises(ValueError, match="must be 64.*Received: 32"):
        cache.pair(0, 32)


def test_disk_cache_leaves_no_file(source, tmp_path):
    Cache(source, folder=tmp_path).pair(0)
    assert not list(tmp_path.iterdir())
