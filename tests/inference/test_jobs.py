"""Batches: killed, interrupted and run again, planned and counted."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from kcolor import progress
from kcolor.errors import DataError
from kcolor.inference import jobs as batch
from kcolor.inference.colorizer import Colorizer

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def _album(folder, count, size=(240, 321)):
    folder.mkdir()
    for number in range(count):
        rng = np.random.default_rng(number)
        coarse = rng.integers(0, 256, (9, 12)).astype("uint8")
        gray = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
        suffix = ("jpg", "png", "tif")[number % 3]
        cv2.imwrite(str(folder / f"{number:03d}.{suffix}"), gray)
    return folder


def _start(album, out, model, *more):
    command = [sys.executable, "-m", "kcolor", "colorize", album, "-o", out]
    command += ["--model", model, "--jobs", "2", *more]
    return subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A terminal sends Ctrl-C; a background process of some shells ignores it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def _contents(folder):
    if not folder.exists():
        return {}
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if not path.name.endswith(".kcolor-part")
    }


def _kill_often(tmp_path, model, count, kills):
    album = _album(tmp_path / "in", count)
    started = time.monotonic()
    assert _start(album, tmp_path / "whole", model).wait() == 0
    seconds = time.monotonic() - started
    whole = _contents(tmp_path / "whole")
    assert len(whole) == count
    rng = random.Random(kills)
    interrupted = 0
    for number in range(kills):
        out = tmp_path / f"out{number}"
        process = _start(album, out, model)
        # Most of the time goes into starting: aim at the part in which files appear.
        while not out.exists() and process.poll() is None:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.5 * seconds))
        process.kill()
        process.wait()
        after = _contents(out)
        interrupted += 0 < len(after) < count
        assert all(whole[name] == content for name, content in after.items())
        assert _start(album, out, model, "--skip-existing").wait() == 0
        assert _contents(out) == whole
        assert len(list(out.iterdir())) == count
    return interrupted


@posix
def test_killed_batches_leave_whole_files_and_are_finished(tmp_path, any_size_tflite):
    _kill_often(tmp_path, any_size_tflite, 40, kills=2)


@posix
@pytest.mark.slow
def test_twenty_killed_batches_leave_whole_files(tmp_path, any_size_tflite):
    assert _kill_often(tmp_path, any_size_tflite, 120, kills=20) >= 10


@posix
def test_ctrl_c_ends_a_batch_cleanly(tmp_path, any_size_tflite):
    album = _album(tmp_path / "in", 150)
    process = _start(album, tmp_path / "out", any_size_tflite)
    while not _contents(tmp_path / "out") and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert len(list((tmp_path / "out").iterdir())) == len(_contents(tmp_path / "out"))
    for name in _contents(tmp_path / "out"):
        assert cv2.imread(str(tmp_path / "out" / name)) is not None


def test_leftovers_of_dead_runs_are_removed_and_others_kept(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / f".{dead.pid}-3.kcolor-part").touch()
    mine = tmp_path / f".{os.getpid()}-0.kcolor-part"
    other = tmp_path / ".hidden.kcolor-part"
    mine.touch(), other.touch()
    batch.remove_leftovers([batch.Job(tmp_path / "a", tmp_path / "b.jpg")])
    assert sorted(tmp_path.iterdir()) == sorted([mine, other])


def test_workers_change_no_result(tmp_path, any_size_tflite):
    album = _album(tmp_path / "in", 9, size=(150, 97))
    results = []
    for workers in (1, 3):
        out = tmp_path / f"out{workers}"
        colorizer = Colorizer(any_size_tflite, threads=1)
        jobs = batch.plan([str(album)], str(out))
        done = list(batch.run(jobs, colorizer, batch.Settings(), workers))
        assert [error for _, error in done] == [None] * 9
        results.append(_contents(out))
    assert results[0] == results[1]


def test_one_colorizer_serves_many_threads(any_size_tflite):
    rng = np.random.default_rng(0)
    shapes = [(70, 90), (90, 70), (64, 64), (33, 120)]
    grays = [rng.integers(0, 256, shapes[n % 4]).astype("uint8") for n in range(24)]
    shared = Colorizer(any_size_tflite, threads=1)
    expected = [Colorizer(any_size_tflite, threads=1)(gray) for gray in grays]
    together = threading.Barrier(4)

    def work(gray):
        together.wait(timeout=30)
        return shared(gray)

    with ThreadPoolExecutor(4) as pool:
        for result, wanted in zip(pool.map(work, grays), expected, strict=True):
            np.testing.assert_array_equal(result, wanted)


def test_a_batch_never_holds_more_than_a_few_files_ahead(any_size_tflite, tmp_path):
    taken = []

    class Jobs(list):
        def __iter__(self):
            for job in super().__iter__():
                taken.append(job)
                yield job

    album = _album(tmp_path / "in", 30, size=(40, 50))
    jobs = Jobs(batch.plan([str(album)], str(tmp_path / "out")))
    colorizer = Colorizer(any_size_tflite, threads=1)
    results = batch.run(jobs, colorizer, batch.Settings(), 1)
    next(results)
    assert len(taken) == 1
    assert sum(1 for _ in results) == 29


def test_a_full_disk_is_named_and_leaves_nothing(
    tmp_path, any_size_tflite, monkeypatch
):
    album = _album(tmp_path / "in", 1, size=(40, 50))

    def replace(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(batch.os, "replace", replace)
    jobs = batch.plan([str(album)], str(tmp_path / "out"))
    colorizer = Colorizer(any_size_tflite, threads=1)
    ((_, error),) = batch.run(jobs, colorizer, batch.Settings())
    assert error.strerror == "No space left on device"
    assert error.filename == str(tmp_path / "out" / "000.jpg")
    assert not list((tmp_path / "out").iterdir())


@posix
def test_a_pipe_in_a_folder_keeps_nobody_waiting(tmp_path, any_size_tflite):
    os.mkfifo(tmp_path / "a.jpg")
    jobs = batch.plan([str(tmp_path / "a.jpg")], str(tmp_path / "b.jpg"))
    colorizer = Colorizer(any_size_tflite, threads=1)
    ((_, error),) = batch.run(jobs, colorizer, batch.Settings())
    assert "not a regular file" in str(error)


def test_large_files_take_turns():
    share = batch.Share(megapixels=100)
    together, most = 0, 0
    lock = threading.Lock()

    def work(megapixels):
        nonlocal together, most
        with share.of(megapixels):
            with lock:
                together += min(megapixels, 100)
                most = max(most, together)
            time.sleep(0.002)
            with lock:
                together -= min(megapixels, 100)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [60, 30, 70, 5, 500, 20, 45, 50, 10] * 5))
    assert 60 < most <= 100


def test_several_folders_get_a_folder_each(tmp_path):
    for name in ("one", "two"):
        _album(tmp_path / name, 2, size=(20, 30))
    jobs = batch.plan(
        [str(tmp_path / "one"), str(tmp_path / "two")], str(tmp_path / "o")
    )
    assert [str(job.target.relative_to(tmp_path / "o")) for job in jobs] == [
        "one/000.jpg",
        "one/001.png",
        "two/000.jpg",
        "two/001.png",
    ]


def test_a_folder_without_output_gets_a_sibling(tmp_path):
    _album(tmp_path / "album", 1, size=(20, 30))
    (job,) = batch.plan([str(tmp_path / "album")])
    assert job.target == tmp_path / "album-color" / "000.jpg"


def test_a_format_that_cannot_be_written_becomes_jpeg(tmp_path):
    (tmp_path / "a.heic").touch()
    (job,) = batch.plan([str(tmp_path / "a.heic")])
    assert job.target.name == "a-color.jpg"


def test_standard_streams_take_one_photograph(tmp_path):
    with pytest.raises(DataError, match="one photograph"):
        batch.plan(["-", "a.jpg"])
    with pytest.raises(DataError, match="folder cannot go"):
        batch.plan([str(tmp_path)], "-")


def test_the_summary_counts_and_names_failures(capsys):
    job = batch.Job("a.jpg", "b.jpg")
    results = [(job, None), (job, DataError("a.jpg: damaged\n(badly)")), (job, None)]
    assert progress.show(results, 3, skipped=4) == 1
    said = capsys.readouterr().err
    assert "2 written" in said and "4 already there" in said and "1 failed" in said
    assert said.splitlines()[-1] == "Error: a.jpg: damaged (badly)"


def test_plain_lines_tell_rate_and_time_left(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_INTERVAL", 0)
    job = batch.Job("a.jpg", "b.jpg")
    progress.show(((job, None) for _ in range(3)), 3)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("1/3, 0 failed, ") and lines[0].endswith("s left")
    assert lines[-1].startswith("3 written in ")
