"""Reads pretrained parameters from files and puts them into a Keras model by name.

Two naming schemes are understood: Keras' (`Conv1/kernel`) and torchvision's
(`layer1.0.conv1.weight`). What a reader would get wrong: in a file whose BatchNorm is
folded, convolutions carry a bias and no statistics exist. Loading such a file into a
network that keeps BatchNorm would normalize twice, so `fold_batch_norm` removes those
layers first.
"""

import json
import struct
from pathlib import Path

import keras
import numpy as np

from kcolor.errors import DataError

_DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I64": "<i8", "BF16": "<u2"}
_TORCH_BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def read_safetensors(path):
    """Reads a `.safetensors` file.

    Args:
        path: The file.

    Returns:
        Dict of tensor name to float32 NumPy array.

    Raises:
        DataError: If the file cannot be read as safetensors.

    Source: the safetensors format (8-byte header length, JSON header, raw data).
    """
    try:
        content = memoryview(Path(path).read_bytes())
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(bytes(content[8 : 8 + length]))
        data = content[8 + length :]
        tensors = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            start, stop = entry["data_offsets"]
            array = np.frombuffer(data[start:stop], _DTYPES[entry["dtype"]])
            if entry["dtype"] == "BF16":  # the upper half of a float32
                array = (array.astype("<u4") << 16).view("<f4")
            tensors[name] = array.reshape(entry["shape"]).astype("float32")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    except (KeyError, TypeError, ValueError, struct.error) as error:
        raise DataError(f"{path}: not a readable safetensors file") from error
    return tensors


def to_keras_names(tensors):
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


def fold_batch_norm(model, tensors):
    """Rebuilds a model without the BatchNorm layers that a file has folded away.

    Args:
        model: Functional `keras.Model`; models inside it are folded with it.
        tensors: Dict as `to_keras_names` returns.

    Returns:
        `model` itself if nothing is folded; else a fresh model with the same layer
        names, in which each folded convolution has a bias and its BatchNorm is gone.
    """
    folded = {}
    for layer in model.layers:
        if not isinstance(layer, keras.layers.BatchNormalization):
            continue
        source = layer.input._keras_history.operation
        if f"{source.name}/bias" in tensors and f"{layer.name}/gamma" not in tensors:
            folded[layer.name] = source.name
    if not folded:
        return model
    convolutions = set(folded.values())

    def rebuild(layer):
        if isinstance(layer, keras.Model):
            return fold_batch_norm(layer, tensors)
        config = layer.get_config()
        if layer.name in convolutions:
            config["use_bias"] = True
        return layer.__class__.from_config(config)

    def call(layer, *args, **kwargs):
        return args[0] if layer.name in folded else layer(*args, **kwargs)

    clone = keras.models.clone_model(model, clone_function=rebuild, call_function=call)
    return keras.Model(clone.input, clone.outputs, name=model.name)


def assign_weights(model, tensors, path):
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
    missing, filled = [], 0
    layers = [
        layer for layer in model._flatten_layers() if not isinstance(layer, keras.Model)
    ]
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
