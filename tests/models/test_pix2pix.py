"""Tests for kcolor.models.pix2pix: the discriminators."""

import numpy as np
import pytest

from kcolor.models import build_discriminator


@pytest.mark.parametrize("kind", ["patch", "classifier"])
def test_discriminator_answers_one_logit_a_patch_or_picture(kind):
    model = build_discriminator(kind)
    logits = model(np.zeros((2, 64, 96, 3), "float32"))
    assert logits.shape == ((2, 6, 10, 1) if kind == "patch" else (2, 1))


def test_a_patch_is_70_pixels_wide():
    import tensorflow as tf

    model = build_discriminator("patch")
    x = tf.Variable(
        np.random.default_rng(0).normal(size=(1, 160, 160, 3)), dtype="float32"
    )
    with tf.GradientTape() as tape:
        logit = model(x, training=False)[0, 9, 9, 0]
    seen = np.any(tape.gradient(logit, x)[0] != 0, axis=-1)
    assert np.flatnonzero(seen.any(0)).size == np.flatnonzero(seen.any(1)).size == 70


def test_unknown_kind_is_named():
    with pytest.raises(ValueError, match="Received: 'u'"):
        build_discriminator("u")
