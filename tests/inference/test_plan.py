"""Tests for kcolor.inference.plan: which file becomes which."""

import errno
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from kcolor.cli.main import main
from kcolor.errors import DataError
from kcolor.inference.plan import existing, keep_results, plan


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


def after(path, content=b"x"):
    """Writes a file that is certainly younger than all results there are."""
    for result in (path.parent.parent / "out").iterdir():
        os.utime(result, ns=(0, 10**18))
    path.write_bytes(content)


def kept(folder, **options):
    jobs = plan([folder], folder.parent / "out", **options)
    return {job.source.name: job for job in keep_results(jobs)}


@pytest.fixture
def twins(tmp_path):
    """A folder whose PNG was colorized as `a.jpg` before an `a.jpg` came."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"x")
    (tmp_path / "out" / "a.jpg").write_bytes(b"of a.png")
    after(tmp_path / "in" / "a.jpg")
    return tmp_path / "in"


def test_a_file_that_comes_after_its_twin_s_result_is_not_done(twins):
    out = twins.parent / "out"
    jobs = kept(twins, kind="JPEG")
    assert jobs["a.png"].target == out / "a.jpg" and jobs["a.png"].fault is None
    assert jobs["a.jpg"].fault == (
        f"{twins}/a.jpg: not colorized, since {out}/a.jpg is older than it and "
        f"seems to be of {twins}/a.png; remove it to have both colorized"
    )
    assert existing(jobs.values()) == [jobs["a.png"]]


def test_an_interrupted_run_of_twins_goes_on(twins):
    os.utime(twins.parent / "out" / "a.jpg")  # written when both were there
    jobs = kept(twins, kind="JPEG")
    assert jobs["a.jpg"].fault is None
    assert existing(jobs.values()) == [jobs["a.jpg"]]
    assert jobs["a.png"].target.name == "a.png.jpg"


def test_twins_that_have_both_their_results_are_done(twins):
    (twins.parent / "out" / "a.png.jpg").write_bytes(b"x")
    assert len(existing(kept(twins, kind="JPEG").values())) == 2


def test_two_results_of_one_name_are_refused(tmp_path):
    for part in ("one", "two"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "a.jpg").write_bytes(b"x")
    inputs = [tmp_path / part / "a.jpg" for part in ("one", "two")]
    with pytest.raises(DataError, match="a.jpg: both .* would be written to it"):
        plan(inputs, tmp_path / "out")


def album_of(folder, *names):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 35), dtype="uint8")
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), pixels)
    return folder


@pytest.fixture
def locked(monkeypatch):
    """Lets folders of a name not be listed, as the system does to others than root."""
    scandir = os.scandir

    def refuse(path="."):
        if Path(os.fsdecode(path)).name == "locked":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)


def test_a_folder_that_cannot_be_listed_is_a_job_that_fails(tmp_path, locked):
    album = album_of(tmp_path / "al", "a.png", "deep/locked/b.png", "deep/c.png")
    # Results from when it could be listed do not hide it.
    out = album_of(tmp_path / "out", "deep/locked/b.png")
    *others, unlisted = jobs = plan([album], out)
    assert [job.source for job in others] == [album / "a.png", album / "deep/c.png"]
    assert all(job.fault is None for job in others)
    assert unlisted.source == album / "deep/locked"
    assert unlisted.fault == (
        f"{album}/deep/locked: cannot be listed (Permission denied)"
    )
    assert existing(jobs) == []
    assert len(plan([album], out, recursive=False)) == 1


def test_a_folder_in_which_nothing_can_be_listed_is_refused(tmp_path, locked):
    album = album_of(tmp_path / "al", "locked/b.png")
    for folder in (album, album / "locked"):
        with pytest.raises(DataError, match="locked: cannot be listed .Permission"):
            plan([folder])


def test_the_command_names_what_cannot_be_listed_and_does_the_rest(
    tmp_path, locked, any_size_tflite
):
    album = album_of(tmp_path / "al", "a.png", "locked/b.png", "deep/c.png")
    out, model = str(tmp_path / "out"), str(any_size_tflite)
    done = CliRunner().invoke(
        main, ["colorize", str(album), "-o", out, "--model", model]
    )
    assert done.exit_code == 1
    (line,) = [line for line in done.output.splitlines() if "locked" in line]
    assert line == f"Error: {album}/locked: cannot be listed (Permission denied)"
    found = sorted(path.name for path in Path(out).rglob("*.*"))
    assert found == ["a.png", "c.png"]


def test_a_link_to_a_folder_is_not_followed_and_named_once(tmp_path, caplog):
    album = album_of(tmp_path / "al", "a.png", "deep/b.png")
    elsewhere = album_of(tmp_path / "elsewhere", "c.png")
    (album / "deep" / "link").symlink_to(elsewhere, target_is_directory=True)
    for _ in range(2):
        jobs = plan([album], tmp_path / "out")
    assert [job.source.name for job in jobs] == ["a.png", "b.png"]
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"{album}/deep/link: a link to a folder is not followed")


def test_a_link_s_results_lie_beside_the_link(tmp_path):
    album_of(tmp_path / "real" / "scans", "a.png")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "album").symlink_to(tmp_path / "real" / "scans")
    (job,) = plan([tmp_path / "mine" / "album"])
    assert job.target == tmp_path / "mine" / "album-color" / "a.png"


def test_what_a_mac_keeps_beside_files_is_no_photograph(tmp_path):
    album = album_of(tmp_path / "al", "a.png", "._a.png", ".b.png")
    assert sorted(job.source.name for job in plan([album])) == [".b.png", "a.png"]


def test_outputs_that_cannot_be_meant_are_refused(tmp_path):
    album = album_of(tmp_path / "al", "a.png", "b.png")
    photos = [str(album / "a.png"), str(album / "b.png")]
    file = album / "a.png"
    for inputs, out, said in [
        ([""], None, "an empty text is no name"),
        (photos[:1], "", "an empty text is no name"),
        (photos, str(file), "a.png: is a file; several results need a folder"),
        (["-"], str(album), "al: is a folder; standard input has no name"),
        (["-"], f"{tmp_path}/new/", "new/: is a folder"),
    ]:
        with pytest.raises(DataError, match=said):
            plan(inputs, out, "PNG")


def test_a_log_is_never_written_into_a_photograph(tmp_path):
    album = album_of(tmp_path / "al", "a.png")
    photo, before = album / "a.png", (album / "a.png").read_bytes()
    arguments = ["colorize", str(photo), "--log"]
    for log in (photo, album / "a-color.png"):
        done = CliRunner().invoke(main, [*arguments, str(log)])
        assert done.exit_code == 1 and "is a photograph or its result" in done.output
    assert photo.read_bytes() == before
    assert not (album / "a-color.png").exists()
