"""Tests for kcolor.data.cleaning: bad and gray pictures are left out."""

import numpy as np
import pytest
from memory_source import source_of

from kcolor.data.cleaning import SkipBad, without_bad, without_gray
from kcolor.errors import DataError


def picture(value):
    return np.full((4, 4, 3), value, np.uint8)


def photographs(count, bad=()):
    def reader(i):
        return lambda: b"no picture" if i in bad else picture(i)

    return source_of({f"{i:03d}.png": reader(i) for i in range(count)})


def test_a_neighbor_stands_in_for_a_bad_file(tmp_path, caplog):
    file = tmp_path / "bad_files.txt"
    source = SkipBad(photographs(60, bad={3, 4, 59}), file)
    values = [int(source.pair(i)[0][0, 0, 0]) for i in (2, 3, 4, 59, 3)]
    assert values == [2, 5, 5, 0, 5]
    assert [line.split(":")[1] for line in file.read_text().splitlines()] == [
        " 003.png",
        " 004.png",
        " 059.png",
    ]
    assert caplog.text.count("left out: photos: 003.png") == 1


def test_a_resumed_run_names_no_file_twice(tmp_path):
    file = tmp_path / "bad_files.txt"
    for _ in range(2):
        SkipBad(photographs(60, bad={3}), file).pair(3)
    assert len(file.read_text().splitlines()) == 1


def test_too_many_bad_files_stop_the_run(tmp_path):
    source = SkipBad(photographs(40, bad={0, 1, 2}), tmp_path / "bad.txt")
    with pytest.raises(DataError, match="photos: over 5% of 40 .*002.png"):
        source.pair(0)
    assert "over 5%" in str(source.failure)
    assert len((tmp_path / "bad.txt").read_text().splitlines()) == 3


def test_validation_goes_on_without_bad_files(tmp_path):
    kept = without_bad(photographs(9, bad={1, 5}), tmp_path / "bad.txt")
    assert kept.names == [f"{i:03d}.png" for i in (0, 2, 3, 4, 6, 7, 8)]
    assert "005.png" in (tmp_path / "bad.txt").read_text()
    without_bad(photographs(3), tmp_path / "none.txt")
    assert not (tmp_path / "none.txt").exists()
    with pytest.raises(DataError, match="000.png: not a readable"):
        without_bad(photographs(2, bad={0, 1}), tmp_path / "bad.txt")


def test_near_gray_pictures_are_left_out_and_counted(caplog):
    rng = np.random.default_rng(0)

    def tinted(strength):
        ab = rng.normal(size=(32, 32, 3)) * strength
        return np.clip(128 + ab, 0, 255).astype(np.uint8)

    pictures = {"gray": tinted(0), "pale": tinted(4), "vivid": tinted(60)}
    readers = {name: lambda p=p: p for name, p in pictures.items()}
    source = source_of({**readers, "broken": lambda: b"no picture"})
    with caplog.at_level("INFO", logger="kcolor"):
        kept = without_gray(source, 15.0)
    assert kept.names == ["broken", "vivid"]  # a bad file is another's affair
    assert "2 of 4 pictures left out" in caplog.text
    with pytest.raises(DataError, match="no picture of colorfulness 1000"):
        without_gray(source_of(readers), 1000.0)
