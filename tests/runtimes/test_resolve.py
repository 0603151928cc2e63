"""Tests for files and runtimes: atomic writes, history, what MODEL may name."""

import numpy as np
import pytest

from kcolor.errors import DataError
from kcolor.files import replacing, write_json
from kcolor.models import build_mobile
from kcolor.runtimes.keras import load_model
from kcolor.runtimes.resolve import load_predictor
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
        ("missing.tflite", "not a readable .tflite"),
        ("damaged.keras", "not a readable Keras model"),
        ("damaged.tflite", "not a readable .tflite"),
        ("unfinished", "no epoch is finished"),
        (".", "must be a run folder, a .keras file or a bundled preset"),
    ],
)
def test_what_is_no_model_is_named(name, message, tmp_path):
    (tmp_path / "damaged.keras").write_bytes(b"PK no zip")
    (tmp_path / "damaged.tflite").write_bytes(b"no flatbuffer")
    (tmp_path / "unfinished").mkdir()
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
