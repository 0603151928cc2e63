"""Tests for scripts/make_encoder_weights.py, on random parameters of the packages."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from kcolor.models import build_backbone
from kcolor.models.efficientnet_lite import block_names

NAME = "efficientnet_lite0"
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "make_encoder_weights.py"


@pytest.fixture(scope="module")
def convert():
    spec = spec_from_file_location("make_encoder_weights", SCRIPT)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.convert


def torch_state(encoder):
    """The random parameters of an encoder under the package's names and layout."""
    rng = np.random.default_rng(0)
    state = {"_fc.weight": rng.normal(size=(1000, 1280))}
    modules = {"stem": ("_conv_stem", "_bn0")}
    for number, block in enumerate(block_names(NAME)):
        prefix = f"_blocks.{number}"
        modules[f"{block}_expand"] = f"{prefix}._expand_conv", f"{prefix}._bn0"
        modules[f"{block}_dw"] = f"{prefix}._depthwise_conv", f"{prefix}._bn1"
        modules[f"{block}_project"] = f"{prefix}._project_conv", f"{prefix}._bn2"
    names = ("weight", "bias", "running_mean", "running_var")
    for layer in encoder.layers:
        values = [rng.normal(0, 0.05, v.shape) for v in layer.weights]
        if layer.name.endswith("conv"):
            module, _ = modules[layer.name.removesuffix("conv").rstrip("_")]
            order = (2, 3, 0, 1) if layer.name.endswith("dwconv") else (3, 2, 0, 1)
            state[f"{module}.weight"] = values[0].transpose(order)
        elif layer.name.endswith("_bn"):
            values[3] = np.abs(values[3]) + 0.5
            prefix = layer.name.removesuffix("_bn")
            _, module = modules.get(prefix) or modules[f"{prefix}_dw"]
            state.update(
                {f"{module}.{n}": v for n, v in zip(names, values, strict=True)}
            )
        if values:
            layer.set_weights(values)
    return {name: value.astype("float32") for name, value in state.items()}


@pytest.mark.parametrize("keep_batch_norm", [True, False])
def test_converted_parameters_give_the_encoder_they_came_from(
    keep_batch_norm, convert, tmp_path
):
    encoder = build_backbone(NAME)
    tensors = convert(torch_state(encoder), NAME, keep_batch_norm)
    assert not any("_fc" in name for name in tensors)
    save_file(tensors, tmp_path / "lite.safetensors")
    loaded = build_backbone(NAME, tmp_path / "lite.safetensors")
    lightness = np.random.default_rng(1).uniform(-1, 1, (2, 64, 96, 1))
    lightness = lightness.astype("float32")
    for one, other in zip(encoder(lightness), loaded(lightness), strict=True):
        assert np.abs(one).max() > 0
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
    kept = [layer.name for layer in loaded.layers if layer.name.endswith("_bn")]
    assert bool(kept) is keep_batch_norm
