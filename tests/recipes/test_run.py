"""Tests for recipes/: a recipe is what `fit` takes, a card what was measured."""

import argparse
import json
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from kcolor import presets
from kcolor.training.options import FitOptions

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "recipes"
RECIPES = {path.stem: tomllib.loads(path.read_text()) for path in FOLDER.glob("*.toml")}
FILES = {file: name for name, recipe in RECIPES.items() for file in recipe["files"]}


@pytest.fixture(scope="module")
def run():
    spec = spec_from_file_location("run", FOLDER / "run.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def options(tmp_path):
    for name in ("train-0000.tar", "train-0001.tar", "people.tar"):
        (tmp_path / name).touch()
    weights = tmp_path / "weights"
    return argparse.Namespace(
        corpus=tmp_path, weights=weights, precision="auto", smoke=False
    )


@pytest.mark.parametrize("name", RECIPES)
def test_every_stage_is_made_of_options_of_fit(name, run, options):
    recipe = run.read(name, options)
    assert len(recipe["stages"]) == len(RECIPES[name]["stages"])
    for stage in recipe["stages"]:
        given = {key: value for key, value in stage.items() if key != "start"}
        chosen = FitOptions(recipe["system"], "run", **given)
        assert chosen.epochs >= 1
        assert chosen.data[0] == str(options.corpus / "train-0000.tar")
        assert not any("{" in str(value) for value in given.values())
    assert set(FILES) == set(presets.cards())


def test_a_stage_names_weighted_sources_and_its_own_validation(
    run, options, monkeypatch, tmp_path
):
    (tmp_path / "new.toml").write_text(
        'system = "mobile"\n[common]\nbatch_size = 4\n[[stages]]\n'
        'data = ["{corpus}/train-*.tar=0.5", "{corpus}/people.tar=1.5"]\n'
        'val_data = "{corpus}/validation.tar"\nsize = 64\n[[stages]]\nsize = 96\n'
        'data = ["{corpus}/people.tar"]\nbatch_size = 2\n'
    )
    monkeypatch.setattr(run, "HERE", tmp_path)
    first, second = run.read("new", options)["stages"]
    corpus = options.corpus.as_posix()
    assert first["data"] == [
        f"{corpus}/train-0000.tar=0.5",
        f"{corpus}/train-0001.tar=0.5",
        f"{corpus}/people.tar=1.5",
    ]
    assert first["val_data"] == f"{corpus}/validation.tar"
    assert (first["size"], first["batch_size"]) == (64, 4)
    assert (second["size"], second["batch_size"]) == (96, 2)


def test_a_stage_goes_on_from_the_one_before(run, options):
    recipe = run.read("mobile", options)
    assert run.start(recipe, 0, [], options) == {}
    assert run.start(recipe, 1, [Path("one")], options) == {"init_from": Path("one")}


@pytest.mark.parametrize("file", FILES)
def test_a_card_is_short_and_says_what_was_measured(file, run):
    result = json.loads((FOLDER / "results" / f"{file}.json").read_text())
    card = (ROOT / "kcolor" / "presets" / f"{file}.json").read_text()
    assert card == run.card_text({**result, **RECIPES[FILES[file]]["card"]})
    assert len(card.encode()) <= 2000
    rows = json.loads(card)["figures"]["rows"]
    for row, full in zip(rows, result["figures"]["rows"], strict=True):
        assert row["model"] == full["model"]
        assert row["psnr"] == pytest.approx(full["psnr"], abs=0.005)
        assert row["psnr_ci95"] == pytest.approx(full["psnr_ci95"], abs=0.005)
