"""Tests for films whose times begin again: joined recordings, the cells of a DVD."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from kcolor.inference.colorizer import Colorizer

pytest.importorskip("av")
skimage_data = pytest.importorskip("skimage.data")

from film_clips import make_clip  # noqa: E402
from film_files import read_film, write_film  # noqa: E402

from kcolor.inference.film import colorize  # noqa: E402
from kcolor.inference.film.colorize import colorize_film  # noqa: E402
from kcolor.inference.film.joined import find_joins  # noqa: E402
from kcolor.inference.film.reading import Film  # noqa: E402

CLOCK = Fraction(1, 90000)


@pytest.fixture(scope="module")
def grays():
    return make_clip(skimage_data.astronaut(), size=(48, 80), count=25).gray


@pytest.fixture(scope="module")
def colorizer():
    return Colorizer("mobile", threads=1)


def write_recording(path, grays, times=2):
    """Writes a recording with sound and B-frames, appended to itself."""
    write_film(
        path,
        grays,
        sound=True,
        options={"crf": "20", "bf": "2"},
        time_base=CLOCK,
        step=3600,
    )
    path.write_bytes(path.read_bytes() * times)
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_joined_recording_goes_on_and_stays_in_sync(
    tmp_path, colorizer, grays, suffix
):
    source = write_recording(tmp_path / "film.ts", grays, times=3)
    target = tmp_path / f"color{suffix}"
    report = colorize_film(colorizer, source, target)
    assert (report.frames, report.expected, report.notes()) == (75, 75, [])
    before, after = read_film(source), read_film(target)
    # A transport stream has 7 bytes before each packet of AAC; the others have none.
    assert after.sound == [data[7:] for data in before.sound]
    assert len(after.sound) == 135
    video, sound = (np.array(t, float) for t in (after.times, after.sound_times))
    assert 2.9 < video[-1] - video[0] < 3.2
    # Nothing overlaps, and sound and picture are shifted by the same.
    assert np.diff(video).min() > 0.035 and np.diff(sound).min() > 0.02
    for shown in (1, 2):
        shift = video[25 * shown] - video[0]
        assert sound[45 * shown] - sound[0] == pytest.approx(shift, abs=0.002)


def test_cells_of_a_dvd_follow_each_other(tmp_path, colorizer, grays):
    source = write_film(
        tmp_path / "film.vob",
        grays,
        codec="mpeg2video",
        time_base=Fraction(1, 25),
        step=1,
        options={},
    )
    source.write_bytes(source.read_bytes() * 2)
    target = tmp_path / "color.mkv"
    colorize_film(colorizer, source, target)
    np.testing.assert_allclose(np.diff(read_film(target).times).astype(float), 0.04)


def test_a_joined_film_that_was_interrupted_equals_an_undisturbed_one(
    tmp_path, colorizer, grays, monkeypatch
):
    monkeypatch.setattr(colorize, "_SHORT", 4)
    monkeypatch.setattr(colorize, "_LONG", 6)
    monkeypatch.setattr(colorize.steady, "WINDOW", 5)
    monkeypatch.setattr(colorize.steady, "LOOKAHEAD", 3)
    source = write_recording(tmp_path / "film.ts", grays[:15])
    whole, target = tmp_path / "whole.mkv", tmp_path / "color.mkv"
    colorize_film(colorizer, source, whole)

    def interrupt(done, total):
        if done == 12:
            raise KeyboardInterrupt

    # Before the join, behind it, and once more.
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            colorize_film(colorizer, source, target, progress=interrupt)
    report = colorize_film(colorizer, source, target)
    assert 15 < report.resumed < 30
    assert target.read_bytes() == whole.read_bytes()


def test_a_recording_in_one_piece_keeps_its_times(tmp_path, grays):
    film = Film(write_recording(tmp_path / "film.ts", grays, times=1))
    assert not film.joins.shifts
    assert [frame.pts for frame in film.frames()] == [
        7200 + 3600 * number for number in range(25)
    ]


VIDEO = SimpleNamespace(
    type="video", index=0, time_base=CLOCK, average_rate=Fraction(25)
)
TEXT = SimpleNamespace(type="subtitle", index=1, time_base=Fraction(1, 1000))


def packet(stream, seconds, shown=None):
    dts = None if seconds is None else round(seconds / stream.time_base)
    pts = dts if shown is None else round(shown / stream.time_base)
    return SimpleNamespace(
        stream=stream,
        stream_index=stream.index,
        time_base=stream.time_base,
        dts=dts,
        pts=pts,
        duration=0,
        size=9,
    )


def steady_times(count, begin=0.0):
    return [begin + 0.04 * number for number in range(count)]


def shifted(packets):
    joins = find_joins(packets, VIDEO)
    return [
        None if one.dts is None else round(float(one.dts * one.time_base), 3)
        for one in joins.shifted(packets)
    ]


def test_damaged_times_and_late_ones_are_no_join():
    times = [*steady_times(50), 1.7, *steady_times(50, 2.04)]
    for damage in (-300.0, 300.0, 40000.0):
        times[20] = times[19] + damage
        packets = [packet(VIDEO, time) for time in times]
        assert not find_joins(packets, VIDEO).shifts


def test_the_order_of_b_frames_is_no_join():
    # Two seconds between frames, so that their times jump by eight.
    packets = [
        packet(VIDEO, 2.0 * at, 2.0 * at + (8 if at % 4 == 0 else -2))
        for at in range(40)
    ]
    assert not find_joins(packets, VIDEO).shifts


def test_subtitles_without_a_step_back_follow_the_video():
    lines = [packet(TEXT, 1.0), packet(TEXT, 2.0)]  # The second is of the second part.
    films = [[packet(VIDEO, time) for time in steady_times(100)] for _ in range(2)]
    order = [*films[0][:26], lines[0], *films[0][26:]]
    order += [*films[1][:51], lines[1], *films[1][51:]]
    times = shifted(order)
    assert times[26] == 1.0
    assert times[101 + 51] == 6.0
    assert times[-1] == pytest.approx(7.96)


def test_times_below_the_first_of_a_file_are_a_way_back():
    # FFmpeg hands them out with a whole round of the clock added.
    begin = float((1 << 33) * CLOCK) + 100
    times = [*steady_times(25, 1000), *steady_times(25, begin)]
    out = shifted([packet(VIDEO, time) for time in times])
    np.testing.assert_allclose(np.diff(out), 0.04, atol=0.002)


def test_a_gap_in_a_recording_stays():
    times = [*steady_times(25), *steady_times(25, 600)]
    assert not find_joins([packet(VIDEO, time) for time in times], VIDEO).shifts
