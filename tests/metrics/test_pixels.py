"""Tests for the metrics of pixels: scikit-image, formulas, streaming, errors."""

import keras
import numpy as np
import pytest
from skimage.color import rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from kcolor.metrics.chroma import ChromaExcess, chroma_excess
from kcolor.metrics.ciede2000 import CIEDE2000, ciede2000
from kcolor.metrics.colorfulness import (
    Colorfulness,
    ColorfulnessDifference,
    colorfulness,
    colorfulness_difference,
    colorfulness_unsigned,
)
from kcolor.metrics.psnr import PSNR, psnr
from kcolor.metrics.ssim import SSIM, ssim

PAIRED = {
    "psnr": psnr,
    "ssim": ssim,
    "ciede2000": ciede2000,
    "chroma_excess": chroma_excess,
}
METRICS = {
    PSNR: psnr,
    SSIM: ssim,
    CIEDE2000: ciede2000,
    Colorfulness: lambda y_true, y_pred: colorfulness(y_pred),
    ColorfulnessDifference: colorfulness_difference,
    ChromaExcess: chroma_excess,
}


@pytest.fixture
def pair():
    generator = np.random.default_rng(0)
    # Smooth pictures with noise, as photographs are: flat parts test SSIM's variances.
    rows, columns = np.mgrid[0:23, 0:31] / 31
    truth = np.stack([rows, columns, rows * columns], axis=-1)[None] * 180
    truth = truth + generator.normal(20, 4, (5, 23, 31, 3))
    prediction = truth + generator.normal(0, 8, truth.shape)
    return [np.clip(x, 0, 255).astype(np.uint8) for x in (truth, prediction)]


def test_psnr_matches_scikit_image(pair):
    expected = [peak_signal_noise_ratio(*images) for images in zip(*pair, strict=True)]
    np.testing.assert_allclose(psnr(*pair), expected, atol=1e-4)


def test_ssim_matches_scikit_image(pair):
    expected = [
        structural_similarity(
            *images,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
            channel_axis=-1,
        )
        for images in zip(*pair, strict=True)
    ]
    np.testing.assert_allclose(ssim(*pair), expected, atol=1e-5)


def test_colorfulness_matches_the_formula_in_double_precision(pair):
    expected = [_colorfulness(rgb) for rgb in pair[0]]
    np.testing.assert_allclose(colorfulness(pair[0]), expected, rtol=1e-5)


def test_colorfulness_of_a_large_picture_is_as_exact():
    # Summed over both axes at once, TensorFlow was 1.5e-5 off.
    rgb = np.random.default_rng(2).integers(180, 256, (1, 700, 900, 3), np.uint8)
    rgb[..., 2] //= 4
    np.testing.assert_allclose(colorfulness(rgb), [_colorfulness(rgb[0])], rtol=2e-6)


def test_unsigned_colorfulness_is_that_of_absolute_opponents(pair):
    expected = [_colorfulness(rgb, np.abs) for rgb in pair[0]]
    np.testing.assert_allclose(colorfulness_unsigned(pair[0]), expected, rtol=1e-5)
    image = np.zeros((1, 8, 6, 3), np.uint8)
    image[:, :4, :, 0] = 200
    image[:, 4:, :, 1] = 200
    # |r - g| is 200 everywhere, so is (r + g) / 2 - b half of it: no spread.
    expected = 0.3 * np.hypot(200, 100)
    np.testing.assert_allclose(colorfulness_unsigned(image), expected, rtol=1e-5)


def _colorfulness(rgb, of=lambda opponent: opponent):
    red, green, blue = np.moveaxis(rgb.astype(float), -1, 0)
    one, other = of(red - green), of((red + green) / 2 - blue)
    return np.hypot(one.std(), other.std()) + 0.3 * np.hypot(one.mean(), other.mean())


def test_colorfulness_keeps_the_sign_of_its_opponents():
    # Half red, half green: absolute values would call both halves alike and lose the
    # spread between them.
    image = np.zeros((1, 8, 6, 3), np.uint8)
    image[:, :4, :, 0] = 200
    image[:, 4:, :, 1] = 200
    np.testing.assert_allclose(colorfulness(image), 200 + 0.3 * 100, rtol=1e-5)


def test_gray_has_no_colorfulness(pair):
    gray = np.repeat(pair[0][..., :1], 3, axis=-1)
    np.testing.assert_array_equal(colorfulness(gray), np.zeros(5))
    assert np.all(np.asarray(colorfulness_difference(pair[0], gray)) < 0)


def test_chroma_excess_counts_the_pixels_that_numpy_counts():
    # Full colors: many pixels exceed, many fall short, few lie near the edge of 30.
    truth, prediction = np.random.default_rng(1).integers(
        0, 256, (2, 4, 23, 31, 3), np.uint8
    )
    chroma = [
        np.sqrt((rgb2lab(images)[..., 1:] ** 2).sum(axis=-1))
        for images in (truth, prediction)
    ]
    expected = 100 * (chroma[1] - chroma[0] > 30).mean(axis=(1, 2))
    assert expected.min() > 10
    # scikit-image rounds its white point, which may move one pixel over the edge.
    np.testing.assert_allclose(
        chroma_excess(truth, prediction), expected, atol=100.5 / (23 * 31)
    )


def test_chroma_excess_minds_neither_paler_colors_nor_other_hues():
    truth = np.zeros((1, 10, 8, 3), np.uint8)
    prediction = truth.copy()
    truth[0, :5] = (200, 30, 30)
    truth[0, 5:] = (120, 120, 120)
    prediction[0, :5] = (90, 90, 90)  # paler
    prediction[0, 4] = (30, 120, 30)  # another hue, as strong
    prediction[0, 5:] = (120, 120, 120)
    prediction[0, 9, :2] = (200, 30, 30)  # a blotch of 2 of 80 pixels
    np.testing.assert_allclose(chroma_excess(truth, prediction), 2.5, rtol=1e-6)
    np.testing.assert_array_equal(chroma_excess(truth, prediction * 0), 0)


def test_equal_images_are_perfect(pair):
    np.testing.assert_array_equal(psnr(pair[0], pair[0]), np.full(5, np.inf))
    np.testing.assert_allclose(ssim(pair[0], pair[0]), np.ones(5), atol=1e-6)
    np.testing.assert_array_equal(chroma_excess(pair[0], pair[0]), np.zeros(5))


@pytest.mark.parametrize("name", PAIRED)
def test_float_images_give_the_figures_of_their_stored_files(name, pair):
    expected = np.asarray(PAIRED[name](*pair))
    # A third of a level more or less disappears on storing.
    truth, prediction = (images.astype("float32") / 255 for images in pair)
    result = PAIRED[name](truth + 1 / 765, prediction - 1 / 765)
    np.testing.assert_allclose(result, expected, atol=1e-4)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
def test_streaming_equals_the_mean_over_images(metric, pair):
    expected = np.mean(np.asarray(METRICS[metric](*pair)))
    streamed = metric()
    streamed.update_state(pair[0][:2], pair[1][:2])
    streamed.update_state(pair[0][2:], pair[1][2:])
    assert float(streamed.result()) == pytest.approx(float(expected), rel=1e-5)
    again = metric.from_config(streamed.get_config())
    again.update_state(*pair)
    assert float(again.result()) == pytest.approx(float(expected), rel=1e-5)


def test_metrics_stay_float32_under_a_mixed_policy(pair):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        metric = SSIM()
        metric.update_state(*pair)
        result = metric.result()
    finally:
        keras.config.set_dtype_policy(policy)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    assert float(result) == pytest.approx(np.mean(np.asarray(ssim(*pair))), rel=1e-6)


@pytest.mark.parametrize("name", PAIRED)
@pytest.mark.parametrize(
    "bad, message",
    [
        (lambda x: x[0], r"shape \(batch, height, width, 3\)"),
        (lambda x: x.astype("int32"), "uint8 or float"),
        (lambda x: x[:1], "same shape"),
    ],
    ids=["one image", "other integers", "another batch"],
)
def test_wrong_input_is_refused(name, bad, message, pair):
    with pytest.raises(ValueError, match=message):
        PAIRED[name](pair[0], bad(pair[1]))


def test_ssim_refuses_images_smaller_than_its_window(pair):
    with pytest.raises(ValueError, match="at least 11x11"):
        ssim(pair[0][:, :10], pair[1][:, :10])
