"""A pack from pip to the commands: colorize, evaluate, fine-tune, export."""

import os
import subprocess
import sys

import numpy as np
import pytest
import skimage
from PIL import Image
from preset_packs import write_wheel

from kcolor.export.tflite import export_tflite
from kcolor.export.trained import write_trained
from kcolor.models import build_unet


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder into which pip has installed a pack with a preset `unet`."""
    folder = tmp_path_factory.mktemp("pack")
    network = build_unet("mobilenet_v2", None)
    head = network.get_layer("ab")
    rng = np.random.default_rng(0)
    head.set_weights([rng.normal(0, 0.02, w.shape) for w in head.get_weights()])
    files = [folder / "unet.tflite", folder / "unet.keras"]
    export_tflite(network, files[0], quantize="fp16")
    write_trained(network, files[1])
    wheel = write_wheel(folder, "some-models", {"unet": files})
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", folder / "site", wheel], check=True)
    return folder / "site"


def kcolor(*arguments, site):
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run(
        [sys.executable, "-m", "kcolor", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("astronaut", "coffee", "chelsea"):
        picture = getattr(skimage.data, name)()[::4, ::3]
        Image.fromarray(picture).save(folder / f"{name}.png")
    return folder


@pytest.mark.slow
def test_an_installed_pack_colorizes_evaluates_and_is_trained_on(
    site, photos, tmp_path
):
    out = tmp_path / "color.png"
    done = kcolor(
        "colorize", photos / "coffee.png", "-o", out, "--model", "unet", site=site
    )
    assert done.returncode == 0, done.stderr
    assert np.ptp(np.asarray(Image.open(out)), axis=-1).mean() > 1

    listed = kcolor("models", site=site)
    assert "some-models 1.0" in listed.stdout and not listed.stderr

    measured = kcolor("evaluate", "unet", "mobile", "--data", photos, site=site)
    assert measured.returncode == 0, measured.stderr
    assert "| unet " in measured.stdout

    run = tmp_path / "run"
    small = ["--size", 64, "--batch-size", 2, "--steps-per-epoch", 2, "--epochs", 1]
    trained = kcolor(
        *("fit", "unet", "-o", run, "--data", photos, "--init-from", "unet", *small),
        site=site,
    )
    assert trained.returncode == 0, trained.stderr
    assert (run / "model.keras").exists()

    file = tmp_path / "exported.tflite"
    exported = kcolor(
        *("export", "unet", "-o", file, "--format", "tflite", "--io", "network"),
        site=site,
    )
    assert exported.returncode == 0, exported.stderr
    timed = kcolor("benchmark", "unet", file, "--threads", 1, site=site)
    assert timed.returncode == 0, timed.stderr
    assert "unet" in timed.stdout
