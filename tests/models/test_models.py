"""Tests for kcolor.models: shapes, sizes, gradients, saving, precision, weights."""

import keras
import numpy as np
import pytest
from encoders import CHANNELS
from safetensors.numpy import save_file

from kcolor.errors import DataError
from kcolor.models import (
    BACKBONES,
    build_backbone,
    build_mobile,
    build_pix2pix_generator,
    build_resnet,
    build_unet,
)
from kcolor.models.surgery import (
    batch_norm_sources,
    fold_batch_norm,
    leaf_layers,
    under_policy,
)
from kcolor.models.weights import assign_weights, read_safetensors, to_keras_names

SYSTEMS = {
    "mobile": build_mobile,
    "unet": lambda: build_unet("resnet18"),
    "resnet": lambda: build_resnet("resnet18"),
    "pix2pix": lambda: build_pix2pix_generator("resnet18"),
}
# Encoder without its classifier, counted by Keras; the ResNets equal torchvision's
# published counts less the 512 x 1000 + 1000 of fc, plus the BatchNorm statistics.
PARAMETERS = {
    "resnet18": 11_186_112,
    "resnet34": 21_301_696,
    "resnet50": 23_587_712,
    "resnet101": 42_658_176,
    "resnet152": 58_370_944,
    "resnet50v2": 23_564_800,
    "resnet101v2": 42_626_560,
    "resnet152v2": 58_331_648,
    "mobilenet_v2": 1_843_264,
    "efficientnet_lite0": 2_998_304,
    "efficientnet_lite2": 4_413_488,
}


def random_lightness(*shape):
    return np.random.default_rng(0).uniform(-1, 1, (*shape, 1)).astype("float32")


def randomize(model, seed=0):
    """Gives every weight a value of its own, so that nothing can hide behind a zero."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        values = rng.normal(0, 0.05, variable.shape)
        variable.assign(np.abs(values) + 0.5 if "variance" in variable.name else values)


@pytest.mark.parametrize("name", BACKBONES)
def test_backbone_levels_have_their_strides_and_channels(name):
    encoder = build_backbone(name)
    assert encoder.count_params() == PARAMETERS[name]
    lightness = keras.Input((64, 96, 1))
    for level, (output, channels) in enumerate(
        zip(encoder(lightness), CHANNELS[name], strict=True), start=1
    ):
        assert output.shape == (None, 64 // 2**level, 96 // 2**level, channels)


@pytest.mark.parametrize("system", SYSTEMS)
def test_output_has_the_size_of_the_input(system):
    model = SYSTEMS[system]()
    for shape in ((2, 32, 64), (1, 96, 32)):
        assert model(random_lightness(*shape)).shape == (*shape, 2)


def test_mobile_is_small():
    assert build_mobile().count_params() < 5_000_000


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_fresh_network_answers_gray(system):
    np.testing.assert_array_equal(SYSTEMS[system]()(random_lightness(2, 32, 64)), 0)


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_trainable_weight_gets_a_gradient(system):
    import tensorflow as tf

    model = SYSTEMS[system]()
    randomize(model)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(random_lightness(2, 64, 96), training=True) ** 2)
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None and np.any(gradient), variable.path


@pytest.mark.parametrize("system", SYSTEMS)
def test_saved_model_gives_the_same_output(system, tmp_path):
    model = SYSTEMS[system]()
    randomize(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    lightness = random_lightness(2, 32, 64)
    np.testing.assert_array_equal(loaded(lightness), model(lightness))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_output_is_float32_in_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = build_mobile()
    finally:
        keras.config.set_dtype_policy("float32")
    output = model(random_lightness(1, 32, 32))
    assert keras.backend.standardize_dtype(output.dtype) == "float32"


def test_network_is_rebuilt_under_another_policy():
    model = build_mobile()
    randomize(model)
    lightness = random_lightness(2, 32, 64)
    mixed = under_policy(model, "mixed_bfloat16")
    policies = {layer.name: layer.dtype_policy.name for layer in leaf_layers(mixed)}
    assert policies["block_1_expand"] == policies["decoder_p2_conv"] == "mixed_bfloat16"
    assert policies["head"] == policies["ab"] == "float32"
    # bfloat16 keeps 8 bits of a number, and there are 60 layers.
    np.testing.assert_allclose(mixed(lightness), model(lightness), atol=0.05)
    back = under_policy(mixed, "float32")
    np.testing.assert_array_equal(back(lightness), model(lightness))
    assert under_policy(back, "float32") is back


def test_network_without_weights_has_no_policy_to_change():
    lightness = keras.Input((None, None, 1), name="lightness")
    model = keras.Model(lightness, keras.layers.Rescaling(2.0)(lightness))
    assert under_policy(model, "mixed_bfloat16") is model


def test_layer_names_lead_to_every_level():
    names = {layer.name for layer in build_unet("resnet18").layers}
    for level in range(5):
        assert {f"decoder_p{level}_conv1", f"decoder_p{level}_bn2"} <= names


def test_unknown_backbone_is_named():
    with pytest.raises(ValueError, match="Received: 'vgg16'"):
        build_backbone("vgg16")


def torchvision_tensors(encoder, folded=False):
    """The weights of a ResNet encoder of ours under torchvision's names and layout."""
    tensors = {}
    sources = batch_norm_sources(encoder)
    for layer in encoder.layers:
        name = layer.name.replace("_", ".")
        if isinstance(layer, keras.layers.Conv2D):
            kernel = layer.kernel.numpy()
            tensors[f"{name}.weight"] = kernel.transpose(3, 2, 0, 1).copy()
        elif isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = (w.numpy() for w in layer.weights)
            if folded:
                source = sources[layer.name].replace("_", ".")
                scale = gamma / np.sqrt(variance + layer.epsilon)
                tensors[f"{source}.weight"] *= scale[:, None, None, None]
                tensors[f"{source}.bias"] = beta - mean * scale
            else:
                tensors[f"{name}.weight"] = gamma
                tensors[f"{name}.bias"] = beta
                tensors[f"{name}.running_mean"] = mean
                tensors[f"{name}.running_var"] = variance
    return tensors


@pytest.mark.parametrize("folded", [False, True])
def test_torchvision_file_gives_the_outputs_it_came_from(folded, tmp_path):
    encoder = build_backbone("resnet18")
    randomize(encoder)
    save_file(torchvision_tensors(encoder, folded), tmp_path / "w.safetensors")
    loaded = build_backbone("resnet18", tmp_path / "w.safetensors")
    lightness = random_lightness(1, 64, 96)
    for one, other in zip(loaded(lightness), encoder(lightness), strict=True):
        # Folding reorders float32 products through 18 layers.
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    kept = [
        layer
        for layer in loaded.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert bool(kept) is not folded


def test_what_a_file_lacks_is_named_and_starts_fresh(tmp_path, caplog):
    tensors = torchvision_tensors(build_backbone("resnet18"))
    tensors = {k: v for k, v in tensors.items() if not k.startswith("layer4.1.conv2")}
    save_file(tensors, tmp_path / "w.safetensors")
    build_backbone("resnet18", tmp_path / "w.safetensors")
    assert "starting fresh: layer4_1_conv2" in caplog.text


def test_a_file_for_another_network_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    save_file({"a.weight": rng.random((3, 4))}, tmp_path / "w.safetensors")
    with pytest.raises(DataError, match="no parameter of this network"):
        build_backbone("resnet18", tmp_path / "w.safetensors")


def test_a_wrong_shape_is_refused():
    model = build_backbone("resnet18")
    with pytest.raises(
        DataError, match=r"conv1/kernel must have shape \(7, 7, 3, 64\)"
    ):
        assign_weights(model, {"conv1/kernel": np.zeros((7, 7, 1, 64))}, "file")


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"\x05\x00")
    with pytest.raises(DataError, match="w.safetensors: not a readable"):
        read_safetensors(path)


def test_nothing_is_folded_where_the_file_keeps_batch_norm():
    model = build_backbone("mobilenet_v2")
    names = {
        f"{la.name}/{v.name}": v.numpy() for la in model.layers for v in la.weights
    }
    assert fold_batch_norm(model, names) is model


def test_keras_2_names_of_depthwise_kernels_are_understood():
    assert list(to_keras_names({"a/depthwise_kernel": np.zeros(1)})) == ["a/kernel"]
