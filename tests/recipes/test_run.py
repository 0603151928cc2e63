"""Tests for recipes/: a recipe is what `fit` takes, a card what was measured."""

import argparse
import hashlib
import json
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import kcolor
from kcolor.training.options import FitOptions

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "recipes"
RECIPES = {path.stem: tomllib.loads(path.read_text()) for path in FOLDER.glob("*.toml")}
FILES = {file: name for name, recipe in RECIPES.items() for file in recipe["files"]}
# The pack's cards come with its files, when those are trained.
CARDS = sorted(ROOT.glob("kcolor/presets/*.json"))
CARDS += sorted(ROOT.glob("models/kcolor_models/*.json"))


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
        corpus=tmp_path, weights=weights, precision="auto", smoke=False, into=None
    )


@pytest.mark.parametrize("name", RECIPES)
def test_every_stage_is_made_of_options_of_fit(name, run, options):
    recipe = run.read(name, options)
    assert len(recipe["stages"]) == len(RECIPES[name]["stages"])
    for stage in recipe["stages"]:
        given = {key: value for key, value in stage.items() if key != "start"}
        chosen = FitOptions(recipe["system"], "run", **given)
        assert chosen.epochs >= 1
        assert all(
            source.startswith(f"{options.corpus}/train") for source in chosen.data
        )
        assert not any("{" in str(value) for value in given.values())
    assert recipe["into"].is_dir()


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
    options.into = tmp_path / "elsewhere"
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


def test_stages_draw_from_a_mix_by_its_name(run, options, monkeypatch, tmp_path):
    (tmp_path / "new.toml").write_text(
        'system = "mobile"\n[mixes]\nfaces = ["{corpus}/people.tar=0.4"]\n'
        '[common]\ndata = "faces"\n[[stages]]\n[[stages]]\ndata = "faces"\n'
    )
    monkeypatch.setattr(run, "HERE", tmp_path)
    options.into = tmp_path / "elsewhere"
    for stage in run.read("new", options)["stages"]:
        assert stage["data"] == [f"{options.corpus.as_posix()}/people.tar=0.4"]


def test_a_stage_goes_on_from_the_one_before(run, options):
    recipe = run.read("mobile", options)
    assert run.start(recipe, 0, [], options) == {}
    assert run.start(recipe, 1, [Path("one")], options) == {"init_from": Path("one")}


@pytest.mark.parametrize("card", CARDS, ids=lambda path: path.stem)
def test_a_card_is_short_and_says_what_was_measured(card, run):
    file, text = card.stem, card.read_text()
    recipe = RECIPES[FILES[file]]
    assert card.parent == ROOT / recipe["ships_in"]
    result = json.loads((FOLDER / "results" / f"{file}.json").read_text())
    assert text == run.card_text({**result, **recipe["card"]})
    assert len(text.encode()) <= 2200
    said = json.loads(text)
    # Written by who looked at the pictures, before the card can ship.
    assert said["seen"]
    for suffix, entry in (("tflite", said), ("keras", said.get("keras"))):
        if entry:
            content = card.with_suffix(f".{suffix}").read_bytes()
            assert entry["sha256"] == hashlib.sha256(content).hexdigest()
            assert entry["megabytes"] == pytest.approx(len(content) / 1e6, abs=0.006)
    for row, full in zip(
        said["figures"]["rows"], result["figures"]["rows"], strict=True
    ):
        assert row["model"] == full["model"]
        assert row["psnr"] == pytest.approx(full["psnr"], abs=0.005)
        assert row["psnr_ci95"] == pytest.approx(full["psnr_ci95"], abs=0.005)


def test_a_last_stage_with_hints_grows_the_network_of_the_stage_before(
    run, options, monkeypatch, tmp_path
):
    from kcolor.models import build_mobile
    from kcolor.models.known import takes_known
    from kcolor.training.trainer import build_trainer

    (tmp_path / "new.toml").write_text(
        'system = "mobile"\n[common]\ndata = ["{corpus}/people.tar"]\n'
        "[[stages]]\nsize = 64\n[[stages]]\nsize = 64\nhints_share = 0.5\n"
    )
    monkeypatch.setattr(run, "HERE", tmp_path)
    options.into = tmp_path
    recipe = run.read("new", options)
    trained = build_mobile()
    head = trained.get_layer("head")
    head.bias.assign([0.3, -0.2])
    trained.save(tmp_path / "one.keras")
    begin = run.start(recipe, 1, [tmp_path / "one.keras"], options)
    chosen = FitOptions("mobile", "two", **recipe["stages"][1], **begin)
    network = build_trainer(chosen).network
    assert takes_known(network)
    # What `export` takes for the head, whose colors it makes stronger.
    last = [layer for layer in network.layers if layer.weights][-1]
    assert last.name == "head"
    assert last.get_weights()[1].tolist() == pytest.approx([0.3, -0.2])


def test_a_card_says_what_hints_bring(run):
    file = "mobile"
    result = json.loads((FOLDER / "results" / f"{file}.json").read_text())
    result |= RECIPES[FILES[file]]["card"]
    curve = {
        "protocol": {"name": "sig17", "images": 500},
        "rows": [
            {"model": model, "hints": [0, 1], "psnr": [24.0 + at, 25.0123 + at]}
            for at, model in enumerate(
                ["gray + spread alone", "a + spread", "a, hinted", "mobile + spread"]
            )
        ],
    }
    hints = run.hints_of_one(curve, "a")
    assert [row["model"] for row in hints["rows"]] == [
        "gray + spread alone",
        "a + spread",
        "a, hinted",
    ]
    text = run.card_text({**result, "hints": hints, "hinted_milliseconds": 25.1})
    card = json.loads(text)
    assert card["psnr_by_hints"] == {"0": 26.0, "1": 27.01}
    assert card["hinted_milliseconds"] == 25.1
    assert len(text.encode()) <= 2000
    del result["hints"]
    assert "psnr_by_hints" not in json.loads(run.card_text(result))


def test_what_ships_is_what_recipes_write_and_fits():
    assert {path.stem for path in CARDS} >= {"mobile", "mobile-int8"}
    pack = ROOT / "models" / "kcolor_models"
    files = [*pack.glob("*.tflite"), *pack.glob("*.keras")]
    assert all(path.with_suffix(".json") in CARDS for path in files)
    assert sum(path.stat().st_size for path in files) <= 100e6


def test_the_pack_takes_the_kcolor_that_it_is_made_with():
    project = tomllib.loads((ROOT / "models" / "pyproject.toml").read_text())["project"]
    (dependency,) = project["dependencies"]
    assert kcolor.__version__ in Requirement(dependency).specifier
    minor = kcolor.__version__.rpartition(".")[0]
    assert project["version"].rpartition(".")[0] == minor
    (name,) = project["entry-points"]["kcolor.presets"].values()
    assert (ROOT / "models" / name / "__init__.py").exists()
