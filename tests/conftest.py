"""Networks small enough to build in a second, in the very format of a bundled one."""

import os

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(0))


def _build(path, sizes):
    tf = pytest.importorskip("tensorflow", reason="TensorFlow builds the test network")
    rng = np.random.default_rng(7)
    first = rng.normal(0, 0.15, (5, 5, 1, 16)).astype("float32")
    second = rng.normal(0, 0.25, (3, 3, 16, 2)).astype("float32")

    def signature(height, width):
        spec = tf.TensorSpec((1, height, width, 1), tf.float32, name="lightness")

        @tf.function(input_signature=[spec])
        def network(lightness):
            x = tf.nn.relu6(tf.nn.conv2d(lightness, first, 4, "SAME"))
            x = 0.4 * tf.tanh(tf.nn.conv2d(x, second, 1, "SAME"))
            sides = [height, width] if height else tf.shape(lightness)[1:3]
            return {"ab": tf.image.resize(x, sides)}

        return network

    module = tf.Module()
    module.networks = {name: signature(*size) for name, size in sizes.items()}
    saved = str(path.with_suffix(""))
    tf.saved_model.save(module, saved, signatures=module.networks)
    converter = tf.lite.TFLiteConverter.from_saved_model(
        saved, signature_keys=list(sizes)
    )
    path.write_bytes(converter.convert())
    return path


@pytest.fixture(scope="session")
def any_size_tflite(tmp_path_factory):
    """Path of a network file that takes any multiple of 32."""
    path = tmp_path_factory.mktemp("networks") / "any.tflite"
    return _build(path, {"serving_default": (None, None)})


@pytest.fixture(scope="session")
def fixed_size_tflite(tmp_path_factory):
    """Path of a network file fixed to 256 x 256."""
    path = tmp_path_factory.mktemp("networks") / "fixed.tflite"
    return _build(path, {"serving_default": (256, 256)})


@pytest.fixture(scope="session")
def hinted_tflite(tmp_path_factory):
    """Path of a network file of any size that takes known colors."""
    pytest.importorskip("tensorflow", reason="TensorFlow builds the test network")
    from small_network import build_small

    from kcolor.export.tflite import ANY, export_tflite

    path = tmp_path_factory.mktemp("networks") / "hinted.tflite"
    sizes = {"serving_default": ANY}
    export_tflite(build_small(known=True), path, sizes=sizes, quantize="fp16")
    return path


@pytest.fixture(scope="session")
def several_sizes_tflite(tmp_path_factory):
    """Path of a network file with a signature for each of three sizes."""
    path = tmp_path_factory.mktemp("networks") / "several.tflite"
    sizes = {"square": (256, 256), "landscape": (224, 320), "portrait": (320, 224)}
    return _build(path, sizes)


@pytest.fixture
def storage(monkeypatch):
    """An empty object storage, fsspec's own in memory; nobody waits for it."""
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setattr("time.sleep", lambda _: None)
    found = fsspec.filesystem("memory")
    found.store.clear()
    found.pseudo_dirs[:] = [""]
    yield found
    found.store.clear()
