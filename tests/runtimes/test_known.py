"""Tests for networks that take known colors, whatever runs them."""

import keras
import numpy as np
import pytest

from kcolor.errors import DataError
from kcolor.inference.colorizer import Colorizer
from kcolor.runtimes.keras import KerasPredictor
from kcolor.runtimes.resolve import load_predictor


def build_hinted():
    """A network whose answer depends on lightness and, far and wide, on hints."""
    lightness = keras.Input((None, None, 1), name="lightness", dtype="float32")
    known = keras.Input((None, None, 3), name="known", dtype="float32")
    mean = keras.layers.GlobalAveragePooling2D(keepdims=True, name="mean")(known)
    mean = keras.layers.Conv2D(2, 1, name="hints")(mean)
    ab = keras.layers.Conv2D(2, 3, padding="same", name="head")(lightness)
    ab = keras.layers.Add(name="ab")([ab, mean])
    model = keras.Model({"lightness": lightness, "known": known}, ab, name="hinted")
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(0, 0.1, weight.shape))
    model.get_layer("hints").set_weights(
        [20000 * np.eye(3, 2)[None, None], np.zeros(2)]
    )
    return model


def write_tflite(model, path):
    import tensorflow as tf

    specs = [
        tf.TensorSpec((1, None, None, depth), tf.float32, name=name)
        for depth, name in ((1, "lightness"), (3, "known"))
    ]
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serving_default",
        tf.function(
            lambda lightness, known: {
                "ab": model({"lightness": lightness, "known": known}, training=False)
            },
            input_signature=specs,
        ),
    )
    archive.write_out(str(path.with_suffix("")), verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(path.with_suffix("")))
    path.write_bytes(converter.convert())
    return path


@pytest.fixture(scope="module")
def model():
    return build_hinted()


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    return write_tflite(model, tmp_path_factory.mktemp("hinted") / "hinted.tflite")


@pytest.fixture(params=["keras", "tflite"])
def predictor(request, model, file):
    if request.param == "keras":
        return KerasPredictor("hinted", model)
    return load_predictor(str(file))


def batch():
    rng = np.random.default_rng(1)
    lightness = rng.uniform(-1, 1, (2, 32, 64, 1)).astype("float32")
    known = np.zeros((2, 32, 64, 3), "float32")
    known[0, 3, 5] = 0.4, -0.2, 1
    known[1, 30, 60] = -0.4, 0.1, 1
    return lightness, known


def test_hints_go_into_the_network(predictor, model):
    lightness, known = batch()
    assert predictor.takes_known and predictor.sizes is None
    expected = model({"lightness": lightness, "known": known})
    answer = predictor.predict_ab(lightness, known)
    np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-5)


def test_without_hints_nothing_is_known(predictor, model):
    lightness, known = batch()
    expected = model({"lightness": lightness, "known": 0 * known})
    np.testing.assert_allclose(predictor.predict_ab(lightness), expected, atol=1e-5)


def test_a_network_without_the_input_refuses_hints():
    lightness, known = batch()
    predictor = load_predictor("mobile")
    assert not predictor.takes_known
    with pytest.raises(DataError, match="mobile: takes no known colors"):
        predictor.predict_ab(lightness, known)


def test_a_session_asks_the_network_anew_for_each_set_of_hints(file):
    gray = np.full((96, 160), 120, "uint8")
    gray[:, 100:] = 60  # Behind an edge: only the network brings color there.
    session = Colorizer(file).session(gray)
    plain, hinted, again = (
        session(hints).astype(int) for hints in (None, [(20, 30, "#a05f4a")], None)
    )
    np.testing.assert_array_equal(plain, again)
    assert np.abs(hinted - plain)[:, 130:].mean() > 2
    assert np.abs(hinted[30, 20] - plain[30, 20]).max() > 5
