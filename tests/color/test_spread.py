"""Tests for the spread of known colors on the small view."""

import time

import numpy as np
import pytest
from known_pixels import known_at

from kcolor.color.spread import is_heard, spread


def flat(height=64, width=96, lightness=0.1):
    return np.full((height, width), lightness, "float32")


def test_without_known_pixels_the_prediction_stays():
    rng = np.random.default_rng(0)
    ab = rng.normal(0, 0.2, (64, 96, 2)).astype("float32")
    np.testing.assert_array_equal(spread(flat(), ab, known_at((64, 96))), ab)


def test_known_pixels_are_kept_exactly_among_any_others():
    rng = np.random.default_rng(1)
    lightness = rng.uniform(-1, 1, (64, 96)).astype("float32")
    ab = rng.normal(0, 0.2, (64, 96, 2)).astype("float32")
    mask = rng.random((64, 96, 1)) < 0.1
    asked = rng.uniform(-0.5, 0.5, (64, 96, 2)) * mask
    known = np.concatenate([asked, mask], axis=-1).astype("float32")
    result = spread(lightness, ab, known)
    assert result.dtype == np.float32 and np.isfinite(result).all()
    np.testing.assert_array_equal(result[mask[..., 0]], known[mask[..., 0], :2])


def test_nothing_crosses_a_clear_edge_but_all_goes_around_its_end():
    lightness = flat(80, 80)
    lightness[:60, 38:42] = 0.9  # a wall of 40 L*, open below
    ab = np.zeros((80, 80, 2), "float32")
    result = spread(lightness, ab, known_at((80, 80), p10_20=(0.3, -0.2)))[..., 0]
    assert result[10, 30] > 0.25
    assert result[70, 30] > result[70, 50] > 0.9 * 0.3
    assert result[30, 50] > 0
    closed = lightness.copy()
    closed[:, 38:42] = 0.9
    result = spread(closed, ab, known_at((80, 80), p10_20=(0.3, -0.2)))[..., 0]
    assert result[:, 44:].max() < 0.01


def test_what_a_color_tells_of_other_lightness_is_little():
    ab = np.zeros((80, 80, 2), "float32")
    for step, most in ((20, 0.12), (30, 0.03), (40, 0.005)):
        lightness = flat(80, 80)
        lightness[:, 40:] += step / 50
        result = spread(lightness, ab, known_at((80, 80), p10_20=(0.3, -0.2)))[..., 0]
        assert result[:, :36].min() > 0.29
        assert result[:, 44:].max() < most


def test_an_edge_of_the_network_s_colors_slows_the_spread():
    ab = np.zeros((64, 96, 2), "float32")
    ab[:, 50:] = 0.4, 0.4
    known = known_at((64, 96), p30_45=(-0.3, 0.0))
    change = np.abs(spread(flat(), ab, known) - ab)[30, :, 0]
    assert change[54] < 0.5 * np.abs(spread(flat(), 0 * ab, known))[30, 54, 0]


def test_what_is_far_away_stays_even_at_equal_lightness():
    ab = np.zeros((32, 1024, 2), "float32")
    result = spread(flat(32, 1024), ab, known_at((32, 1024), p16_16=(0.3, 0.0)))
    assert result[16, 60, 0] > 0.25 and result[16, 1000, 0] < 0.01


def test_the_spread_is_the_same_in_a_mirror_and_on_its_side():
    rng = np.random.default_rng(2)
    lightness = np.cumsum(rng.normal(0, 0.02, (64, 96)), axis=1).astype("float32")
    ab = rng.normal(0, 0.02, (64, 96, 2)).astype("float32")
    known = known_at((64, 96), p20_30=(0.3, 0.0), p50_70=(-0.2, 0.2))
    result = spread(lightness, ab, known)
    for turn in (lambda x: x[::-1], lambda x: x[:, ::-1]):
        turned = spread(
            *(np.ascontiguousarray(turn(x)) for x in (lightness, ab, known))
        )
        np.testing.assert_allclose(turn(turned), result, atol=1e-3)
    # Rows go first, so a seam is a little different by columns.
    turned = spread(*(x.swapaxes(0, 1).copy() for x in (lightness, ab, known)))
    assert np.abs(turned.swapaxes(0, 1) - result).mean() < 0.01


def test_the_work_hardly_grows_with_the_number_of_hints():
    rng = np.random.default_rng(3)
    lightness = rng.normal(0, 0.1, (256, 256)).astype("float32")
    ab = np.zeros((256, 256, 2), "float32")

    def seconds(count):
        known = np.zeros((256, 256, 3), "float32")
        known[rng.integers(0, 256, count), rng.integers(0, 256, count)] = 0.1, 0.1, 1
        times = []
        for _ in range(5):
            start = time.process_time()
            spread(lightness, ab, known)
            times.append(time.process_time() - start)
        return min(times)

    assert seconds(20_000) < 1.5 * seconds(100)


@pytest.mark.parametrize("turn", [lambda x: x, lambda x: x.swapaxes(0, 1)])
def test_a_network_is_heard_about_one_small_area(turn):
    def heard(**places):
        return is_heard(turn(known_at((256, 128), **places)))

    assert heard(p5_5=(0, 0)) and heard(p5_5=(0, 0), p36_9=(0, 0), p30_36=(0, 0))
    assert not heard(p5_5=(0, 0), p37_9=(0, 0))
    assert not heard() and not is_heard(np.ones((256, 128, 3), "float32"))


def heard_at_hint(lightness):
    # What a network says counts less than what was clicked, so both say the same.
    known = known_at(lightness.shape, p30_10=(0.0, 0.0))
    ab = np.zeros((*lightness.shape, 2), "float32")
    hinted = np.full_like(ab, 0.4)
    hinted[25:36, 5:16] = 0
    return spread(lightness, ab, known, hinted)[30, :, 0]


def test_a_network_is_heard_where_it_is_about_as_light_as_a_hint_is():
    ramp = np.linspace(-0.9, 0.9, 192, dtype="float32")  # 90 L*, and no edge
    lightness = np.broadcast_to(ramp, (64, 192)).copy()
    heard = heard_at_hint(lightness)
    assert heard[10] == 0 and heard[10 + 43] > 0.04 and heard[10 + 96] < 0.01 * 0.4
    known = known_at((64, 192), p30_10=(0.0, 0.0))
    ab = np.zeros((64, 192, 2), "float32")
    np.testing.assert_array_equal(spread(lightness, ab, known, ab), 0)


def test_a_network_is_heard_less_behind_a_clear_edge():
    lightness = flat(64, 192)
    lightness[:, 40:44] = 0.9  # a wall of 40 L*; behind it, as light as before
    lightness[:, 100:104] = 0.9
    heard = heard_at_hint(lightness)
    assert 0.1 > heard[50] > 10 * heard[150]
