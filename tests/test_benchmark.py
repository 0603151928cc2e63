"""Tests for kcolor.benchmark: what a row says, and what a worker may not do."""

import io
import json
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from click.testing import CliRunner

if find_spec("tensorflow") is None:
    pytest.skip("needs kcolor[train] to make a model", allow_module_level=True)

from kcolor import benchmark
from kcolor.benchmark import align, table
from kcolor.cli.main import main
from kcolor.errors import DataError

SIZE = 64


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    from small_network import build_small

    from kcolor.export.tflite import export_tflite

    folder = tmp_path_factory.mktemp("files")
    sizes = {"serving_default": (SIZE, SIZE)}
    for io_kind in ("network", "rgb"):
        export_tflite(
            build_small(), folder / f"{io_kind}.tflite", sizes=sizes, io=io_kind
        )
    return [str(folder / "network.tflite"), str(folder / "rgb.tflite")]


@pytest.fixture(scope="module")
def result(files):
    return benchmark.benchmark(files, SIZE, (1, 2), rounds=3)


def test_every_model_and_thread_count_has_its_row(files, result):
    rows = [(row["model"], row["threads"]) for row in result["rows"]]
    assert rows == [(files[0], 1), (files[0], 2), (files[1], 1), (files[1], 2)]
    assert {row["calls"] for row in result["rows"]} == {3 * benchmark.CALLS_PER_ROUND}


def test_figures_belong_together(files, result):
    for row in result["rows"]:
        latency = row["latency_ms"]
        assert 0 < latency["min"] <= latency["median"] <= latency["p95"]
        assert 0 < row["images_per_second"] <= 1000 / latency["min"]
        assert row["load_ms"] > 0
        assert row["bytes"] == os.path.getsize(row["model"])
        assert (row["kind"], row["size"]) == ("tflite", SIZE)
        assert row["device"] == "cpu"
    assert result["machine"]["cores"] == os.cpu_count()


def test_a_model_that_takes_known_colors_has_a_row_with_them(files, tmp_path):
    from small_network import build_small

    from kcolor.export.tflite import export_tflite

    path = str(tmp_path / "hinted.tflite")
    sizes = {"serving_default": (SIZE, SIZE)}
    export_tflite(build_small(known=True), path, sizes=sizes)
    rows = benchmark.benchmark([path, files[0]], SIZE, [1], rounds=1)["rows"]
    assert [(row["model"], row["hints"]) for row in rows] == [
        (path, False),
        (path, True),
        (files[0], False),
    ]
    lines = table(rows).splitlines()[1:]
    assert ["hinted.tflite + hints" in line for line in lines] == [False, True, False]


def test_result_is_json(result):
    assert json.loads(json.dumps(result)) == result


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_memory_is_the_models_own(files):
    held = np.ones(400 << 20, "uint8")
    (row,) = benchmark.benchmark(files[:1], SIZE, [1], rounds=1)["rows"]
    assert 20 < row["peak_memory_mb"] < 300
    assert held.nbytes == 400 << 20


@pytest.mark.parametrize("number", [0, 1])
def test_worker_of_a_tflite_file_imports_no_tensorflow(files, number):
    script = """
import io, json, sys
from kcolor import benchmark
questions = [{"model": sys.argv[1], "threads": 1, "size": 64}, {"calls": 2}, {"end": 1}]
lines = "".join(json.dumps(q) + "\\n" for q in questions)
answers = io.StringIO()
benchmark._work(io.StringIO(lines), answers)
heavy = {"tensorflow", "keras", "torch", "jax"} & set(sys.modules)
print(json.dumps([answers.getvalue().count("\\n"), sorted(heavy)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, files[number]],
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [3, []]


def test_the_users_choice_of_devices_reaches_the_worker(files, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    started = []
    start = subprocess.Popen

    def watched(*arguments, **keywords):
        started.append((keywords.get("env") or os.environ)["CUDA_VISIBLE_DEVICES"])
        return start(*arguments, **keywords)

    monkeypatch.setattr(benchmark.subprocess, "Popen", watched)
    benchmark.benchmark(files[:1], SIZE, [1], rounds=1)
    assert started == ["1"]


def test_a_keras_network_says_what_it_computes_on(monkeypatch):
    import tensorflow as tf
    from small_network import build_small

    from kcolor.runtimes.keras import KerasPredictor

    assert KerasPredictor("small", build_small()).device == "cpu"
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    monkeypatch.setattr(
        tf.config.experimental,
        "get_device_details",
        lambda device: {"device_name": "A fast one"},
    )
    assert KerasPredictor("small", build_small()).device == "A fast one"


def test_worker_answers_an_error_and_ends(tmp_path):
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"no model")
    answers = io.StringIO()
    question = {"model": str(path), "threads": 1, "size": SIZE}
    benchmark._work(io.StringIO(json.dumps(question) + "\n"), answers)
    assert str(path) in json.loads(answers.getvalue())["error"]


@pytest.mark.parametrize(
    ("model", "size", "message"),
    [
        ("missing.tflite", SIZE, "missing.tflite"),
        ("mobil", SIZE, "mobil: no such model"),
    ],
)
def test_unknown_model_is_named(model, size, message):
    with pytest.raises(DataError, match=message):
        benchmark.benchmark([model], size, [1])


def test_wrong_size_says_which_would_do(files):
    with pytest.raises(DataError, match="takes 64x64. Received: 96x96"):
        benchmark.benchmark(files[:1], 96, [1])


@pytest.mark.parametrize(
    "arguments", [{"size": 0}, {"threads": []}, {"threads": [0]}, {"rounds": 0}]
)
def test_numbers_below_one_are_refused(files, arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        benchmark.benchmark(files[:1], **{"size": SIZE, **arguments})


def test_failure_leaves_no_process(files, monkeypatch):
    started = []
    start = subprocess.Popen

    def watched(*arguments, **keywords):
        started.append(start(*arguments, **keywords))
        return started[-1]

    monkeypatch.setattr(benchmark.subprocess, "Popen", watched)
    with pytest.raises(DataError):
        benchmark.benchmark([files[0], "missing.tflite"], SIZE, [1])
    assert [process.poll() is None for process in started] == [False] * len(started)
    assert started


def test_table_aligns_numbers_to_the_right(result):
    lines = table(result["rows"]).splitlines()
    assert len(lines) == 5
    assert len({len(line) for line in lines}) == 1
    assert align([["a", "10"], ["bcd", "5"]]) == "a    10\nbcd   5"


def test_command_prints_the_table_and_writes_json(files, tmp_path):
    path = tmp_path / "figures.json"
    arguments = ["benchmark", *files, "--size", "64", "--threads", "1"]
    done = CliRunner().invoke(main, [*arguments, "--json", str(path)])
    assert done.exit_code == 0, done.output
    assert done.output.count("\n") == 3
    assert len(json.loads(path.read_text())["rows"]) == 2


def test_command_fails_with_one_line(tmp_path):
    done = CliRunner().invoke(main, ["benchmark", str(tmp_path / "missing.tflite")])
    assert done.exit_code == 1
    assert done.output.count("\n") == 1
    assert "missing.tflite" in done.output
