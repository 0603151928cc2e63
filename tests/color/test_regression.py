"""Tests for what known colors tell of the rest of a picture."""

import numpy as np
from known_pixels import known_at

from kcolor.color import regression
from kcolor.color.regression import regress

SHAPE = (64, 96)


def picture(seed=0, contrast=0.0):
    rng = np.random.default_rng(seed)
    lightness = 50 + contrast * rng.normal(0, 1, SHAPE)
    ab = contrast / 100 * rng.normal(0, 1, (*SHAPE, 2))
    return lightness.astype("float32"), ab.astype("float32")


def in_full(lightness, ab, known):
    # The same in 64 bits, pair by pair, each known pixel in a cell of its own.
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    features = np.dstack([x, y, lightness, 110.0 * ab]).reshape(-1, 5)
    at = np.flatnonzero(known[..., 2])
    missing = 110.0 * (known[..., :2] - ab).reshape(-1, 2)[at]
    spans = regression._PIXELS, regression._LIGHTNESS, regression._AB
    kernel = 0
    for error, pixels, light, color in zip(regression._ERRORS, *spans, strict=True):
        scaled = features / np.array([pixels, pixels, light, color, color], "float64")
        far = np.square(scaled[:, None] - scaled[at]).sum(axis=2)
        kernel = kernel + float(error) ** 2 * np.exp(-far / 2)
    alike = kernel[at] + regression._NOISE**2 * np.eye(len(at))
    return (kernel @ np.linalg.inv(alike) @ missing / 110).reshape(*SHAPE, 2)


def test_it_is_the_mean_of_a_gaussian_process():
    lightness, ab = picture(contrast=8)
    known = known_at(SHAPE, p8_9=(0.3, 0), p30_70=(-0.1, 0.2), p55_40=(0, -0.2))
    found = regress(lightness, ab, known, ab)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, in_full(lightness, ab, known), atol=1e-4)


def test_where_nothing_is_missing_nothing_changes():
    lightness, ab = picture(1, contrast=8)
    known = known_at(SHAPE, p8_9=ab[8, 9])
    np.testing.assert_array_equal(regress(lightness, ab, known, ab), 0)


def test_less_is_told_of_what_is_less_alike():
    lightness, ab = picture()
    lightness[:32] += 20
    ab[:, 48:] = 0.2, 0.2
    known = known_at(SHAPE, p50_10=(0.2, 0))
    told = regress(lightness, ab, known, ab)[..., 0] / 0.2
    assert 0.7 < told[50, 10] < 0.9  # Of its pixel alone is the rest.
    assert told[50, 10] > told[50, 40] > 2 * told[20, 10] > 0
    assert told[50, 40] > 2 * told[50, 60] > 0


def test_many_known_pixels_are_taken_together_and_say_the_same():
    lightness, ab = picture()
    places = [f"p{y}_{x}" for y in (16, 48) for x in (16, 48, 80)]
    few = known_at(SHAPE, **dict.fromkeys(places, (0.2, -0.1)))
    all_known = np.zeros((*SHAPE, 3), "float32")
    all_known[:] = 0.2, -0.1, 1
    one, other = (regress(lightness, ab, known, ab) for known in (few, all_known))
    assert np.abs(one - other).max() < 0.03
    np.testing.assert_allclose(other[32, 48], [0.2, -0.1], rtol=0.05)
