"""Blocks that several decoders share."""

import keras


def conv_block(
    x: keras.KerasTensor,
    filters: int,
    name: str,
    number: int | str = "",
    kernel_size: int = 3,
    activation: str = "relu",
    term: keras.KerasTensor | None = None,
) -> keras.KerasTensor:
    """Applies convolution, BatchNorm and a rectifier.

    Args:
        x: Keras tensor `(B, H, W, C)`.
        filters: Channels of the result.
        name: Prefix of the three layers' names.
        number: Their suffix, where a stage has several such blocks.
        kernel_size: Side of the kernel.
        activation: `"relu"` or `"relu6"`, whose bound survives quantization better.
        term: Keras tensor `(B, H, W, filters)` that is added behind BatchNorm, which
            can so still be folded into the convolution; or None.

    Returns:
        Keras tensor `(B, H, W, filters)`.
    """
    x = keras.layers.Conv2D(
        filters,
        kernel_size,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv{number}",
    )(x)
    x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_bn{number}")(x)
    if term is not None:
        x = keras.layers.Add(name=f"{name}_add{number}")([x, term])
    bound = 6.0 if activation == "relu6" else None
    return keras.layers.ReLU(bound, name=f"{name}_relu{number}")(x)


def upsample(
    x: keras.KerasTensor, name: str, factor: int = 2, dtype: str | None = None
) -> keras.KerasTensor:
    """Enlarges bilinearly, which leaves no checkerboard as strided kernels do.

    Args:
        x: Keras tensor `(B, H, W, C)`.
        name: Name of the layer.
        factor: How many times larger each side becomes.
        dtype: Dtype policy of the layer; None for the global one.

    Returns:
        Keras tensor `(B, factor * H, factor * W, C)`.
    """
    return keras.layers.UpSampling2D(
        factor, interpolation="bilinear", dtype=dtype, name=name
    )(x)


def ab_head(x: keras.KerasTensor, name: str = "ab") -> keras.KerasTensor:
    """Ends a network in ab: float32 whatever the policy, and 0 (gray) at first.

    Args:
        x: Keras tensor `(B, H, W, C)`.
        name: Name of the layer.

    Returns:
        Keras tensor `(B, H, W, 2)`, float32.
    """
    return keras.layers.Conv2D(
        2, 3, padding="same", kernel_initializer="zeros", dtype="float32", name=name
    )(x)
