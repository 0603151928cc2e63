"""Tests for kcolor.color: golden values, round trip, gradients, every caller."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kcolor.color.graph import lab_to_rgb, rgb_to_lab

# From skimage.color.rgb2lab 0.26.0, whose white point is rounded to 5 digits.
GOLDEN = {
    "black": ([0, 0, 0], [0, 0, 0]),
    "white": ([1, 1, 1], [100, -0.0025, 0.0047]),
    "gray": ([0.5, 0.5, 0.5], [53.3890, -0.0015, 0.0028]),
    "red": ([1, 0, 0], [53.2406, 80.0923, 67.2028]),
    "green": ([0, 1, 0], [87.7351, -86.1830, 83.1797]),
    "blue": ([0, 0, 1], [32.2957, 79.1856, -107.8573]),
    "ochre": ([0.8, 0.6, 0.2], [66.4142, 9.4966, 57.9441]),
    "near black": ([0.01, 0.02, 0.03], [1.3001, -0.3124, -1.1998]),
}


@pytest.mark.parametrize("rgb, lab", GOLDEN.values(), ids=GOLDEN.keys())
def test_rgb_to_lab_matches_scikit_image(rgb, lab):
    rgb = np.array(rgb, "float32")
    np.testing.assert_allclose(rgb_to_lab(rgb), lab, atol=0.01)


def test_every_gray_is_neutral():
    gray = np.repeat(np.arange(256, dtype="float32")[:, None] / 255, 3, axis=1)
    np.testing.assert_allclose(rgb_to_lab(gray)[:, 1:], 0, atol=1e-4)


def test_uint8_colors_survive_the_round_trip():
    levels = np.array([*range(0, 256, 5), *range(8)], "float32") / 255
    rgb = np.stack(np.meshgrid(levels, levels, levels), axis=-1)
    restored = np.asarray(lab_to_rgb(rgb_to_lab(rgb)))
    np.testing.assert_array_equal(np.rint(restored * 255), np.rint(rgb * 255))


@pytest.mark.parametrize("convert", [rgb_to_lab, lab_to_rgb])
def test_gradient_is_finite_at_black(convert):
    x = tf.zeros((1, 3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = convert(x)
    assert np.all(np.isfinite(tape.gradient(y, x)))


def test_tf_data_and_functional_model_agree_with_eager():
    rgb = np.random.default_rng(0).random((2, 4, 6, 3), "float32")
    expected = np.asarray(rgb_to_lab(rgb))
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, rgb_to_lab(inputs))
    mapped = tf.data.Dataset.from_tensors(rgb).map(rgb_to_lab).get_single_element()
    np.testing.assert_allclose(model(rgb), expected, atol=1e-4)
    np.testing.assert_allclose(mapped, expected, atol=1e-4)


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4, 3), "uint8"), np.zeros((3, 4, 4), "float32")]
)
def test_integer_or_channels_first_input_is_refused(bad):
    with pytest.raises(ValueError, match=r"float tensor of shape \(\.\.\., 3\)"):
        rgb_to_lab(bad)
