"""Reads pretrained parameters from files and puts them into a Keras model by name.

Two naming schemes are understood: Keras' (`Conv1/kernel`) and torchvision's
(`layer1.0.conv1.weight`). What a reader would get wrong: in a file whose BatchNorm is
folded, convolutions carry a bias and no statistics exist. Loading such a file into a
network that keeps BatchNorm would normalize twice, so `surgery.fold_batch_norm` removes
those layers first.
"""

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from kcolor.errors import DataError
from kcolor.models.surgery import leaf_layers

_TORCH_BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def read_safetensors(path: Path | str) -> dict[str, np.ndarray]:
    """Reads a `.safetensors` file.

    Args:
        path: The file; half precision, float16 or bfloat16, is widened.

    Returns:
        Dict of tensor name to float32 NumPy array.

    Raises:
        DataError: If the file cannot be read as safetensors.
    """
    if not Path(path).is_file():
        raise DataError(f"{path}: no such file")
    try:
        tensors = load_file(path)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except SafetensorError as error:
        raise DataError(f"{path}: not a readable safetensors file") from error
    return {name: array.astype("float32") for name, array in tensors.items()}


def to_keras_names(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Renames torchvision parameters to Keras' names and layouts.

    Args:
        tensors: Dict of name to array, as `read_safetensors` returns. Names with `/`
            are Keras' already and pass through.

    Returns:
        Dict such as `{"layer1_0_conv1/kernel": (height, width, in, out) array}`.
    """
    renamed = {}
    for name, array in tensors.items():
        if "/" in name:
            # Keras 3 calls a depthwise layer's variable `kernel`; Keras 2 did not.
            renamed[name.replace("/depthwise_kernel", "/kernel")] = array
            continue
        module, _, parameter = name.rpartition(".")
        layer = module.replace(".", "_")
        weight = tensors.get(f"{module}.weight")
        if weight is not None and weight.ndim == 4:
            if parameter == "weight":
                renamed[f"{layer}/kernel"] = array.transpose(2, 3, 1, 0)
            else:
                renamed[f"{layer}/bias"] = array
        elif parameter in _TORCH_BATCH_NORM:
            renamed[f"{layer}/{_TORCH_BATCH_NORM[parameter]}"] = array
    return renamed


def assign_weights(
    model: keras.Model, tensors: Mapping[str, np.ndarray], path: Path | str
) -> list[str]:
    """Copies parameters into a model by name.

    Args:
        model: `keras.Model`; models inside it are filled as well.
        tensors: Dict as `to_keras_names` returns; names that the model lacks (a
            classifier's head, say) are left aside.
        path: Where they come from, for messages.

    Returns:
        List of the model's layers that the file does not hold; they keep their fresh
        initial values.

    Raises:
        DataError: If a shape differs, or nothing in the file fits the model.
    """
    missing: list[str] = []
    filled = 0
    layers = list(leaf_layers(model))
    for layer in layers:
        for variable in layer.weights:
            name = f"{layer.name}/{variable.name}"
            if name not in tensors:
                if layer.name not in missing:
                    missing.append(layer.name)
                continue
            if tuple(variable.shape) != tensors[name].shape:
                raise DataError(
                    f"{path}: {name} must have shape {tuple(variable.shape)}. "
                    f"Received: {tensors[name].shape}"
                )
            variable.assign(tensors[name])
            filled += 1
    if not filled:
        raise DataError(
            f"{path}: holds no parameter of this network. It has names such as "
            f"{sorted(tensors)[:2]}; the network's first layers are "
            f"{[layer.name for layer in layers if layer.weights][:2]}"
        )
    return missing
