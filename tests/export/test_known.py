"""Tests for exported networks that take known colors: one file, both uses."""

import json
from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("ai_edge_quantizer") is None or find_spec("tf2onnx") is None:
    pytest.skip("needs kcolor[export]", allow_module_level=True)

import tensorflow as tf
from ai_edge_litert.schema_py_generated import TensorType
from small_network import build_small

from kcolor.errors import DataError
from kcolor.export import flatbuffer, graphs, parity, report, tflite
from kcolor.export.onnx import export_onnx
from kcolor.export.saved_model import export_saved_model
from kcolor.export.tflite import export_tflite
from kcolor.models.known import without_known
from kcolor.runtimes.resolve import load_predictor

# Two aspects, as a page or a phone wants them.
SIZES = {"wide": (32, 96), "high": (96, 64)}


@pytest.fixture(scope="module")
def model():
    return build_small(known=True)


@pytest.fixture(scope="module")
def float16(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("float16") / "hinted.tflite"
    return path, export_tflite(model, path, sizes=SIZES, quantize="fp16")


def inputs(height, width, seed=0):
    rng = np.random.default_rng(seed)
    lightness = rng.uniform(-1, 1, (1, height, width, 1)).astype("float32")
    mask = rng.random((1, height, width, 1)) < 0.01
    return lightness, (mask * [0.5, -0.3, 1.0]).astype("float32")


def signatures(path):
    """Returns what each signature takes, and the operators of its graph."""
    from ai_edge_litert.interpreter import Interpreter

    model = flatbuffer.read(path.read_bytes())
    taken = Interpreter(str(path)).get_signature_list()
    used = {}
    for entry in model.signatureDefs:
        codes = [
            op.opcodeIndex for op in model.subgraphs[entry.subgraphIndex].operators
        ]
        names = [model.operatorCodes[code].builtinCode for code in codes]
        used[entry.signatureKey.decode()] = sorted(names)
    return {key: value["inputs"] for key, value in taken.items()}, used


def test_every_size_has_both_signatures_and_the_card_says_so(float16):
    path, result = float16
    taken, _ = signatures(path)
    assert taken == {
        "wide": ["lightness"],
        "wide_known": ["known", "lightness"],
        "high": ["lightness"],
        "high_known": ["known", "lightness"],
    }
    card = flatbuffer.read_card(path.read_bytes())
    assert card["signatures"] == {
        "wide": [32, 96],
        "wide_known": [32, 96],
        "high": [96, 64],
        "high_known": [96, 64],
    }
    assert "mask" in card["known"]
    assert result["differences"]["hinted"]["pictures"] == 2 * parity.PICTURES


def test_both_signatures_answer_as_keras_does(model, float16):
    predictor = load_predictor(str(float16[0]))
    assert set(predictor.sizes) == set(SIZES.values())
    for size in SIZES.values():
        lightness, known = inputs(*size)
        plain = predictor.predict_ab(lightness)
        hinted = predictor.predict_ab(lightness, known)
        expected = model({"lightness": lightness, "known": known})
        # Half precision keeps 11 bits of a weight.
        np.testing.assert_allclose(hinted, expected, atol=2e-3)
        np.testing.assert_allclose(plain, without_known(model)(lightness), atol=2e-3)
        assert np.abs(hinted - plain).mean() > 0.05


def test_the_plain_signature_is_the_network_without_the_input(model, float16, tmp_path):
    path = tmp_path / "plain.tflite"
    export_tflite(without_known(model), path, sizes=SIZES, quantize="fp16")
    _, used = signatures(float16[0])
    _, expected = signatures(path)
    assert {key: used[key] for key in SIZES} == expected
    assert len(used["wide_known"]) > len(used["wide"])


def test_weights_are_in_the_file_once(model, float16):
    held = [
        bytes(buffer.data)
        for buffer in flatbuffer.read(float16[0].read_bytes()).buffers
        if buffer.data is not None and len(buffer.data) > 64
    ]
    assert len(set(held)) == len(held)
    # Half of float32, and the card.
    assert sum(map(len, held)) < 0.55 * 4 * model.count_params() + 3000


def test_int8_keeps_known_colors_in_float(model, photographs, tmp_path):
    path = tmp_path / "int8.tflite"
    result = export_tflite(
        model,
        path,
        sizes={"serving_default": (64, 96)},
        quantize="int8",
        calibration=photographs,
    )
    assert result["differences"]["hinted"]["levels_mean"] <= 2.0
    hinted = flatbuffer.read(path.read_bytes()).subgraphs[1]
    types = {t.name.decode(): t.type for t in hinted.tensors if b"known" in t.name}
    # What a sum needs is made int8 behind the last step that is theirs alone.
    at_sum = {name for name, kind in types.items() if kind == TensorType.INT8}
    own = {name for name in types if "/known_p" in name or "/down2_known" in name}
    assert len(own - at_sum) > 10
    assert [name for name in at_sum & own if not name.endswith("_quantized")] == []
    assert any(t.type == TensorType.INT8 for t in hinted.tensors if b"/conv_" in t.name)


def test_a_fault_of_the_hinted_signature_alone_is_found(model, tmp_path, monkeypatch):
    predict = graphs.predict

    def wrong(model, lightness, known=None):
        ab = predict(model, lightness, known)
        return ab if known is None else ab + 0.05

    monkeypatch.setattr(tflite.graphs, "predict", wrong)
    path = tmp_path / "wrong.tflite"
    with pytest.raises(DataError, match="wrong.tflite, with known colors: its answer"):
        export_tflite(model, path, sizes={"serving_default": (32, 64)})
    assert not path.exists()


def test_rgb_files_colorize_by_themselves(model, tmp_path):
    sizes = {"serving_default": (64, 96)}
    export_tflite(model, tmp_path / "rgb.tflite", sizes=sizes, io="rgb")
    export_onnx(model, tmp_path / "rgb.onnx", size=64)
    for name, size in (("rgb.tflite", (64, 96)), ("rgb.onnx", (64, 64))):
        predictor = load_predictor(str(tmp_path / name))
        assert predictor.takes_rgb and not predictor.takes_known
        image = np.random.default_rng(0).integers(0, 256, (1, *size, 3), "uint8")
        expected = graphs.colorize_fixed(without_known(model), image)
        difference = np.asarray(expected, int) - predictor.predict_rgb(image)
        assert np.abs(difference).max() <= 1


def test_a_saved_model_has_a_signature_of_its_own_for_known_colors(model, tmp_path):
    result = export_saved_model(model, tmp_path, size=64)
    hinted = result["differences"]["hinted"]
    assert hinted["pictures"] == parity.PICTURES and hinted["levels_max"] <= 1
    loaded = tf.saved_model.load(result["file"])
    taken = loaded.signatures["serving_ab_known"].structured_input_signature[1]
    assert set(taken) == {"lightness", "known"}
    assert set(loaded.signatures["serving_ab"].structured_input_signature[1]) == {
        "lightness"
    }
    card = json.loads((tmp_path / "1" / "assets.extra" / "kcolor.json").read_text())
    assert "mask" in card["signatures"]["serving_ab_known"]["known"]
    asked = _warmup(tmp_path / "1")
    assert ("serving_ab_known", {"lightness", "known"}) in asked


def _warmup(folder):
    from tensorflow_serving.apis import prediction_log_pb2

    path = str(folder / "assets.extra" / "tf_serving_warmup_requests")
    found = []
    for record in tf.data.TFRecordDataset(path):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        found.append((request.model_spec.signature_name, set(request.inputs)))
    return found


def test_the_report_shows_how_hinted_answers_compare(float16):
    result = {**float16[1], "latency": [], "cost": None}
    assert "with known colors: mean, largest" in report.table(result)
