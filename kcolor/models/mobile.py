"""The small network that ships: a mobile encoder and a light UNet decoder."""

from pathlib import Path

import keras

from kcolor.models.backbones import build_backbone
from kcolor.models.blocks import ab_head, conv_block, upsample
from kcolor.models.known import known_levels, known_term, takes_known
from kcolor.models.surgery import fold_batch_norm


def build_mobile(
    backbone: str = "mobilenet_v2",
    backbone_weights: Path | str | None = None,
    known: bool = False,
) -> keras.Model:
    """Builds the `mobile` system: 2.6 M parameters, 0.9 GMACs at 256x256.

    Skips leave the encoder at the thin ends of its bottlenecks, where they are cheap.
    The head sits at a quarter of the size and starts at zero, so that an untrained
    network answers gray and training only ever moves away from it.

    Args:
        backbone: Name of an encoder, see `build_backbone`.
        backbone_weights: Its initial values, see `build_backbone`.
        known: Whether the network takes known colors beside lightness.

    Returns:
        `keras.Model` named `mobile`, from lightness to ab as `kcolor.models` says. With
        `known` it takes a dict of `lightness` and `known`, float32 `(B, H, W, 3)`: a*
        and b* / 110 and a mask, 0 or 1, all zero where nothing is known.
    """
    return _assemble(build_backbone(backbone, backbone_weights), known)


def add_known_input(network: keras.Model) -> keras.Model:
    """Grows a trained `mobile` into one that takes known colors.

    Args:
        network: As `build_mobile` gives it without `known`, trained; any backbone,
            BatchNorm kept or folded into biases.

    Returns:
        `keras.Model` as `build_mobile` gives it with `known`, with weights of its own.
        Until it is trained it answers as `network` does, whatever is known.

    Raises:
        ValueError: If `network` is no `mobile`, or takes known colors already.
    """
    layers = {layer.name: layer for layer in network.layers}
    if takes_known(network) or not {"encoder", "decoder_p2_conv"} <= set(layers):
        raise ValueError(
            "`network` must be a mobile without known colors. Received: "
            f"{network.name} with inputs {[tensor.name for tensor in network.inputs]}"
        )
    grown = _assemble(keras.models.clone_model(layers["encoder"]), known=True)
    biases = [
        f"{layer.name}/{weight.name}"
        for layer in network.layers
        for weight in layer.weights
        if layer.name.endswith("_conv") and weight.name == "bias"
    ]
    if biases:
        grown = fold_batch_norm(grown, biases)
    for layer in grown.layers:
        if layer.name in layers:
            layer.set_weights(layers[layer.name].get_weights())
    return grown


def _assemble(encoder, known):
    lightness = keras.Input((None, None, 1), name="lightness", dtype="float32")
    inputs, planes = lightness, {}
    if known:
        colors = keras.Input((None, None, 3), name="known", dtype="float32")
        inputs, planes = {"lightness": lightness, "known": colors}, known_levels(colors)
    _, p2, p3, p4, p5 = encoder(lightness)
    x = _block(p5, 256, "decoder_p5", planes.get("p5"), kernel_size=1)
    # What the picture is about (indoors, sea, ...) decides colors far away from where
    # it shows; a pooled vector carries it everywhere for almost no work.
    context = keras.layers.GlobalAveragePooling2D(keepdims=True, name="context_pool")(x)
    context = keras.layers.Conv2D(256, 1, activation="relu", name="context")(context)
    x = keras.layers.Add(name="context_add")([x, context])  # (B, H/32, W/32, 256)
    x = _up_block(x, p4, 128, "decoder_p4", planes.get("p4"))  # (B, H/16, W/16, 128)
    x = _up_block(x, p3, 96, "decoder_p3", planes.get("p3"))  # (B, H/8, W/8, 96)
    x = _up_block(x, p2, 64, "decoder_p2", planes.get("p2"))  # (B, H/4, W/4, 64)
    ab = upsample(ab_head(x, "head"), "ab", factor=4, dtype="float32")
    return keras.Model(inputs, ab, name="mobile")


def _up_block(x, skip, filters, name, planes):
    x = upsample(x, f"{name}_up")
    x = keras.layers.Concatenate(name=f"{name}_concat")([x, skip])
    return _block(x, filters, name, planes)


def _block(x, filters, name, planes, kernel_size=3):
    term = None
    if planes is not None:
        term = known_term(planes, filters, name, kernel_size)
    return conv_block(
        x, filters, name, kernel_size=kernel_size, activation="relu6", term=term
    )
