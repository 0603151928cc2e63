"""Object storage: plans of URLs, whole reads and writes, attempts, secrets."""

import sys
import types

import pytest

from kcolor import remote
from kcolor.errors import DataError
from kcolor.inference.plan_urls import existing, plan_urls
from kcolor.inference.shards import Shard

pytest.importorskip("fsspec")


def _put(storage, *names):
    for name in names:
        storage.pipe_file(f"/bucket/{name}", name.encode())


def test_a_folder_of_objects_keeps_its_tree(storage):
    _put(storage, "in/b.png", "in/deep/a.jpg", "in/notes.txt", "in/c.heic", "in/c.jpg")
    jobs = plan_urls(["memory://bucket/in"], "memory://bucket/out/")
    assert {job.source: job.target for job in jobs} == {
        "memory://bucket/in/b.png": "memory://bucket/out/b.png",
        "memory://bucket/in/deep/a.jpg": "memory://bucket/out/deep/a.jpg",
        "memory://bucket/in/c.heic": "memory://bucket/out/c.heic.jpg",
        "memory://bucket/in/c.jpg": "memory://bucket/out/c.jpg",
    }
    flat = plan_urls(["memory://bucket/in"], "memory://o", recursive=False)
    assert len(flat) == 3


def test_an_object_and_a_folder_of_files_go_to_one_place(storage, tmp_path):
    _put(storage, "x/one.tif")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "two.jpg").touch()
    inputs = ["memory://bucket/x/one.tif", tmp_path / "in"]
    jobs = plan_urls(inputs, "memory://bucket/out", kind="PNG")
    assert {str(job.source): job.target for job in jobs} == {
        "memory://bucket/x/one.tif": "memory://bucket/out/one.png",
        str(tmp_path / "in" / "two.jpg"): "memory://bucket/out/in/two.png",
    }
    local = plan_urls(inputs[:1], tmp_path / "out")
    assert local[0].target == tmp_path / "out" / "one.tif"


def test_shards_of_objects_are_parts_of_the_whole(storage):
    _put(storage, *(f"in/{n}.jpg" for n in range(50)))
    parts = [
        plan_urls(["memory://bucket/in"], "memory://o", shard=Shard(i, 3))
        for i in range(3)
    ]
    assert sorted(job.source for part in parts for job in part) == sorted(
        f"memory://bucket/in/{n}.jpg" for n in range(50)
    )
    assert all(parts)


def test_results_that_are_there_are_found_by_listing(storage):
    _put(storage, "in/a.jpg", "in/b.jpg")
    jobs = plan_urls(["memory://bucket/in"], "memory://bucket/out")
    assert existing(jobs, "memory://bucket/out") == []
    _put(storage, "out/b.jpg", "out/c.jpg")
    assert existing(jobs, "memory://bucket/out") == jobs[1:]


def test_results_never_lie_among_inputs(storage):
    _put(storage, "in/a.jpg")
    for out in ("memory://bucket/in", "memory://bucket/in/out"):
        with pytest.raises(DataError, match="lies in an input"):
            plan_urls(["memory://bucket/in"], out)


def test_what_is_not_there_is_named_at_once(storage):
    with pytest.raises(DataError, match="memory://bucket/none"):
        plan_urls(["memory://bucket/none"], "memory://bucket/out")
    with pytest.raises(DataError, match=r"memory://bucket/none.jpg"):
        remote.read("memory://bucket/none.jpg")


def test_a_request_that_fails_is_tried_again_and_not_for_ever(storage, monkeypatch):
    attempts = []
    write = type(storage).pipe_file

    def unreliable(self, path, data, **options):
        attempts.append(path)
        if len(attempts) < failures:
            raise RuntimeError("Authorization: AWS4 secret=hidden")
        return write(self, path, data, **options)

    monkeypatch.setattr(type(storage), "pipe_file", unreliable)
    failures = 4
    remote.write("memory://bucket/a.jpg", b"whole")
    assert remote.read("memory://bucket/a.jpg") == b"whole" and len(attempts) == 4
    attempts.clear()
    failures = 99
    with pytest.raises(DataError) as raised:
        remote.write("memory://bucket/b.jpg", b"whole")
    assert str(raised.value) == "memory://bucket/b.jpg: RuntimeError"
    assert len(attempts) == 5 and raised.value.__cause__ is None


def test_a_url_with_a_password_is_refused_without_it(storage):
    for url in ("s3://me:pass-word@bucket/a.jpg", "sftp://me@host/a"):
        with pytest.raises(DataError, match="must not hold") as raised:
            plan_urls([url], "memory://bucket/out")
        assert "pass-word" not in str(raised.value) and "me@" not in str(raised.value)


def test_too_large_an_object_is_not_read(storage, monkeypatch):
    _put(storage, "a.jpg")
    monkeypatch.setattr("kcolor.images.opening.MAX_BYTES", 3)
    with pytest.raises(DataError, match="over 1 GB"):
        remote.read("memory://bucket/a.jpg")


def test_a_storage_that_is_not_installed_is_named(monkeypatch):
    def missing(_):
        raise ImportError("Install s3fs to access S3")

    core = types.SimpleNamespace(url_to_fs=missing)
    monkeypatch.setitem(sys.modules, "fsspec", types.SimpleNamespace(core=core))
    with pytest.raises(DataError, match="s3://b/a.jpg: Install s3fs"):
        remote.read("s3://b/a.jpg")


def test_films_at_urls_are_named(storage, caplog):
    _put(storage, "in/a.png", "in/b.mp4")
    (job,) = plan_urls(["memory://bucket/in"], "memory://bucket/out")
    assert job.source == "memory://bucket/in/a.png"
    assert "films are not colorized at URLs; left out: 1, such as b.mp4" in caplog.text
    with pytest.raises(DataError, match="b.mp4: films are not colorized at URLs"):
        plan_urls(["memory://bucket/in/b.mp4"], "memory://bucket/out")
