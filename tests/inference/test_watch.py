"""Tests for watching a folder."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import cv2
import pytest
from interrupts import heed
from photographs import photograph

from kcolor.errors import DataError
from kcolor.inference.jobs import Status
from kcolor.inference.watch import Watch


@contextmanager
def ended(process):
    """Leaves no process behind, whatever a test finds."""
    with process:
        try:
            yield
        finally:
            process.kill()


def put(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), photograph(40, 60, seed=seed))
    return path.read_bytes()


def names(jobs):
    return [job.source.name for job in jobs]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "scans").mkdir()
    return tmp_path / "scans"


def test_a_file_is_taken_once_it_stays_as_it_is(folder, tmp_path):
    watched = Watch(folder, tmp_path / "out")
    content = put(folder / "deep" / "a.png")
    (folder / "deep" / "a.png").write_bytes(content[:100])
    assert not watched.ready()
    (folder / "deep" / "a.png").write_bytes(content)
    assert not watched.ready()
    (job,) = watched.ready()
    assert job.target == tmp_path / "out" / "deep" / "a.png"


def test_what_has_a_result_is_left(folder, tmp_path):
    put(folder / "a.png")
    put(folder / "b.png")
    put(tmp_path / "out" / "a.png")
    watched = Watch(folder, tmp_path / "out")
    watched.ready()
    assert names(watched.ready()) == ["b.png"]


def test_a_newer_scan_is_colored_again_where_that_is_asked_for(folder, tmp_path):
    put(tmp_path / "out" / "a.png")
    put(tmp_path / "out" / "b.png")
    time.sleep(0.02)
    put(folder / "a.png")
    for overwrite, expected in ((False, []), (True, ["a.png"])):
        watched = Watch(folder, tmp_path / "out", overwrite=overwrite)
        watched.ready()
        assert names(watched.ready()) == expected


def test_a_twin_that_comes_later_fails_once_and_is_taken_when_there_is_room(
    folder, tmp_path
):
    put(folder / "a.png")
    result = tmp_path / "out" / "a.jpg"
    put(result)
    os.utime(result, ns=(0, 10**18))
    put(folder / "a.jpg", seed=1)
    watched = Watch(folder, tmp_path / "out", kind="JPEG")
    watched.ready()
    (job,) = watched.ready()
    assert job.source.name == "a.jpg" and str(folder / "a.png") in job.fault
    watched.note(Status(str(job.source), str(job.target), "failed", 0.1, job.fault))
    assert not watched.ready()
    result.unlink()
    watched.ready()
    assert names(watched.ready()) == ["a.jpg", "a.png"]


def test_a_twin_that_comes_later_replaces_where_that_is_asked_for(folder, tmp_path):
    put(folder / "a.png")
    put(tmp_path / "out" / "a.jpg")
    put(folder / "a.jpg", seed=1)
    # Its own time is old, as a copy's may be.
    os.utime(folder / "a.jpg", ns=(0, 10**17))
    os.utime(tmp_path / "out" / "a.jpg", ns=(0, 10**18))
    watched = Watch(folder, tmp_path / "out", kind="JPEG", overwrite=True)
    watched.ready()
    found = {job.source.name: job for job in watched.ready()}
    assert found["a.jpg"].target == tmp_path / "out" / "a.jpg"
    assert found["a.jpg"].fault is None
    assert found["a.png"].target == tmp_path / "out" / "a.png.jpg"


def test_a_failed_file_is_tried_again_when_it_changes(folder, tmp_path):
    put(folder / "a.png")
    watched = Watch(folder, tmp_path / "out")
    watched.ready()
    (job,) = watched.ready()
    watched.note(Status(str(job.source), str(job.target), "failed", 0.1, "bad"))
    assert not watched.ready()
    put(folder / "a.png", seed=1)
    assert not watched.ready()
    assert names(watched.ready()) == ["a.png"]


def test_an_empty_folder_is_waited_for(folder, tmp_path):
    watched = Watch(folder, tmp_path / "out")
    assert not watched.ready()
    assert "no photographs" in watched.trouble
    put(folder / "a.png")
    watched.ready()
    assert watched.trouble is None


def test_a_file_cannot_be_watched(tmp_path):
    with pytest.raises(DataError, match="must be a folder"):
        Watch(tmp_path / "no-such-folder")


def test_the_command_colors_what_arrives_and_ends_whole(folder, tmp_path):
    command = [sys.executable, "-m", "kcolor", "colorize", str(folder), "--watch"]
    process = subprocess.Popen(
        [*command, "-o", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed,
    )
    with ended(process):
        assert "Watching" in process.stderr.readline()
        assert "no photographs" in process.stderr.readline()
        put(folder / "a.png")
        (folder / "bad.png").write_bytes(b"no photograph")
        assert process.stdout.readline().strip() == str(tmp_path / "out" / "a.png")
        assert "bad.png" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in rest
    assert cv2.imread(str(tmp_path / "out" / "a.png")).shape == (40, 60, 3)
