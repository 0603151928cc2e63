"""The log of jobs: whole lines, one for each input, from any number of writers."""

import json
import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import pytest

from kcolor.inference.jobs import Status
from kcolor.inference.log import StatusLog


def _rows(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def _status(name, error=None):
    return Status(name, f"out/{name}", "failed" if error else "written", 0.5, error)


def test_a_line_has_the_agreed_names(tmp_path):
    with StatusLog(tmp_path / "log.jsonl") as log:
        log.append(_status("a.jpg", "a.jpg: no picture\nat all"))
        assert _rows(tmp_path / "log.jsonl") == [
            {
                "input": "a.jpg",
                "output": "out/a.jpg",
                "status": "failed",
                "seconds": 0.5,
                "error": "a.jpg: no picture\nat all",
                "luma": None,
            }
        ]


def test_a_log_goes_on_where_it_was_cut_short(tmp_path):
    path = tmp_path / "log.jsonl"
    with StatusLog(path) as log:
        log.append(_status("a.jpg"))
        log.append(_status("b.jpg"))
    path.write_bytes(path.read_bytes()[:-20])
    with StatusLog(path) as log:
        log.append(_status("c.jpg"))
    lines = path.read_bytes().split(b"\n")
    assert json.loads(lines[0])["input"] == "a.jpg"
    assert json.loads(lines[2])["input"] == "c.jpg"
    assert lines[3:] == [b""]


def test_names_that_are_no_text_are_kept(tmp_path):
    with StatusLog(tmp_path / "log.jsonl") as log:
        log.append(_status("caf\udce9 é\n.jpg"))
    (row,) = _rows(tmp_path / "log.jsonl")
    assert row["input"] == "caf\udce9 é\n.jpg"


def _write_many(path, who):
    with StatusLog(path) as log, ThreadPoolExecutor(4) as pool:
        names = [f"{who}-{n}-{'x' * (n % 700)}.jpg" for n in range(400)]
        list(pool.map(log.append, map(_status, names)))


def test_lines_of_many_threads_and_processes_stay_whole(tmp_path):
    path = tmp_path / "log.jsonl"
    start = multiprocessing.get_context("spawn")
    writers = [start.Process(target=_write_many, args=(path, who)) for who in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert len({row["input"] for row in _rows(path)}) == len(_rows(path)) == 1200


def test_a_log_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OSError, match="no folder"):
        StatusLog(tmp_path / "no folder" / "log.jsonl")
