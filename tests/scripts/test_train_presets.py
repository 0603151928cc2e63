"""Tests for scripts/train_presets: how a UNet is trained in parts."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import numpy as np
import pytest

from kcolor.models import build_unet

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "train_presets"


@pytest.fixture(scope="module")
def train_presets():
    loader = SourceFileLoader("train_presets", str(SCRIPT))
    module = module_from_spec(spec_from_loader("train_presets", loader))
    loader.exec_module(module)
    return module


def test_a_grown_unet_answers_what_the_short_one_does(train_presets):
    rng = np.random.default_rng(0)
    short = train_presets.headed(build_unet("resnet18"), 2)
    kernel = np.zeros((3, 3, 64, 2))
    # At its center alone: what reaches further is four times nearer once it has grown.
    kernel[1, 1] = rng.normal(0, 0.3, (64, 2))
    short.get_layer("head").set_weights([kernel, np.array([0.1, -0.2])])
    whole = build_unet("resnet18")
    lightness = rng.uniform(-1, 1, (3, 64, 96, 1)).astype("float32")
    train_presets.grow(short, whole, lightness)
    before, after = (np.asarray(network(lightness)) for network in (short, whole))
    # Two bilinear steps by 2 are not quite one by 4.
    assert before.std() > 10 * np.abs(after - before).mean()
    assert np.any(whole.get_layer("decoder_p0_conv1").get_weights()[0][..., 4:])
