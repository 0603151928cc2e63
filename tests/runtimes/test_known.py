"""Tests for networks that take known colors, whatever runs them."""

import subprocess
import sys
from importlib.util import find_spec

import keras
import numpy as np
import pytest
from small_network import build_small

from kcolor.errors import DataError
from kcolor.inference.colorizer import Colorizer
from kcolor.models.known import without_known
from kcolor.runtimes.keras import KerasPredictor
from kcolor.runtimes.resolve import load_predictor

# Half precision keeps 11 bits of a weight.
TOLERANCE = 2e-3
DOORS = ["keras", "tflite", "hinted-only", "saved-model", "onnx"]


def write_hinted_only(model, path):
    """Writes a file of another maker, whose one signature wants known colors."""
    import tensorflow as tf

    specs = [
        tf.TensorSpec((1, 32, 64, depth), tf.float32, name=name)
        for depth, name in ((1, "lightness"), (3, "known"))
    ]

    @tf.function(input_signature=specs)
    def network(lightness, known):
        return {"ab": model({"lightness": lightness, "known": known}, training=False)}

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", network)
    archive.write_out(str(path.with_suffix("")), verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(path.with_suffix("")))
    path.write_bytes(converter.convert())
    return path


@pytest.fixture(scope="module")
def model():
    return build_small(known=True)


@pytest.fixture(scope="module", params=DOORS)
def predictor(request, model, hinted_tflite, tmp_path_factory):
    folder = tmp_path_factory.mktemp("door")
    if request.param in ("saved-model", "onnx") and find_spec("tf2onnx") is None:
        pytest.skip("needs kcolor[export]")
    if request.param == "keras":
        return KerasPredictor("hinted", model)
    file = hinted_tflite
    if request.param == "hinted-only":
        file = write_hinted_only(model, folder / "other.tflite")
    elif request.param == "saved-model":
        from kcolor.export.saved_model import export_saved_model

        file = folder
        export_saved_model(model, file, size=64)
    elif request.param == "onnx":
        from kcolor.export.onnx import export_onnx

        file = folder / "hinted.onnx"
        export_onnx(model, file, io="network")
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
    assert predictor.takes_known
    expected = model({"lightness": lightness, "known": known})
    answer = predictor.predict_ab(lightness, known)
    np.testing.assert_allclose(answer, expected, atol=TOLERANCE)
    assert np.abs(answer - predictor.predict_ab(lightness)).mean() > 0.01


def test_without_hints_nothing_is_known(predictor, model):
    lightness, known = batch()
    expected = model({"lightness": lightness, "known": 0 * known})
    np.testing.assert_allclose(
        predictor.predict_ab(lightness), expected, atol=TOLERANCE
    )


def test_a_network_without_the_input_refuses_hints(any_size_tflite):
    lightness, known = batch()
    predictor = load_predictor(any_size_tflite)
    assert not predictor.takes_known
    with pytest.raises(DataError, match="any.tflite: takes no known colors"):
        predictor.predict_ab(lightness, known)


def test_known_colors_that_go_other_ways_cannot_be_left_out():
    lightness = keras.Input((None, None, 1), name="lightness")
    known = keras.Input((None, None, 3), name="known")
    ab = keras.layers.Concatenate(name="concat")([lightness, known])
    ab = keras.layers.Conv2D(2, 1, name="ab")(ab)
    model = keras.Model({"lightness": lightness, "known": known}, ab, name="other")
    with pytest.raises(ValueError, match="Received: other"):
        without_known(model)


def test_the_light_install_colorizes_with_hints_and_without(hinted_tflite, tmp_path):
    script = """
import sys
import numpy as np
from kcolor import Colorizer
colorizer = Colorizer(sys.argv[1])
gray = np.tile(np.arange(96, dtype="uint8"), (64, 1))
plain = colorizer(gray).astype(int)
hinted = colorizer(gray, hints=[(80, 9, "#a05f4a")])
assert np.abs(plain - hinted)[:, :16].mean() > 1
assert not {"tensorflow", "keras"} & set(sys.modules)
"""
    subprocess.run(
        [sys.executable, "-c", script, hinted_tflite], check=True, cwd=tmp_path
    )


def test_a_session_asks_the_network_anew_for_each_set_of_hints(hinted_tflite):
    gray = np.full((96, 160), 120, "uint8")
    gray[:, 100:] = 60  # Behind an edge: only the network brings color, a little.
    session = Colorizer(hinted_tflite).session(gray)
    plain, hinted, again = (
        session(hints).astype(int) for hints in (None, [(20, 30, "#a05f4a")], None)
    )
    np.testing.assert_array_equal(plain, again)
    assert np.abs(hinted - plain)[:, 130:].mean() > 0.5
    assert np.abs(hinted[30, 20] - plain[30, 20]).max() > 5
