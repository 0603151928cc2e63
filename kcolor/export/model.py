"""What is exported: a finished network, and the card that travels inside each file."""

import hashlib
import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kcolor import __version__
from kcolor.color.constants import STRIDE, nearest_multiple
from kcolor.errors import DataError
from kcolor.models.known import takes_known, without_known
from kcolor.models.surgery import under_policy
from kcolor.runtimes.keras import load_model
from kcolor.runtimes.resolve import resolve
from kcolor.runtimes.run_folder import read_config, read_history

# What cards say of known colors.
KNOWN = (
    "float32, of lightness' shape with 3 channels: a* and b* / 110 and a mask, 0 or 1; "
    "all 0 where nothing is known"
)


@dataclass(frozen=True)
class Network:
    """A network to export.

    Attributes:
        model: Float32 `keras.Model` from lightness, and known colors if it takes them,
            to ab.
        plain: The same without known colors; shares all layers.
        run: The run folder that it comes from, or None.
    """

    model: keras.Model
    plain: keras.Model
    run: Path | None = None

    @property
    def takes_known(self) -> bool:
        """Whether the network takes known colors beside lightness."""
        return self.model is not self.plain


def load(model: keras.Model | Path | str) -> Network:
    """Loads a network to export.

    Args:
        model: `keras.Model`, name of a preset, or path of a run folder or a `.keras`
            file.

    Returns:
        `Network`, whatever precision it was trained in.

    Raises:
        DataError: If it cannot be read, is no colorization network, or its run is not
            finished.
    """
    run = None
    if isinstance(model, keras.Model):
        name = model.name
    else:
        run = resolve(model).run
        if run is not None:
            _check_finished(run)
        name, model = str(model), load_model(model)
    shapes = [tuple(t.shape) for t in (*model.inputs, *model.outputs)]
    channels = [3, 1, 2] if takes_known(model) else [1, 2]
    if shapes != [(None, None, None, count) for count in channels]:
        raise DataError(
            f"{name}: must be a network from lightness (B, H, W, 1), and `known` "
            "(B, H, W, 3) if it takes that, to ab (B, H, W, 2). "
            f"Received: {' to '.join(map(str, shapes))}"
        )
    # Neither the TFLite nor the ONNX converter takes the casts of mixed precision.
    model = under_policy(model, "float32")
    return Network(model, without_known(model), run)


def _check_finished(run: Path) -> None:
    epochs = read_config(run).get("arguments", {}).get("epochs")
    done = len(read_history(run))
    # As kcolor.training's EpochEnd.is_over; nothing here may import that.
    if 0 < _patience(run) < done - _kept_epoch(run) + 1:
        return
    if epochs is not None and done < epochs:
        raise DataError(
            f"{run}: the run is not finished (epoch {done} of {epochs}). Go on with "
            f"kcolor fit --resume, or export {run / 'model.keras'} as it is"
        )


def _patience(run: Path) -> int:
    return read_config(run).get("arguments", {}).get("patience") or 0


def _kept_epoch(run: Path) -> int:
    """Returns the epoch of model.keras, counted from 1: with patience the best."""
    history = read_history(run)
    if not _patience(run):
        return len(history)
    return int(np.argmin([*(row["val_loss"] for row in history), math.inf])) + 1


def make_card(network: Network, license_name: str, **contract: Any) -> dict[str, Any]:
    """Describes a file: what it is, what it takes and where it comes from.

    Args:
        network: What is exported.
        license_name: License of the weights.
        **contract: What goes in and out, as JSON has it.

    Returns:
        Dict fit for JSON.
    """
    card = {
        "name": network.model.name,
        "made_by": f"kcolor {__version__}",
        "license": license_name,
        **contract,
        "parameters": network.model.count_params(),
        "weights_sha256": _weights_hash(network.model),
        "keras": version("keras"),
        "tensorflow": version("tensorflow"),
    }
    if network.run is not None:
        config = (network.run / "config.json").read_bytes()
        card["run_config_sha256"] = hashlib.sha256(config).hexdigest()
        card["epochs"] = _kept_epoch(network.run)
        card["data_sha256"] = json.loads(config).get("files_sha256")
    return card


def _weights_hash(model: keras.Model) -> str:
    digest = hashlib.sha256()
    for variable in model.weights:
        digest.update(variable.path.encode())
        digest.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return digest.hexdigest()


def parameter_bytes(model: keras.Model) -> int:
    """Counts the bytes of float32 that a converted file cannot do without.

    Args:
        model: The exported network.

    Returns:
        Bytes of its kernels; BatchNormalization may vanish into the convolutions.
    """
    return 4 * sum(
        int(np.prod(v.shape)) for v in model.weights if v.name.endswith("kernel")
    )


def check_size(sides: Iterable[int]) -> None:
    """Refuses a size that the network cannot take.

    Args:
        sides: Sides in pixels.

    Raises:
        ValueError: If a side is not a positive multiple of 32.
    """
    for side in sides:
        if side < STRIDE or side % STRIDE:
            raise ValueError(
                f"`size` must be a multiple of {STRIDE}; {nearest_multiple(side)} "
                f"would do. Received: {side}"
            )


def check_target(path: Path, overwrite: bool) -> None:
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
