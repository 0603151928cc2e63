"""Tests for kcolor.evaluation.manifest: the same pictures, or an error that says so."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from scenes import Tinted, scene, write_picture

from kcolor.errors import DataError
from kcolor.evaluation import Options, measure
from kcolor.evaluation.manifest import Manifest, read_manifest, write_manifest

SIZE = 48


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.fixture(scope="module")
def measured(folder):
    return measure([Tinted()], folder, _options(protocol="center48"))


@pytest.fixture
def manifest(measured, tmp_path):
    write_manifest(tmp_path / "m.json", measured.manifest)
    return tmp_path / "m.json"


def _options(**options):
    return Options(metrics=["ssim"], **options)


def test_manifest_says_which_part_of_which_file_was_measured(copy, manifest):
    content = json.loads(manifest.read_text())
    assert content["protocol"] == "center48"
    (first,) = (p for p in content["pictures"] if p["id"] == "cars/0.png")
    # Drawn 90 wide and 32 high.
    assert first["box"] == [29, 0, 32, 32]
    data = (copy / "cars/0.png").read_bytes()
    assert first["sha256"] == hashlib.sha256(data).hexdigest()
    assert len(content["pictures"]) == 7


def test_same_manifest_gives_the_same_figures_and_names_the_protocol(
    copy, manifest, measured
):
    again = measure([Tinted()], copy, _options(manifest=manifest))
    for row, figures in measured.rows.items():
        for metric, values in figures.items():
            np.testing.assert_array_equal(again.rows[row][metric], values)
    assert again.protocol["name"] == "center48"
    digest = read_manifest(manifest).sha256
    assert measured.protocol["manifest_sha256"] == digest
    assert again.protocol["manifest_sha256"] == digest


def test_boxes_of_the_manifest_are_what_is_measured(copy, manifest, measured):
    content = json.loads(manifest.read_text())
    for picture in content["pictures"]:
        picture["box"] = [0, 0, 20, 25]
    manifest.write_text(json.dumps(content))
    moved = measure([], copy, _options(manifest=manifest))
    assert (moved.rows["gray"]["ssim"] != measured.rows["gray"]["ssim"]).all()
    assert moved.manifest == read_manifest(manifest)


def _change(path):
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda root: _change(root / "street/2.png"), "street/2.png: not the file of"),
        (
            lambda root: (root / "flowers/1.png").unlink(),
            "flowers/1.png: in the manifest, but missing",
        ),
        (
            lambda root: write_picture(root / "a.png", scene(9, 40, 50)),
            "a.png: not in the manifest",
        ),
    ],
    ids=["changed", "missing", "extra"],
)
def test_what_is_not_the_manifests_is_named(copy, manifest, change, message):
    change(copy)
    with pytest.raises(DataError, match=f"^{copy}: {message}"):
        measure([], copy, _options(manifest=manifest))


def test_changed_gray_partner_is_named(tmp_path):
    for i in range(3):
        color = scene(i, 50, 60)
        gray = np.repeat(color[..., 1:2], 3, axis=-1)
        write_picture(tmp_path / "data" / "color" / f"{i}.png", color)
        write_picture(tmp_path / "data" / "gray" / f"{i}.png", gray)
    measured = measure([], tmp_path / "data", _options(protocol="square48"))
    write_manifest(tmp_path / "m.json", measured.manifest)
    gray = scene(1, 50, 60)[..., :1] // 2 + 60
    write_picture(tmp_path / "data/gray/1.png", np.repeat(gray, 3, axis=-1))
    with pytest.raises(DataError, match="1: not the file of the manifest"):
        measure([], tmp_path / "data", _options(manifest=tmp_path / "m.json"))


def test_manifest_of_another_protocol_is_refused(copy, manifest):
    with pytest.raises(DataError, match="of the protocol center48. .*: square48"):
        measure([], copy, _options(manifest=manifest, protocol="square48"))
    with pytest.raises(DataError, match="of the protocol center48. .*: center64"):
        measure([], copy, _options(manifest=manifest, size=64))


def test_box_outside_its_picture_is_refused_and_named(copy, manifest):
    content = json.loads(manifest.read_text())
    content["pictures"][2]["box"] = [1, 0, 90, 30]
    manifest.write_text(json.dumps(content))
    name = content["pictures"][2]["id"]
    with pytest.raises(DataError, match=rf"{name}: the manifest's box .* lies outside"):
        measure([], copy, _options(manifest=manifest))


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "not a manifest"),
        ("[]", "not a manifest of kcolor"),
        ('{"format": "kcolor-manifest-1", "pictures": []}', "lacks its protocol"),
        (
            '{"format": "kcolor-manifest-1", "protocol": "original", "pictures": '
            '[{"id": "a", "box": [0, 0, 4]}]}',
            "picture 1 must have id, box and sha256",
        ),
        (
            '{"format": "kcolor-manifest-1", "protocol": "original", "pictures": '
            '[{"id": "a", "box": [0, 0, 0, 4], "sha256": "0"}]}',
            "a has an empty box",
        ),
        (
            '{"format": "kcolor-manifest-1", "protocol": "original", "pictures": '
            '[{"id": "a", "box": [0, 0, 4, 1e999], "sha256": "0"}]}',
            "picture 1 must have id, box and sha256",
        ),
        (
            '{"format": "kcolor-manifest-1", "protocol": "a", "pictures": 5}',
            "lacks its protocol or pictures",
        ),
        ("[" * 100_000, "not a manifest"),
    ],
)
def test_file_that_is_no_manifest_is_named(tmp_path, text, message):
    file = tmp_path / "m.json"
    file.write_text(text)
    with pytest.raises(DataError, match=f"{file}: {message}"):
        read_manifest(file)


def test_hash_says_nothing_of_the_formatting_and_all_of_the_content(manifest, tmp_path):
    read = read_manifest(manifest)
    (tmp_path / "tight.json").write_text(json.dumps(json.loads(manifest.read_text())))
    assert read_manifest(tmp_path / "tight.json").sha256 == read.sha256
    assert Manifest("original", read.pictures).sha256 != read.sha256
