"""Tests for kcolor.training.gan: steps, both optimizers, precision, saving."""

import keras
import numpy as np
import pytest

from kcolor.losses import ColorizationLoss
from kcolor.models import build_discriminator
from kcolor.models.blocks import ab_head, conv_block
from kcolor.training.gan import Pix2Pix

POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")


def tiny_generator():
    """Small, so that steps are fast; pix2pix asks no more than lightness -> ab."""
    lightness = keras.Input((None, None, 1), name="lightness", dtype="float32")
    return keras.Model(lightness, ab_head(conv_block(lightness, 8, "decoder_p0")))


def build(policy="float32", discriminator="patch", **options):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        model = Pix2Pix(tiny_generator(), build_discriminator(discriminator))
        model.compile(
            keras.optimizers.AdamW(1e-3),
            keras.optimizers.AdamW(1e-3),
            ColorizationLoss("l1"),
            jit_compile=False,
            **options,
        )
    finally:
        keras.config.set_dtype_policy("float32")
    return model


def batch(seed=0):
    target = np.random.default_rng(seed).uniform(-0.8, 0.8, (2, 32, 48, 3))
    target = target.astype("float32")
    return target[..., :1], target


def values(variables):
    return [v.numpy() for v in variables]


def test_unknown_loss_is_named():
    with pytest.raises(ValueError, match="Received: 'wgan'"):
        build(gan_loss="wgan")


@pytest.mark.parametrize("policy", POLICIES)
def test_one_step_moves_every_weight_of_both_networks(policy):
    model = build(policy)
    model.generator.get_layer("ab").kernel.assign(
        np.random.default_rng(0).normal(0, 0.1, (3, 3, 8, 2))
    )
    before = values(model.trainable_variables)
    logs = model.train_on_batch(*batch(), return_dict=True)
    assert set(logs) == {
        "loss",
        "pixel_loss",
        "adversarial_loss",
        "discriminator_loss",
    }
    after = values(model.trainable_variables)
    for variable, one, two in zip(
        model.trainable_variables, before, after, strict=True
    ):
        assert np.any(one != two), variable.path


def test_losses_are_those_of_the_formulas():
    model = build()
    real = np.array([2.0, -1.0], "float32")
    fake = np.array([0.5, -3.0], "float32")
    bce = np.mean(np.log1p(np.exp(-real))) + np.mean(np.log1p(np.exp(fake)))
    np.testing.assert_allclose(model.discriminator_loss(real, fake), bce / 2, rtol=1e-5)
    np.testing.assert_allclose(
        model.generator_adversarial_loss(fake),
        np.mean(np.log1p(np.exp(-fake))),
        rtol=1e-5,
    )
    model = build(gan_loss="hinge")
    np.testing.assert_allclose(
        model.discriminator_loss(real, fake), (1.0 + 0.75) / 2, rtol=1e-5
    )
    np.testing.assert_allclose(model.generator_adversarial_loss(fake), 1.25, rtol=1e-5)


def test_without_the_adversary_the_discriminator_stands_still():
    model = build(adversarial=False)
    before = values(model.discriminator.variables)
    logs = model.train_on_batch(*batch(), return_dict=True)
    for one, two in zip(before, values(model.discriminator.variables), strict=True):
        np.testing.assert_array_equal(one, two)
    assert logs["loss"] == pytest.approx(100 * logs["pixel_loss"], rel=1e-5)


@pytest.mark.parametrize("policy", POLICIES)
def test_saving_restores_both_optimizers_and_training_goes_on_equally(policy, tmp_path):
    model = build(policy)
    for seed in range(3):
        model.train_on_batch(*batch(seed))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for name in ("optimizer", "discriminator_optimizer"):
        one, two = getattr(model, name), getattr(loaded, name)
        assert type(one) is type(two)
        assert len(one.variables) == len(two.variables) > 3
        for first, second in zip(one.variables, two.variables, strict=True):
            np.testing.assert_array_equal(first, second, err_msg=first.path)
    assert int(loaded.discriminator_optimizer.iterations) == 3
    for seed in range(3, 6):
        logs = [
            m.train_on_batch(*batch(seed), return_dict=True) for m in (model, loaded)
        ]
        assert logs[0] == pytest.approx(logs[1], rel=1e-5)


def test_weights_file_restores_both_optimizers(tmp_path):
    model, other = build("mixed_float16"), build("mixed_float16")
    for seed in range(3):
        model.train_on_batch(*batch(seed))
    model.save_weights(tmp_path / "c.weights.h5")
    other.load_weights(tmp_path / "c.weights.h5")
    for name in ("optimizer", "discriminator_optimizer"):
        for first, second in zip(
            getattr(model, name).variables, getattr(other, name).variables, strict=True
        ):
            np.testing.assert_array_equal(first, second, err_msg=first.path)


def test_a_tiny_loss_still_reaches_both_networks_in_float16():
    import tensorflow as tf

    model = build("mixed_float16")
    model.generator.get_layer("ab").kernel.assign(
        np.random.default_rng(0).normal(0, 0.1, (3, 3, 8, 2))
    )
    lightness, target = batch()
    pairs = (
        (model.optimizer, model.generator, lightness),
        (model.discriminator_optimizer, model.discriminator, target),
    )
    for optimizer, network, inputs in pairs:
        with tf.GradientTape(persistent=True) as tape:
            output = tf.cast(network(inputs, training=True), "float32")
            loss = 1e-7 * tf.reduce_mean(tf.square(output - 1.0))
            scaled = optimizer.scale_loss(loss)
        # The first layer's gradient has passed through every float16 layer.
        first = network.trainable_variables[0].value
        assert not np.all(tape.gradient(loss, first)), "nothing to rescue"
        assert np.any(tape.gradient(scaled, first))
        before = network.trainable_variables[0].numpy()
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(scaled, [v.value for v in variables]), variables)
        assert np.any(variables[0].numpy() != before)


def test_evaluate_reports_the_pixel_loss():
    model = build()
    lightness, target = batch()
    logs = model.evaluate(lightness, target, verbose=0, return_dict=True)
    expected = np.abs(target[..., 1:]).mean()  # a fresh generator answers gray
    assert logs["pixel_loss"] == pytest.approx(expected, rel=1e-5)
