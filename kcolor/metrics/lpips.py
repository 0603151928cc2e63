"""LPIPS v0.1, the learned perceptual distance, on AlexNet or SqueezeNet 1.1.

Both networks are rebuilt here with Keras layers and filled from a file, because
neither exists in keras.applications; AlexNet's file comes with the package. Images come
in as `[0, 1]`; the change to the `[-1, 1]` of the publication happens inside, so no
caller can get it wrong.
"""

import os
from pathlib import Path
from typing import Any

import keras
from keras import ops

from kcolor.errors import DataError
from kcolor.files import user_cache
from kcolor.metrics.lpips_networks import WIDTHS, alexnet, squeezenet
from kcolor.metrics.stored import as_float, pair_as_stored
from kcolor.models.weights import assign_weights, read_safetensors, to_keras_names

BACKBONES = ("alex", "squeeze")
# Smallest height and width that leave each network one position at its last layer.
SMALLEST = {"alex": 31, "squeeze": 17}
ENVIRONMENT_VARIABLE = "KCOLOR_LPIPS_WEIGHTS"

# The publication's scaling layer, on RGB in [-1, 1].
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
# Squared norms below this count as no feature at all. The publication adds 1e-10 to
# the norm instead, whose gradient is infinite where all channels are 0.
_SMALLEST_SQUARE = 1e-12


def find_weights(
    given: Path | str | None = None, backbone: str = "alex"
) -> Path | None:
    """Finds the weights file: the one given, the environment's, or the usual one.

    Args:
        given: File, or folder that holds `lpips_<backbone>.safetensors`; beside a file
            for AlexNet the one for SqueezeNet is looked for under that name. None
            looks at `KCOLOR_LPIPS_WEIGHTS`, which may hold the same, then at
            `usual_weights(backbone)`.
        backbone: `"alex"` or `"squeeze"`.

    Returns:
        Path of an existing file, or None if nothing was given and the usual one is not
        there.

    Raises:
        DataError: If a file or folder was given, or is named by the environment, and
            it does not exist.
    """
    given = given or os.environ.get(ENVIRONMENT_VARIABLE)
    if not given:
        usual = usual_weights(backbone)
        return usual if usual.is_file() else None
    path, name = Path(given), _file_name(backbone)
    if path.is_dir():
        path = path / name
    elif backbone != "alex" and path.name == _file_name("alex"):
        path = path.with_name(name)
    if not path.is_file():
        raise DataError(f"{path}: no such LPIPS weights file")
    return path


def usual_weights(backbone: str = "alex") -> Path:
    """Returns where the weights file is looked for if none is named.

    Args:
        backbone: `"alex"`, whose file is the package's own, or `"squeeze"`, whose file
            belongs in the user's cache.

    Returns:
        Path, whether or not the file exists.
    """
    if backbone == "alex":
        return Path(__file__).parent / "weights" / _file_name(backbone)
    return user_cache() / _file_name(backbone)


def _file_name(backbone):
    return f"lpips_{backbone}.safetensors"


def build_lpips(
    weights_file: Path | str, backbone: str = "alex", layers: int | None = None
) -> keras.Model:
    """Builds LPIPS as a frozen model of two images.

    The model is float32 whatever the dtype policy, differentiable with respect to
    both inputs, and has no trainable weight.

    Args:
        weights_file: Path of a `.safetensors` file with torchvision's names for the
            convolutions and `lin0.weight`, ... for the layer weights, as
            `scripts/make_lpips_weights.py` writes it.
        backbone: `"alex"`, the one that published figures use, or `"squeeze"`.
        layers: How many feature layers to use, counted from the image (of 5 in AlexNet
            and 7 in SqueezeNet); the rest is not built. None uses all, and only then
            is the result LPIPS as published.

    Returns:
        `keras.Model` of two inputs, float RGB of shape `(batch, height, width, 3)`,
        values in `[0, 1]`, any size from `SMALLEST[backbone]` up. Output: float32
        distance per image, shape `(batch,)`, 0 for equal images.

    Raises:
        ValueError: If `backbone` or `layers` is none of the above.
        DataError: If the file cannot be read, or lacks a tensor or has one of another
            shape; the message names both.

    Source: Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a
    Perceptual Metric", version 0.1 of its weights.
    """
    features = build_features(weights_file, backbone, layers)
    distance = build_distance(weights_file, backbone, layers)
    y_true = keras.Input((None, None, 3), dtype="float32", name="y_true")
    y_pred = keras.Input((None, None, 3), dtype="float32", name="y_pred")
    # Two calls and not one on a doubled batch: a loss then backpropagates through the
    # prediction's half only.
    outputs = distance([*features(y_true), *features(y_pred)])
    model = keras.Model([y_true, y_pred], outputs, name=f"lpips_{backbone}")
    model.trainable = False
    return model


def build_features(
    weights_file: Path | str, backbone: str = "alex", layers: int | None = None
) -> keras.Model:
    """Builds the part of LPIPS that sees one image.

    Comparing one truth with several predictions costs one pass per image this way.

    Args:
        weights_file: See `build_lpips`.
        backbone: See `build_lpips`.
        layers: See `build_lpips`.

    Returns:
        `keras.Model` from float RGB `(batch, height, width, 3)` in `[0, 1]` to a list
        of float32 tensors `(batch, h, w, channels)`, each of unit length along its
        channels.

    Raises:
        ValueError: See `build_lpips`.
        DataError: See `build_lpips`.
    """
    layers = _check(backbone, layers)
    rgb = keras.Input((None, None, 3), dtype="float32", name="rgb")
    # x * 2 - 1 and (x - shift) / scale in one step.
    x = keras.layers.Rescaling(
        scale=[2 / scale for scale in SCALE],
        offset=[
            -(1 + shift) / scale for shift, scale in zip(SHIFT, SCALE, strict=True)
        ],
        dtype="float32",
        name="scale",
    )(rgb)
    network = alexnet if backbone == "alex" else squeezenet
    outputs = [_unit_length(stage) for stage in network(x, layers)]
    return _filled(
        keras.Model(rgb, outputs, name=f"lpips_{backbone}_features"), weights_file
    )


def build_distance(
    weights_file: Path | str, backbone: str = "alex", layers: int | None = None
) -> keras.Model:
    """Builds the part of LPIPS that compares the features of two images.

    Args:
        weights_file: See `build_lpips`.
        backbone: See `build_lpips`.
        layers: See `build_lpips`.

    Returns:
        `keras.Model` from the outputs of `build_features` for the one image followed
        by those for the other to the distance per image, float32 `(batch,)`.

    Raises:
        ValueError: See `build_lpips`.
        DataError: See `build_lpips`.
    """
    layers = _check(backbone, layers)
    sides = [
        [
            keras.Input((None, None, width), dtype="float32", name=f"{side}{i}")
            for i, width in enumerate(WIDTHS[backbone][:layers])
        ]
        for side in ("y_true_layer", "y_pred_layer")
    ]
    total = 0.0
    for i, (truth, prediction) in enumerate(zip(*sides, strict=True)):
        score = keras.layers.Conv2D(
            1, 1, use_bias=False, dtype="float32", name=f"lin{i}"
        )(ops.square(truth - prediction))
        total = total + ops.mean(score, axis=(1, 2, 3))
    model = keras.Model(sides[0] + sides[1], total, name=f"lpips_{backbone}_distance")
    return _filled(model, weights_file)


def _unit_length(features):
    square = ops.sum(ops.square(features), axis=-1, keepdims=True)
    return features * ops.rsqrt(ops.maximum(square, _SMALLEST_SQUARE))


def _check(backbone, layers):
    if backbone not in BACKBONES:
        raise ValueError(
            f"`backbone` must be one of {', '.join(BACKBONES)}. "
            f"Received: backbone={backbone!r}"
        )
    most = len(WIDTHS[backbone])
    if layers is None:
        return most
    if not 1 <= layers <= most:
        raise ValueError(
            f"`layers` must be 1 to {most} for {backbone}. Received: layers={layers}"
        )
    return layers


def _filled(model, weights_file):
    tensors = to_keras_names(read_safetensors(weights_file))
    missing = assign_weights(model, tensors, weights_file)
    if missing:
        raise DataError(
            f"{weights_file}: not an LPIPS weights file for this network: "
            f"it lacks {missing[0]}"
        )
    model.trainable = False
    return model


class LPIPS(keras.metrics.Mean):
    """Streams the mean of LPIPS over images.

    Args:
        weights_file: See `build_lpips`.
        backbone: See `build_lpips`.
        name: Name of the metric.
        dtype: Type of the running mean; the network is float32 whatever it says.
    """

    def __init__(
        self,
        weights_file: Path | str,
        backbone: str = "alex",
        name: str = "lpips",
        dtype: str = "float32",
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.weights_file = str(weights_file)
        self.backbone = backbone
        self._model = build_lpips(weights_file, backbone)
        self._direction = "down"

    def update_state(
        self,
        y_true: keras.KerasTensor,
        y_pred: keras.KerasTensor,
        sample_weight: keras.KerasTensor | None = None,
    ) -> None:
        """Adds a batch of images.

        Args:
            y_true: True RGB, `(batch, height, width, 3)`, uint8 or float in `[0, 1]`.
            y_pred: Predicted RGB, same shape; both are rounded to 8 bits first.
            sample_weight: Optional weights, `(batch,)`.
        """
        y_true, y_pred = pair_as_stored(y_true, y_pred)
        super().update_state(
            self._model([as_float(y_true), as_float(y_pred)]), sample_weight
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            "weights_file": self.weights_file,
            "backbone": self.backbone,
            "name": self.name,
            "dtype": self.dtype,
        }
