"""Tests for films on the command line."""

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

pytest.importorskip("av")
skimage_data = pytest.importorskip("skimage.data")

from film_clips import make_clip  # noqa: E402
from film_files import read_film, write_film  # noqa: E402

from kcolor.cli.main import main  # noqa: E402


@pytest.fixture
def grays():
    return make_clip(skimage_data.astronaut(), count=8).gray


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_folder_may_mix_photographs_and_films(tmp_path, grays):
    album = tmp_path / "album"
    (album / "reels").mkdir(parents=True)
    write_film(album / "reels" / "one.mov", grays)
    write_film(album / "two.mkv", grays)
    Image.fromarray(grays[0]).save(album / "photo.png")
    done = run("colorize", album, "--steady", "forward")
    assert done.exit_code == 0, done.output
    out = tmp_path / "album-color"
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*.*"))
    assert files == ["photo.png", "reels/one.mov", "two.mkv"]
    assert len(read_film(out / "two.mkv").lumas) == 8


def test_one_film_is_named_and_not_done_twice(tmp_path, grays):
    source = write_film(tmp_path / "film.avi", grays, codec="mpeg4", options={})
    done = run("colorize", source, "--quality", 60)
    assert done.exit_code == 0, done.output
    target = tmp_path / "film-color.mkv"  # AVI holds too little of a film.
    assert done.stdout.strip() == str(target)
    again = run("colorize", source)
    assert again.exit_code == 1 and "exists" in again.output
    assert run("colorize", source, "--skip-existing").exit_code == 0


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["-o", "out.jpg"], "no known format of a film"),
        (["-o", "-"], "standard output"),
        (["--compare"], "for photographs"),
    ],
)
def test_what_a_film_cannot_do_is_one_line(tmp_path, grays, arguments, words):
    source = write_film(tmp_path / "film.mp4", grays[:2])
    done = run("colorize", source, *arguments)
    assert done.exit_code == 1
    assert words in done.output and len(done.output.splitlines()) == 1


def test_without_pyav_the_extra_is_named(tmp_path, grays, monkeypatch):
    source = write_film(tmp_path / "film.mp4", grays[:2])
    monkeypatch.setitem(sys.modules, "av", None)
    done = run("colorize", source)
    assert done.exit_code == 1
    assert "kcolor[video]" in done.output


def test_bad_films_do_not_stop_the_rest(tmp_path, grays):
    (tmp_path / "in").mkdir()
    write_film(tmp_path / "in" / "good.mp4", grays[:3])
    (tmp_path / "in" / "bad.mp4").write_bytes(b"nothing")
    done = run("colorize", tmp_path / "in", "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "bad.mp4: not a film that can be read" in done.output
    assert (tmp_path / "out" / "good.mp4").exists()


def lossless(path, frames):
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "bgr0"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(stream.encode(picture.reformat(format="bgr0")))
        container.mux(stream.encode())
    return path


def test_black_frames_count_in_no_row_of_a_film(tmp_path):
    pytest.importorskip("tensorflow")
    frames = make_clip(skimage_data.astronaut(), count=6).frames
    path = lossless(tmp_path / "in.mkv", [np.zeros_like(frames[0]), *frames])
    gray = lossless(tmp_path / "gray.mkv", [np.zeros_like(frames[0])] * 6)
    figures = tmp_path / "figures.json"
    for films, left_out in (([path], "1 frame has"), ([path, gray], "7 frames have")):
        done = run("evaluate-film", *films, "--json", figures)
        assert done.exit_code == 0, done.output
        assert done.output.rstrip().splitlines()[-1].startswith(left_out)
        found = json.loads(figures.read_text(), parse_constant=pytest.fail)
        *rows, truth = found["rows"]
        assert all(10 < row["psnr"] < 40 for row in rows) and truth["psnr"] is None
        assert {row["psnr_frames"] for row in found["rows"]} == {6}
    done = run("evaluate-film", gray, "--json", figures)
    assert done.exit_code == 0 and done.output.count("| n/a |") == 5


def test_films_are_measured_beside_gray_and_the_truth(tmp_path):
    pytest.importorskip("tensorflow")
    clip = make_clip(skimage_data.astronaut(), count=6)
    path = lossless(tmp_path / "true.mkv", clip.frames)
    figures = tmp_path / "figures.json"
    done = run("evaluate-film", path, "--json", figures)
    assert done.exit_code == 0, done.output
    rows = {row["model"]: row for row in json.loads(figures.read_text())["rows"]}
    assert list(rows) == [
        "gray",
        "frame by frame",
        "forward",
        "forward and backward",
        "truth",
    ]
    assert rows["forward and backward"]["flicker"] < rows["frame by frame"]["flicker"]
    assert rows["gray"]["chroma"] < 0.01 < rows["truth"]["chroma"]
    assert rows["truth"]["psnr"] is None and np.isfinite(rows["gray"]["psnr"])
