"""The two networks whose features LPIPS compares, without their classifiers.

Layers carry torchvision's names, with `_` for `.`: by them the parameters of a file are
put in their places. float32 whatever the dtype policy.
"""

import keras

# Channels of the layers that are compared.
WIDTHS = {
    "alex": (64, 192, 384, 256, 256),
    "squeeze": (64, 128, 256, 384, 384, 512, 512),
}


def alexnet(x: keras.KerasTensor, layers: int) -> list[keras.KerasTensor]:
    """Applies AlexNet's convolutions.

    Args:
        x: Float32 tensor `(batch, height, width, 3)`, scaled as the publication does.
        layers: How many outputs are wanted, 1 to 5.

    Returns:
        List of float32 tensors `(batch, h, w, WIDTHS["alex"][i])`, after ReLU.
    """
    # (number in torchvision's `features`, filters, kernel, stride, padding)
    plan = [(0, 64, 11, 4, 2), (3, 192, 5, 1, 2), (6, 384, 3, 1, 1)]
    plan += [(8, 256, 3, 1, 1), (10, 256, 3, 1, 1)]
    stages = []
    for i, (number, *shape) in enumerate(plan[:layers]):
        if i in (1, 2):
            x = keras.layers.MaxPooling2D(3, 2, dtype="float32", name=f"pool{i}")(x)
        x = _conv_block(x, f"features_{number}", *shape)
        stages.append(x)
    return stages


def squeezenet(x: keras.KerasTensor, layers: int) -> list[keras.KerasTensor]:
    """Applies SqueezeNet 1.1's convolutions.

    Args:
        x: Float32 tensor `(batch, height, width, 3)`, scaled as the publication does.
        layers: How many outputs are wanted, 1 to 7.

    Returns:
        List of float32 tensors `(batch, h, w, WIDTHS["squeeze"][i])`, after ReLU.
    """
    stages = [_conv_block(x, "features_0", 64, 3, 2, 0)]
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
            x = _fire_block(x, f"features_{number}", squeezed)
        stages.append(x)
    return stages


def _fire_block(x, name, squeezed):
    x = _conv_block(x, f"{name}_squeeze", squeezed, 1, 1, 0)
    narrow = _conv_block(x, f"{name}_expand1x1", 4 * squeezed, 1, 1, 0)
    wide = _conv_block(x, f"{name}_expand3x3", 4 * squeezed, 3, 1, 1)
    return keras.layers.Concatenate(dtype="float32", name=f"{name}_out")([narrow, wide])


def _conv_block(x, name, filters, kernel, stride, padding):
    if padding:
        x = keras.layers.ZeroPadding2D(padding, dtype="float32", name=f"{name}_pad")(x)
    return keras.layers.Conv2D(
        filters, kernel, stride, activation="relu", dtype="float32", name=name
    )(x)
