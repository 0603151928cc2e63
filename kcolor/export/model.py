"""What is exported: a finished network, and the card that travels inside each file."""

import hashlib
import json
import os
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np

from kcolor import __version__
from kcolor.errors import DataError
from kcolor.models.surgery import under_policy
from kcolor.runtimes.keras import load_model
from kcolor.runtimes.run_folder import read_config, read_history

SIZE = 256
STRIDE = 32  # A network halves its input five times and doubles it back.


def load(model):
    """Loads a network to export.

    Args:
        model: `keras.Model`, or path of a run folder or a `.keras` file.

    Returns:
        Float32 `keras.Model` from lightness to ab.

    Raises:
        DataError: If it cannot be read, is no colorization network, or its run is not
            finished.
    """
    if not isinstance(model, keras.Model):
        _check_finished(Path(model))
        name, model = model, load_model(model)
    else:
        name = model.name
    shapes = [tuple(t.shape) for t in (*model.inputs, *model.outputs)]
    if shapes != [(None, None, None, 1), (None, None, None, 2)]:
        raise DataError(
            f"{name}: must be a network from lightness (B, H, W, 1) to ab (B, H, W, 2)."
            f" Received: {' to '.join(map(str, shapes))}"
        )
    # Neither the TFLite nor the ONNX converter takes the casts of mixed precision.
    return under_policy(model, "float32")


def _check_finished(path):
    if not path.is_dir():
        return
    epochs = read_config(path).get("arguments", {}).get("epochs")
    done = len(read_history(path))
    if epochs is not None and done < epochs:
        raise DataError(
            f"{path}: the run is not finished (epoch {done} of {epochs}). Go on with "
            f"kcolor fit --resume, or export {path / 'model.keras'} as it is"
        )


def make_card(model, source, license_name, **contract):
    """Describes a file: what it is, what it takes and where it comes from.

    Args:
        model: The exported `keras.Model`.
        source: What the user named: a `keras.Model` or a path.
        license_name: License of the weights.
        **contract: What goes in and out, as JSON has it.

    Returns:
        Dict fit for JSON.
    """
    card = {
        "name": model.name,
        "made_by": f"kcolor {__version__}",
        "license": license_name,
        **contract,
        "parameters": model.count_params(),
        "weights_sha256": _weights_hash(model),
        "keras": version("keras"),
        "tensorflow": version("tensorflow"),
    }
    run = None if isinstance(source, keras.Model) else Path(source)
    if run is not None and run.is_dir():
        config = (run / "config.json").read_bytes()
        card["run_config_sha256"] = hashlib.sha256(config).hexdigest()
        card["epochs"] = len(read_history(run))
        card["data_sha256"] = json.loads(config).get("files_sha256")
    return card


def _weights_hash(model):
    digest = hashlib.sha256()
    for variable in model.weights:
        digest.update(variable.path.encode())
        digest.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return digest.hexdigest()


def parameter_bytes(model):
    """Returns the bytes of float32 that a converted file cannot do without.

    BatchNormalization may vanish into the convolutions, so only kernels count.
    """
    return 4 * sum(
        int(np.prod(v.shape)) for v in model.weights if v.name.endswith("kernel")
    )


def check_size(size):
    """Refuses a size that the network cannot take.

    Args:
        size: `(height, width)`.

    Raises:
        ValueError: If a side is not a positive multiple of 32.
    """
    for side in size:
        if side < STRIDE or side % STRIDE:
            fitting = max(STRIDE, round(side / STRIDE) * STRIDE)
            raise ValueError(
                f"`size` must be a multiple of {STRIDE}; {fitting} would do. "
                f"Received: {side}"
            )


def check_target(path, overwrite):
    """Refuses a file that cannot or must not be written, before any work is done.

    Args:
        path: Path of the file to write.
        overwrite: Whether it may exist.

    Raises:
        DataError: If it exists, is a folder, or its folder is missing or read-only.
    """
    if path.is_dir():
        raise DataError(f"{path}: is a folder; name the file to write")
    if path.exists() and not overwrite:
        raise DataError(f"{path}: exists already; --overwrite replaces it")
    if not path.parent.is_dir():
        raise DataError(f"{path.parent}: no such folder")
    if not os.access(path.parent, os.W_OK):
        raise DataError(f"{path.parent}: cannot be written to")
