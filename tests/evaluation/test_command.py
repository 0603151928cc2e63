"""Tests for `kcolor evaluate`: what it writes, says and refuses."""

import csv
import inspect
import json
import os
import platform
import re
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from scenes import Tinted, scene, write_picture

from kcolor.cli.main import main
from kcolor.color.graph import join, split
from kcolor.data.source import open_source
from kcolor.evaluation import evaluate
from kcolor.evaluation.protocol import COLUMNS, METRICS
from kcolor.images.resize import resize_square
from kcolor.metrics.ssim import ssim

SIZE = 48


def test_every_default_of_the_command_is_the_functions_own():
    given = main.commands["evaluate"].make_context("evaluate", ["m", "--data", "x"])
    parameters = inspect.signature(evaluate).parameters
    for name, parameter in parameters.items():
        if name not in ("models", "data", "progress"):
            assert given.params[name] == parameter.default, name


@pytest.fixture
def command(monkeypatch):
    # The command's own path through everything but the network.
    monkeypatch.setattr(
        "kcolor.runtimes.resolve.load_predictor", lambda name: Tinted(name)
    )

    def run(*arguments):
        return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])

    return run


def test_command_writes_all_it_is_asked_for(command, folder, tmp_path):
    result = command(
        *("before", "after", "--data", folder, "--size", SIZE, "--limit", 6),
        *("--metrics", "psnr, ssim", "--by-group", "--self-check", "--before-after"),
        *("--json", tmp_path / "r.json", "--per-image", tmp_path / "p.csv"),
        *("--report", tmp_path / "report"),
    )
    assert result.exit_code == 0, result.output
    assert "Self-check passed." in result.output
    assert "cars (3 pictures)" in result.output
    assert "flowers (1 picture)" in result.output
    assert "before minus gray" in result.output
    written = json.loads((tmp_path / "r.json").read_text())
    assert [row["model"] for row in written["rows"]][:3] == ["gray", "before", "after"]
    assert written["protocol"]["versions"]["numpy"] == np.__version__
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 1 + 6 * 6
    page = (tmp_path / "report" / "index.html").read_text()
    assert "Before and after" in page


def test_protocol_is_in_the_table_the_record_and_the_names_of_files(
    command, folder, tmp_path
):
    result = command(
        *("m", "--data", folder, "--protocol", "original", "--metrics", "ssim"),
        *("--write-manifest", tmp_path / "m.json", "--json", tmp_path / "r.json"),
        *("--report", tmp_path / "report"),
    )
    assert result.exit_code == 0, result.output
    assert "7 pictures, protocol original;" in result.output
    written = json.loads((tmp_path / "r.json").read_text())
    assert written["protocol"]["name"] == "original"
    page = (tmp_path / "report" / "index.html").read_text()
    assert "<title>Evaluation (original): m</title>" in page
    # Drawn 90 wide and 32 high, and shown so.
    assert 'width="90" height="32"' in page
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "index.html",
        "table-original.md",
        "results-original.json",
        "per_image-original.csv",
    }
    again = command(
        *("m", "--data", folder, "--metrics", "ssim"),
        *("--manifest", tmp_path / "m.json", "--json", tmp_path / "s.json"),
    )
    assert again.exit_code == 0, again.output
    assert json.loads((tmp_path / "s.json").read_text())["rows"] == written["rows"]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc's")
def test_command_keeps_freed_memory(command, folder, monkeypatch):
    calls = []
    library = SimpleNamespace(mallopt=lambda *setting: calls.append(setting))
    monkeypatch.setattr("kcolor.process.ctypes.CDLL", lambda name: library)
    command("m", "--data", folder, "--size", SIZE, "--metrics", "psnr", "--limit", 1)
    assert calls


def test_command_measures_a_keras_file(folder, tmp_path):
    lightness = keras.Input((None, None, 1), name="lightness")
    ab = keras.layers.Conv2D(
        2, 3, padding="same", kernel_initializer=keras.initializers.RandomNormal(seed=1)
    )(lightness)
    model = keras.Model(lightness, ab)
    model.save(tmp_path / "tiny.keras")
    arguments = ["evaluate", str(tmp_path / "tiny.keras"), "--data", str(folder)]
    arguments += ["--size", "64", "--metrics", "ssim"]
    arguments += ["--per-image", str(tmp_path / "all.csv")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    with open(tmp_path / "all.csv", newline="") as file:
        lines = [x for x in csv.DictReader(file) if x["model"] == "tiny.keras"]
    assert len(lines) == 7
    assert "Measured 7 of 7 pictures." in result.stderr
    source = open_source(folder)
    for i, line in enumerate(lines):
        truth = resize_square(source.read(i), 64)[None]
        lightness, _ = split(truth)
        expected = ssim(truth, join(lightness, model(lightness)))
        assert float(line["ssim"]) == pytest.approx(float(expected[0]), abs=1e-4)


def test_the_help_of_metrics_names_each_and_those_that_are_left_out():
    option = next(p for p in main.commands["evaluate"].params if p.name == "metrics")
    named, left_out = option.help.split("[default: all but ")
    named = named.removeprefix("Of ").split(", with")[0]
    assert tuple(re.findall(r"\w+", named)) == METRICS
    assert re.findall(r"\w+", left_out.replace(" and ", ", ")) == [
        name for name in METRICS if not COLUMNS[name].default
    ]


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (["m"], 2, "Missing option '--data'"),
        (["m", "--data", "FOLDER", "--before-after"], 2, "even number of models"),
        (["m", "--data", "FOLDER", "--metrics", "fvd"], 1, "Received: fvd"),
        (
            ["m", "--data", "FOLDER", "--metrics", "psnr,fid", "--fid-features"]
            + ["alexnet"],
            1,
            "at least 257 pictures",
        ),
        (["m", "--data", "FOLDER", "--protocol", "val5k"], 1, "Received: 'val5k'"),
        (["m", "--data", "FOLDER", "--manifest", "no.json"], 1, "no.json: No such"),
        (
            ["m", "--data", "FOLDER", "--write-manifest", "m.json", "--limit", "2"],
            2,
            "does not go with --limit",
        ),
        (["m", "--data", "FOLDER", "--json", "no/where.json"], 1, "no/where.json"),
        (
            ["m", "--data", "FOLDER", "--lpips-weights", "none.safetensors"],
            1,
            "none.safetensors: no such LPIPS weights file",
        ),
    ],
)
def test_command_fails_with_one_line(command, folder, arguments, code, message):
    result = command(*(str(folder) if a == "FOLDER" else a for a in arguments))
    assert result.exit_code == code
    assert message in result.output
    assert "Traceback" not in result.output


def test_unreadable_picture_is_named(command, tmp_path):
    write_picture(tmp_path / "good.png", scene(0, 40, 50))
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8 not a picture")
    result = command("m", "--data", tmp_path, "--size", SIZE, "--metrics", "ssim")
    assert result.exit_code == 1
    assert "torn.jpg" in result.output


def test_hint_curve_is_measured_recorded_and_drawn(command, folder, tmp_path):
    result = command(
        *("m", "--data", folder, "--size", SIZE, "--limit", 2, "--seed", 3),
        *("--hint-curve", "2,0", "--json", tmp_path / "c.json", "--report", tmp_path),
    )
    assert result.exit_code == 0, result.output
    assert result.output.startswith("| hints | 0 | 2 |")
    written = json.loads((tmp_path / "c.json").read_text())
    models = [row["model"] for row in written["rows"]]
    assert models == ["gray + spread alone", "m + spread"]
    assert written["protocol"]["seed"] == 3
    places = json.loads((tmp_path / "c-places.json").read_text())
    assert len(places) == 2 and all(len(place) == 2 for place in places.values())
    assert (tmp_path / "hint-curve.svg").read_text().startswith("<svg ")


def test_hint_curve_with_a_gray_picture_is_strict_json_and_drawn(command, tmp_path):
    rgb = scene(0, 40, 50)
    write_picture(tmp_path / "a.png", rgb)
    write_picture(tmp_path / "b.png", rgb[..., [0, 0, 0]])
    figures = tmp_path / "c.json"
    result = command(
        *("m", "--data", tmp_path, "--size", SIZE, "--hint-curve", "0,1"),
        *("--json", figures, "--report", tmp_path / "r"),
    )
    assert result.exit_code == 0, result.output
    assert "1 picture has no color in the truth" in result.output
    found = json.loads(figures.read_text(), parse_constant=pytest.fail)
    assert {row["psnr_images"] for row in found["rows"]} == {1}
    assert (tmp_path / "r" / "hint-curve.svg").is_file()


def test_a_name_that_is_not_utf_8_is_measured_and_recorded(command, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    name = b"caf\xe9.png"
    write_picture(tmp_path / "a.png", scene(0, 40, 50))  # OpenCV needs UTF-8.
    (tmp_path / "a.png").rename(photos / os.fsdecode(name))
    table = tmp_path / "p.csv"
    result = command(
        *("m", "--data", photos, "--size", SIZE, "--metrics", "psnr"),
        *("--json", tmp_path / "r.json", "--per-image", table),
        *("--report", tmp_path / "report"),
    )
    assert result.exit_code == 0, result.output
    assert name in table.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--limit", "0"), "limit must be at least 1. Received: 0"),
        (("--size", "0"), "size must be at least"),
        (("--size", "-32"), "size must be at least"),
    ],
)
def test_hint_curve_names_numbers_that_are_too_small(
    command, folder, arguments, message
):
    result = command("m", "--data", folder, "--hint-curve", "1", *arguments)
    assert result.exit_code == 1 and message in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--hint-curve", "1,many"), "Received: '1,many'"),
        (("--hint-curve", "1", "--self-check"), "measures PSNR alone"),
        (("--hint-curve", "1", "--protocol", "original"), "measures PSNR alone"),
    ],
)
def test_hint_curve_refuses_what_it_cannot_do(command, folder, arguments, message):
    result = command("m", "--data", folder, *arguments)
    assert result.exit_code == 2 and message in result.output
