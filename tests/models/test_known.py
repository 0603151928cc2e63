"""Tests for known colors as a network's second input."""

import keras
import numpy as np
import pytest

from kcolor.models.known import KnownFill, KnownPool, known_levels, without_hints
from kcolor.models.mobile import add_known_input, build_mobile
from kcolor.models.surgery import batch_norm_sources, fold_batch_norm, under_policy

SHAPE = (1, 64, 96)


def random_lightness(rng):
    return rng.uniform(-1, 1, (*SHAPE, 1)).astype("float32")


def random_known(rng, share=0.02):
    mask = rng.random((*SHAPE, 1)) < share
    ab = rng.uniform(-1, 1, (*SHAPE, 2))
    return np.concatenate([ab * mask, mask], axis=-1).astype("float32")


def randomized(model, rng):
    for variable in model.weights:
        values = rng.normal(0, 0.05, variable.shape)
        variable.assign(np.abs(values) + 0.5 if "variance" in variable.name else values)
    return model


def folded(model):
    sources = batch_norm_sources(model).values()
    return fold_batch_norm(model, [f"{source}/bias" for source in sources])


@pytest.mark.parametrize("backbone", ["mobilenet_v2", "efficientnet_lite0"])
@pytest.mark.parametrize("fold", [False, True])
def test_a_grown_network_answers_as_before_whatever_is_known(backbone, fold):
    rng = np.random.default_rng(0)
    network = build_mobile(backbone)
    network = randomized(folded(network) if fold else network, rng)
    grown = add_known_input(network)
    lightness = random_lightness(rng)
    expected = np.asarray(network(lightness))
    assert np.abs(expected).max() > 0
    for share in (0.0, 0.02, 1.0):
        answer = grown({"lightness": lightness, "known": random_known(rng, share)})
        np.testing.assert_array_equal(answer, expected)


def test_a_grown_network_shares_no_weight_with_the_old_one():
    rng = np.random.default_rng(0)
    network = randomized(build_mobile(), rng)
    before = [np.array(value) for value in network.get_weights()]
    randomized(add_known_input(network), rng)
    for old, value in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, value)


def test_only_an_automatic_mobile_grows():
    with pytest.raises(ValueError, match="must be a mobile without known colors"):
        add_known_input(build_mobile(known=True))
    lightness = keras.Input((None, None, 1), name="lightness")
    other = keras.Model(lightness, lightness, name="other")
    with pytest.raises(ValueError, match="Received: other with inputs"):
        add_known_input(other)


def test_every_known_kernel_is_trained_and_reaches_the_whole_picture():
    import tensorflow as tf

    rng = np.random.default_rng(1)
    model = randomized(build_mobile(known=True), rng)
    inputs = {"lightness": random_lightness(rng), "known": random_known(rng)}
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(inputs, training=True) ** 2)
    trained = [v for v in model.trainable_variables if "_known" in v.path]
    assert len(trained) == 4
    for gradient in tape.gradient(loss, [v.value for v in trained]):
        assert np.any(gradient)
    one = np.zeros((*SHAPE, 3), "float32")
    empty = model({"lightness": inputs["lightness"], "known": one})
    one[:, 3, 5] = 0.7, -0.2, 1
    hinted = model({"lightness": inputs["lightness"], "known": one})
    assert np.abs(np.asarray(hinted - empty)).min(axis=(1, 2)).max() > 0


def test_a_pool_averages_known_pixels_alone():
    rng = np.random.default_rng(2)
    known = random_known(rng, 0.3)
    pooled = np.asarray(KnownPool(32)(known))
    cell = known[0, 32:64, 64:96]
    at = cell[..., 2] > 0
    np.testing.assert_allclose(pooled[0, 1, 2], [*cell[at, :2].mean(0), 1], atol=1e-6)
    known[0] = 0
    np.testing.assert_array_equal(np.asarray(KnownPool(32)(known))[0], 0)


def test_an_empty_cell_takes_the_coarser_color_at_half_its_certainty():
    fine = np.zeros((1, 2, 3, 3), "float32")
    fine[0, 1, 2] = 0.5, -0.5, 1
    filled = np.asarray(KnownFill()([fine, np.full((1, 1, 1, 3), 0.8, "float32")]))
    np.testing.assert_array_equal(filled[0, 1, 2], fine[0, 1, 2])
    np.testing.assert_allclose(filled[0, 0, 0], [0.8, 0.8, 0.4])


def test_one_known_pixel_colors_every_cell_and_says_how_near_it_is():
    known = np.zeros((1, 64, 96, 3), "float32")
    known[0, 9, 17] = 0.4, -0.3, 1
    inputs = keras.Input((None, None, 3))
    levels = keras.Model(inputs, known_levels(inputs))(known)
    p2 = np.asarray(levels["p2"])[0]
    assert p2.shape == (16, 24, 3)
    # 1/2048 of the picture, times 2048 again.
    expected = np.broadcast_to([0.4, -0.3], (16, 24, 2))
    np.testing.assert_allclose(p2[..., :2], expected, atol=1e-3)
    assert p2[2, 4, 2] == 1 and p2[2, 5, 2] <= 0.75 and p2[-1, -1, 2] < 0.1


def test_a_saved_network_and_one_of_mixed_precision_answer_the_same(tmp_path):
    rng = np.random.default_rng(3)
    model = randomized(build_mobile(known=True), rng)
    inputs = {"lightness": random_lightness(rng), "known": random_known(rng)}
    expected = np.asarray(model(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(loaded(inputs), expected)
    # bfloat16 keeps 8 bits of a number, and there are 60 layers.
    mixed = under_policy(model, "mixed_bfloat16")
    np.testing.assert_allclose(mixed(inputs), expected, atol=0.05)


def test_without_hints_an_array_becomes_tensors_that_every_backend_takes():
    lightness = np.zeros((2, 64, 64, 1), "float32")
    network = build_mobile(backbone_weights="none", known=True)
    seen = without_hints(network, lightness)
    # Keras on PyTorch refuses an array beside a tensor.
    assert all(keras.ops.is_tensor(part) for part in seen.values())
    assert seen["known"].shape == (2, 64, 64, 3)
    plain = build_mobile(backbone_weights="none")
    assert without_hints(plain, lightness) is lightness
