"""Growing a `unet`: trained up to a coarse level first, then carried to full size.

True ab at a quarter of the size still scores 38 dB, and the two finest levels cost half
of a training step. So a network that ends early learns twice as fast what colors things
have; the whole one starts from there.
"""

from collections.abc import Iterable

import keras
import numpy as np

from kcolor.models.blocks import ab_head, upsample


def end_at_level(network: keras.Model, level: int) -> keras.Model:
    """Ends a `unet` at a pyramid level: a head there, and one step to full size.

    Args:
        network: `keras.Model` as `build_unet` builds it.
        level: Pyramid level, log2 of the stride; 2 is a quarter of the size.

    Returns:
        `keras.Model` from lightness to ab of the same sizes, which shares the layers
        of `network` up to there; its head is new.
    """
    x = network.get_layer(f"decoder_p{level}_relu2").output
    ab = upsample(ab_head(x, "head"), "ab", factor=2**level, dtype="float32")
    return keras.Model(network.input, ab, name=network.name)


def grow(trained: keras.Model, network: keras.Model, lightness: np.ndarray) -> None:
    """Fills a whole `unet` so that it answers nearly what one ended at P2 does.

    Its last two levels carry ab through at first; what they add is learned from there.

    Args:
        trained: `end_at_level(unet, 2)`, trained.
        network: `keras.Model` as `build_unet` builds it on the same encoder; changed
            in place.
        lightness: float32 `(B, H, W, 1)` in [-1, 1], pictures like those to come, for
            the statistics of the levels that are filled.
    """
    steps = [f"decoder_p{level}_conv{i}" for level in (1, 0) for i in (1, 2)]
    done = {layer.name for layer in trained.layers if layer.weights} - {"head"}
    copy_layers(trained, network, done)
    kernel, bias = trained.get_layer("head").get_weights()
    # Rectifiers pass one sign, so each of a and b travels as its two.
    signs = np.array([[1.0, -1, 0, 0], [0, 0, 1, -1]])
    through = kernel.sum((0, 1)) @ signs  # the head's reach is four times less here
    inner = np.eye(len(through))
    for name, mix in zip(steps, (inner, inner, through, np.eye(4)), strict=True):
        _carry(network, name, mix, lightness)
    head = network.get_layer("ab")
    weights = np.zeros(head.kernel.shape)
    weights[1, 1, :4] = signs.T
    head.set_weights([weights, bias])


def copy_layers(
    trained: keras.Model, network: keras.Model, names: Iterable[str]
) -> None:
    """Gives a network the weights of another's layers of the same names.

    Args:
        trained: `keras.Model` to copy from.
        network: `keras.Model` to fill, in place.
        names: Names of layers, or of models inside, such as `"encoder"`.
    """
    for name in names:
        network.get_layer(name).set_weights(trained.get_layer(name).get_weights())


def _carry(network, name, mix, lightness):
    """Makes a convolution's first channels MIX its inputs, past its BatchNorm too."""
    convolution = network.get_layer(name)
    norm = network.get_layer(name.replace("_conv", "_bn"))
    kernel = convolution.get_weights()[0]
    inputs, outputs = mix.shape
    kernel[..., :outputs] = 0
    kernel[1, 1, :inputs, :outputs] = mix
    convolution.set_weights([kernel])
    before_norm = keras.Model(network.input, convolution.output)
    x = np.asarray(before_norm.predict_on_batch(lightness), "float32")
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    gamma, beta = np.ones_like(mean), np.zeros_like(mean)
    gamma[:outputs] = np.sqrt(variance[:outputs] + norm.epsilon)
    beta[:outputs] = mean[:outputs]
    norm.set_weights([gamma, beta, mean, variance])
