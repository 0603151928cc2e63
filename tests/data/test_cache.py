"""Tests for kcolor.data.caching: each picture is decoded once, and nothing is left."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kcolor.data.cache import Cache
from kcolor.data.source import Source


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
        return lambda: reads.append(seed) or picture(seed)

    readers = {f"{i}": reader(i) for i in range(4)}
    source = Source("x", readers, {f"{i}": reader(10 + i) for i in range(4)})
    source.reads = reads
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


def test_unpaired_pictures_have_no_partner(folder):
    cache = Cache(Source("x", {"a": lambda: picture(0)}), folder=folder)
    assert cache.pair(0)[1] is cache.pair(0)[1] is None


def test_cache_keeps_one_size(source, folder):
    cache = Cache(source, 64, folder)
    cache.pair(0, 64)
    with pytest.raises(ValueError, match="must be 64.*Received: 32"):
        cache.pair(0, 32)


def test_disk_cache_leaves_no_file(source, tmp_path):
    Cache(source, folder=tmp_path).pair(0)
    assert not list(tmp_path.iterdir())
