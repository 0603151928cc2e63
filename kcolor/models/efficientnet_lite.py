"""EfficientNet-Lite: EfficientNet for phones and 8-bit arithmetic.

What a reader would get wrong: unlike EfficientNet, it has ReLU6 for swish and no
squeeze-and-excitation, and its first and last stage are not widened or deepened.

Source: Tan and Le, EfficientNet, 2019, table 1, with the changes of the Lite variants
(github.com/tensorflow/tpu, models/official/efficientnet/lite).
"""

import math

import keras

# Kernel, stride, expansion, channels and blocks of each stage.
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
# Factors on channels and on blocks.
_SCALES = {"efficientnet_lite0": (1.0, 1.0), "efficientnet_lite2": (1.1, 1.2)}


def efficientnet_lite(x: keras.KerasTensor, name: str) -> list[keras.KerasTensor]:
    """Applies an EfficientNet-Lite without its classifier.

    Layers bear Keras' EfficientNet names (`block2a_expand_conv`).

    Args:
        x: Keras tensor `(B, H, W, 3)`, RGB in [-1, 1].
        name: `"efficientnet_lite0"` or `"efficientnet_lite2"`.

    Returns:
        List of Keras tensors: the last feature maps of stride 2, 4, 8, 16 and 32.
    """
    levels = []
    x = _convolution(x, 32, 3, 2, "stem_conv")
    for block, kernel_size, strides, expansion, filters in _blocks(name):
        if strides == 2:
            levels.append(x)
        x = _inverted_bottleneck(x, filters, kernel_size, strides, expansion, block)
    return [*levels, x]


def block_names(name: str) -> list[str]:
    """Returns the names of an EfficientNet-Lite's blocks, such as `block2a`, in order.

    Args:
        name: `"efficientnet_lite0"` or `"efficientnet_lite2"`.
    """
    return [block for block, *_ in _blocks(name)]


def _blocks(name):
    """Yields name, kernel size, strides, expansion and channels of each block."""
    width, depth = _SCALES[name]
    for stage, (kernel_size, strides, expansion, filters, count) in enumerate(STAGES):
        if stage not in (0, len(STAGES) - 1):
            count = math.ceil(depth * count)
        filters = _to_multiple_of_8(filters * width)
        for block in range(count):
            yield (
                f"block{stage + 1}{'abcdefgh'[block]}",
                kernel_size,
                strides if block == 0 else 1,
                expansion,
                filters,
            )


def _inverted_bottleneck(x, filters, kernel_size, strides, expansion, name):
    shortcut = x
    if expansion != 1:
        x = _convolution(x, x.shape[-1] * expansion, 1, 1, f"{name}_expand_conv")
    x = keras.layers.DepthwiseConv2D(
        kernel_size, strides, padding="same", use_bias=False, name=f"{name}_dwconv"
    )(x)
    x = _batch_norm(x, f"{name}_bn")
    x = keras.layers.ReLU(6.0, name=f"{name}_relu")(x)
    x = _convolution(x, filters, 1, 1, f"{name}_project_conv", activate=False)
    if strides == 1 and shortcut.shape[-1] == filters:
        x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return x


def _convolution(x, filters, kernel_size, strides, name, activate=True):
    x = keras.layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    prefix = name.removesuffix("_conv")
    x = _batch_norm(x, f"{prefix}_bn")
    return keras.layers.ReLU(6.0, name=f"{prefix}_relu")(x) if activate else x


def _batch_norm(x, name):
    return keras.layers.BatchNormalization(momentum=0.99, name=name)(x)


def _to_multiple_of_8(channels):
    """Rounds to a multiple of 8, never down by more than 10%."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
