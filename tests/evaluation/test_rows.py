"""Tests for kcolor.evaluation.rows: names, and what a model is known by."""

import hashlib

import numpy as np
import pytest
from scenes import Tinted

from kcolor import presets
from kcolor.errors import DataError
from kcolor.evaluation.rows import Painter, describe_rows, load_rows


def test_models_of_one_name_get_rows_of_their_own():
    paths = ["x/a/model.keras", "y/a/model.keras", "z/b/model.keras"]
    rows = load_rows(Tinted(path) for path in [*paths, "served/1", "runs/c/", "gray"])
    assert list(rows)[:5] == [*paths[:2], "b/model.keras", "served/1", "c"]
    assert len(rows) == 6
    assert "gray" not in rows


@pytest.mark.parametrize("names", [["gray (5)", "gray"], ["x (6)", "x", "x"]])
def test_row_never_takes_a_name_that_another_model_has(names):
    assert len(load_rows(Tinted(name) for name in names)) == len(names)


def test_preset_is_described_with_the_hash_of_its_file():
    (described,) = describe_rows(load_rows(["mobile"])).values()
    content = presets.find("mobile").to_run().read_bytes()
    assert described["sha256"] == hashlib.sha256(content).hexdigest()
    assert (described["path"], described["kind"]) == ("mobile", "tflite")


def test_file_is_described_with_its_hash_and_what_is_no_file_with_none(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.keras").write_bytes(b"weights")
    (tmp_path / "served").mkdir()
    paths = [tmp_path / "run", tmp_path / "run" / "model.keras", tmp_path / "served"]
    rows = {path.name: Tinted(str(path)) for path in paths}
    expected = hashlib.sha256(b"weights").hexdigest()
    hashes = [described["sha256"] for described in describe_rows(rows).values()]
    assert hashes == [expected, expected, None]


def test_answer_of_another_size_is_refused_and_named():
    class Smaller(Tinted):
        takes_rgb = True

        def predict_rgb(self, rgb):
            return rgb[:, ::2, ::2]

    shown = np.random.default_rng(0).integers(0, 256, (2, 32, 40, 3), np.uint8)
    with pytest.raises(DataError, match="small: must answer uint8 of the shape"):
        Painter({"small": Smaller("small")}).paint(shown)
