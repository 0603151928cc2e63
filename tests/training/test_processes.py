"""Tests for kcolor.training.processes: several processes train as one would."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kcolor.data.cleaning import SkipBad
from kcolor.data.source import open_source
from kcolor.errors import DataError
from kcolor.training import processes
from kcolor.training.fit import fit
from kcolor.training.options import FitOptions

PROGRAM = Path(__file__).parents[1] / "jax_process.py"
needs_jax = pytest.mark.skipif(find_spec("jax") is None, reason="needs jax")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """64 pictures, of which two cannot be read."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for i in range(64):
        small = rng.integers(0, 256, (3, 4, 3), "uint8")
        Image.fromarray(small).resize((60, 45)).save(folder / f"{i:02d}.png")
    for name in ("05.png", "30.png"):
        (folder / name).write_bytes(b"no picture")
    return folder


def environment():
    return {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def address():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{found.getsockname()[1]}"


def start(count, process_id, coordinator, options, tiny=True, dies_at=None):
    """Starts one of `count` processes that train."""
    asked = {
        "processes": count,
        "process_id": process_id,
        "coordinator": coordinator,
        "options": {
            name: str(v) if name == "run" else v for name, v in options.items()
        },
        "tiny": tiny,
        "dies_at": dies_at,
    }
    command = [sys.executable, PROGRAM, json.dumps(asked)]
    # Compiling a tiny network well takes longer than its few steps.
    flags = {"XLA_FLAGS": "--xla_backend_optimization_level=0"} if tiny else {}
    return subprocess.Popen(
        command,
        env=environment() | flags,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_all(count, options, **more):
    coordinator = address()
    return [start(count, i, coordinator, options, **more) for i in range(count)]


def results(started):
    """Waits for processes; returns what each answered."""
    found = []
    for process in started:
        out, said = process.communicate(timeout=1500)
        assert process.returncode == 0, said[-3000:]
        found.append(json.loads(out.splitlines()[-1]))
    return found


def without_speed(history):
    return [
        {name: value for name, value in row.items() if name != "images_per_second"}
        for row in history
    ]


@needs_jax
def test_two_processes_train_as_one_does(photographs, tmp_path):
    options = dict(system="mobile", data=str(photographs), val_images=3, seed=1)
    options.update(size=32, batch_size=6, steps_per_epoch=10, epochs=2, degrade=0.5)
    started = start_all(1, {**options, "run": tmp_path / "one"})
    started += start_all(2, {**options, "run": tmp_path / "two"})
    one, first, second = results(started)
    np.testing.assert_allclose(first["losses"], one["losses"], rtol=1e-5)
    assert first["losses"] == second["losses"]
    for expected, row in zip(one["history"], first["history"], strict=True):
        assert row["val_loss"] == pytest.approx(expected["val_loss"], rel=1e-3)
    bad = [(tmp_path / run / "bad_files.txt").read_text() for run in ("one", "two")]
    assert sorted(bad[0].splitlines()) == sorted(bad[1].splitlines())
    assert len(bad[0].splitlines()) == 2
    names = [
        sorted(path.name for path in (tmp_path / run).rglob("*") if path.is_file())
        for run in ("one", "two")
    ]
    assert names[0] == names[1]


def test_what_cannot_be_joined_is_refused(monkeypatch):
    with pytest.raises(ValueError, match="KERAS_BACKEND=jax. Received: .*tensorflow"):
        processes.join("10.0.0.1:1234", 2, 0)
    monkeypatch.setattr(processes.keras.backend, "backend", lambda: "jax")
    for address in ("10.0.0.1", ":1234", "10.0.0.1:http"):
        with pytest.raises(ValueError, match=f"HOST:PORT. Received: {address}"):
            processes.join(address, 2, 0)
    with pytest.raises(ValueError, match="`process_id` must be 0 to 1.* Received: 2"):
        processes.join("10.0.0.1:1234", 2, 2)


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}}', "KERAS_BACKEND=jax"),
        (
            "TF_CONFIG",
            '{"cluster": {"chief": ["a:1"], "ps": ["b:1"]}}',
            "--coordinator",
        ),
        ("TF_CONFIG", "{", "TF_CONFIG must be JSON"),
        ("KERAS_DISTRIBUTION_NUM_PROCESSES", "2", "call .*join"),
    ],
)
def test_no_process_trains_alone_where_several_were_meant(
    name, value, said, monkeypatch, tmp_path
):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=said):
        fit(FitOptions("mobile", tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_cluster_of_one_machine_is_no_cluster(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"chief": ["a:1"]}}')
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "1")
    processes.refuse_lone_process()


def test_processes_that_are_about_to_differ_are_refused(monkeypatch):
    others = [{"`size`": 64, "pictures": "a1"}, {"`size`": 32, "pictures": "a1"}]
    monkeypatch.setattr(processes, "gather", lambda own: [own, *others])
    with pytest.raises(
        DataError, match="same `size`.* 64 of process 0, 32 of process 2"
    ):
        processes.require_equal(others[0])
    others.pop()
    processes.require_equal(others[0])


def test_every_process_learns_which_files_others_found_bad(
    photographs, tmp_path, monkeypatch
):
    mine = SkipBad(open_source(photographs), tmp_path / "bad_files.txt")
    mine.pair(5)
    theirs = [[30, "photographs: 30.png: no picture"]]
    monkeypatch.setattr(processes, "gather", lambda own: [own, theirs])
    share = processes.ShareBadFiles(mine)
    share.on_epoch_end(0)
    assert sorted(mine.bad) == [5, 30]
    assert len((tmp_path / "bad_files.txt").read_text().splitlines()) == 2
    theirs += [[i, f"photographs: {i}.png: no picture"] for i in (40, 41)]
    with pytest.raises(DataError, match="over 5% of 64"):
        share.on_epoch_end(1)


def test_another_process_end_is_told_from_other_errors(monkeypatch):
    lost = ValueError("UNKNOWN: Gloo all-reduce failed: Connection closed by peer")
    with pytest.raises(ValueError, match="Gloo"), processes.ending_together("run"):
        raise lost  # there is no other
    monkeypatch.setattr(processes, "count", lambda: 2)
    with pytest.raises(DataError, match="run: .*another has ended.*--resume"):
        with processes.ending_together("run"):
            raise lost
    with pytest.raises(ValueError, match="`size`"), processes.ending_together("run"):
        raise ValueError("`size` must be a multiple of 32")


@needs_jax
@pytest.mark.slow
def test_a_real_network_stays_within_rounding_for_two_epochs(tmp_path):
    options = dict(system="unet", backbone="resnet18", backbone_weights="none")
    options.update(size=64, batch_size=8, steps_per_epoch=10, epochs=2, seed=1)
    # At ten times the rate Adam makes so much of rounding that one process differs as
    # much from itself when XLA compiles it in another way.
    options.update(degrade=0.5, learning_rate=1e-4)
    (one,) = results(start_all(1, {**options, "run": tmp_path / "one"}, tiny=False))
    two = results(start_all(2, {**options, "run": tmp_path / "two"}, tiny=False))
    assert one["losses"][-1] < 0.8 * one["losses"][0]
    np.testing.assert_allclose(two[0]["losses"], one["losses"], atol=1e-5, rtol=0)
    for expected, row in zip(one["history"], two[0]["history"], strict=True):
        for name in ("loss", "val_loss"):
            assert row[name] == pytest.approx(expected[name], rel=1e-3)
    for each in two:
        assert each["megabytes"] < 1.2 * one["megabytes"]


@needs_jax
@pytest.mark.slow
@pytest.mark.parametrize("process_id", [0, 1])
def test_a_killed_process_ends_all_and_the_run_goes_on_as_unbroken(
    photographs, tmp_path, process_id
):
    options = dict(system="mobile", data=str(photographs), val_images=3)
    options.update(size=32, batch_size=6, steps_per_epoch=4, epochs=3, ema=0.9)
    whole = results(start_all(2, {**options, "run": tmp_path / "whole"}))[0]
    broken = {**options, "run": tmp_path / "broken"}
    coordinator = address()
    started = [
        start(2, i, coordinator, broken, dies_at=6 if i == process_id else None)
        for i in range(2)
    ]
    for process in started:
        process.communicate(timeout=300)
    assert started[process_id].returncode == -signal.SIGKILL
    assert started[1 - process_id].returncode not in (0, None)
    again = results(start_all(2, {**broken, "resume": True}))[0]
    assert without_speed(again["history"]) == without_speed(whole["history"])
    # The rest can as well be done by one.
    for path in (tmp_path / "broken" / "checkpoints").glob("epoch-0003*"):
        path.unlink()
    (alone,) = results(start_all(1, {**broken, "resume": True}))
    expected = whole["history"][-1]["val_loss"]
    assert alone["history"][-1]["val_loss"] == pytest.approx(expected, rel=1e-3)


@needs_jax
@pytest.mark.slow
@pytest.mark.parametrize("killed", ["command", "training"])
def test_the_command_says_what_to_do_when_a_process_is_killed(tmp_path, killed):
    command = [sys.executable, "-m", "kcolor", "fit", "resnet", "-o", tmp_path / "run"]
    command += ["--backbone=resnet18", "--backbone-weights=none", "--size=32"]
    command += ["--batch-size=2", "--steps-per-epoch=2", "--epochs=1000"]
    command += ["--val-images=2", "--processes=2", f"--coordinator={address()}"]
    started = [
        subprocess.Popen(
            [*command, f"--process-id={i}"],
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    while not (tmp_path / "run" / "history.csv").exists():
        assert [process.poll() for process in started] == [None, None]
        time.sleep(0.2)
    victim = started[1].pid
    if killed == "training":
        (victim,) = children(victim)
    os.kill(victim, signal.SIGKILL)
    said = started[0].communicate(timeout=120)[1]
    assert started[0].returncode == 1
    assert re.fullmatch(r"Error: .*/run: .*--resume", said.splitlines()[-1])
    said = started[1].communicate(timeout=120)[1]
    if killed == "training":
        assert started[1].returncode == 1
        assert re.fullmatch(r"Error: .*/run: .*--resume", said.splitlines()[-1])


def children(parent):
    """The processes that multiprocessing started for a command, without its helper."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            status = (process / "status").read_text()
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if f"PPid:\t{parent}\n" in status and b"spawn_main" in command:
            found.append(int(process.name))
    return found
