"""Tests for kcolor.models.restore: the bundled network comes back trainable."""

import numpy as np
import pytest

from kcolor import presets
from kcolor.errors import DataError
from kcolor.models.restore import restore_mobile
from kcolor.runtimes.keras import load_model
from kcolor.runtimes.resolve import load_predictor


@pytest.fixture(scope="module")
def restored():
    return load_model("mobile")


def test_restored_network_answers_what_the_file_does(restored):
    lightness = np.random.default_rng(0).uniform(-1, 1, (2, 64, 96, 1))
    lightness = lightness.astype("float32")
    answer = restored(lightness, training=False)
    expected = load_predictor("mobile").predict_ab(lightness)
    assert np.abs(expected).max() > 0.05
    np.testing.assert_allclose(answer, expected, atol=1e-4)


def test_restored_network_has_no_batch_norm_and_can_be_trained(restored):
    names = {layer.name for layer in restored.layers}
    assert "decoder_p2_conv" in names and not any("_bn" in name for name in names)
    assert restored.get_layer("decoder_p2_conv").use_bias
    assert restored.get_layer("encoder").trainable_variables
    assert not any("_bn" in v.path for v in restored.trainable_variables)


def test_quantized_file_is_refused():
    with pytest.raises(DataError, match="mobile-int8.tflite: holds no float16 weights"):
        restore_mobile(presets.find("mobile-int8"))
