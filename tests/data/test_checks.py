"""Tests for kcolor.data.checks: all that is planted is found, and nothing else."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from kcolor.data import duplicates
from kcolor.data.checks import check, report_lines
from kcolor.data.source import open_source

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "test-0000.tar"


def save(path, rgb, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path, **options)


@pytest.fixture(scope="module")
def photographs():
    """Four parts each of scikit-image's photographs: 24 pictures, no two alike."""
    source, parts = open_source(None), {}
    for i, name in enumerate(source.names):
        rgb = source.read(i)
        height, width = (side // 2 for side in rgb.shape[:2])
        for j in range(4):
            top, left = j // 2 * height, j % 2 * width
            part = rgb[top : top + height, left : left + width]
            scale = 200 / min(part.shape[:2])
            part = cv2.resize(part, None, fx=scale, fy=scale, interpolation=3)
            parts[f"{Path(name).stem}{j}"] = part
    return parts


@pytest.fixture(scope="module")
def folder(photographs, tmp_path_factory):
    root = tmp_path_factory.mktemp("photographs")
    for name, rgb in photographs.items():
        save(root / f"{name}.png", rgb)
    return root


def copy(rgb, scale=1.0, mirrored=False, gray=False):
    if gray:
        rgb = np.array(Image.fromarray(rgb).convert("L").convert("RGB"))
    if mirrored:
        rgb = rgb[:, ::-1]
    size = [round(scale * side) for side in rgb.shape[1::-1]]
    return np.array(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))


def noise(seed, height=40, width=50):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), "uint8")


def test_distinct_photographs_raise_no_alarm(folder):
    report = check(open_source(folder))
    assert report["pictures"] == report["readable"] == 24
    for finding in ("unreadable", "gray", "toned"):
        assert report[finding] == []
    assert report["exact_duplicates"] == report["near_duplicates"] == []
    assert report["against"] is None and report["leakage"] is None


@pytest.mark.parametrize(
    "quality, change",
    [
        (95, {"scale": 0.3}),
        (90, {"scale": 1.5}),
        (30, {}),
        (95, {"mirrored": True}),
        (85, {"gray": True}),
        (30, {"scale": 0.3, "mirrored": True}),
        (60, {"scale": 0.7, "mirrored": True, "gray": True}),
    ],
)
def test_copies_in_another_folder_are_found(
    quality, change, photographs, folder, tmp_path
):
    for name, rgb in photographs.items():
        save(tmp_path / f"{name}.jpg", copy(rgb, **change), quality=quality)
    report = check(open_source(folder), open_source(tmp_path))
    assert report["leakage"] == {
        "exact": [],
        "near": [
            {"source": [f"{name}.png"], "against": [f"{name}.jpg"]}
            for name in sorted(photographs)
        ],
    }
    assert report["near_duplicates"] == []
    assert report["against"] == {"pictures": 24, "readable": 24, "unreadable": []}


@pytest.mark.parametrize("rows, pairs", [(1, 9), (2, 9), (99, 1)])
def test_copies_in_one_folder_are_grouped(
    rows, pairs, photographs, tmp_path, monkeypatch
):
    monkeypatch.setattr(duplicates, "_ROWS", rows)
    monkeypatch.setattr(duplicates, "_PAIRS", pairs)
    one, other = photographs["chelsea0"], photographs["coffee1"]
    save(tmp_path / "c.png", one)
    save(tmp_path / "a" / "same.bmp", one)
    save(tmp_path / "b.jpg", copy(one, 0.6, mirrored=True), quality=60)
    save(tmp_path / "other.png", other)
    for scale in (0.4, 0.5, 1.3):
        save(tmp_path / f"other{scale}.png", copy(other, scale))
    report = check(open_source(tmp_path))
    assert report["exact_duplicates"] == [["a/same.bmp", "c.png"]]
    assert report["near_duplicates"] == [
        ["a/same.bmp", "b.jpg", "c.png"],
        ["other.png", "other0.4.png", "other0.5.png", "other1.3.png"],
    ]


def test_equal_pictures_leak_exactly_and_are_no_near_duplicates(tmp_path):
    for name in ("x/1.png", "x/2.bmp", "y/3.png", "y/4.png"):
        save(tmp_path / name, noise(1))
    save(tmp_path / "y" / "5.png", noise(2))
    report = check(open_source(tmp_path / "x"), open_source(tmp_path / "y"))
    assert report["leakage"] == {
        "exact": [{"source": ["1.png", "2.bmp"], "against": ["3.png", "4.png"]}],
        "near": [],
    }
    assert report["exact_duplicates"] == [["1.png", "2.bmp"]]
    assert report["near_duplicates"] == []


def test_duplicates_within_the_other_source_are_not_reported(photographs, tmp_path):
    save(tmp_path / "x" / "1.png", photographs["rocket0"])
    for scale in (0.5, 0.8):
        rgb = copy(photographs["coffee0"], scale)
        save(tmp_path / "y" / f"{scale}.png", rgb)
    report = check(open_source(tmp_path / "x"), open_source(tmp_path / "y"))
    assert report["leakage"] == {"exact": [], "near": []}
    assert report["exact_duplicates"] == report["near_duplicates"] == []


def test_the_same_lightness_in_other_colors_is_another_picture(photographs, tmp_path):
    rgb = photographs["chelsea0"]
    gray = copy(rgb, gray=True).astype("float32")
    for name, chroma in (("warm", 0.5), ("cold", -0.5)):
        colored = np.clip(gray + chroma * (rgb - gray), 0, 255)
        save(tmp_path / f"{name}.png", np.uint8(np.rint(colored)))
    assert check(open_source(tmp_path))["near_duplicates"] == []


def test_equal_shapes_of_pixels_are_part_of_what_is_equal(tmp_path):
    save(tmp_path / "a.png", noise(0, 20, 30))
    save(tmp_path / "b.png", noise(0, 20, 30).reshape(30, 20, 3))
    assert check(open_source(tmp_path))["exact_duplicates"] == []


def test_plain_skies_are_not_taken_for_each_other(tmp_path):
    rng = np.random.default_rng(0)
    ramp = np.linspace(-1, 1, 120)[:, None, None]
    for i in range(40):
        # As near in color and gradient as two pictures of one evening are.
        sky = [120, 150, 200] + rng.normal(0, 2, 3) + rng.uniform(6, 9) * ramp
        sky = sky + rng.normal(0, 2, (120, 160, 3))
        save(tmp_path / f"{i}.jpg", np.uint8(np.rint(sky)), quality=90)
    for i in range(3):
        save(tmp_path / f"plain{i}.png", np.full((50, 60, 3), 200 + i, "uint8"))
    report = check(open_source(tmp_path))
    assert report["exact_duplicates"] == report["near_duplicates"] == []
    assert report["toned"] == []


def sepia(gray):
    return gray * [1.0, 0.88, 0.68]


def cyanotype(gray):
    stops = [(0, 40, 255), (0, 90, 255), (0, 150, 255)]
    return np.stack([np.interp(gray[..., 0], (0, 128, 255), s) for s in stops], axis=-1)


@pytest.mark.parametrize(
    "tone, kind",
    [
        (lambda gray: gray, "gray"),
        (lambda gray: gray * [1.0, 0.995, 0.98], "gray"),
        (sepia, "toned"),
        (cyanotype, "toned"),
        (lambda gray: 15 + 0.9 * sepia(gray), "toned"),
    ],
)
def test_gray_and_toned_pictures_are_named(tone, kind, tmp_path):
    source = open_source(None)
    expected = []
    for i, name in enumerate(source.names[:3]):
        rgb = source.read(i)
        gray = copy(rgb, gray=True).astype("float32")
        toned = np.uint8(np.rint(np.clip(tone(gray), 0, 255)))
        save(tmp_path / f"{name}.toned.jpg", toned, quality=90)
        save(tmp_path / f"{name}.jpg", rgb, quality=90)
        expected.append(f"{name}.toned.jpg")
    report = check(open_source(tmp_path))
    assert report[kind] == expected
    assert report["toned" if kind == "gray" else "gray"] == []


def test_pale_and_nearly_one_colored_photographs_are_not_toned(photographs, tmp_path):
    for name, rgb in photographs.items():
        gray = copy(rgb, gray=True).astype("float32")
        pale = gray + 0.3 * (rgb - gray)
        warm = (gray + 0.5 * (rgb - gray)) * [1.0, 0.9, 0.7]
        for kind, picture in (("pale", pale), ("warm", warm)):
            picture = np.uint8(np.rint(np.clip(picture, 0, 255)))
            save(tmp_path / f"{name}.{kind}.jpg", picture, quality=90)
    assert check(open_source(tmp_path))["toned"] == []


def test_unreadable_files_are_named_with_the_reason(tmp_path):
    for side in ("x", "y"):
        save(tmp_path / side / "good.png", noise(ord(side)))
        (tmp_path / side / "bad: 1.jpg").write_bytes(b"no picture at all")
        (tmp_path / side / "empty.png").write_bytes(b"")
    report = check(open_source(tmp_path / "x"), open_source(tmp_path / "y"))
    for counts in (report, report["against"]):
        assert (counts["pictures"], counts["readable"]) == (3, 1)
        bad, empty = counts["unreadable"]
        assert bad["name"] == "bad: 1.jpg" and empty["name"] == "empty.png"
        assert bad["reason"].startswith("not a readable picture")
        assert empty["reason"] == "the file is empty"


def test_a_source_of_unreadable_files_alone_is_reported(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    report = check(open_source(tmp_path), open_source(tmp_path))
    assert report["readable"] == 0 and report["sizes"] is None
    assert report["leakage"] == {"exact": [], "near": []}


def test_of_a_pair_both_are_read_and_the_color_one_is_judged(photographs, tmp_path):
    for name in ("coffee0", "coffee1", "rocket2"):
        save(tmp_path / "color" / f"{name}.png", photographs[name])
        gray = copy(photographs[name], gray=True)
        save(tmp_path / "gray" / f"{name}.png", gray)
    (tmp_path / "gray" / "coffee1.png").write_bytes(b"")
    report = check(open_source(tmp_path))
    assert [f["name"] for f in report["unreadable"]] == ["coffee1"]
    assert report["readable"] == 2 and report["gray"] == []


def test_sizes_are_measured(tmp_path):
    for i, (height, width) in enumerate([(300, 500), (256, 255), (20, 301)]):
        save(tmp_path / f"{i}.png", noise(i, height, width))
    assert check(open_source(tmp_path))["sizes"] == {
        "width": {"min": 255, "median": 301.0, "max": 500},
        "height": {"min": 20, "median": 256.0, "max": 300},
        "short_side": {"min": 20, "median": 255.0, "max": 300},
        "short_side_under_256": 2,
    }


@pytest.mark.parametrize("height, width", [(1, 1), (3, 400), (17, 2)])
def test_tiny_pictures_are_checked(height, width, tmp_path):
    save(tmp_path / "a.png", noise(0, height, width))
    assert check(open_source(tmp_path))["readable"] == 1


def test_every_picture_is_read_once_and_progress_told(folder):
    class Counting:
        def __init__(self, source):
            self.source, self.names, self.reads = source, source.names, []

        def __len__(self):
            return len(self.source)

        def read(self, index):
            self.reads.append(index)
            return self.source.read(index)

        def gray(self, index):
            return None

    one, other = Counting(open_source(folder)), Counting(open_source(None))
    told = []
    check(one, other, workers=3, progress=lambda *counts: told.append(counts))
    assert sorted(one.reads) == list(range(24))
    assert sorted(other.reads) == list(range(6))
    assert told == [(done, 30) for done in range(1, 31)]


def test_threads_of_opencv_are_left_as_they_were(tmp_path):
    save(tmp_path / "a.png", noise(0))
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(3)
        check(open_source(tmp_path))
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


def test_the_report_is_json_and_becomes_lines(photographs, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    save(one / "a.png", photographs["chelsea3"])
    save(one / "b.png", copy(photographs["chelsea3"], gray=True))
    for i in range(12):
        (one / f"bad{i:02d}.png").write_bytes(b"")
    save(other / "c.png", photographs["chelsea3"])
    report = check(open_source(one), open_source(other))
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    lines = report_lines(report)
    assert lines[0] == "14 pictures, 2 readable"
    assert "unreadable: 12" in lines and "    bad09.png: the file is empty" in lines
    assert "    ... 2 more, all in --json" in lines
    assert "    b.png" in lines[lines.index("gray: 1") :]
    assert lines[-4:] == [
        "groups of exact duplicates in both: 1",
        "    a.png | c.png",
        "groups of near duplicates in both: 1",
        "    a.png = b.png | c.png",
    ]


@pytest.mark.slow
@pytest.mark.skipif(
    not CORPUS.is_file(), reason="the photographs in ../shared/corpus are not here"
)
def test_2000_photographs_raise_no_alarm_and_every_copy_is_found(tmp_path):
    rng = np.random.default_rng(5)
    source = open_source(CORPUS)
    source = source.subset(range(2000))
    planted = {}
    for i in rng.choice(2000, 300, replace=False):
        mirrored, gray = rng.random(2) < (0.5, 0.2)
        scale, quality = rng.uniform(0.3, 1.5), int(rng.integers(30, 96))
        rgb = copy(source.read(i), scale, mirrored, gray)
        save(tmp_path / f"{i}.jpg", rgb, quality=quality)
        planted[source.names[i]] = f"{i}.jpg"
    report = check(source, open_source(tmp_path))
    assert report["readable"] == 2000 and report["gray"] == []
    assert report["exact_duplicates"] == report["near_duplicates"] == []
    assert report["leakage"]["exact"] == []
    found = [(g["source"], g["against"]) for g in report["leakage"]["near"]]
    assert found == [([name], [planted[name]]) for name in sorted(planted)]
