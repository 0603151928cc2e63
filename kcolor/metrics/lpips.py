"""LPIPS v0.1, the learned perceptual distance, on AlexNet or SqueezeNet 1.1.

Both networks are rebuilt here with Keras layers and filled from a file, because
neither exists in keras.applications. Images come in as `[0, 1]`; the change to the
`[-1, 1]` of the publication happens inside, so no caller can get it wrong.
"""

import os
from pathlib import Path

import keras
import numpy as np
from keras import ops

from kcolor.errors import DataError
from kcolor.metrics.stored import as_float, pair_as_stored
from kcolor.models.weights import read_safetensors

# The publication's scaling layer, on RGB in [-1, 1].
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
# Squared norms below this count as no feature at all. The publication adds 1e-10 to
# the norm instead, whose gradient is infinite where all channels are 0.
_SMALLEST_SQUARE = 1e-12

BACKBONES = ("alex", "squeeze")
# Smallest height and width that leave each network one position at its last layer.
SMALLEST = {"alex": 31, "squeeze": 17}


ENVIRONMENT_VARIABLE = "KCOLOR_LPIPS_WEIGHTS"


def find_weights(given=None, backbone="alex"):
    """Finds the weights file: the one given, the environment's, or the cache's.

    Args:
        given: File, or folder that holds `lpips_<backbone>.safetensors`; beside a file
            for AlexNet the one for SqueezeNet is looked for under that name. None
            looks at `KCOLOR_LPIPS_WEIGHTS`, which may hold the same, then at
            `cached_weights(backbone)`.
        backbone: `"alex"` or `"squeeze"`.

    Returns:
        `pathlib.Path` of an existing file, or None if nothing was given and the cache
        has none.

    Raises:
        DataError: If a file or folder was given, or is named by the environment, and
            it does not exist.
    """
    name = f"lpips_{backbone}.safetensors"
    given = given or os.environ.get(ENVIRONMENT_VARIABLE)
    if not given:
        cached = cached_weights(backbone)
        return cached if cached.is_file() else None
    path = Path(given)
    if path.is_dir():
        path = path / name
    elif backbone != "alex" and path.name == "lpips_alex.safetensors":
        path = path.with_name(name)
    if not path.is_file():
        raise DataError(f"{path}: no such LPIPS weights file")
    return path


def cached_weights(backbone="alex"):
    """Returns the path in the user's cache where the weights file belongs."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "kcolor" / f"lpips_{backbone}.safetensors"


def build_lpips(weights_file, backbone="alex", layers=None):
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


def build_features(weights_file, backbone="alex", layers=None):
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
    weights = _Weights(weights_file)
    rgb = keras.Input((None, None, 3), dtype="float32", name="rgb")
    # x * 2 - 1 and (x - shift) / scale in one step.
    x = keras.layers.Rescaling(
        scale=[2 / scale for scale in _SCALE],
        offset=[
            -(1 + shift) / scale for shift, scale in zip(_SHIFT, _SCALE, strict=True)
        ],
        dtype="float32",
        name="scale",
    )(rgb)
    network = _alexnet if backbone == "alex" else _squeezenet
    outputs = [_unit_length(stage) for stage in network(x, weights, layers)]
    model = keras.Model(rgb, outputs, name=f"lpips_{backbone}_features")
    weights.fill(model)
    return model


def build_distance(weights_file, backbone="alex", layers=None):
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
    weights = _Weights(weights_file)
    widths = _WIDTHS[backbone][:layers]
    sides = [
        [
            keras.Input((None, None, width), dtype="float32", name=f"{side}{i}")
            for i, width in enumerate(widths)
        ]
        for side in ("y_true_layer", "y_pred_layer")
    ]
    total = 0.0
    for i, (truth, prediction) in enumerate(zip(*sides, strict=True)):
        name = f"lin{i}"
        square = ops.square(truth - prediction)
        weights.expect(name, f"{name}.weight", None)
        score = keras.layers.Conv2D(1, 1, use_bias=False, dtype="float32", name=name)(
            square
        )
        total = total + ops.mean(score, axis=(1, 2, 3))
    model = keras.Model(sides[0] + sides[1], total, name=f"lpips_{backbone}_distance")
    weights.fill(model)
    return model


_WIDTHS = {
    "alex": (64, 192, 384, 256, 256),
    "squeeze": (64, 128, 256, 384, 384, 512, 512),
}


def _alexnet(x, weights, layers):
    # (number in torchvision's `features`, filters, kernel, stride, padding)
    plan = [(0, 64, 11, 4, 2), (3, 192, 5, 1, 2), (6, 384, 3, 1, 1)]
    plan += [(8, 256, 3, 1, 1), (10, 256, 3, 1, 1)]
    stages = []
    for i, (number, filters, kernel, stride, padding) in enumerate(plan[:layers]):
        if i in (1, 2):
            x = keras.layers.MaxPooling2D(3, 2, dtype="float32", name=f"pool{i}")(x)
        x = _conv_block(
            x, weights, f"features.{number}", filters, kernel, stride, padding
        )
        stages.append(x)
    return stages


def _squeezenet(x, weights, layers):
    stages = [_conv_block(x, weights, "features.0", 64, 3, 2, 0)]
    # (numbers in torchvision's `features`, squeezed channels, pooled before?)
    plan = [((3, 4), 16, True), ((6, 7), 32, True), ((9,), 48, True)]
    plan += [((10,), 48, False), ((11,), 64, False), ((12,), 64, False)]
    for stage, (numbers, squeezed, pooled) in enumerate(plan[: layers - 1], start=1):
        x = stages[-1]
        if pooled:
            # torchvision pools with ceil_mode. One more row and column of zeros does
            # the same for odd and even sizes; zeros lose against no ReLU output.
            x = keras.layers.ZeroPadding2D(
                ((0, 1), (0, 1)), dtype="float32", name=f"pool{stage}_pad"
            )(x)
            x = keras.layers.MaxPooling2D(3, 2, dtype="float32", name=f"pool{stage}")(x)
        for number in numbers:
            x = _fire_block(x, weights, f"features.{number}", squeezed)
        stages.append(x)
    return stages


def _fire_block(x, weights, name, squeezed):
    x = _conv_block(x, weights, f"{name}.squeeze", squeezed, 1, 1, 0)
    narrow = _conv_block(x, weights, f"{name}.expand1x1", 4 * squeezed, 1, 1, 0)
    wide = _conv_block(x, weights, f"{name}.expand3x3", 4 * squeezed, 3, 1, 1)
    return keras.layers.Concatenate(dtype="float32", name=_layer_name(f"{name}.out"))(
        [narrow, wide]
    )


def _conv_block(x, weights, name, filters, kernel, stride, padding):
    layer_name = _layer_name(name)
    if padding:
        x = keras.layers.ZeroPadding2D(
            padding, dtype="float32", name=f"{layer_name}_pad"
        )(x)
    weights.expect(layer_name, f"{name}.weight", f"{name}.bias")
    return keras.layers.Conv2D(
        filters,
        kernel,
        stride,
        activation="relu",
        dtype="float32",
        name=layer_name,
    )(x)


def _layer_name(name):
    return name.replace(".", "_")


def _unit_length(features):
    square = ops.sum(ops.square(features), axis=-1, keepdims=True)
    return features * ops.rsqrt(ops.maximum(square, _SMALLEST_SQUARE))


def _check(backbone, layers):
    if backbone not in BACKBONES:
        raise ValueError(
            f"`backbone` must be one of {', '.join(BACKBONES)}. "
            f"Received: backbone={backbone!r}"
        )
    most = len(_WIDTHS[backbone])
    if layers is None:
        return most
    if not 1 <= layers <= most:
        raise ValueError(
            f"`layers` must be 1 to {most} for {backbone}. Received: layers={layers}"
        )
    return layers


class _Weights:
    """The tensors of one file, and which layer of a model takes which of them."""

    def __init__(self, path):
        self.path = path
        self.tensors = read_safetensors(path)
        self.expected = []

    def expect(self, layer_name, *tensor_names):
        """Notes that a convolution takes these tensors (None: it has no bias)."""
        self.expected.append((layer_name, [n for n in tensor_names if n]))

    def fill(self, model):
        """Copies the tensors into the model's layers and freezes it."""
        for layer_name, tensor_names in self.expected:
            layer = model.get_layer(layer_name)
            values = []
            for weight, tensor_name in zip(layer.weights, tensor_names, strict=True):
                if tensor_name not in self.tensors:
                    raise DataError(
                        f"{self.path}: not an LPIPS weights file for this network: "
                        f"it lacks {tensor_name}"
                    )
                value = self.tensors[tensor_name]
                if value.ndim == 4:
                    value = np.transpose(value, (2, 3, 1, 0))  # OIHW -> HWIO
                if value.shape != tuple(weight.shape):
                    raise DataError(
                        f"{self.path}: {tensor_name} must have the shape "
                        f"{tuple(weight.shape)} (height, width, in, out). "
                        f"Received: {value.shape}"
                    )
                values.append(value)
            layer.set_weights(values)
        model.trainable = False


class LPIPS(keras.metrics.Mean):
    """Streams the mean of LPIPS over images.

    Args:
        weights_file: See `build_lpips`.
        backbone: See `build_lpips`.
        name: Name of the metric.
        dtype: Type of the running mean; the network is float32 whatever it says.
    """

    def __init__(self, weights_file, backbone="alex", name="lpips", dtype="float32"):
        super().__init__(name=name, dtype=dtype)
        self.weights_file = str(weights_file)
        self.backbone = backbone
        self._model = build_lpips(weights_file, backbone)
        self._direction = "down"

    def update_state(self, y_true, y_pred, sample_weight=None):
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

    def get_config(self):
        """Returns the arguments of the constructor."""
        return {
            "weights_file": self.weights_file,
            "backbone": self.backbone,
            "name": self.name,
            "dtype": self.dtype,
        }
