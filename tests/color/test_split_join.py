"""Tests for kcolor.color.graph: exact inverses, lightness kept, no value wraps."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from skimage.color import rgb2lab

from kcolor.color.constants import AB_MAX, AB_MIN, AB_SCALE
from kcolor.color.graph import join, recompose, split
from kcolor.color.host import split_on_host


def random_rgb(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, "uint8")


def test_join_inverts_split_on_every_kind_of_color():
    levels = np.array([*range(0, 256, 5), *range(8), 254], "uint8")
    rgb = np.stack(np.meshgrid(levels, levels, levels), axis=-1)
    np.testing.assert_array_equal(join(*split(rgb)), rgb)


def test_split_matches_scikit_image_in_scaled_units():
    rgb = random_rgb(2, 5, 7, 3)
    lightness, ab = split(rgb)
    lab = rgb2lab(rgb)
    np.testing.assert_allclose(lightness, lab[..., :1] / 50 - 1, atol=1e-4)
    np.testing.assert_allclose(ab, lab[..., 1:] / 110, atol=1e-4)


def test_values_stay_in_their_ranges():
    lightness, ab = split(random_rgb(3, 40, 50, 3))
    assert np.min(lightness) >= -1 and np.max(lightness) <= 1
    assert np.all(np.min(ab, axis=(0, 1, 2)) >= np.array(AB_MIN) / AB_SCALE)
    assert np.all(np.max(ab, axis=(0, 1, 2)) <= np.array(AB_MAX) / AB_SCALE)


def test_impossible_colors_lose_chroma_and_keep_lightness():
    rng = np.random.default_rng(1)
    lightness = rng.uniform(-1, 1, (500, 1)).astype("float32")
    ab = rng.uniform(-3, 3, (500, 2)).astype("float32")
    found, found_ab = split(np.asarray(join(lightness, ab)))
    # Rounding to 8 bits moves L* by up to 0.25 near black; clipping would by up to 60.
    np.testing.assert_allclose(found, lightness, atol=0.3 / 50)
    chroma, wanted = (np.linalg.norm(v, axis=-1) for v in (found_ab, ab))
    assert np.all(chroma < wanted + 2 / AB_SCALE)


def test_zero_ab_is_gray():
    lightness = np.linspace(-1, 1, 256, dtype="float32")[:, None]
    rgb = np.asarray(join(lightness, np.zeros((256, 2), "float32")))
    np.testing.assert_array_equal(rgb, np.repeat(rgb[:, :1], 3, axis=1))


def test_recompose_has_finite_gradients_everywhere():
    rng = np.random.default_rng(2)
    lightness = np.concatenate([rng.uniform(-1, 1, 60), [-1, 1]]).astype("float32")
    ab = tf.constant(np.concatenate([rng.uniform(-2, 2, (60, 2)), np.zeros((2, 2))]))
    ab = tf.cast(ab, "float32")
    with tf.GradientTape() as tape:
        tape.watch(ab)
        rgb = recompose(lightness[:, None], ab)
    assert np.all(np.isfinite(tape.gradient(rgb, ab)))


def test_half_precision_ab_is_joined_in_float32():
    lightness, ab = split(random_rgb(4, 6, 3))
    assert keras.backend.standardize_dtype(recompose(lightness, ab).dtype) == "float32"
    half = tf.cast(ab, "bfloat16")
    assert recompose(tf.cast(lightness, "bfloat16"), half).dtype == tf.float32


def test_graph_and_eager_agree():
    rgb = random_rgb(2, 5, 3, 3)
    graph = tf.function(lambda x: join(*split(x)))(rgb)
    np.testing.assert_array_equal(graph, join(*split(rgb)))


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4, 3), "float32"), np.zeros((4, 4), "u1")]
)
def test_split_refuses_anything_but_uint8_rgb(bad):
    with pytest.raises(ValueError, match="uint8 tensor of shape"):
        split(bad)


def test_host_split_equals_split():
    batch = random_rgb(3, 64, 300, 3)
    batch[0] //= 16  # dark, where CIE's f is a line
    batch[1, :4] = np.arange(300)[:, None] * 255 // 299  # grays
    lightness, ab = split(batch)
    expected = np.concatenate([np.asarray(lightness), np.asarray(ab)], axis=-1)
    result = split_on_host(batch)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=2e-6)
