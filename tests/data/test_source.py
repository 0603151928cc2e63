"""Tests for kcolor.data.source: every kind of source, pairs, faults, splits."""

import errno
import io
import os
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image

from kcolor.data.lists import list_hash, split_by_hash
from kcolor.data.source import open_source, open_sources
from kcolor.errors import DataError


def picture(seed, height=9, width=14):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), "uint8")


def save(path, rgb):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "photos"
    for i, name in enumerate(["b.png", "a/c.png", "a/é d.PNG"]):
        save(root / name, picture(i))
    (root / "notes.txt").write_text("not a picture")
    save(root / ".hidden.png", picture(9))
    return root


def archive(kind, folder, path):
    files = [p for p in sorted(folder.rglob("*"), reverse=True) if p.is_file()]
    if kind == "tar":
        with tarfile.open(path, "w") as file:
            for p in files:
                file.add(p, p.relative_to(folder).as_posix())
    else:
        with zipfile.ZipFile(path, "w") as file:
            for p in files:
                file.write(p, p.relative_to(folder).as_posix())
    return path


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_pictures_are_found_sorted_and_read_whatever_holds_them(kind, folder, tmp_path):
    path = folder
    if kind != "folder":
        path = archive(kind, folder, tmp_path / f"photos.{kind}")
    source = open_source(path)
    assert source.names == ["a/c.png", "a/é d.PNG", "b.png"]
    for i, seed in enumerate([1, 2, 0]):
        np.testing.assert_array_equal(source.read(i), picture(seed))
    assert source.gray(0) is None


def test_pairs_are_matched_by_stem_and_not_by_order(tmp_path):
    for i, name in enumerate(["x", "y", "z"]):
        save(tmp_path / "color" / f"{name}.png", picture(i))
        save(tmp_path / "gray" / f"{name}.bmp", picture(10 + i))
    save(tmp_path / "color" / "sub" / "x.png", picture(3))
    save(tmp_path / "gray" / "sub" / "x.png", picture(13))
    source = open_source(tmp_path)
    assert source.names == ["sub/x", "x", "y", "z"]
    for i, seed in enumerate([3, 0, 1, 2]):
        np.testing.assert_array_equal(source.read(i), picture(seed))
        np.testing.assert_array_equal(source.gray(i), picture(10 + seed))


@pytest.mark.parametrize("side, other", [("color", "gray"), ("gray", "color")])
def test_a_missing_partner_is_named(side, other, tmp_path):
    for name in ("x", "y"):
        save(tmp_path / side / f"{name}.png", picture(0))
    save(tmp_path / other / "x.png", picture(1))
    with pytest.raises(DataError, match=f"{side}/y has no partner .* in {other}/"):
        open_source(tmp_path)


@pytest.mark.parametrize("top", ["", "album/"])
def test_a_stray_picture_beside_pairs_is_named(top, tmp_path):
    for side in ("color", "gray"):
        save(tmp_path / f"{top}{side}" / "x.png", picture(0))
    for stray in ("z.png", "more/y.png"):
        save(tmp_path / top / stray, picture(1))
    with pytest.raises(DataError, match=rf"2 .*neither.*: {top}more/y.png, {top}z.png"):
        open_source(tmp_path)


def test_what_is_no_picture_may_lie_beside_pairs(tmp_path):
    for side in ("color", "gray"):
        save(tmp_path / side / "x.png", picture(0))
    (tmp_path / "README.txt").write_text("who took them")
    assert open_source(tmp_path).paired


def test_a_folder_named_gray_alone_is_one_among_others(tmp_path):
    for folder in ("gray", "red"):
        save(tmp_path / folder / "x.png", picture(0))
    source = open_source(tmp_path)
    assert source.names == ["gray/x.png", "red/x.png"] and not source.paired


def test_one_source_need_not_be_a_list(folder):
    for one in (str(folder), folder):
        assert open_sources(one).names == open_source(folder).names


def test_several_sources_keep_equal_names_apart(folder):
    source = open_sources([folder, folder])
    assert len(source) == 6 and source.names[0] == "0/a/c.png"
    np.testing.assert_array_equal(source.read(3), picture(1))


def test_without_a_path_scikit_image_provides_the_photographs():
    source = open_source(None)
    assert "chelsea.png" in source.names
    assert all(source.read(i).ndim == 3 for i in range(len(source)))


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_are_sources(suffix, tmp_path):
    pictures = np.stack([picture(i) for i in range(5)])
    path = tmp_path / f"photos{suffix}"
    np.save(path, pictures) if suffix == ".npy" else np.savez(path, pictures)
    source = open_source(path)
    assert len(source) == 5 and source.gray(0) is None
    np.testing.assert_array_equal(source.read(3), pictures[3])


def test_arrays_of_another_kind_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 5, 4, 3), "float32"))
    with pytest.raises(DataError, match=r"uint8 RGB.*float32 \(2, 5, 4, 3\)"):
        open_source(tmp_path / "a.npy")


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda p: p / "nothing", "no such file or folder"),
        (lambda p: p, "holds no picture"),
        (lambda p: (p / "a.rar", (p / "a.rar").write_text("x"))[0], "must be a folder"),
        (lambda p: (p / "a.tar", (p / "a.tar").write_text("x"))[0], "not a readable"),
        (lambda p: (p / "a.zip", (p / "a.zip").write_text("x"))[0], "not a readable"),
    ],
)
def test_unusable_sources_are_named(make, message, tmp_path):
    with pytest.raises(DataError, match=message):
        open_source(make(tmp_path))


def jpeg(rgb):
    return cv2.imencode(".jpg", rgb[..., ::-1])[1].tobytes()


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "empty"),
        (b"no picture at all", "not a readable picture"),
        (jpeg(picture(0, 64, 80))[:-900], "truncated"),
    ],
)
def test_bad_files_are_named_with_their_reason(data, message, tmp_path):
    save(tmp_path / "good.png", picture(0))
    (tmp_path / "bad.jpg").write_bytes(data)
    source = open_source(tmp_path)
    with pytest.raises(DataError, match=f"bad.jpg: .*{message}"):
        source.read(0)


@pytest.mark.parametrize("damage", ["content", "checksum"])
def test_a_damaged_member_of_a_zip_is_named(damage, tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.bmp", bytes(5000))
        file.writestr("b.bmp", bytes(5000))
        member = file.getinfo("b.bmp")
    data = bytearray(path.read_bytes())
    if damage == "content":
        data[member.header_offset + 30 + len("b.bmp")] ^= 0xFF
    else:
        start = data.rindex(b"PK\x01\x02")
        data[start + 16] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DataError, match="b.bmp: cannot be unpacked"):
        open_source(path).read(1)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_threads_share_an_archive(kind, folder, tmp_path):
    source = open_source(archive(kind, folder, tmp_path / f"photos.{kind}"))
    order = np.random.default_rng(0).integers(0, 3, 300).tolist()
    with ThreadPoolExecutor(8) as pool:
        for index, rgb in zip(order, pool.map(source.read, order), strict=True):
            np.testing.assert_array_equal(rgb, picture([1, 2, 0][index]))


def test_a_subset_keeps_pairs_and_order(tmp_path):
    for i, name in enumerate("xyz"):
        save(tmp_path / "color" / f"{name}.png", picture(i))
        save(tmp_path / "gray" / f"{name}.png", picture(10 + i))
    for source in (open_source(tmp_path), open_sources([tmp_path, tmp_path])):
        chosen = source.subset([2, 1])
        assert [name[-1] for name in chosen.names] == ["y", "z"]
        for i in (0, 1):
            color, gray = chosen.pair(i)
            np.testing.assert_array_equal(color, picture(1 + i))
            np.testing.assert_array_equal(gray, picture(11 + i))


def test_hash_split_is_stable_when_files_are_added(tmp_path):
    for i in range(40):
        save(tmp_path / f"{i}.png", picture(i, 2, 2))
    source = open_source(tmp_path)
    train, validation = split_by_hash(source, 0.3)
    assert sorted([*train.names, *validation.names]) == source.names
    assert 0 < len(validation) < 25
    for i in range(40, 60):
        save(tmp_path / f"{i}.png", picture(i, 2, 2))
    larger_train, larger_validation = split_by_hash(open_source(tmp_path), 0.3)
    assert set(validation.names) <= set(larger_validation.names)
    assert set(train.names) <= set(larger_train.names)


def test_list_hash_tells_lists_apart(folder):
    source = open_source(folder)
    assert list_hash(source) == list_hash(open_source(folder))
    assert list_hash(source) != list_hash(source.subset([0, 1]))


def test_weights_follow_their_source(folder):
    source = open_sources([f"{folder}=0.5", folder])
    assert source.weights == [0.5] * 3 + [1.0] * 3
    assert source.subset([2, 3]).weights == [0.5, 1.0]
    assert open_sources([f"{folder}=2"]).weights == [2.0] * 3


@pytest.mark.parametrize("weight", ["0", "-1", "inf", "nan"])
def test_weights_are_above_zero(weight, folder):
    with pytest.raises(DataError, match="weight must be above 0"):
        open_sources([f"{folder}={weight}"])


def test_a_name_may_look_like_a_weight(tmp_path):
    save(tmp_path / "set=3" / "a.png", picture(0))
    assert open_sources([tmp_path / "set=3"]).weights == [1.0]
    with pytest.raises(DataError, match="set=x: no such"):
        open_sources([tmp_path / "set=x"])


def test_a_link_to_a_folder_is_not_followed_but_named(folder, tmp_path, caplog):
    (folder / "linked").symlink_to(tmp_path)
    assert len(open_source(folder)) == 3
    assert f"{folder / 'linked'}: a link to a folder is not followed" in caplog.text


def test_a_folder_that_cannot_be_listed_is_named(folder, monkeypatch):
    scan = os.scandir

    def scandir(path):
        if os.fspath(path) == str(folder / "a"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match="photos/a: cannot be listed .Permission den"):
        open_source(folder)


def test_names_that_are_not_utf_8_are_names(tmp_path):
    for name in (b"caf\xe9.png", b"b.png"):
        save(tmp_path / os.fsdecode(name), picture(0))
    source = open_source(tmp_path)
    train, validation = split_by_hash(source, 0.5)
    assert {*train.names, *validation.names} == {"b.png", "caf\udce9.png"}
    assert list_hash(source) != list_hash(source.subset([0]))


def test_broken_link_is_named(tmp_path):
    save(tmp_path / "a.png", picture(0))
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(DataError, match="b.png: No such file"):
        open_source(tmp_path).read(1)


@pytest.fixture(scope="module")
def tfds_set(tmp_path_factory):
    """A real builder, prepared on this machine: two shards of PNG files."""
    tfds = pytest.importorskip("tensorflow_datasets")
    root = tmp_path_factory.mktemp("tfds")

    class KcolorSquares(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = root  # where tfds looks for a description; there is none

        def _info(self):
            features = {"image": tfds.features.Image(), "label": tfds.features.Text()}
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for i in range(5):
                yield i, {"image": picture(i, 9 + i), "label": str(i)}

    KcolorSquares(data_dir=root).download_and_prepare()
    return root


def test_tfds_sets_are_sources(tfds_set, monkeypatch):
    import tensorflow_datasets as tfds

    builder = tfds.builder
    monkeypatch.setattr(tfds, "builder", lambda n: builder(n, data_dir=tfds_set))
    source = open_source("tfds:kcolor_squares/train")
    assert len(source) == 5
    shapes = sorted(source.read(i).shape for i in range(5))
    assert shapes == [(9 + i, 14, 3) for i in range(5)]
    again = open_source("tfds:kcolor_squares/train")
    for i in (4, 0, 2):  # any order, from any thread
        rgb = source.read(i)
        np.testing.assert_array_equal(rgb, picture(rgb.shape[0] - 9, rgb.shape[0]))
        np.testing.assert_array_equal(rgb, again.read(i))
    assert len(open_source("tfds:kcolor_squares/train[:40%]")) == 2


@pytest.mark.parametrize(
    "name", ["tfds:no_such_set/train", "tfds:kcolor_squares/test", "tfds:train"]
)
def test_unknown_tfds_sets_are_named(name, tfds_set, monkeypatch):
    import tensorflow_datasets as tfds

    builder = tfds.builder
    monkeypatch.setattr(tfds, "builder", lambda n: builder(n, data_dir=tfds_set))
    with pytest.raises(DataError, match=f"^{name}: "):
        open_source(name)


def _tar(path, files, format=tarfile.PAX_FORMAT):
    with tarfile.open(path, "w", format=format) as archive:
        for name, rgb in files.items():
            info = tarfile.TarInfo(name)
            data = io.BytesIO()
            Image.fromarray(rgb).save(data, "PNG")
            info.size = data.tell()
            data.seek(0)
            archive.addfile(info, data)
    return path


FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("long", ["", "deep/" * 22 + "er/", "é/", "x" * 120 + "/"])
def test_tars_of_every_kind_are_listed_as_tarfile_does(tmp_path, format, long):
    if format == tarfile.USTAR_FORMAT and long.startswith("xx"):
        pytest.skip("ustar has no such names")
    files = {f"{long}{n}.png": picture(n, 3, 4 + n) for n in range(5)}
    path = _tar(tmp_path / "a.tar", files, format)
    # Of equal names the last counts.
    again = {f"{long}3.png": picture(77, 2, 2)}
    with tarfile.open(path, "a", format=format) as archive:
        data = io.BytesIO()
        Image.fromarray(again[f"{long}3.png"]).save(data, "PNG")
        info = tarfile.TarInfo(f"{long}3.png")
        info.size = data.tell()
        data.seek(0)
        archive.addfile(info, data)
    source = open_source(path)
    assert source.names == sorted(files)
    for i, name in enumerate(source.names):
        np.testing.assert_array_equal(source.read(i), {**files, **again}[name])


def test_shards_are_one_source_by_count_or_by_pattern(tmp_path):
    for shard in range(8, 12):
        files = {f"{n}.png": picture(10 * shard + n, 3, 4) for n in range(3)}
        _tar(tmp_path / f"set-{shard:02}.tar", files)
    for pattern in ("set-{08..11}.tar", "set-*.tar"):
        source = open_source(tmp_path / pattern)
        names = [f"set-{s:02}/{n}.png" for s in range(8, 12) for n in range(3)]
        assert source.names == names
        for i in range(12):
            expected = picture(10 * (8 + i // 3) + i % 3, 3, 4)
            np.testing.assert_array_equal(source.read(i), expected)
    with pytest.raises(DataError, match="set-12.tar: no such file"):
        open_source(tmp_path / "set-{08..12}.tar")
    with pytest.raises(DataError, match="no such file"):
        open_source(tmp_path / "sat-*.tar")
    assert len(open_sources([f"{tmp_path}/set-{{08..09}}.tar=0.5"])) == 6


def test_pairs_may_lie_in_shards(tmp_path):
    for shard in range(2):
        names = [f"{side}/{n}.png" for side in ("color", "gray") for n in range(2)]
        files = {name: picture(i, 3, 4) for i, name in enumerate(names)}
        _tar(tmp_path / f"p{shard}.tar", files)
    source = open_source(tmp_path / "p{0..1}.tar")
    assert source.paired and source.names == ["p0/0", "p0/1", "p1/0", "p1/1"]


@pytest.mark.parametrize("long", ["", "x" * 120 + "/"])
def test_a_tar_of_a_folder_itself_holds_its_pictures(tmp_path, long):
    files = {f"./{long}{n}.png": picture(n, 3, 4) for n in range(3)}
    hidden = {"./.hidden/4.png": picture(4, 3, 4)}
    mixed = {f"{long}3.png": picture(3, 3, 4), **files, **hidden}
    source = open_source(_tar(tmp_path / "a.tar", mixed))
    assert source.names == [f"{long}{n}.png" for n in range(4)]
    pairs = {f"./{side}/0.png": picture(0, 3, 4) for side in ("color", "gray")}
    source = open_source(_tar(tmp_path / "b.tar", pairs))
    assert source.paired and source.names == ["0"]


def test_shards_of_one_name_in_several_folders_keep_their_pictures_apart(tmp_path):
    for number, folder in enumerate("ab"):
        (tmp_path / folder).mkdir()
        files = {"x.png": picture(number, 3, 4)}
        _tar(tmp_path / folder / "p.tar", files)
    source = open_source(tmp_path / "*" / "p.tar")
    assert source.names == ["a/p/x.png", "b/p/x.png"]
    np.testing.assert_array_equal(source.read(1), picture(1, 3, 4))
