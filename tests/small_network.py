"""A colorization network small enough to convert in a second."""

import keras
import numpy as np

from kcolor.models.known import known_levels, known_term


def build_small(policy="float32", known=False):
    """A network with every kind of layer that the real ones have, and colorful ab.

    With `known` it takes known colors, and answers to them all over the picture.
    """
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    lightness = keras.Input((None, None, 1), name="lightness", dtype="float32")
    x = keras.layers.Conv2D(16, 3, 2, "same", name="down1")(lightness)
    x = skip = keras.layers.ReLU(6.0, name="relu1")(x)
    x = keras.layers.DepthwiseConv2D(3, 2, "same", name="down2")(x)
    x = keras.layers.BatchNormalization(name="bn")(x)
    pooled = keras.layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    inputs, terms = lightness, []
    if known:
        colors = keras.Input((None, None, 3), name="known", dtype="float32")
        inputs = {"lightness": lightness, "known": colors}
        terms = [known_term(known_levels(colors)["p2"], 16, "down2")]
    x = keras.layers.Add(name="add")([x, pooled, *terms])
    x = keras.layers.UpSampling2D(2, interpolation="bilinear", name="up1")(x)
    x = keras.layers.Concatenate(name="concat")([x, skip])
    x = keras.layers.Conv2D(24, 3, padding="same", activation="relu", name="conv")(x)
    x = keras.layers.Conv2D(2, 3, padding="same", dtype="float32", name="head")(x)
    ab = keras.layers.UpSampling2D(
        2, interpolation="bilinear", dtype="float32", name="ab"
    )(x)
    model = keras.Model(inputs, ab, name="small")
    keras.config.set_dtype_policy("float32")
    head = model.get_layer("head")
    head.set_weights([head.get_weights()[0] * 0.3, np.array([0.05, -0.03])])
    if known:
        kernel = model.get_layer("down2_known").kernel
        kernel.assign(np.random.default_rng(0).normal(0, 0.5, kernel.shape))
    return model
