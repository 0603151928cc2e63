"""Tests for simulated clicks."""

import numpy as np
import pytest

from kcolor.data.hints import (
    draw_area,
    draw_corners,
    recolor,
    reveal,
    simulate_hints,
)

SHAPE = (48, 64, 3)


def truth(seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, SHAPE).astype("float32")


def coat_and_wall(seed=0):
    """A mid-gray square of one color on a bright wall of another, both a bit noisy."""
    target = np.empty(SHAPE, "float32")
    target[:] = 0.6, 0.05, 0.1
    target[12:36, 20:44] = -0.1, -0.1, 0.02
    noise = np.random.default_rng(seed).normal(0, 0.005, SHAPE)
    return target + noise.astype("float32")


def counts(share=1.0, pictures=400):
    # The number of squares is not in the result; a click in a far larger picture
    # hardly ever lies on another, so that covered pixels tell.
    target = np.zeros((512, 512, 3), "float32")
    for seed in range(pictures):
        known = simulate_hints(target, np.random.default_rng(seed), share)[1]
        yield known[..., 2].sum()


def test_equal_seeds_give_equal_hints():
    one, two, other = (
        simulate_hints(truth(), np.random.default_rng((4, seed)), 1.0)[1]
        for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(one, two)
    assert np.any(one != other)


def test_the_share_of_pictures_with_hints_is_as_asked():
    with_hints = np.mean([covered > 0 for covered in counts(0.5)])
    assert 0.42 < with_hints < 0.58
    assert not any(counts(0.0, 20)) and all(counts(1.0, 20))


def test_few_hints_are_as_likely_as_many():
    covered = np.array(list(counts()))
    # 1 to 10 squares, and 10 to 100, of 31.7 pixels in the mean.
    assert 0.4 < np.mean(covered < 10 * 31.7) < 0.6
    assert covered.min() <= 9 and covered.max() > 1500


def test_a_square_shows_the_mean_of_what_lies_under_it():
    ab = truth()[..., 1:]
    known = reveal(ab, np.array([[3, 5], [20, 30]]), np.array([4, 1]))
    assert known.dtype == np.float32 and known[..., 2].sum() == 17
    mean = ab[3:7, 5:9].mean(axis=(0, 1))
    np.testing.assert_allclose(known[3:7, 5:9, :2], np.broadcast_to(mean, (4, 4, 2)))
    np.testing.assert_array_equal(known[20, 30], [*ab[20, 30], 1])
    assert not known[known[..., 2] == 0].any()


@pytest.mark.parametrize("places", ["uniform", "centered"])
def test_squares_lie_inside_and_reach_the_borders(places):
    rng = np.random.default_rng(0)
    corners = draw_corners(5000, 6, (48, 64), places, rng)
    assert corners.min() == 0
    np.testing.assert_array_equal(corners.max(axis=0), [42, 58])
    middle = np.abs(corners - [21, 29]) < [12, 16]
    inside = middle.all(axis=1).mean()
    assert (0.25 < inside < 0.35) if places == "uniform" else (0.4 < inside < 0.6)


def test_an_area_hangs_together_and_is_of_one_color():
    target = coat_and_wall()
    coat = np.zeros(SHAPE[:2], "uint8")
    coat[12:36, 20:44] = 1
    areas = [draw_area(target, np.random.default_rng(seed)) for seed in range(40)]
    # The wall is too large for one; a place on the coat is hit now and then.
    assert any(area.any() for area in areas)
    for area in areas:
        assert not area.any() or np.mean(area == coat) > 0.99
    assert not draw_area(truth(), np.random.default_rng(0)).any()


def test_a_recolored_area_keeps_its_lightness_and_nothing_else_changes():
    target = coat_and_wall()
    area = draw_area(target, np.random.default_rng(3))
    assert area.any()
    seen = target.copy()
    changed = recolor(target, area, np.random.default_rng(1))
    np.testing.assert_array_equal(target, seen)
    np.testing.assert_array_equal(changed[..., 0], target[..., 0])
    np.testing.assert_array_equal(changed[:8], target[:8])
    shift = (changed - target)[16:32, 24:40, 1:]
    assert np.abs(shift).max() > 0.05 and np.ptp(shift, axis=(0, 1)).max() < 1e-6


def test_half_of_the_hinted_pictures_have_a_color_that_was_never_there():
    target = coat_and_wall()
    changed = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        result, known = simulate_hints(target, rng, 1.0)
        different = np.abs(result - target).max(axis=-1) > 1e-3
        changed += different.any()
        if different.any():
            # Someone who had not been told could not know.
            assert known[different, 2].any()
        shown = known[..., 2] > 0
        low, high = result[..., 1:].min((0, 1)), result[..., 1:].max((0, 1))
        assert np.all((known[shown, :2] >= low - 1e-6) & (known[shown, :2] <= high))
    # Of those asked for, some find no area: eight places all on the wall.
    assert 0.3 * 300 < changed < 0.5 * 300
    assert simulate_hints(target, np.random.default_rng(0), 0.0)[0] is target
