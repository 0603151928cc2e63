"""Files appear whole or not at all, and nobody's temporary files are taken away."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from kcolor import files

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX")
linux = pytest.mark.skipif(files._place() == "unknown", reason="/proc of Linux")


@pytest.fixture(autouse=True)
def _forget_the_place():
    yield
    files._place.cache_clear()


@pytest.mark.parametrize("door", ["writing", "replacing", "write_json"])
def test_a_finished_write_replaces_the_file(tmp_path, door):
    path = tmp_path / "run.weights.h5"
    path.write_text("old")
    if door == "writing":
        with files.writing(path) as file:
            file.write(b'"new"')
    elif door == "replacing":
        with files.replacing(path) as part:
            assert part.name.endswith(".weights.h5")
            part.write_text('"new"')
    else:
        files.write_json(path, "new")
    assert json.loads(path.read_text()) == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("door", [files.writing, files.replacing])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, door):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), door(path):
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_the_system_says_names_the_file_and_not_its_temporary_name(tmp_path):
    with pytest.raises(OSError) as caught, files.writing(tmp_path / "no" / "a.txt"):
        pass
    assert caught.value.filename == str(tmp_path / "no" / "a.txt")
    with pytest.raises(OSError) as caught, files.writing(tmp_path / "a.txt"):
        open(tmp_path / "another")
    assert caught.value.filename == str(tmp_path / "another")


@posix
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_the_umask_says_who_may_read_a_result(tmp_path, umask):
    before = os.umask(umask)
    try:
        with files.writing(tmp_path / "a"):
            pass
        with files.replacing(tmp_path / "b"):
            pass
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {0o666 & ~umask}


def test_equal_process_numbers_of_two_hosts_do_not_meet(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with files.writing(tmp_path / "a") as first:
        monkeypatch.setattr(socket, "gethostname", lambda: "another")
        files._place.cache_clear()
        files.remove_leftovers(tmp_path)
        with files.writing(tmp_path / "a") as second:
            second.write(b"second")
        first.write(b"first")
    assert (tmp_path / "a").read_bytes() == b"first"


def _left_by(folder, process, age=0.0):
    # A temporary file as a killed process leaves it.
    code = (
        "import os, sys; from kcolor import files\n"
        "with files.replacing(sys.argv[1]) as part:\n"
        "    print(part, flush=True)\n"
        "    os._exit(9)"
    )
    command = [sys.executable, "-c", code, str(folder / "a.jpg")]
    done = subprocess.run([*process, *command], capture_output=True, text=True)
    (part,) = (folder / line for line in done.stdout.splitlines())
    os.utime(part, (time.time() - age,) * 2)
    return part


@linux
def test_leftovers_of_this_machines_dead_processes_are_removed(tmp_path):
    _left_by(tmp_path, [])
    kept = [tmp_path / ".hidden.kcolor-part", tmp_path / "a-1-2.kcolor-part"]
    for path in kept:
        path.touch()
    with files.replacing(tmp_path / "mine.jpg") as mine:
        files.remove_leftovers(tmp_path)
        assert sorted(tmp_path.iterdir()) == sorted([*kept, mine])


def test_leftovers_of_other_machines_are_removed_after_a_day(tmp_path, monkeypatch):
    part, old = _left_by(tmp_path, []), _left_by(tmp_path, [], age=25 * 3600)
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    files._place.cache_clear()
    files.remove_leftovers(tmp_path)
    assert part.exists() and not old.exists()


@linux
def test_another_namespace_of_this_machine_is_another_machine(tmp_path):
    apart = ["unshare", "--user", "--map-root-user", "--pid", "--fork"]
    try:
        allowed = subprocess.run([*apart, "true"], capture_output=True).returncode == 0
    except OSError:
        allowed = False
    if not allowed:
        pytest.skip("no unshare, or not allowed")
    part = _left_by(tmp_path, apart)
    assert f"-{files._place()}-" not in part.name
    files.remove_leftovers(tmp_path)
    assert part.exists()


def test_a_folder_that_is_not_there_has_no_leftovers(tmp_path):
    files.remove_leftovers(tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())
