"""Tests for kcolor.metrics.ciede2000: the published pairs, scikit-image, symmetry."""

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from kcolor.metrics.ciede2000 import CIEDE2000, ciede2000, lab_difference

# Sharma, Wu, Dalal 2005, table I: L* a* b*, L* a* b*, difference.
PAIRS = np.array(
    [
        [50.0000, 2.6772, -79.7751, 50.0000, 0.0000, -82.7485, 2.0425],
        [50.0000, 3.1571, -77.2803, 50.0000, 0.0000, -82.7485, 2.8615],
        [50.0000, 2.8361, -74.0200, 50.0000, 0.0000, -82.7485, 3.4412],
        [50.0000, -1.3802, -84.2814, 50.0000, 0.0000, -82.7485, 1.0000],
        [50.0000, -1.1848, -84.8006, 50.0000, 0.0000, -82.7485, 1.0000],
        [50.0000, -0.9009, -85.5211, 50.0000, 0.0000, -82.7485, 1.0000],
        [50.0000, 0.0000, 0.0000, 50.0000, -1.0000, 2.0000, 2.3669],
        [50.0000, -1.0000, 2.0000, 50.0000, 0.0000, 0.0000, 2.3669],
        [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0009, 7.1792],
        [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0010, 7.1792],
        [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0011, 7.2195],
        [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0012, 7.2195],
        [50.0000, -0.0010, 2.4900, 50.0000, 0.0009, -2.4900, 4.8045],
        [50.0000, -0.0010, 2.4900, 50.0000, 0.0010, -2.4900, 4.8045],
        [50.0000, -0.0010, 2.4900, 50.0000, 0.0011, -2.4900, 4.7461],
        [50.0000, 2.5000, 0.0000, 50.0000, 0.0000, -2.5000, 4.3065],
        [50.0000, 2.5000, 0.0000, 73.0000, 25.0000, -18.0000, 27.1492],
        [50.0000, 2.5000, 0.0000, 61.0000, -5.0000, 29.0000, 22.8977],
        [50.0000, 2.5000, 0.0000, 56.0000, -27.0000, -3.0000, 31.9030],
        [50.0000, 2.5000, 0.0000, 58.0000, 24.0000, 15.0000, 19.4535],
        [50.0000, 2.5000, 0.0000, 50.0000, 3.1736, 0.5854, 1.0000],
        [50.0000, 2.5000, 0.0000, 50.0000, 3.2972, 0.0000, 1.0000],
        [50.0000, 2.5000, 0.0000, 50.0000, 1.8634, 0.5757, 1.0000],
        [50.0000, 2.5000, 0.0000, 50.0000, 3.2592, 0.3350, 1.0000],
        [60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644],
        [63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630],
        [61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731],
        [35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645],
        [22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373],
        [36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146],
        [90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441],
        [90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381],
        [6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377],
        [2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082],
    ]
)


# The table is printed with 4 digits.
def test_published_pairs_match_to_their_last_digit():
    result = np.asarray(lab_difference(*_float32(PAIRS[:, :3], PAIRS[:, 3:6])))
    np.testing.assert_allclose(result, PAIRS[:, 6], atol=1e-4)


def test_exchanging_the_two_colors_changes_nothing():
    result = np.asarray(lab_difference(*_float32(PAIRS[:, 3:6], PAIRS[:, :3])))
    np.testing.assert_allclose(result, PAIRS[:, 6], atol=1e-4)


def test_colors_anywhere_in_lab_match_scikit_image():
    generator = np.random.default_rng(1)
    low, high = [0, -100, -110], [100, 100, 100]
    one, other = generator.uniform(low, high, (2, 20_000, 3))
    # Near pairs and near-gray pairs exercise the small differences.
    other[:8000] = one[:8000] + generator.normal(0, 1, (8000, 3))
    one[6000:9000, 1:] *= 0.01
    one, other = _float32(one, other)
    expected = deltaE_ciede2000(one.astype(float), other.astype(float))
    result = np.asarray(lab_difference(one, other))
    np.testing.assert_allclose(result, expected, atol=2e-4)


def test_images_match_scikit_image():
    generator = np.random.default_rng(2)
    truth = generator.integers(0, 256, (3, 7, 10, 3), dtype=np.uint8)
    noise = generator.integers(-20, 21, truth.shape)
    prediction = np.clip(truth + noise, 0, 255).astype(np.uint8)
    expected = _scikit_image(truth, prediction)
    np.testing.assert_allclose(ciede2000(truth, prediction), expected, atol=1e-3)


def test_gray_against_color_matches_scikit_image():
    generator = np.random.default_rng(5)
    truth = generator.integers(0, 256, (3, 7, 10, 3), dtype=np.uint8)
    gray = np.repeat(truth[..., :1], 3, axis=-1)
    # scikit-image rounds its white point to 5 digits, so its grays have a chroma of
    # 0.005 and a hue, which a strongly colored partner turns into a hue difference.
    np.testing.assert_allclose(
        ciede2000(truth, gray), _scikit_image(truth, gray), atol=5e-3
    )


def test_equal_images_differ_by_exactly_nothing():
    image = np.random.default_rng(3).integers(0, 256, (2, 5, 9, 3), dtype=np.uint8)
    np.testing.assert_array_equal(ciede2000(image, image), [0, 0])


def test_metric_streams_the_mean_over_images_of_unequal_batches():
    generator = np.random.default_rng(4)
    truth, prediction = generator.integers(0, 256, (2, 5, 6, 8, 3), dtype=np.uint8)
    metric = CIEDE2000()
    metric.update_state(truth[:4], prediction[:4])
    metric.update_state(truth[4:], prediction[4:])
    assert float(metric.result()) == pytest.approx(
        np.mean(np.asarray(ciede2000(truth, prediction))), abs=1e-5
    )


def _scikit_image(truth, prediction):
    return [
        deltaE_ciede2000(rgb2lab(one), rgb2lab(other)).mean()
        for one, other in zip(truth, prediction, strict=True)
    ]


def _float32(*arrays):
    return [array.astype("float32") for array in arrays]
