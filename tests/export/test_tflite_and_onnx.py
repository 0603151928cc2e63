"""Tests for kcolor.export: TFLite and ONNX files, their faults, and the report."""

import json
import os
import resource
from importlib.util import find_spec

import keras
import numpy as np
import pytest
from click.testing import CliRunner

if find_spec("ai_edge_quantizer") is None or find_spec("tf2onnx") is None:
    pytest.skip("needs kcolor[export]", allow_module_level=True)

import tensorflow as tf
from small_network import build_small

from kcolor.cli.main import main
from kcolor.color.graph import join, split
from kcolor.errors import DataError
from kcolor.export import export, flatbuffer, graphs, parity, tflite
from kcolor.export.model import load, make_card
from kcolor.export.onnx import export_onnx
from kcolor.export.tflite import ANY, export_tflite
from kcolor.images import view
from kcolor.models import build_resnet
from kcolor.runtimes.litert import LiteRTPredictor
from kcolor.runtimes.onnx import OnnxPredictor
from kcolor.runtimes.resolve import load_predictor

SIZE = 64
ONE = {"serving_default": (SIZE, SIZE)}
SIZES = [(300, 451), (1024, 683), (37, 53)]


@pytest.fixture(scope="module")
def small():
    return build_small()


@pytest.fixture(scope="module")
def float_file(small, tmp_path_factory):
    path = tmp_path_factory.mktemp("float") / "small.tflite"
    return path, export_tflite(small, path, sizes=ONE, license_name="CC0-1.0")


@pytest.fixture(scope="module")
def int8_file(small, photographs, tmp_path_factory):
    path = tmp_path_factory.mktemp("int8") / "small.tflite"
    result = export_tflite(
        small, path, sizes=ONE, io="rgb", quantize="int8", calibration=photographs
    )
    return path, result


def random_image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (1, height, width, 3), "uint8")


def largest_difference(a, b):
    return int(np.abs(np.asarray(a, "int16") - np.asarray(b, "int16")).max())


def unpack(path):
    return flatbuffer.read(path.read_bytes())


def test_float_file_answers_as_keras_does(small, float_file):
    path, result = float_file
    lightness = split(random_image(SIZE, SIZE))[0]
    expected = join(lightness, small(lightness))
    answer = LiteRTPredictor("file", path).colorize(np.asarray(lightness))
    assert largest_difference(expected, answer) <= 1
    assert result["differences"]["levels_max"] <= 1
    assert result["differences"]["pictures"] == parity.PICTURES


def test_tensors_and_signature_have_their_names(float_file):
    from ai_edge_litert.interpreter import Interpreter

    signatures = Interpreter(str(float_file[0])).get_signature_list()
    assert signatures == {
        "serving_default": {"inputs": ["lightness"], "outputs": ["ab"]}
    }


def test_card_travels_in_the_file(small, float_file):
    card = flatbuffer.read_card(float_file[0].read_bytes())
    assert card == float_file[1]["card"]
    assert card["name"] == "small"
    assert card["license"] == "CC0-1.0"
    assert card["parameters"] == small.count_params()
    assert "[-1, 1]" in card["input"]
    assert len(card["weights_sha256"]) == 64


def test_constants_lie_at_multiples_of_sixteen(float_file):
    from ai_edge_litert import schema_py_generated as schema

    content = float_file[0].read_bytes()
    model = schema.Model.GetRootAs(content, 0)
    starts = []
    for i in range(model.BuffersLength()):
        data = model.Buffers(i).DataAsNumpy()
        if isinstance(data, np.ndarray) and data.size >= 16:
            starts.append(data.__array_interface__["data"][0])
    first = np.frombuffer(content, np.uint8).__array_interface__["data"][0]
    assert len(starts) > 3
    assert {(start - first) % 16 for start in starts} == {0}


def test_signatures_share_their_weights(small, float_file, tmp_path):
    sizes = {"square": (64, 64), "landscape": (32, 96), "portrait": (96, 32)}
    path = tmp_path / "several.tflite"
    export_tflite(small, path, sizes=sizes, quantize="fp16")
    predictor = LiteRTPredictor("file", path)
    for height, width in sizes.values():
        lightness = np.asarray(split(random_image(height, width))[0])
        answer = predictor.colorize(lightness)
        assert largest_difference(join(lightness, small(lightness)), answer) <= 2
    one = flatbuffer.constant_bytes(unpack(float_file[0]))
    assert flatbuffer.constant_bytes(unpack(path)) < 1.1 * one


def test_fp16_halves_the_weights(small, float_file, tmp_path):
    export_tflite(small, tmp_path / "half.tflite", sizes=ONE, quantize="fp16")
    half = flatbuffer.constant_bytes(unpack(tmp_path / "half.tflite"))
    # The card is in both.
    assert half < 0.75 * flatbuffer.constant_bytes(unpack(float_file[0]))


def test_rgb_of_any_size_equals_keras(small, tmp_path):
    path = tmp_path / "any.tflite"
    export_tflite(
        small, path, sizes={"serving_default": ANY}, io="rgb", network_size=SIZE
    )
    predictor = LiteRTPredictor("file", path)
    for i, (height, width) in enumerate(SIZES):
        image = parity.resized(parity.pictures(limit=3)[i : i + 1], (height, width))
        expected = graphs.colorize_any(small, image, view.canvases(SIZE))
        assert largest_difference(expected, predictor.predict_rgb(image)) <= 1


def test_float16_of_any_size_is_refused_for_resnet_encoders(tmp_path):
    path = tmp_path / "any.tflite"
    sizes = {"serving_default": ANY}
    with pytest.raises(DataError, match="any.tflite: of any size and in float16"):
        export_tflite(build_resnet("resnet18"), path, sizes=sizes, quantize="fp16")
    assert not path.exists()


def test_network_of_any_size_equals_keras(small, tmp_path):
    path = tmp_path / "any.tflite"
    export_tflite(small, path, sizes={"serving_default": ANY})
    predictor = LiteRTPredictor("file", path)
    for height, width in [(96, 32), (64, 160)]:
        lightness = np.asarray(split(random_image(height, width))[0])
        np.testing.assert_allclose(
            predictor.predict_ab(lightness), small(lightness), atol=1e-5
        )


def test_int8_quantizes_the_network_and_leaves_color_in_float(int8_file):
    from ai_edge_litert.schema_py_generated import TensorType

    path, result = int8_file
    model = unpack(path)
    codes = [flatbuffer._OPERATORS[code.builtinCode] for code in model.operatorCodes]
    types, outputs = {}, {}
    for graph in model.subgraphs:
        for operator in graph.operators:
            output = graph.tensors[operator.outputs[0]]
            types.setdefault(codes[operator.opcodeIndex], set()).add(output.type)
            outputs[output.name.decode()] = output.type
    assert types["DEPTHWISE_CONV_2D"] == {TensorType.INT8}
    assert types["CONV_2D"] == {TensorType.INT8, TensorType.FLOAT32}
    # Rare strong colors are lost in 256 steps.
    head = [t for n, t in outputs.items() if "/head" in n or "/ab" in n]
    assert len(head) == 2 and set(head) == {TensorType.FLOAT32}
    # The gamut's limit in `join`, the last step of the color math.
    assert types["REDUCE_MIN"] == types["DIV"] == {TensorType.FLOAT32}
    assert result["differences"]["levels_mean"] <= 2.0


def test_int8_file_holds_several_signatures(small, photographs, tmp_path):
    sizes = {"square": (64, 64), "landscape": (32, 96)}
    result = export_tflite(
        small,
        tmp_path / "several.tflite",
        sizes=sizes,
        quantize="int8",
        calibration=photographs,
    )
    assert result["differences"]["pictures"] == 2 * parity.PICTURES
    assert result["differences"]["levels_mean"] <= 2.0


def test_dynamic_makes_the_weights_int8(small, float_file, tmp_path):
    result = export_tflite(small, tmp_path / "d.tflite", sizes=ONE, quantize="dynamic")
    assert result["differences"]["levels_mean"] <= 2.0
    assert result["bytes"] < float_file[1]["bytes"]


def test_mixed_precision_network_is_exported_in_float32(tmp_path):
    model = build_small("mixed_float16")
    assert model.get_layer("conv").compute_dtype == "float16"
    rebuilt = load(model).model
    assert {layer.compute_dtype for layer in rebuilt.layers} == {"float32"}
    result = export_tflite(model, tmp_path / "mixed.tflite", sizes=ONE)
    assert result["differences"]["levels_max"] <= 1


def test_any_size_network_shares_its_weights(small):
    flexible = graphs.any_size(small)
    assert {id(v) for v in flexible.weights} == {id(v) for v in small.weights}


def test_any_size_refuses_other_upsampling():
    lightness = keras.Input((None, None, 1), name="lightness")
    x = keras.layers.Conv2D(2, 3, padding="same", name="conv")(lightness)
    x = keras.layers.MaxPooling2D(2, name="pool")(x)
    x = keras.layers.UpSampling2D(2, interpolation="nearest", name="up")(x)
    with pytest.raises(DataError, match="layer up upsamples by nearest"):
        graphs.any_size(keras.Model(lightness, x))


class Tangent(keras.layers.Layer):
    """Has no builtin TFLite operator."""

    def call(self, x):
        return tf.math.tan(x) * 0.1

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.fixture(scope="module")
def exotic(small):
    return keras.Model(
        small.input, Tangent(name="tangent")(small.output), name="exotic"
    )


def test_network_without_builtin_operators_is_refused(exotic, tmp_path):
    with pytest.raises(DataError, match="exotic: cannot be converted"):
        export_tflite(exotic, tmp_path / "flex.tflite", sizes=ONE)
    assert not list(tmp_path.iterdir())


def test_file_with_a_flex_operator_is_refused(exotic, tmp_path, monkeypatch):
    def convert_with_flex(model, functions, fp16):
        function, specs = functions["serving_default"]
        concrete = tf.function(function).get_concrete_function(*specs)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS,
            tf.lite.OpsSet.SELECT_TF_OPS,
        ]
        return converter.convert()

    monkeypatch.setattr(tflite, "_convert", convert_with_flex)
    with pytest.raises(DataError, match="FlexTan"):
        export_tflite(exotic, tmp_path / "flex.tflite", sizes=ONE)
    assert not list(tmp_path.iterdir())


def test_converter_that_leaves_the_weights_out_is_refused(small, tmp_path, monkeypatch):
    # What TFLiteConverter writes for a tf.Module that holds a Keras model looks so.
    @tf.function
    def empty(lightness):
        return {"ab": tf.concat([lightness, lightness], -1) * 0.1}

    concrete = empty.get_concrete_function(
        tf.TensorSpec((1, SIZE, SIZE, 1), tf.float32, name="lightness")
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    garbage = converter.convert()
    monkeypatch.setattr(tflite, "_convert", lambda *arguments: garbage)
    with pytest.raises(DataError, match="left weights out"):
        export_tflite(small, tmp_path / "garbage.tflite", sizes=ONE)
    assert not list(tmp_path.iterdir())


def test_converter_that_spoils_a_weight_is_refused(small, tmp_path, monkeypatch):
    convert = tflite._convert

    def spoil(*arguments):
        model = flatbuffer.read(convert(*arguments))
        largest = max((b for b in model.buffers if b.data is not None), key=_length)
        largest.data = np.roll(np.asarray(largest.data), 4)
        return flatbuffer.write(model)

    monkeypatch.setattr(tflite, "_convert", spoil)
    with pytest.raises(DataError, match="differs from Keras' by more than its limit"):
        export_tflite(small, tmp_path / "spoiled.tflite", sizes=ONE)
    assert not list(tmp_path.iterdir())


def _length(buffer):
    return len(buffer.data)


def test_file_that_costs_too_much_quality_is_refused(
    small, photographs, tmp_path, monkeypatch
):
    monkeypatch.setattr(parity, "COST_LIMITS", {"psnr": -1.0})
    with pytest.raises(DataError, match="worse than Keras in psnr"):
        export_tflite(small, tmp_path / "bad.tflite", sizes=ONE, data=photographs)
    assert not list(tmp_path.iterdir())


def test_cost_in_quality_is_measured_on_true_colors(small, photographs, tmp_path):
    result = export_tflite(small, tmp_path / "a.tflite", sizes=ONE, data=photographs)
    assert result["cost"]["images"] == 3
    assert abs(result["cost"]["psnr"]["worse"]) < 0.01
    assert result["cost"]["psnr"]["keras"] == pytest.approx(
        result["cost"]["psnr"]["file"], abs=0.01
    )


def test_existing_file_is_kept_unless_told(small, tmp_path):
    path = tmp_path / "there.tflite"
    path.write_bytes(b"mine")
    with pytest.raises(DataError, match="exists already"):
        export_tflite(small, path, sizes=ONE)
    assert path.read_bytes() == b"mine"
    export_tflite(small, path, sizes=ONE, overwrite=True)
    assert path.read_bytes()[4:8] == b"TFL3"


def test_full_disk_leaves_nothing_behind(small, tmp_path):
    path = tmp_path / "full.tflite"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises((DataError, OSError)):
            export(_saved(small, tmp_path), path, format="tflite", size=SIZE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.glob("*full*"))


def _saved(model, folder):
    # Kept out of the limit on file sizes.
    path = folder / "model.keras"
    if not path.exists():
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits[1], limits[1]))
        model.save(path)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quantize": "int8"}, "--calibration"),
        ({"quantize": "int4"}, "quantize"),
        ({"io": "lab"}, "io"),
        ({"sizes": {"serving_default": (60, 64)}}, "64 would do"),
        ({"quantize": "fp16", "calibration": "x"}, "leave --calibration out"),
    ],
)
def test_wrong_arguments_are_refused(small, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        export_tflite(small, tmp_path / "x.tflite", **arguments)


@pytest.mark.parametrize("source", ["missing", "empty"])
def test_wrong_calibration_source_is_refused(small, tmp_path, source):
    folder = tmp_path / source
    if source == "empty":
        folder.mkdir()
    with pytest.raises(DataError, match=source):
        export_tflite(
            small,
            tmp_path / "x.tflite",
            sizes=ONE,
            quantize="int8",
            calibration=folder,
        )
    assert not list(tmp_path.glob("*.tflite*"))


@pytest.fixture
def run_folder(small, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    small.save(run / "model.keras")
    config = {"arguments": {"epochs": 2}, "files_sha256": {"train": "0" * 64}}
    (run / "config.json").write_text(json.dumps(config))
    (run / "history.csv").write_text("epoch,loss\n1,0.5\n2,0.4\n")
    return run


def test_card_names_the_run(run_folder, tmp_path):
    result = export_tflite(run_folder, tmp_path / "x.tflite", sizes=ONE)
    assert result["card"]["epochs"] == 2
    assert len(result["card"]["run_config_sha256"]) == 64
    assert result["card"]["data_sha256"] == {"train": "0" * 64}


def test_unfinished_run_is_refused(run_folder, tmp_path):
    (run_folder / "history.csv").write_text("epoch,loss\n1,0.5\n")
    with pytest.raises(DataError, match="not finished .epoch 1 of 2."):
        export_tflite(run_folder, tmp_path / "x.tflite", sizes=ONE)


def patient(run_folder, patience, *losses):
    arguments = {"epochs": 30, "patience": patience}
    (run_folder / "config.json").write_text(json.dumps({"arguments": arguments}))
    rows = [f"{epoch + 1},{loss}" for epoch, loss in enumerate(losses)]
    (run_folder / "history.csv").write_text("\n".join(["epoch,val_loss", *rows]))


def test_a_run_that_patience_ended_is_finished(run_folder):
    patient(run_folder, 2, 0.5, 0.3, 0.3, 0.4)
    card = make_card(load(run_folder), "CC0-1.0")
    assert card["epochs"] == 2  # the first of the best, whose weights are kept


def test_a_run_that_patience_has_not_ended_is_refused(run_folder):
    for patience, losses in ((2, (0.5, 0.3, 0.4)), (0, (0.3, 0.4, 0.5, 0.6)), (1, ())):
        patient(run_folder, patience, *losses)
        with pytest.raises(DataError, match=f"not finished .epoch {len(losses)} of 30"):
            load(run_folder)


@pytest.mark.parametrize("damage", ["config", "truncated", "missing", "garbage"])
def test_damaged_run_is_refused(run_folder, tmp_path, damage):
    weights = run_folder / "model.keras"
    if damage == "config":
        (run_folder / "config.json").write_text("{")
    elif damage == "truncated":
        os.truncate(weights, weights.stat().st_size // 2)
    elif damage == "missing":
        weights.unlink()
    else:
        weights.write_bytes(b"not a model")
    result = CliRunner().invoke(
        main,
        ["export", str(run_folder), "-o", str(tmp_path / "x.tflite")]
        + ["--format", "tflite"],
    )
    assert result.exit_code == 1
    assert str(run_folder) in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not list(tmp_path.glob("*.tflite*"))


def test_classifier_is_no_colorization_network(tmp_path):
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Flatten()(image), name="classifier")
    with pytest.raises(DataError, match="classifier: must be a network from lightness"):
        export_tflite(model, tmp_path / "x.tflite")


def test_onnx_network_takes_any_batch_and_size(small, tmp_path):
    import onnx

    path = tmp_path / "small.onnx"
    export_onnx(small, path, io="network")
    predictor = OnnxPredictor("file", path)
    for shape in [(1, 64, 32), (3, 32, 96)]:
        lightness = (
            np.random.default_rng(0).uniform(-1, 1, (*shape, 1)).astype("float32")
        )
        np.testing.assert_allclose(
            predictor.predict_ab(lightness), small(lightness), atol=1e-5
        )
    proto = onnx.load(path)
    assert [o.version for o in proto.opset_import if o.domain == ""] == [18]
    card = json.loads(proto.metadata_props[0].value)
    assert card["name"] == "small"


def test_onnx_rgb_takes_pictures_of_any_size(small, tmp_path):
    path = tmp_path / "small.onnx"
    export_onnx(small, path, io="rgb", network_size=SIZE)
    predictor = OnnxPredictor("file", path)
    for i, (height, width) in enumerate(SIZES):
        image = random_image(height, width, seed=i)
        expected = graphs.colorize_any(small, image, view.canvases(SIZE))
        assert largest_difference(expected, predictor.predict_rgb(image)) <= 1


def test_onnx_of_wrong_answers_is_refused(small, tmp_path, monkeypatch):
    from kcolor.export import onnx as exporter

    convert = exporter._convert

    def spoil(*arguments):
        proto = convert(*arguments)
        largest = max(proto.graph.initializer, key=lambda t: len(t.raw_data))
        largest.raw_data = largest.raw_data[4:] + largest.raw_data[:4]
        return proto

    monkeypatch.setattr(exporter, "_convert", spoil)
    with pytest.raises(DataError, match="differs from Keras"):
        export_onnx(small, tmp_path / "x.onnx", io="network")
    assert not list(tmp_path.iterdir())


def test_command_writes_file_table_and_json(run_folder, tmp_path):
    path, figures = tmp_path / "x.tflite", tmp_path / "x.json"
    result = CliRunner().invoke(
        main,
        ["export", str(run_folder), "-o", str(path), "--format", "tflite"]
        + ["--size", "64", "--json", str(figures)],
    )
    assert result.exit_code == 0, result.output
    assert "levels of 255, largest difference" in result.output
    content = json.loads(figures.read_text())
    assert content["bytes"] == path.stat().st_size
    assert [row["threads"] for row in content["latency"]] == [1, 2]
    assert content["differences"]["levels_max"] <= content["limits"]["max_levels"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--format", "tflite", "--quantize", "int8"],
        ["--format", "onnx", "--quantize", "fp16"],
        ["--format", "tflite", "--size", "large"],
        ["--format", "coreml"],
        [],
    ],
)
def test_wrong_usage_exits_with_two(arguments):
    result = CliRunner().invoke(main, ["export", "run", "-o", "x", *arguments])
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("mobile", "tflite", "must end in .tflite"),
        ("photo", "onnx", "must end in .onnx"),
        ("x.onnx", "tflite", "must end in .tflite"),
        ("x.tflite", "onnx", "must end in .onnx"),
        ("x.tflite", "saved-model", "must not end in .tflite"),
        ("x.keras", "saved-model", "must not end in .keras"),
    ],
)
def test_a_name_of_another_format_is_refused_before_any_work(
    tmp_path, name, kind, message
):
    with pytest.raises(DataError, match=message):
        export("no-such-model", tmp_path / name, format=kind)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["tflite", "onnx", "saved-model"])
def test_pictures_of_no_size_are_refused(tmp_path, kind):
    name = {"tflite": "x.tflite", "onnx": "x.onnx"}.get(kind, "x")
    with pytest.raises(ValueError, match="multiple of 32"):
        export("no-such-model", tmp_path / name, format=kind, size=0)


def test_defaults_of_command_and_function_are_equal():
    import inspect

    given = ["run", "-o", "x", "--format", "onnx"]
    options = main.commands["export"].make_context("export", given).params
    for name, parameter in inspect.signature(export).parameters.items():
        if parameter.default is not inspect.Parameter.empty:
            assert options[name] == parameter.default, name


def test_a_bundled_preset_is_exported_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "PICTURES", 6)
    (tmp_path / "mobile").mkdir()  # is not what is meant
    monkeypatch.chdir(tmp_path)
    export_onnx("mobile", "mobile.onnx", io="network", size=64)
    lightness = np.asarray(split(random_image(64, 64))[0])
    np.testing.assert_allclose(
        load_predictor("mobile.onnx").predict_ab(lightness),
        load_predictor("mobile").predict_ab(lightness),
        atol=0.01,  # half precision in LiteRT
    )
