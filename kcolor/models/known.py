"""Known colors on their way into a decoder: pooled to each level, added to its blocks.

What a reader would get wrong: a level's cell that holds no known pixel is not empty. It
takes the color of the next coarser level, down to the mean of the whole picture, and
the third plane says how far away that came from. A single click so reaches every cell.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kcolor.models.surgery import layer_of

_TERM = "_known"  # How the names of the layers end that `known_term` makes.


@keras.saving.register_keras_serializable("kcolor")
class KnownPool(keras.layers.Layer):
    """Averages known colors over cells, by the pixels that are known alone."""

    def __init__(self, factor: int | None = None, **kwargs: Any) -> None:
        """Takes the side of a cell in pixels; None: the whole picture is one."""
        # Sums of thousands of pixels are no business of half precision.
        super().__init__(autocast=False, **kwargs)
        self.factor = factor

    def call(self, known: keras.KerasTensor) -> keras.KerasTensor:
        """Pools `(B, H, W, 3)` to float32 `(B, H/factor, W/factor, 3)`."""
        known = ops.cast(known, "float32")
        if self.factor is None:
            known = ops.mean(known, axis=(1, 2), keepdims=True)
        else:
            known = ops.average_pool(known, self.factor, self.factor)
        share = known[..., 2:]
        here = ops.cast(share > 0, "float32")
        # The mask's mean is 0 or at least one pixel's part; elsewhere ab is 0 anyway.
        ab = known[..., :2] / (share + 1.0 - here)
        return ops.concatenate([ab, here], axis=-1)

    def compute_output_shape(self, input_shape: Sequence) -> tuple:
        """Returns the shape of the result."""
        batch, height, width, channels = input_shape
        if self.factor is None:
            return batch, 1, 1, channels
        cells = [side and side // self.factor for side in (height, width)]
        return (batch, *cells, channels)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable("kcolor")
class KnownFill(keras.layers.Layer):
    """Fills a level's empty cells from a coarser level, at half its certainty."""

    def __init__(self, **kwargs: Any) -> None:
        """Takes Keras' own arguments."""
        super().__init__(autocast=False, **kwargs)

    def call(self, levels: list[keras.KerasTensor]) -> keras.KerasTensor:
        """Merges `[fine, coarse]`, both `(B, H, W, 3)`, or coarse `(B, 1, 1, 3)`."""
        fine, coarse = (ops.cast(level, "float32") for level in levels)
        coarse = coarse * ops.convert_to_tensor([1.0, 1.0, 0.5], "float32")
        here = fine[..., 2:]
        return fine + (1.0 - here) * coarse

    def compute_output_shape(self, input_shape: Sequence) -> tuple:
        """Returns the shape of the result."""
        return input_shape[0]


def known_levels(known: keras.KerasTensor) -> dict[str, keras.KerasTensor]:
    """Brings known colors to the sizes of a decoder's levels.

    Args:
        known: Keras tensor `(B, H, W, 3)`: a* and b* / 110 and a mask, 0 or 1; all
            zero where nothing is known.

    Returns:
        Dict of `"global"` and `"p5"` to `"p2"` to float32 Keras tensors `(B, 1, 1, 3)`
        and `(B, H/32, W/32, 3)` to `(B, H/4, W/4, 3)`: the color known nearest, and 1
        where it is of this very cell, 1/2 where of one twice as wide, and so on; all 0
        where the whole picture has none.
    """
    whole = filled = KnownPool(name="known_global")(known)
    levels = {"global": whole}
    for level in (5, 4, 3, 2):
        pooled = KnownPool(2**level, name=f"known_p{level}_pool")(known)
        if level < 5:
            filled = keras.layers.UpSampling2D(
                interpolation="bilinear", dtype="float32", name=f"known_p{level}_up"
            )(filled)
        filled = KnownFill(name=f"known_p{level}")([pooled, filled])
        levels[f"p{level}"] = filled
    return levels


def known_term(
    planes: keras.KerasTensor, filters: int, name: str, kernel_size: int = 3
) -> keras.KerasTensor:
    """Makes of known colors what a block adds to its features; 0 at first.

    Args:
        planes: Keras tensor `(B, H, W, 3)`, one of `known_levels`.
        filters: Channels of the result.
        name: Prefix of the layer's name.
        kernel_size: Side of the kernel.

    Returns:
        Keras tensor `(B, H, W, filters)`. Its kernel starts at zero: a network that
        has learned without hints answers as before until it is trained with them.
    """
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        padding="same",
        use_bias=False,
        kernel_initializer="zeros",
        name=f"{name}{_TERM}",
    )(planes)


def takes_known(network: keras.Model) -> bool:
    """Says whether a network has the input `known` beside `lightness`."""
    return any(tensor.name == "known" for tensor in network.inputs)


def without_known(network: keras.Model) -> keras.Model:
    """Takes the input `known` out of a network, and what hangs on it.

    Args:
        network: `keras.Model` as `build_mobile` gives it with `known`, or any network
            without that input.

    Returns:
        `keras.Model` from lightness to ab that shares all layers it has with `network`
        and answers what that does where nothing is known; without the input, `network`
        itself.

    Raises:
        ValueError: If known colors take other ways than through `known_term`.
    """
    if not takes_known(network):
        return network

    def call(layer, *args, **kwargs):
        if not isinstance(layer, keras.layers.Add):
            return layer(*args, **kwargs)
        kept = [x for x in args[0] if not layer_of(x).name.endswith(_TERM)]
        return layer(kept) if len(kept) > 1 else kept[0]

    clone = keras.models.clone_model(
        network, clone_function=lambda layer: layer, call_function=call
    )
    (lightness,) = (x for x in clone.inputs if x.name != "known")
    try:
        return keras.Model(lightness, clone.outputs[0], name=network.name)
    except ValueError as error:
        raise ValueError(
            "a network's known colors must be added by `known_term` alone. "
            f"Received: {network.name}"
        ) from error


def known_layers(network: keras.Model) -> list[str]:
    """Names the layers that known colors pass on their way into a network's blocks."""
    found = {"known"}
    for layer in network.layers:
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        if inputs and all(layer_of(x).name in found for x in inputs):
            found.add(layer.name)
    return sorted(found - {"known"})


def without_hints(network: keras.Model, lightness: Any) -> Any:
    """Makes of lightness what a network takes where nothing is known.

    Args:
        network: `keras.Model`, with the input `known` or without.
        lightness: Float tensor or array of shape `(B, H, W, 1)`.

    Returns:
        `lightness` itself, or a dict of it and of an empty `known`.
    """
    if not takes_known(network):
        return lightness
    # Keras on PyTorch takes no array beside a tensor.
    lightness = ops.convert_to_tensor(lightness)
    known = ops.repeat(ops.zeros_like(lightness), 3, axis=-1)
    return {"lightness": lightness, "known": known}
