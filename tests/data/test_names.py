"""Names in arrays are a list of strings, only smaller."""

import numpy as np
import pytest

from kcolor.data.names import Names


def _random_names(count, seed=0):
    rng = np.random.default_rng(seed)
    letters = list("ab./Zé\udcff \U0001f600") + ["__MACOSX", "gray/", ".JPG", "jpg"]
    return [
        "".join(rng.choice(letters, rng.integers(0, 12)).tolist()) for _ in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, 2, 700])
def test_names_are_the_list_they_were_made_of(count):
    expected = _random_names(count)
    names = Names(iter(expected))
    assert len(names) == count and list(names) == expected
    assert names == expected and names == Names(expected)
    assert [names[i] for i in range(-count, count)] == expected + expected
    assert names[1::3] == expected[1::3]
    with pytest.raises(IndexError):
        names[count]


def test_names_differ_from_another_list():
    assert Names(["a", "b"]) != ["a"] and Names(["a", "b"]) != ["a", "c"]
    assert Names(["ab"]) != Names(["a", "b"]) and Names(["a"]) != "a"


def test_chunks_leave_no_seam(monkeypatch):
    monkeypatch.setattr("kcolor.data.names._CHUNK", 7)
    expected = _random_names(50)
    names = Names(expected)
    assert list(names) == expected
    order = np.random.default_rng(1).permutation(50)
    assert names.take(order) == [expected[i] for i in order]


def test_names_sort_as_strings_do():
    names = _random_names(900) + ["a", "a/b", "a.b", "a" * 8, "a" * 9, "a" * 16]
    order = Names(names).argsort()
    assert order.tolist() == sorted(range(len(names)), key=names.__getitem__)


def test_suffixes_and_parts_are_found_in_all_names():
    names = _random_names(900, seed=2) + ["gray/a.jpg", "x/gray/a.JPG", ".b.jpg", "jpg"]
    found = Names(names).end_with([".jpg", ".tiff"])
    assert found.tolist() == [n.lower().endswith((".jpg", ".tiff")) for n in names]
    for prefix in ("gray/", ".", "__MACOSX"):
        found = Names(names).have_part(prefix)
        expected = [n.startswith(prefix) or f"/{prefix}" in n for n in names]
        assert 0 < sum(expected) < len(names) and found.tolist() == expected
