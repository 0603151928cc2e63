"""Tests for kcolor.models.restore: the bundled network comes back trainable."""

import numpy as np
import pytest

from kcolor import presets
from kcolor.errors import DataError
from kcolor.models import build_mobile
from kcolor.models.known import without_known
from kcolor.models.restore import restore_mobile
from kcolor.models.surgery import leaf_layers
from kcolor.runtimes.keras import load_model
from kcolor.runtimes.resolve import load_predictor


@pytest.fixture(scope="module")
def restored():
    return load_model("mobile")


def random_lightness():
    shape = 2, 64, 96, 1
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


def test_restored_network_answers_what_the_file_does(restored):
    lightness = random_lightness()
    answer = without_known(restored)(lightness, training=False)
    expected = load_predictor("mobile").predict_ab(lightness)
    assert np.abs(expected).max() > 0.05
    np.testing.assert_allclose(answer, expected, atol=1e-4)


def test_restored_network_has_no_batch_norm_and_can_be_trained(restored):
    names = {layer.name for layer in restored.layers}
    assert "decoder_p2_conv" in names and not any("_bn" in name for name in names)
    assert restored.get_layer("decoder_p2_conv").use_bias
    assert restored.get_layer("encoder").trainable_variables
    assert not any("_bn" in v.path for v in restored.trainable_variables)


@pytest.mark.slow
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("backbone", ["mobilenet_v2", "efficientnet_lite0"])
def test_every_mobile_encoder_comes_back(backbone, known, tmp_path):
    from kcolor.export.tflite import export_tflite

    network = build_mobile(backbone, known=known)  # BatchNorm in the encoder too
    rng = np.random.default_rng(0)
    for variable in network.weights:
        values = rng.normal(0, 0.05, variable.shape)
        variable.assign(np.abs(values) + 0.5 if "variance" in variable.name else values)
    file = tmp_path / "mobile.tflite"
    sizes = {"serving_default": (64, 96)}
    export_tflite(network, file, license_name="none", quantize="fp16", sizes=sizes)
    restored = restore_mobile(file)
    layers = {layer.name for layer in leaf_layers(network) if layer.weights}
    left = {layer.name for layer in leaf_layers(restored) if layer.weights}
    assert left == {name for name in layers if "bn" not in name.lower()}
    lightness = random_lightness()
    inputs, hints = lightness, []
    if known:
        mask = np.random.default_rng(1).random((*lightness.shape[:3], 1)) < 0.01
        hints = [(mask * [0.4, -0.3, 1.0]).astype("float32")]
        inputs = {"lightness": lightness, "known": hints[0]}
    expected = load_predictor(str(file)).predict_ab(lightness, *hints)
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(restored(inputs), expected, atol=1e-4)


def test_quantized_file_is_refused():
    with pytest.raises(DataError, match="mobile-int8.tflite: holds no float16 weights"):
        restore_mobile(presets.find("mobile-int8").to_run())
