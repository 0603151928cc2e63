"""Makes a bundled `mobile` trainable again, from its TFLite file alone.

The file's constants keep the names of the layers that they came from. What a reader
would get wrong: the converter has folded BatchNorm into the convolutions, so the
network that comes back has biases in its place, and what was folded bears BatchNorm's
name: the bias, and the kernel where that is multiplied by no other, as a depthwise one.
"""

import re
from pathlib import Path

import keras
import numpy as np

from kcolor.errors import DataError
from kcolor.models.backbones import BACKBONES, build_backbone, convolution_names
from kcolor.models.mobile import build_mobile
from kcolor.models.surgery import batch_norm_sources, fold_batch_norm
from kcolor.models.weights import assign_weights

# "network/mobile_1/encoder_1/block_1_expand_1/convolution": the layer's name is last
# but one, with a count of its uses.
_LAYER = re.compile(r"mobile_1/(encoder_1/)?(\w+?)_1/")


def restore_mobile(path: Path | str) -> keras.Model:
    """Restores the network of a float TFLite file of `mobile`, whatever its encoder.

    Args:
        path: The file, as `kcolor export --io network` writes it.

    Returns:
        `keras.Model` as `build_mobile` builds it, with a bias for each BatchNorm. It
        answers what the file does.

    Raises:
        DataError: If the file holds no float weights of `mobile`.
    """
    kernels, biases, encoder = _constants(path)
    known = any(layer.endswith("_known") for layer in kernels)
    network = build_mobile(_backbone(encoder, path), known=known)
    sources = batch_norm_sources(network)
    tensors = {}
    for kind, values in (("kernel", kernels), ("bias", biases)):
        for layer, value in values.items():
            tensors[f"{sources.get(layer, layer)}/{kind}"] = value
    network = fold_batch_norm(network, tensors)
    missing = assign_weights(network, tensors, path)
    if missing:
        raise DataError(f"{path}: lacks weights of {', '.join(missing)}")
    return network


def _backbone(layers, path):
    """Finds the encoder that has convolutions of these names, and no others."""
    # The small ones first: the larger ones take seconds to build.
    for name in sorted(BACKBONES, key=lambda name: name.startswith("resnet")):
        encoder = build_backbone(name)
        sources = batch_norm_sources(encoder)
        if convolution_names(encoder) == {sources.get(x, x) for x in layers}:
            return name
    raise DataError(f"{path}: has the encoder of no network that kcolor knows")


def _constants(path):
    """Returns kernels and biases by layer, and the names of the encoder's kernels."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    kernels: dict[str, np.ndarray] = {}
    biases: dict[str, np.ndarray] = {}
    encoder = set()
    # Graphs share their weights; one for known colors has more of them.
    details = (
        (graph, detail)
        for graph in range(interpreter.num_subgraphs())
        for detail in interpreter.get_tensor_details(graph)
    )
    for graph, detail in details:
        layers = _LAYER.findall(detail["name"])
        # Float16 marks a stored weight here; what is computed from it is float32.
        if not layers or detail["dtype"].__name__ != "float16":
            continue
        value = interpreter.get_tensor(detail["index"], graph).astype("float32")
        prefix, layer = layers[-1]
        if value.ndim == 4:
            # (out, height, width, in), and (1, height, width, channels) of depthwise
            # ones: one turn serves both.
            kernels[layer] = value.transpose(1, 2, 3, 0)
            if prefix:
                encoder.add(layer)
        else:
            biases[layer] = value
    if not kernels:
        raise DataError(f"{path}: holds no float16 weights of a mobile network")
    return kernels, biases, encoder
