"""Networks small enough to build in a second, in the very format of a bundled one."""

import os

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _build(path, size):
    tf = pytest.importorskip("tensorflow", reason="TensorFlow builds the test network")
    rng = np.random.default_rng(7)
    first = rng.normal(0, 0.15, (5, 5, 1, 16)).astype("float32")
    second = rng.normal(0, 0.25, (3, 3, 16, 2)).astype("float32")
    spec = tf.TensorSpec((1, size, size, 1), tf.float32, name="lightness")

    class Network(tf.Module):
        @tf.function(input_signature=[spec])
        def __call__(self, lightness):
            x = tf.nn.relu6(tf.nn.conv2d(lightness, first, 4, "SAME"))
            x = 0.4 * tf.tanh(tf.nn.conv2d(x, second, 1, "SAME"))
            sides = [size, size] if size else tf.shape(lightness)[1:3]
            return {"ab": tf.image.resize(x, sides)}

    network = Network()
    saved = str(path.with_suffix(""))
    tf.saved_model.save(network, saved, signatures=network.__call__)
    path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(saved).convert())
    return path


@pytest.fixture(scope="session")
def any_size_tflite(tmp_path_factory):
    """Path of a network file that takes any multiple of 32."""
    return _build(tmp_path_factory.mktemp("networks") / "any.tflite", None)


@pytest.fixture(scope="session")
def fixed_size_tflite(tmp_path_factory):
    """Path of a network file fixed to 256 x 256."""
    return _build(tmp_path_factory.mktemp("networks") / "fixed.tflite", 256)
