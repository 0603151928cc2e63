"""Tests for whole films: what goes through, and what an interruption leaves."""

import itertools
import os
import subprocess
import sys
import time
import weakref
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from kcolor.errors import DataError
from kcolor.inference.colorizer import Colorizer
from kcolor.inference.film.known import KnownColors
from kcolor.inference.hints import HintPicture, as_hints

av = pytest.importorskip("av")
skimage_data = pytest.importorskip("skimage.data")

from film_clips import make_clip  # noqa: E402
from film_files import QUARTER_TURN, read_film, write_film  # noqa: E402

from kcolor.inference.film import colorize, eye, work  # noqa: E402
from kcolor.inference.film.chroma import Painter  # noqa: E402
from kcolor.inference.film.colorize import colorize_film  # noqa: E402
from kcolor.inference.film.encoding import Packets  # noqa: E402
from kcolor.inference.film.follow import Dot  # noqa: E402
from kcolor.inference.film.reading import Film  # noqa: E402
from kcolor.inference.film.settings import FilmSettings  # noqa: E402
from kcolor.inference.film.steady import State  # noqa: E402
from kcolor.inference.film.writing import Times  # noqa: E402


@pytest.fixture(scope="module")
def grays():
    return make_clip(skimage_data.astronaut(), pan=(1.5, 0.5)).gray


@pytest.fixture(scope="module")
def colorizer():
    return Colorizer("mobile", threads=1)


def test_everything_beside_the_picture_is_kept(tmp_path, colorizer, grays):
    source = write_film(
        tmp_path / "film.mkv",
        grays,
        sound=True,
        subtitles=True,
        chapters=True,
        metadata={"title": "A film"},
        time_base=Fraction(1, 1000),
        step=40,
        pixel_aspect=Fraction(16, 15),
    )
    target = tmp_path / "color.mkv"
    report = colorize_film(colorizer, source, target)
    before, after = read_film(source), read_film(target)
    assert report.frames == len(grays) and not report.left_out
    assert after.sound == before.sound and len(after.sound) > 5
    assert after.sound_times == before.sound_times
    assert after.texts == before.texts == [b"A line that is said."]
    assert after.times == before.times
    assert after.metadata["title"] == "A film"
    assert after.languages == ["fra"]
    assert [c["metadata"] for c in after.chapters] == [{"title": "The beginning"}]
    assert after.aspect == Fraction(16, 15)
    assert abs(after.duration - before.duration) <= 0.04
    assert not list(tmp_path.glob(".*"))


def test_luma_stays_and_colors_come(tmp_path, colorizer, grays):
    source = write_film(tmp_path / "film.mkv", grays)
    target = tmp_path / "color.mkv"
    colorize_film(colorizer, source, target, FilmSettings(codec="ffv1"))
    before, after = read_film(source), read_film(target)
    np.testing.assert_array_equal(after.lumas, before.lumas)
    spread = np.ptp(np.array(after.frames, "int16"), axis=-1)
    assert spread.mean() > 5


def test_uneven_frame_times_are_kept(tmp_path, colorizer, grays):
    steps = np.random.default_rng(3).integers(100, 2500, len(grays) - 1)
    times = [7, *(7 + np.cumsum(steps)).tolist()]
    source = write_film(tmp_path / "film.mp4", grays, times=times, sound=True)
    target = tmp_path / "color.mp4"
    colorize_film(colorizer, source, target)
    before, after = read_film(source), read_film(target)
    assert after.times == before.times
    assert len(set(np.diff(after.times))) > 10
    assert after.sound == before.sound


def test_a_film_lying_on_its_side_stays_so_and_is_seen_upright(
    tmp_path, colorizer, grays, monkeypatch
):
    lying = [np.ascontiguousarray(np.rot90(gray)) for gray in grays]
    source = write_film(tmp_path / "film.mp4", lying, rotation=QUARTER_TURN)
    target = tmp_path / "color.mp4"
    seen = []
    predict = colorizer.network.predict_ab

    def spy(lightness, known=None):
        seen.append(lightness.shape[1:3])
        return predict(lightness, known)

    monkeypatch.setattr(colorizer.network, "predict_ab", spy)
    colorize_film(colorizer, source, target)
    before, after = read_film(source), read_film(target)
    assert after.rotation == before.rotation == -90
    assert after.lumas[0].shape == (160, 96)
    assert seen and all(height < width for height, width in seen)


@pytest.mark.parametrize(
    "pix_fmt, codec, suffix, expected",
    [
        ("yuv420p10le", "h264", ".mp4", "yuv420p10le"),
        ("yuv420p10le", "prores", ".mov", "yuv422p10le"),
        ("yuv422p10le", "ffv1", ".mkv", "yuv420p10le"),
    ],
)
def test_ten_bits_stay_ten_bits(
    tmp_path, colorizer, grays, pix_fmt, codec, suffix, expected
):
    source = write_film(tmp_path / "film.mkv", grays[:4], pix_fmt=pix_fmt)
    target = tmp_path / f"color{suffix}"
    colorize_film(colorizer, source, target, FilmSettings(codec=codec))
    before, after = read_film(source), read_film(target)
    assert after.pix_fmt == expected
    error = np.array(after.lumas, "int32") - np.array(before.lumas, "int32")
    # H.264 adds 2 levels of 255 here, ProRes less.
    assert np.abs(error).mean() < (0.1 if codec == "ffv1" else 12)


def test_a_gray_film_keeps_its_whole_range(tmp_path, colorizer, grays):
    source = write_film(
        tmp_path / "film.mkv", grays[:4], codec="ffv1", pix_fmt="gray", options={}
    )
    target = tmp_path / "color.mkv"
    colorize_film(colorizer, source, target, FilmSettings(codec="ffv1"))
    after = read_film(target)
    np.testing.assert_array_equal(after.lumas, grays[:4])
    assert after.tags[0] == 2
    light = np.array(after.frames, "float64") @ [0.299, 0.587, 0.114]
    assert np.abs(light - grays[:4]).mean() < 1.5


def _woven(grays):
    """Frames whose fields are of two moments."""
    frames = [gray.copy() for gray in grays[::2]]
    for frame, later in zip(frames, grays[1::2], strict=True):
        frame[1::2] = later[1::2]
    return frames


@pytest.mark.parametrize(
    "codec, suffix, is_kept",
    [
        ("h264", ".mp4", True),
        ("ffv1", ".mkv", True),
        ("prores", ".mov", True),
        ("vp9", ".webm", False),
    ],
)
def test_an_interlaced_film_stays_so_or_it_is_said(
    tmp_path, colorizer, grays, codec, suffix, is_kept
):
    source = write_film(
        tmp_path / "film.mkv",
        _woven(grays[:8]),
        options={"crf": "12", "x264-params": "bff=1"},
    )
    target = tmp_path / f"color{suffix}"
    report = colorize_film(colorizer, source, target, FilmSettings(codec))
    assert Film(source).facts.fields == "bottom"
    assert Film(target).facts.fields == ("bottom" if is_kept else None)
    assert ("interlaced" in " ".join(report.notes())) != is_kept


def test_the_colors_of_a_field_do_not_depend_on_the_other(tmp_path, grays):
    source = write_film(
        tmp_path / "film.mkv",
        _woven(grays[:4]),
        options={"crf": "12", "x264-params": "tff=1"},
    )
    painter = Painter(Film(source).facts, depth=8, size=(48, 80))
    rng = np.random.default_rng(0)
    view, ab = rng.uniform(-1, 1, (30, 50)), rng.uniform(-0.5, 0.5, (30, 50, 2))
    one, other = (
        painter(luma, view.astype("float32"), ab)
        for luma in (grays[0], _woven([grays[0], grays[20]])[0])
    )
    for plane, same in zip(one, other, strict=True):
        np.testing.assert_array_equal(plane[::2], same[::2])
        assert (plane[1::2] != same[1::2]).any()


def test_a_turned_film_is_not_laid_on_its_side_in_an_avi(tmp_path, colorizer, grays):
    source = write_film(tmp_path / "film.mp4", grays[:2], rotation=QUARTER_TURN)
    with pytest.raises(DataError, match="color.avi: .* turned; write a .mkv"):
        colorize_film(colorizer, source, tmp_path / "color.avi", progress=pytest.fail)
    assert list(tmp_path.iterdir()) == [source]


def test_a_level_film_may_be_an_avi(tmp_path, colorizer, grays):
    level = (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    source = write_film(tmp_path / "film.mp4", grays[:2], rotation=level)
    assert colorize_film(colorizer, source, tmp_path / "color.avi").frames == 2


@pytest.mark.parametrize(
    "codec, pix_fmt, suffix",
    [("ffv1", "yuva420p", ".mkv"), ("png", "rgba", ".mov")],
)
def test_transparency_that_is_lost_is_said(
    tmp_path, colorizer, grays, codec, pix_fmt, suffix
):
    source = tmp_path / f"film{suffix}"
    with av.open(str(source), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = grays[0].shape
        stream.pix_fmt = pix_fmt
        picture = av.VideoFrame.from_ndarray(grays[0], format="gray")
        container.mux(stream.encode(picture.reformat(format=pix_fmt)))
        container.mux(stream.encode())
    report = colorize_film(
        colorizer, source, tmp_path / "color.mov", FilmSettings("prores")
    )
    assert report.notes() == ["left out: transparency"]


def test_sound_that_the_container_refuses_is_said_before_the_work(
    tmp_path, colorizer, grays
):
    source = write_film(tmp_path / "film.mp4", grays[:2], sound=True)
    with pytest.raises(DataError, match=r"not take its sound \(aac\)"):
        colorize_film(colorizer, source, tmp_path / "color.webm", progress=pytest.fail)
    assert list(tmp_path.iterdir()) == [source]


UNEVEN = [0, 40, 80, 120, 1000, 1040, 1500, 2040]


def test_a_film_of_uneven_frames_does_not_end_early(tmp_path, colorizer, grays):
    source = write_film(
        tmp_path / "film.mkv", grays[:8], times=UNEVEN, time_base=Fraction(1, 1000)
    )
    assert colorize_film(colorizer, source, tmp_path / "color.mkv").notes() == []


def test_a_film_whose_sound_is_longer_does_not_end_early(tmp_path, colorizer, grays):
    source = write_film(
        tmp_path / "film.mkv",
        grays[:5],
        sound=True,
        times=[0, 512, 1024, 1536, 12800],
        options={"crf": "12", "bf": "0"},
    )
    with av.open(str(source)) as old, av.open(str(tmp_path / "a.mkv"), "w") as new:
        copies = {s.index: new.add_stream_from_template(s) for s in old.streams}
        for packet in old.demux():
            is_video = packet.stream.type == "video"
            if packet.dts is not None and not (is_video and packet.pts > 500):
                packet.stream = copies[packet.stream_index]
                new.mux(packet)
    report = colorize_film(colorizer, tmp_path / "a.mkv", tmp_path / "color.mkv")
    assert (report.frames, report.notes()) == (4, [])


@pytest.mark.parametrize("times", [None, UNEVEN], ids=["even", "uneven"])
def test_a_film_cut_short_ends_early(tmp_path, colorizer, grays, times):
    count = 24 if times is None else 8
    source = write_film(
        tmp_path / "film.mkv",
        grays[:count],
        times=times,
        time_base=Fraction(1, 1000),
        step=40,
        options={"crf": "12", "bf": "0"},
    )
    data = source.read_bytes()
    source.write_bytes(data[: len(data) // 2])
    (note,) = colorize_film(colorizer, source, tmp_path / "color.mkv").notes()
    length = "1.0" if times is None else "2.1"
    assert note.startswith("ends early, after ") and f" of {length} s" in note


def test_odd_sides_get_an_edge_only_where_the_codec_needs_it(
    tmp_path, colorizer, grays
):
    odd = [gray[:95, :159] for gray in grays[:3]]
    source = write_film(
        tmp_path / "film.mkv", odd, codec="ffv1", pix_fmt="gray", options={}
    )
    for codec, shape in (("h264", (96, 160)), ("ffv1", (95, 159))):
        target = tmp_path / f"{codec}.mkv"
        report = colorize_film(colorizer, source, target, FilmSettings(codec=codec))
        assert read_film(target).lumas[0].shape == shape
        padded = ["159x95 padded to 160x96: h264 needs even sides"]
        assert report.notes() == (padded if codec == "h264" else [])


def test_steady_colors_change_less_than_those_frame_by_frame(
    tmp_path, colorizer, grays
):
    source = write_film(tmp_path / "film.mkv", grays)
    change = {}
    for mode in ("off", "forward", "both"):
        target = tmp_path / f"{mode}.mkv"
        colorize_film(colorizer, source, target, FilmSettings("ffv1", steady=mode))
        frames = np.array(read_film(target).frames, "float32")
        opponent = frames[..., 0] - frames[..., 2]
        change[mode] = np.abs(np.diff(opponent.mean(axis=(1, 2)))).mean()
    assert change["both"] < change["forward"] < change["off"]


def test_half_as_many_networks_as_cores_answer_at_a_time(
    tmp_path, colorizer, grays, monkeypatch
):
    source = write_film(tmp_path / "film.mkv", grays[:12])
    predict = colorizer.network.predict_ab
    answering, most = [], []

    def spy(lightness, known=None):
        answering.append(lightness)
        time.sleep(0.02)
        most.append(len(answering))
        answering.pop()
        return predict(lightness, known)

    monkeypatch.setattr(colorizer.network, "predict_ab", spy)
    monkeypatch.setattr(colorize, "cores", lambda: 4)
    monkeypatch.setattr(eye, "cores", lambda: 4)
    colorize_film(colorizer, source, tmp_path / "color.mkv")
    assert max(most) == 2


class RedDot:
    """Hints as simple as can be: red around each dot."""

    def describe(self):
        return "red"

    def dots(self, size, orientation, frame):
        assert orientation == 1 and frame == (96, 160)
        return [Dot(12, size[1] / 2, size[0] / 2)]

    def draw(self, size, dots):
        known = np.zeros((*size, 3), "float32")
        for dot in dots:
            x, y = round(dot.x), round(dot.y)
            known[max(0, y - 20) : y + 20, max(0, x - 20) : x + 20] = 0.6, 0.4, 1
        return known


def test_hints_follow_the_motion_through_their_shot(tmp_path, colorizer, grays):
    source = write_film(tmp_path / "film.mkv", grays)
    target = tmp_path / "color.mkv"
    colorize_film(colorizer, source, target, hints=RedDot())
    for number, frame in enumerate(read_film(target).frames):
        # The camera moves by (1.5, 0.5), so the thing moves against it.
        x, y = round(80 - 1.5 * (number - 12)), round(48 - 0.5 * (number - 12))
        red, green, _ = frame[y - 4 : y + 4, x - 4 : x + 4].mean(axis=(0, 1))
        assert red - green > 60


def test_a_hint_by_hand_follows_the_motion(tmp_path, colorizer, grays):
    source = write_film(tmp_path / "film.mkv", grays)
    target = tmp_path / "color.mkv"
    text = {
        "points": [[76, 44], [84, 52]],
        "color": "#c02020",
        "radius": 3,
        "frame": 12,
    }
    hints = KnownColors(as_hints([text]), "film.mkv")
    colorize_film(colorizer, source, target, FilmSettings("ffv1"), hints=hints)
    for number, frame in enumerate(read_film(target).frames):
        x, y = round(80 - 1.5 * (number - 12)), round(48 - 0.5 * (number - 12))
        red, green, _ = frame[y - 1 : y + 2, x - 1 : x + 2].mean(axis=(0, 1))
        assert red - green > 25, number


def test_hints_in_a_turned_film_are_where_they_are_in_a_level_one(
    tmp_path, hinted_tflite, grays
):
    colorizer = Colorizer(hinted_tflite, threads=1)
    lying = [np.ascontiguousarray(np.rot90(gray)) for gray in grays[:6]]
    write_film(tmp_path / "level.mkv", grays[:6])
    write_film(tmp_path / "turned.mp4", lying, rotation=QUARTER_TURN)
    hint = {"x": 150, "y": 10, "color": "#c02020", "radius": 4, "frame": 2}

    def mean(name, given):
        hints = KnownColors(as_hints(given), name)
        target = tmp_path / f"{len(given)}-{name}"
        colorize_film(colorizer, tmp_path / name, target, hints=hints)
        frames = np.array(read_film(target).frames, "float32")
        if name == "turned.mp4":
            frames = np.rot90(frames, -1, axes=(1, 2))
        return frames[:, :48, 80:].mean(axis=(1, 2))  # about the hint

    level, turned = mean("level.mkv", [hint]), mean("turned.mp4", [hint])
    assert np.abs(level - mean("level.mkv", [])).max(axis=1).min() > 5
    # Encoded with losses, each in its own way.
    assert np.abs(level - turned).max() < 2


def test_what_a_network_makes_of_hints_is_left_out_of_films(
    tmp_path, hinted_tflite, grays
):
    # It would change from frame to frame, as they come and go.
    colorizer = Colorizer(hinted_tflite, threads=1)
    write_film(tmp_path / "film.mkv", grays[:6])
    hints = KnownColors(as_hints([{"x": 150, "y": 10, "color": "#c02020"}]), "film")
    colorize_film(colorizer, tmp_path / "film.mkv", tmp_path / "a.mkv", hints=hints)
    colorizer.network.takes_known = False
    colorize_film(colorizer, tmp_path / "film.mkv", tmp_path / "b.mkv", hints=hints)
    a, b = (read_film(tmp_path / f"{name}.mkv").frames for name in "ab")
    np.testing.assert_array_equal(a, b)


def test_a_hint_behind_the_end_is_refused(tmp_path, colorizer, grays):
    source = write_film(tmp_path / "film.mkv", grays[:4])
    hints = KnownColors(
        as_hints([{"x": 4, "y": 5, "color": "#c02020", "frame": 40}]), "film.mkv"
    )
    with pytest.raises(ValueError, match="from 0 to 3, .* Received: 40"):
        colorize_film(colorizer, source, tmp_path / "color.mkv", hints=hints)


def test_a_picture_of_hints_is_for_photographs():
    picture = HintPicture(np.zeros((4, 5, 3), "uint8"), np.ones((4, 5), bool))
    with pytest.raises(DataError, match="film.mkv: a film takes hints as points"):
        KnownColors([picture], "film.mkv")


def _small_stretches(monkeypatch):
    monkeypatch.setattr(colorize, "_SHORT", 4)
    monkeypatch.setattr(colorize, "_LONG", 6)
    monkeypatch.setattr(colorize.steady, "WINDOW", 5)
    monkeypatch.setattr(colorize.steady, "LOOKAHEAD", 3)


def test_an_interrupted_film_goes_on_and_equals_an_undisturbed_one(
    tmp_path, colorizer, grays, monkeypatch
):
    _small_stretches(monkeypatch)
    # A cut in the middle, so that stretches end at it and elsewhere.
    grays = grays[:12] + [gray[::-1] for gray in grays[12:]]
    source = write_film(tmp_path / "film.mp4", grays, sound=True)
    whole, target = tmp_path / "whole.mp4", tmp_path / "color.mp4"
    colorize_film(colorizer, source, whole)

    # In the first stretch, in the second (of this run's own frames), and in its end.
    for stop in (3, 13, 6, 12):

        def interrupt(done, total, stop=stop):
            if done == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            colorize_film(colorizer, source, target, progress=interrupt)
        assert not target.exists()
    report = colorize_film(colorizer, source, target)
    assert report.resumed == 12
    assert target.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "color.mp4",
        "film.mp4",
        "whole.mp4",
    ]


@pytest.mark.parametrize(
    "codec, suffix",
    [
        ("h264", ".mkv"),
        ("h265", ".mp4"),
        ("av1", ".mp4"),
        ("vp9", ".webm"),
        ("ffv1", ".mkv"),
        ("prores", ".mov"),
    ],
)
def test_a_resumed_film_equals_an_undisturbed_one_with_every_codec(
    tmp_path, colorizer, grays, monkeypatch, codec, suffix
):
    _small_stretches(monkeypatch)
    source = write_film(tmp_path / "film.mkv", grays[:14])
    whole, target = tmp_path / f"whole{suffix}", tmp_path / f"color{suffix}"
    colorize_film(colorizer, source, whole, FilmSettings(codec))

    def interrupt(done, total):
        if done == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        colorize_film(colorizer, source, target, FilmSettings(codec), interrupt)
    report = colorize_film(colorizer, source, target, FilmSettings(codec))
    assert report.resumed == 10
    assert target.read_bytes() == whole.read_bytes()


def test_what_was_finished_with_other_settings_is_not_used(
    tmp_path, colorizer, grays, monkeypatch
):
    _small_stretches(monkeypatch)
    source = write_film(tmp_path / "film.mp4", grays)
    target = tmp_path / "color.mp4"

    def interrupt(done, total):
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        colorize_film(colorizer, source, target, progress=interrupt)
    report = colorize_film(colorizer, source, target, FilmSettings(quality=60))
    assert report.resumed == 0


def test_of_many_stretches_only_the_last_is_held_with_its_colors(tmp_path):
    held = work.Work(tmp_path / "color.mp4", {})
    packets = Packets(held.data_path(), *[np.zeros(0, int)] * 3)
    stretch = work.Stretch(packets, Times(np.zeros(0, int), np.zeros(0, int)), False)
    gone = []
    for _ in range(3):
        state = State(np.zeros((3, 4, 2), "float16"), np.ones((3, 4), "uint8"))
        gone.append(weakref.ref(state))
        held.add(stretch, state)
    del state
    assert [ref() is None for ref in gone] == [True, True, False]
    held.close()


def test_two_processes_do_not_write_one_film(tmp_path):
    held = work.Work(tmp_path / "color.mp4", {})
    with pytest.raises(DataError, match="another process"):
        work.Work(tmp_path / "color.mp4", {})
    held.close()
    work.Work(tmp_path / "color.mp4", {}).close()


def spoil(path, numbers):
    """Wipes packets of an AVI."""
    data = bytearray(path.read_bytes())
    at = data.index(b"movi") + 4
    for number in range(max(numbers) + 1):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if number in numbers:
            data[at + 8 : at + 8 + size] = bytes(size)
        at += 8 + size + size % 2
    path.write_bytes(data)


def test_damaged_frames_are_repeated_and_counted(tmp_path, colorizer, grays):
    # Motion JPEG: each packet is a frame, so that damage stays where it is.
    source = write_film(
        tmp_path / "film.avi",
        grays,
        codec="mjpeg",
        pix_fmt="yuvj420p",
        time_base=Fraction(1, 25),
        step=1,
        options={},
    )
    spoil(source, (5, 6, 17))
    target = tmp_path / "color.mkv"
    report = colorize_film(colorizer, source, target, FilmSettings(codec="ffv1"))
    after = read_film(target)
    assert report.damaged == 3
    assert len(after.lumas) == len(grays)
    for number in (5, 6):
        np.testing.assert_array_equal(after.lumas[number], after.lumas[4])


def test_a_film_whose_first_frames_are_lost_begins_with_the_next(
    tmp_path, colorizer, grays
):
    source = write_film(
        tmp_path / "film.avi",
        grays[:8],
        codec="mjpeg",
        pix_fmt="yuvj420p",
        time_base=Fraction(1, 25),
        step=1,
        options={},
    )
    spoil(source, (0, 1))
    target = tmp_path / "color.mkv"
    report = colorize_film(colorizer, source, target)
    assert (report.damaged, report.frames) == (2, 6)
    assert len(read_film(target).lumas) == 6


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "not a film"),
        (b"no film at all " * 100, "not a film"),
        (None, "no video"),
    ],
)
def test_what_is_no_film_is_said_in_one_line(tmp_path, colorizer, content, words):
    source = tmp_path / "film.mkv"
    if content is None:
        import av

        with av.open(str(source), "w") as container:
            stream = container.add_stream("flac", rate=44100)
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 2048), "int16"), format="s16", layout="stereo"
            )
            frame.sample_rate = 44100
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
    else:
        source.write_bytes(content)
    with pytest.raises(DataError, match=words) as error:
        colorize_film(colorizer, source, tmp_path / "color.mkv")
    assert str(source) in str(error.value) and "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == [source]


def test_sound_that_nobody_knows_is_said_of_the_film(tmp_path, colorizer, grays):
    source = write_film(tmp_path / "film.mp4", grays[:4], sound=True)
    data = source.read_bytes()
    source.write_bytes(data.replace(b"mp4a", b"zzzz").replace(b"esds", b"free"))
    with pytest.raises(DataError, match="its sound has a codec that is not known") as e:
        colorize_film(colorizer, source, tmp_path / "color.mkv")
    assert str(e.value).startswith(f"{source}: ")


def test_a_full_disk_is_named_and_leaves_no_film(
    tmp_path, colorizer, grays, monkeypatch
):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    source = write_film(tmp_path / "film.mp4", grays[:6])
    target = tmp_path / "color.mp4"
    full = Path("/dev/full")
    monkeypatch.setattr(work.Work, "data_path", lambda self: full)
    with pytest.raises(OSError, match="No space left") as error:
        colorize_film(colorizer, source, target)
    assert str(error.value.filename) == str(target)
    assert not target.exists()


@pytest.mark.slow
def test_killed_at_any_moment_a_film_goes_on_to_the_same_end(tmp_path, grays):
    frames = [*itertools.chain(*[grays, grays[::-1]] * 6)]
    source = write_film(tmp_path / "film.mp4", frames, sound=True)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from kcolor.inference.colorizer import Colorizer\n"
        "from kcolor.inference.film import colorize\n"
        "colorize._SHORT = colorize._LONG = 30\n"
        "colorize.steady.WINDOW, colorize.steady.LOOKAHEAD = 20, 8\n"
        "colorizer = Colorizer('mobile', threads=1)\n"
        "colorize.colorize_film(colorizer, *map(Path, sys.argv[1:]))\n"
    )

    def start(target):
        return subprocess.Popen([sys.executable, "-c", code, source, target])

    whole = tmp_path / "whole.mp4"
    begun = time.monotonic()
    assert start(whole).wait() == 0
    length = time.monotonic() - begun
    rng = np.random.default_rng(0)
    target = tmp_path / "color.mp4"
    kills = 0
    for _ in range(60):
        process = start(target)
        time.sleep(rng.uniform(0.3, 1.0) * min(length, 6))
        process.kill()
        process.wait()
        if target.exists():  # It was done, and at most about to exit.
            assert target.read_bytes() == whole.read_bytes()
            target.unlink()
        else:
            kills += 1
        if kills >= 20:
            break
    assert kills >= 20
    assert start(target).wait() == 0
    assert target.read_bytes() == whole.read_bytes()
