"""Shards: every file in exactly one of them, wherever and whenever it is listed."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from kcolor.errors import DataError
from kcolor.inference.plan import plan
from kcolor.inference.shards import Shard


def _touch(folder, names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def _planned(folder, count, **options):
    return [
        {
            job.source.relative_to(folder).as_posix()
            for job in plan([folder], f"{folder}-out", shard=shard, **options)
        }
        for shard in (Shard(index, count) for index in range(count))
    ]


def test_every_file_is_in_exactly_one_shard(tmp_path):
    names = {f"box {n % 7}/deep/s{n}.jpg" for n in range(400)}
    parts = _planned(_touch(tmp_path / "in", names), 3)
    assert set().union(*parts) == names
    assert sum(map(len, parts)) == 400
    # 133 each; six standard deviations of a fair draw are 57.
    assert all(76 < len(part) < 190 for part in parts)


def test_added_and_removed_files_move_no_other_file(tmp_path):
    folder = _touch(tmp_path / "in", [f"{n}.jpg" for n in range(0, 200, 2)])
    before = _planned(folder, 4)
    _touch(folder, [f"{n}.jpg" for n in range(1, 200, 2)])
    (folder / "0.jpg").unlink()
    after = _planned(folder, 4)
    for old, new in zip(before, after, strict=True):
        assert old - {"0.jpg"} <= new


def test_shards_do_not_depend_on_where_a_folder_is_mounted(tmp_path, monkeypatch):
    names = [f"a/{n}.tif" for n in range(60)]
    here = _planned(_touch(tmp_path / "here", names), 3)
    there = _touch(tmp_path / "far" / "away" / "there", names)
    assert _planned(there, 3) == here
    monkeypatch.chdir(there.parent)
    assert _planned(Path("there"), 3) == here


def test_the_split_is_the_same_in_every_release():
    names = ["a.jpg", "b.jpg", "box/c.png", "d.tif", "é.jpg", "f\udcff.jpg"]
    found = [next(i for i in range(5) if Shard(i, 5).holds(name)) for name in names]
    assert found == [1, 0, 4, 3, 4, 2]


def test_photographs_of_one_name_share_a_shard_and_are_set_apart_in_it(tmp_path):
    names = [f"{n}.{suffix}" for n in range(9) for suffix in ("heic", "jpg", "HEIF")]
    folder = _touch(tmp_path / "in", names)
    whole = {(job.source, job.target) for job in plan([folder], tmp_path / "out")}
    parts = [plan([folder], tmp_path / "out", shard=Shard(i, 4)) for i in range(4)]
    assert sum(map(len, parts)) == 27
    assert {(job.source, job.target) for part in parts for job in part} == whole


def test_results_of_one_name_are_refused_by_the_shard_that_has_them(tmp_path):
    names = ["a.heic", "a.jpg", "a.heic.jpg", "b.jpg", "c.jpg"]
    folder = _touch(tmp_path / "in", names)
    refused = 0
    for index in range(3):
        try:
            plan([folder], tmp_path / "out", shard=Shard(index, 3))
        except DataError as error:
            assert "a.heic.jpg: both" in str(error)
            refused += 1
    assert refused == 1


def test_no_shard_writes_over_an_input_of_another(tmp_path):
    one = _touch(tmp_path / "one", [f"two/x{n}.jpg" for n in range(9)])
    two = _touch(tmp_path / "two", [f"{n}.jpg" for n in range(9)])
    with pytest.raises(DataError, match="would lie among the inputs"):
        plan([one, two], one, shard=Shard(0, 2))


def test_standard_input_has_no_shards():
    with pytest.raises(DataError, match="cannot be split"):
        plan(["-"], shard=Shard(0, 2))


@pytest.mark.parametrize("text", ["3/3", "1", "a/b", "-1/3", "0/0", "1/3/5", "٣/٤"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(ValueError, match="Received"):
        Shard.parse(text)


# The command line on a disk that takes its time over every file.
_SLOWLY = """
import sys, time
from kcolor.images import encode
write = encode.write
def slow(file, *arguments):
    write(file, *arguments)
    file.flush()
    time.sleep(0.02)
encode.write = slow
from kcolor.cli.main import main
main(sys.argv[1:])
"""


def _apart(name, *command):
    # With processes numbered from 1 and a host name of its own, as in a container. A
    # kill of unshare takes all that is inside with it.
    start = ["unshare", "--user", "--map-root-user", "--pid", "--uts", "--mount"]
    start += ["--mount-proc", "--fork", "--kill-child"]
    return [*start, "sh", "-c", f'hostname {name}; exec "$@"', "sh", *command]


def _may_be_apart():
    try:
        return subprocess.run(_apart("a", "true"), capture_output=True).returncode == 0
    except OSError:
        return False


def _album(folder, count):
    folder.mkdir()
    for number in range(count):
        rng = np.random.default_rng(number)
        coarse = rng.integers(0, 256, (4, 5)).astype("uint8")
        gray = cv2.resize(coarse, (61, 40), interpolation=cv2.INTER_CUBIC)
        suffix = ("jpg", "png", "tif")[number % 3]
        part = folder / f"box{number % 7}"
        part.mkdir(exist_ok=True)
        cv2.imwrite(str(part / f"{number:03d}.{suffix}"), gray)
    return folder


def _results(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".kcolor-part")
    }


def _leftovers(folder):
    return list(folder.rglob("*.kcolor-part"))


@pytest.mark.slow
@pytest.mark.skipif(not _may_be_apart(), reason="no unshare, or not allowed")
def test_three_shards_in_two_places_survive_twenty_kills(tmp_path, any_size_tflite):
    count, kills = 500, 20
    album, out, log = _album(tmp_path / "in", count), tmp_path / "out", tmp_path / "log"
    common = ["colorize", album, "--model", any_size_tflite, "--jobs", "2"]
    undisturbed = [sys.executable, "-m", "kcolor", *common, "-o", tmp_path / "whole"]
    subprocess.run(list(map(str, undisturbed)), check=True, capture_output=True)
    whole = _results(tmp_path / "whole")
    assert len(whole) == count

    def start(index, place):
        command = [sys.executable, "-c", _SLOWLY, *common, "-o", out, "--skip-existing"]
        command += ["--shard", f"{index}/3", "--log", f"{log}{index}.jsonl"]
        return subprocess.Popen(
            _apart(place, *map(str, command)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    # Two places take turns at three shards: after a kill, a shard may go on elsewhere.
    rng = random.Random(0)
    running = {index: start(index, f"place{index % 2}") for index in range(3)}
    in_work = 0
    for number in range(kills):
        index = number % 3
        begun = len(_results(out)) if out.exists() else 0
        deadline = time.monotonic() + 60
        # Aim at the time when files appear, not at the start of Python.
        while running[index].poll() is None and time.monotonic() < deadline:
            if out.exists() and len(_results(out)) > begun:
                break
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.1))
        in_work += running[index].poll() is None
        running[index].kill()
        running[index].communicate()
        assert all(whole[name] == data for name, data in _results(out).items())
        running[index] = start(index, f"place{number % 2}")
    for index, process in running.items():
        said = process.communicate()[0]
        assert process.returncode == 0, (index, said)
    assert in_work >= 10
    for index in range(3):
        # Nothing is left to do.
        process = start(index, "place0")
        said = process.communicate()[0]
        assert process.returncode == 0 and said.startswith("0 written"), said
    assert _results(out) == whole

    rows = [
        json.loads(line)
        for index in range(3)
        for line in Path(f"{log}{index}.jsonl").read_text().splitlines()
    ]
    assert {row["status"] for row in rows} == {"written", "skipped"}
    assert {Path(row["input"]).relative_to(album).as_posix() for row in rows} == set(
        whole
    )
    # What the killed left is of other places, and goes when a day has passed.
    left = _leftovers(out)
    for path in left:
        os.utime(path, (0, 0))
    start(0, "place1").communicate()
    (out / "again").mkdir()
    shutil.rmtree(out / "again")
    subprocess.run(
        list(map(str, [*undisturbed[:-1], out, "--overwrite"])),
        check=True,
        capture_output=True,
    )
    assert not _leftovers(out)
