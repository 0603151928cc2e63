"""Tests for known colors that follow the motion."""

import numpy as np
import pytest

from kcolor.inference.film.follow import Dot, follow

skimage_data = pytest.importorskip("skimage.data")

from film_clips import make_clip  # noqa: E402


def test_a_dot_goes_with_its_thing_both_ways_and_stays_in_its_shot():
    clip = make_clip(skimage_data.astronaut(), pan=(1.5, 0.5), count=20)
    strangers = make_clip(skimage_data.coffee(), count=6).gray
    found = follow([*strangers, *clip.gray, *strangers], [Dot(16, 80.0, 48.0, "red")])
    assert sorted(found) == list(range(6, 26))
    for number, dots in found.items():
        (dot,) = dots
        assert dot.meaning == "red" and dot.frame == number
        # The camera goes right and down, so things go left and up.
        assert dot.x == pytest.approx(80 - 1.5 * (number - 16), abs=1.5)
        assert dot.y == pytest.approx(48 - 0.5 * (number - 16), abs=1.5)


def test_a_dot_ends_where_something_covers_it():
    other = skimage_data.coffee()
    clip = make_clip(skimage_data.astronaut(), pan=(0, 0), count=24, other=other)
    found = follow(clip.gray, [Dot(0, 110.0, 40.0)])
    assert 10 < len(found) < 20
    assert sorted(found) == list(range(len(found)))


def test_several_dots_on_several_frames_do_not_mix():
    clip = make_clip(skimage_data.astronaut(), pan=(0.5, 0), count=12)
    dots = [Dot(2, 50.0, 50.0, "a"), Dot(9, 100.0, 30.0, "b")]
    found = follow(clip.gray, dots)
    assert {dot.meaning for dots in found.values() for dot in dots} == {"a", "b"}
    assert all(len(found[number]) == 2 for number in range(12))
    ys = np.array(
        [[dot.y for dot in dots if dot.meaning == "a"] for dots in found.values()]
    )
    assert np.abs(ys - 50).max() < 1
