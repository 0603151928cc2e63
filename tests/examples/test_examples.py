"""Tests that the examples run as they are, on what comes with the packages."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOK = EXAMPLES / "first_hour.ipynb"


def sample(name):
    skimage = pytest.importorskip("skimage")
    return Path(skimage.__file__).parent / "data" / name


def run(script, *arguments, environment=None):
    command = [sys.executable, EXAMPLES / script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def chroma(path):
    with Image.open(path) as image:
        return float(np.ptp(np.asarray(image).astype(int), axis=2).mean())


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Where `kcolor` is the command of this checkout, whatever else is installed."""
    folder = tmp_path_factory.mktemp("bin")
    command = folder / "kcolor"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m kcolor "$@"\n')
    command.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(EXAMPLES.parent),
    }


@pytest.fixture(scope="module")
def executed(environment, tmp_path_factory):
    """Folder in which the notebook has run."""
    pytest.importorskip("nbclient", reason="runs the notebook")
    folder = tmp_path_factory.mktemp("notebook")
    code = (
        "import sys, nbclient, nbformat\n"
        "notebook = nbformat.read(sys.argv[1], as_version=4)\n"
        "nbclient.NotebookClient(notebook, timeout=600).execute()\n"
    )
    command = [sys.executable, "-c", code, str(NOTEBOOK)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_notebook_holds_no_outputs():
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None


def test_a_folder_is_colorized_upright_and_what_is_damaged_is_named(tmp_path):
    album, color = tmp_path / "album", tmp_path / "color"
    (album / "more").mkdir(parents=True)
    (album / "notes.txt").write_text("no picture")
    with Image.open(sample("chelsea.png")) as image:
        width, height = image.size
        turned = Image.Exif()
        turned[0x0112] = 6  # lies on its side
        image.convert("L").save(album / "cat.jpg", exif=turned)
    (album / "cut.jpg").write_bytes((album / "cat.jpg").read_bytes()[:9000])
    # Last in the folder's order: the rest goes on.
    (album / "whole.jpg").write_bytes((album / "cat.jpg").read_bytes())
    printed = run("colorize_folder.py", album, color)
    for name in ("cut.jpg", "more", "notes.txt"):
        assert f"left out: {album / name}: " in printed
    assert sorted(path.name for path in color.iterdir()) == ["cat.png", "whole.png"]
    assert chroma(color / "whole.png") > 5
    with Image.open(color / "cat.png") as image:
        assert image.size == (height, width)


@pytest.mark.slow
def test_the_notebook_leaves_a_run_and_a_file_for_an_app(executed, tmp_path):
    history = (executed / "runs" / "first" / "history.csv").read_text()
    assert len(history.splitlines()) == 3  # a head and two epochs
    run(
        "tflite_without_kcolor.py",
        executed / "photo.tflite",
        sample("coffee.png"),
        tmp_path / "color.png",
    )
    assert chroma(tmp_path / "color.png") > 5


@pytest.mark.slow
def test_a_network_of_ones_own_is_measured(environment, executed, tmp_path):
    printed = run(
        "own_model.py",
        "--data",
        executed / "test",
        "--output",
        tmp_path / "own.keras",
        environment=environment,
    )
    assert "own.keras" in printed and "gray" in printed
