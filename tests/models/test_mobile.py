"""Tests for kcolor.models.mobile: a trained network grows and forgets nothing."""

import keras
import numpy as np
import pytest

from kcolor.models.known import takes_known
from kcolor.models.mobile import add_known_input, build_mobile, is_refined, refine
from kcolor.models.surgery import batch_norm_sources, fold_batch_norm

BLOCKS = ["decoder_p3_conv2", "decoder_p4_conv2", "decoder_p4_conv3"]


def trained(fold, known, refined=False):
    network = build_mobile(backbone_weights="none", known=known, refined=refined)
    if fold:
        sources = batch_norm_sources(network).values()
        network = fold_batch_norm(network, [f"{source}/bias" for source in sources])
    rng = np.random.default_rng(0)
    for variable in network.weights:
        values = rng.normal(0, 0.05, variable.shape)
        variable.assign(np.abs(values) + 0.5 if "variance" in variable.name else values)
    return network


def inputs(known):
    rng = np.random.default_rng(1)
    lightness = rng.uniform(-1, 1, (2, 64, 96, 1)).astype("float32")
    if not known:
        return lightness
    mask = rng.random(lightness.shape) < 0.02
    colors = (mask * [0.4, -0.3, 1.0]).astype("float32")
    return {"lightness": lightness, "known": colors}


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("fold", [False, True])
def test_a_refined_network_answers_as_before(fold, known):
    network = trained(fold, known)
    refined = refine(network)
    assert is_refined(refined) and not is_refined(network)
    assert takes_known(refined) == known
    expected = np.asarray(network(inputs(known)))
    assert np.abs(expected).max() > 0
    np.testing.assert_array_equal(refined(inputs(known)), expected)
    assert set(BLOCKS) <= {layer.name for layer in refined.layers}
    # By chance, so that what BatchNorm lets through once it moves is worth something.
    assert all(np.std(refined.get_layer(name).get_weights()[0]) > 0 for name in BLOCKS)


def test_residual_blocks_learn_from_the_second_step_on():
    network = refine(trained(False, False))
    network.compile(keras.optimizers.SGD(1.0), "mse")
    before = [network.get_layer(name).get_weights()[0] for name in BLOCKS]
    lightness = inputs(False)
    target = np.random.default_rng(2).normal(0, 1, (2, 64, 96, 2))
    for _ in range(2):
        network.train_on_batch(lightness, target)
    for name, kernel in zip(BLOCKS, before, strict=True):
        moved = np.abs(network.get_layer(name).get_weights()[0] - kernel).max()
        assert np.isfinite(moved) and moved > 0, name


@pytest.mark.parametrize("refined", [False, True])
def test_known_colors_come_to_either_kind(refined):
    assert is_refined(add_known_input(trained(True, False, refined))) == refined


def test_only_a_mobile_without_the_blocks_is_refined():
    with pytest.raises(ValueError, match="without residual blocks. Received: mobile"):
        refine(build_mobile(backbone_weights="none"))
    lightness = keras.Input((None, None, 1), name="lightness")
    with pytest.raises(ValueError, match="Received: other of 1 layers"):
        refine(keras.Model(lightness, lightness, name="other"))
