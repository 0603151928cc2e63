"""Tests for kcolor.models.surgery: networks taken apart and put together again."""

import keras
import numpy as np
import pytest

from kcolor.models import build_mobile
from kcolor.models.surgery import (
    batch_norm_sources,
    fold_batch_norm,
    freeze,
    last_layers,
    layer_of,
    leaf_layers,
    under_policy,
)


@pytest.fixture(scope="module")
def mobile():
    return build_mobile()


def test_a_tensor_leads_to_its_layer(mobile):
    head = mobile.get_layer("head")
    assert layer_of(head.output) is head
    assert layer_of(mobile.outputs[0]) is mobile.get_layer("ab")


def test_layers_of_models_inside_are_found_and_the_models_are_not(mobile):
    layers = list(leaf_layers(mobile))
    assert {"block_1_expand", "decoder_p2_conv"} <= {layer.name for layer in layers}
    assert not any(isinstance(layer, keras.Model) for layer in layers)
    assert sum(len(layer.weights) for layer in layers) == len(mobile.weights)


def test_the_walk_from_the_output_ends_where_it_is_told(mobile):
    layers = last_layers(mobile, lambda layer: bool(layer.weights))
    assert [layer.name for layer in layers] == ["ab", "head"]


def test_the_walk_ends_at_several_inputs_and_before_the_networks_input(mobile):
    layers = last_layers(mobile, lambda layer: False)
    assert layers[-1].name == "decoder_p2_concat"
    lightness = keras.Input((None, None, 1))
    plain = keras.Model(lightness, keras.layers.Rescaling(2.0, name="a")(lightness))
    assert [x.name for x in last_layers(plain, lambda layer: False)] == ["a"]


def test_batch_norm_is_known_by_the_layer_it_follows(mobile):
    sources = batch_norm_sources(mobile)
    assert sources["bn_Conv1"] == "Conv1"
    assert sources["decoder_p2_bn"] == "decoder_p2_conv"


def test_only_what_a_file_folded_is_folded(mobile):
    names = {"block_1_expand/bias", "decoder_p2_conv/bias", "decoder_p2_bn/gamma"}
    folded = fold_batch_norm(mobile, names)
    left = {layer.name for layer in leaf_layers(folded)}
    assert {layer.name for layer in leaf_layers(mobile)} - left == {"block_1_expand_BN"}
    assert folded.get_layer("encoder").get_layer("block_1_expand").use_bias
    assert folded.name == mobile.name
    lightness = np.zeros((1, 32, 64, 1), "float32")
    assert folded(lightness).shape == (1, 32, 64, 2)
    assert fold_batch_norm(mobile, {"other/bias"}) is mobile


def test_frozen_levels_end_at_the_level():
    model = build_mobile()
    encoder = model.get_layer("encoder")
    freeze(encoder, False, 3)
    trainable = {v.path.split("/")[0] for v in model.trainable_variables}
    assert "block_5_project" not in trainable and "Conv1" not in trainable
    assert {"block_6_expand", "block_16_project", "head"} <= trainable
    freeze(encoder, True)
    assert not encoder.trainable_variables
    freeze(encoder, False)
    assert len(encoder.trainable_variables) > 100


def test_more_levels_than_there_are_cannot_be_frozen(mobile):
    with pytest.raises(ValueError, match="must be 0 to 5. Received: 6"):
        freeze(mobile.get_layer("encoder"), False, 6)


def with_operations():
    """A network with Keras operations that are no layers, two of them at its end."""
    lightness = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False, name="a")(lightness)
    x = keras.layers.BatchNormalization(name="a_bn")(x)
    x = x * keras.ops.relu6(x + 3.0) / 6.0
    x = x - keras.ops.mean(x, axis=(1, 2), keepdims=True)
    ab = keras.layers.Conv2D(2, 1, name="head")(x)
    model = keras.Model(lightness, keras.ops.clip(0.5 * ab, -0.1, 0.1))
    rng = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(rng.uniform(0.2, 1.0, variable.shape))
    return model


def test_operations_that_are_no_layers_are_rebuilt_as_they_are():
    model = with_operations()
    lightness = np.random.default_rng(1).normal(0, 1, (2, 9, 7, 1)).astype("float32")
    expected = keras.ops.convert_to_numpy(model(lightness))
    assert 0.01 < np.abs(expected).mean() < 0.099
    mixed = under_policy(model, "mixed_bfloat16")
    assert mixed.get_layer("a").compute_dtype == "bfloat16"
    assert mixed.outputs[0].dtype == "float32"
    np.testing.assert_allclose(mixed(lightness), expected, atol=0.02)
    back = under_policy(mixed, "float32")
    np.testing.assert_allclose(back(lightness), expected, atol=1e-6)
    # The first is whole, and can be taken apart again.
    assert [x.name for x in last_layers(model, lambda x: x.name == "head")][
        -1
    ] == "head"
    folded = fold_batch_norm(model, {"a/bias"})
    assert folded.get_layer("a").use_bias
    assert folded(lightness).shape == (2, 9, 7, 2)
