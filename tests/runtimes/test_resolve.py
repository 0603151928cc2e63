"""Tests for files and runtimes: atomic writes, history, what MODEL may name."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from kcolor.errors import DataError
from kcolor.files import replacing, write_json
from kcolor.models import build_mobile
from kcolor.runtimes.keras import load_model
from kcolor.runtimes.resolve import load_predictor, resolve
from kcolor.runtimes.run_folder import read_config, read_history
from kcolor.training.run_folder import write_history


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half of the new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_finished_write_replaces_the_file(tmp_path):
    path = tmp_path / "out.keras"
    with replacing(path) as temporary:
        assert temporary.suffix == ".keras"
        temporary.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_history_survives_the_round_trip(tmp_path):
    rows = [{"epoch": 1, "loss": 0.125}, {"epoch": 2, "loss": 1 / 3}]
    write_history(tmp_path, rows)
    assert read_history(tmp_path) == rows
    assert read_history(tmp_path / "nowhere") == []


def test_damaged_and_missing_configs_are_named(tmp_path):
    with pytest.raises(DataError, match="not a run folder"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(DataError, match="config.json: damaged"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    "name, message",
    [
        ("nonesuch", "nonesuch: no such model. It must be a preset"),
        ("missing.keras", "no such file"),
        ("missing.tflite", "no such file"),
        ("missing.onnx", "no such file"),
        ("damaged.keras", "not a readable Keras model"),
        ("here", "damaged.tflite: not a TFLite file"),
        ("damaged.onnx", "not a readable .onnx"),
        ("text.txt", "text.txt: not a model. It must be a preset"),
        ("unfinished", "no epoch is finished"),
        ("empty", "hold one .tflite file"),
        ("two", "it holds 2 .tflite files, name one"),
    ],
)
def test_what_is_no_model_is_named(name, message, tmp_path):
    (tmp_path / "damaged.keras").write_bytes(b"PK no zip")
    (tmp_path / "damaged.onnx").write_bytes(b"no protobuf")
    (tmp_path / "text.txt").write_text("no model")
    for name_of_two in ("a", "b"):
        (tmp_path / "two").mkdir(exist_ok=True)
        (tmp_path / "two" / f"{name_of_two}.tflite").write_bytes(b"")
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "here" / "damaged.tflite").write_bytes(b"no flatbuffer")
    write_json(tmp_path / "unfinished" / "config.json", {})
    model = name if name == "nonesuch" else str(tmp_path / name)
    with pytest.raises(DataError, match=message):
        load_predictor(model)


def test_keras_predictor_answers_what_the_model_does(tmp_path):
    model = build_mobile()
    rng = np.random.default_rng(0)
    model.get_layer("head").bias.assign(rng.normal(size=2))
    model.save(tmp_path / "model.keras")
    lightness = rng.uniform(-1, 1, (2, 32, 64, 1)).astype("float32")
    predictor = load_predictor(str(tmp_path / "model.keras"))
    assert predictor.kind == "keras"
    np.testing.assert_allclose(
        predictor.predict_ab(lightness),
        load_model(tmp_path / "model.keras")(lightness),
        atol=1e-5,
    )
    assert predictor.colorize(lightness).dtype == np.uint8


def test_a_size_that_does_not_fit_is_told_which_would(tmp_path):
    build_mobile().save(tmp_path / "model.keras")
    predictor = load_predictor(str(tmp_path / "model.keras"))
    with pytest.raises(DataError, match="multiples of 32; 96 would do. Received: 100"):
        predictor.predict_ab(np.zeros((1, 64, 100, 1), "float32"))


def _run_folder(path):
    path.mkdir()
    write_json(path / "config.json", {})
    (path / "model.keras").write_bytes(b"")
    return path


def test_a_folder_named_like_a_preset_does_not_shadow_it(tmp_path, monkeypatch):
    _run_folder(tmp_path / "mobile")
    monkeypatch.chdir(tmp_path)
    assert resolve("mobile").is_preset
    assert resolve("./mobile").run == Path("mobile")
    assert load_predictor("mobile").kind == "tflite"
    assert load_model("mobile").name == "mobile"


def test_every_kind_of_model_is_found(tmp_path):
    run = _run_folder(tmp_path / "run")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "network.tflite").write_bytes(b"")
    for version in ("9", "10", "notes"):
        (tmp_path / "served" / version).mkdir(parents=True)
        (tmp_path / "served" / version / "saved_model.pb").write_bytes(b"")
    for name, kind, path in [
        ("run", "keras", "run/model.keras"),
        ("a.keras", "keras", "a.keras"),
        ("a.tflite", "tflite", "a.tflite"),
        ("a.onnx", "onnx", "a.onnx"),
        ("one", "tflite", "one/network.tflite"),
        ("served", "saved-model", "served/10"),
        ("served/9", "saved-model", "served/9"),
    ]:
        found = resolve(tmp_path / name)
        assert (found.kind, found.path) == (kind, tmp_path / path)
        assert found.run == (run if name == "run" else None)


def test_a_tflite_network_is_opened_without_keras_and_tensorflow(any_size_tflite):
    code = (
        "import sys, numpy\n"
        "from kcolor.runtimes.resolve import load_predictor\n"
        "network = load_predictor(sys.argv[1])\n"
        "print(network.predict_ab(numpy.zeros((1, 32, 64, 1), 'float32')).shape)\n"
        "print(sorted({'tensorflow', 'keras', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(any_size_tflite)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["(1, 32, 64, 2)", "[]"]


def test_a_file_with_python_code_is_refused(tmp_path):
    lightness = keras.Input((None, None, 1))
    ab = keras.layers.Lambda(lambda x: keras.ops.concatenate([x, x], -1))(lightness)
    keras.Model(lightness, ab).save(tmp_path / "stranger.keras")
    with pytest.raises(DataError, match="stranger.keras: holds Python code") as raised:
        load_predictor(str(tmp_path / "stranger.keras"))
    assert "\n" not in str(raised.value)


def test_a_keras_network_answers_at_one_size_after_another(tmp_path):
    build_mobile().save(tmp_path / "model.keras")
    predictor = load_predictor(str(tmp_path / "model.keras"))
    for size in ((32, 64), (64, 32), (96, 96)):
        answer = predictor.predict_ab(np.zeros((1, *size, 1), "float32"))
        assert answer.shape == (1, *size, 2)
