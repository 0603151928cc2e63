"""Tests for kcolor.metrics.distribution: FID and KID against closed forms and SciPy."""

import numpy as np
import pytest
import scipy.linalg

from kcolor.metrics.distribution import (
    Moments,
    frechet_distance,
    kernel_distance,
    moments,
)


def _features(seed, count=400, width=24, shift=0.0, scale=1.0):
    generator = np.random.default_rng(seed)
    mixed = generator.normal(size=(count, width)) @ _mixing(width)
    return (scale * mixed + shift).astype("float32")


def _mixing(width):
    return np.random.default_rng(99).normal(size=(width, width)) / width**0.5


def _with_scipy(one, other):
    one, other = (np.asarray(x, "float64") for x in (one, other))
    covariances = [np.cov(x, rowvar=False) for x in (one, other)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    shift = one.mean(0) - other.mean(0)
    return shift @ shift + np.trace(sum(covariances) - 2 * root.real)


def test_moments_are_numpys_in_float64():
    features = _features(0) + np.float32(1000)
    found = moments(features)
    np.testing.assert_allclose(found.mean, features.astype("float64").mean(0))
    np.testing.assert_allclose(
        found.covariance, np.cov(features.astype("float64").T), rtol=1e-12
    )


def test_frechet_distance_of_diagonal_gaussians_has_its_closed_form():
    means = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 0.5])
    deviations = np.array([1.0, 2.0, 3.0]), np.array([2.0, 0.5, 3.0])
    one, other = (
        Moments(mean, np.diag(deviation**2))
        for mean, deviation in zip(means, deviations, strict=True)
    )
    expected = sum((means[0] - means[1]) ** 2) + sum(
        (deviations[0] - deviations[1]) ** 2
    )
    assert frechet_distance(one, other) == pytest.approx(expected, abs=1e-12)


def test_frechet_distance_does_not_depend_on_the_axes():
    rotation = np.linalg.qr(_mixing(24))[0]
    one, other = _features(1), _features(2, scale=1.5)
    straight = frechet_distance(moments(one), moments(other))
    turned = frechet_distance(moments(one @ rotation), moments(other @ rotation))
    # The rotated features are rounded to float32.
    assert turned == pytest.approx(straight, rel=1e-4)


@pytest.mark.parametrize("shift, scale", [(0, 1), (0.3, 1), (0, 2), (-1, 0.7)])
def test_frechet_distance_is_scipys(shift, scale):
    one, other = _features(3), _features(4, count=300, shift=shift, scale=scale)
    found = frechet_distance(moments(one), moments(other))
    assert found == pytest.approx(_with_scipy(one, other), abs=1e-6)


def test_frechet_distance_of_fewer_pictures_than_features_is_real_and_0_for_equals():
    features = _features(5, count=9)
    other = _features(6, count=9)
    assert frechet_distance(moments(features), moments(features)) == pytest.approx(
        0, abs=1e-9
    )
    assert frechet_distance(moments(features), moments(other)) > 1


def test_kernel_distance_is_the_mean_over_all_pairs_but_a_picture_with_itself():
    one, other = _features(7, count=6, width=4), _features(8, count=5, width=4)

    def kernel(x, y):
        return (float(np.dot(x.astype("float64"), y)) / 4 + 1) ** 3

    def within(part):
        pairs = [(i, j) for i in range(len(part)) for j in range(len(part)) if i != j]
        return np.mean([kernel(part[i], part[j]) for i, j in pairs])

    across = np.mean([kernel(x, y) for x in one for y in other])
    expected = within(one) + within(other) - 2 * across
    assert kernel_distance(one, other) == pytest.approx(expected, rel=1e-9)


def test_kernel_distance_has_its_closed_form_for_two_points():
    # All of one set are (1, 0), all of the other (0, 1): k = 1.5^3 and 1.
    one, other = np.tile([1.0, 0.0], (5, 1)), np.tile([0.0, 1.0], (7, 1))
    assert kernel_distance(one, other) == pytest.approx(2 * 1.5**3 - 2)


def test_kernel_distance_is_unbiased_and_rises_with_a_shift():
    same = [
        kernel_distance(_features(2 * i, count=40), _features(2 * i + 1, count=60))
        for i in range(60)
    ]
    error = np.std(same) / len(same) ** 0.5
    assert abs(np.mean(same)) < 3 * error
    assert min(same) < 0  # a biased estimate could not be
    shifted = [
        kernel_distance(_features(1), _features(2, shift=shift))
        for shift in (0, 0.2, 0.5, 1)
    ]
    assert shifted == sorted(shifted) and shifted[1] > 0


def test_kernel_distance_does_not_depend_on_the_blocks(monkeypatch):
    one, other = _features(1, count=50), _features(2, count=70, shift=0.2)
    whole = kernel_distance(one, other)
    monkeypatch.setattr("kcolor.metrics.distribution._BLOCK", 13)
    assert kernel_distance(one, other) == pytest.approx(whole, rel=1e-12)
