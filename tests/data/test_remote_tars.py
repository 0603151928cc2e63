"""Archives in object storage as training data, on fsspec's own store in memory."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from kcolor.data.source import open_source, open_sources
from kcolor.errors import DataError

pytest.importorskip("fsspec")


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (9, 14, 3), "uint8")


def tar_of(pictures, format=tarfile.PAX_FORMAT):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=format) as archive:
        for name, rgb in pictures.items():
            content = io.BytesIO()
            Image.fromarray(rgb).save(content, "PNG")
            info = tarfile.TarInfo(name)
            info.size = content.tell()
            content.seek(0)
            archive.addfile(info, content)
    return data.getvalue()


@pytest.fixture
def storage(storage):
    """Three archives of two pictures; the last has a name that not every tar can."""
    for i in range(3):
        names = [f"{n}.png" for n in range(2)] if i < 2 else ["a" * 120 + ".png"]
        pictures = {name: picture(10 * i + n) for n, name in enumerate(names)}
        storage.pipe_file(f"/bucket/set-{i}.tar", tar_of(pictures))
    return storage


@pytest.mark.parametrize("pattern", ["set-{0..2}.tar", "set-*.tar", "set-?.tar"])
def test_archives_in_a_bucket_are_one_source(storage, pattern):
    source = open_source(f"memory://bucket/{pattern}")
    last = "set-2/" + "a" * 120 + ".png"
    assert source.names == [
        "set-0/0.png",
        "set-0/1.png",
        "set-1/0.png",
        "set-1/1.png",
        last,
    ]
    for i, seed in enumerate([0, 1, 10, 11, 20]):
        np.testing.assert_array_equal(source.read(i), picture(seed))


def test_one_archive_may_have_a_weight_and_company(storage, tmp_path):
    Image.fromarray(picture(5)).save(tmp_path / "a.png")
    source = open_sources(["memory://bucket/set-0.tar=0.5", tmp_path])
    assert source.names == ["0/0.png", "0/1.png", "1/a.png"]
    assert source.weights == [0.5, 0.5, 1.0]
    np.testing.assert_array_equal(source.read(1), picture(1))


@pytest.mark.parametrize(
    "name, said",
    [
        ("set-{0..3}.tar", "set-3.tar: "),
        ("nothing-*.tar", r"nothing-\*.tar: no such"),
        ("set-0.zip", "nor URL of a .tar"),
        ("damaged.tar", "damaged.tar: not a readable .tar"),
    ],
)
def test_what_is_no_archive_is_named(storage, name, said):
    storage.pipe_file("/bucket/damaged.tar", b"no archive" * 200)
    with pytest.raises(DataError, match=said):
        open_source(f"memory://bucket/{name}")


def test_a_password_in_a_url_is_refused_and_not_repeated(storage):
    with pytest.raises(DataError, match="must not hold a name or password") as refusal:
        open_source("s3://key:secret@bucket/set-0.tar")
    assert "secret" not in str(refusal.value)


def test_requests_that_fail_are_tried_again_and_the_picture_is_named(
    storage, monkeypatch
):
    source = open_source("memory://bucket/set-0.tar")
    failures = [TimeoutError("slow"), TimeoutError("slow")]
    whole = type(storage).cat_file

    def cat_file(self, path, version_id=None, start=None, end=None):  # as s3fs has it
        if failures:
            raise failures.pop()
        return whole(self, path, start, end)

    monkeypatch.setattr(type(storage), "cat_file", cat_file)
    np.testing.assert_array_equal(source.read(0), picture(0))
    failures.extend([TimeoutError("slow")] * 9)
    with pytest.raises(DataError, match=r"set-0.tar: 0.png: .*slow"):
        source.read(0)


def test_a_picture_is_one_request_for_its_own_bytes(storage, monkeypatch):
    source = open_source("memory://bucket/set-1.tar")
    asked = []
    whole = type(storage).cat_file

    def cat_file(self, path, start=None, end=None):
        asked.append(end - start)
        return whole(self, path, start, end)

    monkeypatch.setattr(type(storage), "cat_file", cat_file)
    source.read(1)
    content = io.BytesIO()
    Image.fromarray(picture(11)).save(content, "PNG")
    assert asked == [content.tell()]
