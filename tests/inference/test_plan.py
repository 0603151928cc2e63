"""Tests for kcolor.inference.plan: which file becomes which."""

import pytest

from kcolor.errors import DataError
from kcolor.inference.plan import plan


def targets(folder, names, **options):
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"x")
    jobs = plan([folder], folder.parent / "out", **options)
    return {job.source.name: job.target.name for job in jobs}


def test_a_phone_s_twins_of_one_name_are_both_colorized(tmp_path):
    names = ["IMG_1.HEIC", "IMG_1.jpg", "IMG_2.heic"]
    assert targets(tmp_path / "album", names) == {
        "IMG_1.HEIC": "IMG_1.heic.jpg",
        "IMG_1.jpg": "IMG_1.jpg",
        "IMG_2.heic": "IMG_2.jpg",
    }


def test_files_that_one_format_would_give_one_name_keep_their_suffix(tmp_path):
    names = ["a.jpg", "a.png", "a.tif", "b.tif"]
    assert targets(tmp_path / "album", names, kind="PNG") == {
        "a.jpg": "a.jpg.png",
        "a.png": "a.png",
        "a.tif": "a.tif.png",
        "b.tif": "b.png",
    }


def test_two_results_of_one_name_are_refused(tmp_path):
    for part in ("one", "two"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "a.jpg").write_bytes(b"x")
    inputs = [tmp_path / part / "a.jpg" for part in ("one", "two")]
    with pytest.raises(DataError, match="a.jpg: both .* would be written to it"):
        plan(inputs, tmp_path / "out")
