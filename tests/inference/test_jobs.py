"""Jobs: planned, done one by one or together, killed, interrupted and run again."""

import dataclasses
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
from interrupts import heed

import kcolor
from kcolor.errors import DataError
from kcolor.inference.colorizer import Colorizer
from kcolor.inference.jobs import Settings, colorize_bytes, run_job
from kcolor.inference.plan import Job, plan
from kcolor.inference.runner import run

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
        preexec_fn=heed,
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


# Runs the command line on a disk that takes its time over every file, at the same time
# as another.
_SLOWLY = """
import pathlib, sys, time
from kcolor.images import encode
from kcolor.inference import colorizer
write = encode.write
def slow(file, *arguments):
    write(file, *arguments)
    file.flush()
    time.sleep(0.02)
encode.write = slow
from kcolor.cli.main import main
here = pathlib.Path(sys.argv[1])
here.touch()
while len(list(here.parent.iterdir())) < 2:
    time.sleep(0.001)
main(sys.argv[2:])
"""


def _as_another_host(name, *command):
    # Every process that is started so has the same number, 1, and a host of its own.
    apart = ["unshare", "--user", "--map-root-user", "--pid", "--uts", "--fork"]
    return [*apart, "sh", "-c", f'hostname {name}; exec "$@"', "sh", *command]


def _hosts_can_be_made():
    try:
        done = subprocess.run(_as_another_host("a", "true"), capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


@pytest.mark.skipif(not _hosts_can_be_made(), reason="no unshare, or not allowed")
def test_two_hosts_with_equal_process_numbers_share_a_folder(tmp_path, any_size_tflite):
    running = []
    ready = tmp_path / "ready"
    ready.mkdir()
    for name in ("one", "two"):
        album = _album(tmp_path / name, 25, size=(30, 41))
        for path in sorted(album.iterdir()):
            path.rename(album / f"{name}-{path.name}")
        command = [sys.executable, "-c", _SLOWLY, ready / name, "colorize", album]
        command += [
            "--overwrite",
            "-o",
            tmp_path / "out",
            "--model",
            any_size_tflite,
            "--jobs",
            "2",
        ]
        running.append(
            subprocess.Popen(
                _as_another_host(name, *map(str, command)),
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    said = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    together = _contents(tmp_path / "out")
    assert len(together) == 50
    for name in ("one", "two"):
        assert _start(tmp_path / name, tmp_path / "alone", any_size_tflite).wait() == 0
    assert together == _contents(tmp_path / "alone")
    assert not list((tmp_path / "out").glob(".*"))


def test_workers_change_no_result(tmp_path, any_size_tflite):
    album = _album(tmp_path / "in", 9, size=(150, 97))
    results = []
    for workers in (1, 3):
        out = tmp_path / f"out{workers}"
        colorizer = Colorizer(any_size_tflite, threads=1)
        jobs = plan([str(album)], str(out))
        done = list(run(jobs, colorizer, Settings(), workers))
        assert [(row.status, row.error) for row in done] == [("written", None)] * 9
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

    def jobs():
        for job in plan([str(album)], str(tmp_path / "out")):
            taken.append(job)
            yield job

    album = _album(tmp_path / "in", 30, size=(40, 50))
    colorizer = Colorizer(any_size_tflite, threads=1)
    results = run(jobs(), colorizer, Settings(), 1)
    next(results)
    assert len(taken) <= 3
    assert sum(1 for _ in results) == 29


def test_a_full_disk_is_named_and_leaves_nothing(
    tmp_path, any_size_tflite, monkeypatch
):
    album = _album(tmp_path / "in", 1, size=(40, 50))

    def replace(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", replace)
    jobs = plan([str(album)], str(tmp_path / "out"))
    colorizer = Colorizer(any_size_tflite, threads=1)
    (row,) = run(jobs, colorizer, Settings())
    target = tmp_path / "out" / "000.jpg"
    assert row.error == f"{target}: No space left on device"
    assert not list((tmp_path / "out").iterdir())


@posix
def test_a_pipe_in_a_folder_keeps_nobody_waiting(tmp_path, any_size_tflite):
    os.mkfifo(tmp_path / "a.jpg")
    jobs = plan([str(tmp_path / "a.jpg")], str(tmp_path / "b.jpg"))
    colorizer = Colorizer(any_size_tflite, threads=1)
    (row,) = run(jobs, colorizer, Settings())
    assert "not a regular file" in row.error


def test_several_folders_get_a_folder_each(tmp_path):
    for name in ("one", "two"):
        _album(tmp_path / name, 2, size=(20, 30))
    jobs = plan([str(tmp_path / "one"), str(tmp_path / "two")], str(tmp_path / "o"))
    assert [str(job.target.relative_to(tmp_path / "o")) for job in jobs] == [
        "one/000.jpg",
        "one/001.png",
        "two/000.jpg",
        "two/001.png",
    ]


def test_a_folder_without_output_gets_a_sibling(tmp_path):
    _album(tmp_path / "album", 1, size=(20, 30))
    (job,) = plan([str(tmp_path / "album")])
    assert job.target == tmp_path / "album-color" / "000.jpg"


def test_a_format_that_cannot_be_written_becomes_jpeg(tmp_path):
    (tmp_path / "a.heic").touch()
    (job,) = plan([str(tmp_path / "a.heic")])
    assert job.target.name == "a-color.jpg"


def test_standard_streams_take_one_photograph(tmp_path):
    with pytest.raises(DataError, match="one photograph"):
        plan(["-", "a.jpg"])
    with pytest.raises(DataError, match="folder cannot go"):
        plan([str(tmp_path)], "-")


def test_a_name_and_a_format_that_disagree_are_refused(tmp_path):
    source = _album(tmp_path / "in", 1, size=(20, 30)) / "000.jpg"
    for inputs in ([str(source)], ["-"]):
        with pytest.raises(DataError, match="out.png: the name says PNG, --format"):
            plan(inputs, str(tmp_path / "out.png"), "JPEG")
    (job,) = plan([str(source)], str(tmp_path / "out.JPEG"), "JPEG")
    assert job.target.name == "out.JPEG"
    (job,) = plan([str(source)], str(tmp_path / "scan"), "JPEG")
    assert job.target.name == "scan"


def test_a_job_is_one_row_whatever_became_of_it(tmp_path, any_size_tflite):
    album = _album(tmp_path / "in", 2, size=(20, 30))
    (album / "000.jpg").write_bytes(b"no picture")
    colorizer = Colorizer(any_size_tflite, threads=1)
    bad, good = (
        run_job(colorizer, job, Settings())
        for job in plan([str(album)], str(tmp_path / "out"))
    )
    row = dataclasses.asdict(good)
    assert row.pop("seconds") > 0
    assert row == {
        "input": str(album / "001.png"),
        "output": str(tmp_path / "out" / "001.png"),
        "status": "written",
        "error": None,
        "luma": None,
    }
    assert bad.status == "failed" and bad.error.startswith(bad.input)
    assert "\n" not in bad.error


def test_a_fault_of_our_own_is_no_bad_photograph(
    tmp_path, any_size_tflite, monkeypatch
):
    album = _album(tmp_path / "in", 1, size=(20, 30))
    colorizer = Colorizer(any_size_tflite, threads=1)

    def predict(*_):
        raise TypeError("ours")

    monkeypatch.setattr(colorizer, "predict", predict)
    with pytest.raises(TypeError, match="ours"):
        list(run(plan([str(album)], str(tmp_path / "out")), colorizer, Settings()))
    assert not list((tmp_path / "out").iterdir())


def test_bytes_are_colorized_as_a_file_is(tmp_path, any_size_tflite):
    album = _album(tmp_path / "in", 3, size=(40, 51))
    for job in plan([str(album)], str(tmp_path / "out")):
        run_job(Colorizer(any_size_tflite), job, Settings())
        data = job.source.read_bytes()
        assert colorize_bytes(data, any_size_tflite) == job.target.read_bytes()
        named = Job("somewhere/else.png", tmp_path / "again.x", data)
        kind = {"jpg": "JPEG", "png": "PNG", "tif": "TIFF"}[job.source.suffix[1:]]
        row = run_job(Colorizer(any_size_tflite), named, Settings(kind=kind))
        assert row.input == "somewhere/else.png"
        assert (tmp_path / "again.x").read_bytes() == job.target.read_bytes()


def test_bytes_take_a_format_and_a_colorizer(tmp_path, any_size_tflite):
    data = (_album(tmp_path / "in", 1, size=(40, 51)) / "000.jpg").read_bytes()
    colorizer = Colorizer(any_size_tflite, saturation=0.0)
    gray = kcolor.colorize_bytes(data, colorizer, format="PNG")
    color = kcolor.colorize_bytes(data, colorizer, format="png", saturation=1.0)
    assert gray[:4] == color[:4] == b"\x89PNG"
    chroma = [
        np.ptp(cv2.imdecode(np.frombuffer(file, "uint8"), 1).astype(int), axis=2).mean()
        for file in (gray, color)
    ]
    assert chroma[0] < 1 and chroma[1] > 5
    with pytest.raises(ValueError, match="Received: format='heic'"):
        colorize_bytes(data, colorizer, format="heic")
    for quality in (0, 101):
        with pytest.raises(ValueError, match=f"quality must .* quality={quality}"):
            colorize_bytes(data, colorizer, quality=quality)
    with pytest.raises(DataError, match="the photograph: "):
        colorize_bytes(b"no picture", colorizer)
