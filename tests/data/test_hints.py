"""Tests for simulated clicks."""

import numpy as np
import pytest

from kcolor.data.hints import draw_corners, reveal, simulate_hints

SHAPE = (48, 64, 2)


def truth(seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, SHAPE).astype("float32")


def counts(share=1.0, pictures=400):
    # The number of squares is not in the result; a click in a far larger picture
    # hardly ever lies on another, so that covered pixels tell.
    ab = np.zeros((512, 512, 2), "float32")
    for seed in range(pictures):
        yield simulate_hints(ab, np.random.default_rng(seed), share)[..., 2].sum()


def test_equal_seeds_give_equal_hints():
    one, two, other = (
        simulate_hints(truth(), np.random.default_rng((4, seed)), 1.0)
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
    ab = truth()
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
