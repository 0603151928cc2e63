"""The small network that ships: a mobile encoder and a light UNet decoder."""

from pathlib import Path

import keras

from kcolor.models.backbones import build_backbone
from kcolor.models.blocks import ab_head, conv_block, upsample
from kcolor.models.known import known_levels, known_term, takes_known
from kcolor.models.surgery import fold_batch_norm

# Residual blocks behind the first one of a level, where `mobile` is refined.
_REFINED = {"p4": 2, "p3": 1}


def build_mobile(
    backbone: str = "mobilenet_v2",
    backbone_weights: Path | str | None = None,
    known: bool = False,
    refined: bool = True,
) -> keras.Model:
    """Builds the `mobile` system: 3.0 M parameters, 1.1 GMACs at 256x256.

    Skips leave the encoder at the thin ends of its bottlenecks, where they are cheap.
    The head sits at a quarter of the size and starts at zero, so that an untrained
    network answers gray and training only ever moves away from it.

    Args:
        backbone: Name of an encoder, see `build_backbone`.
        backbone_weights: Its initial values, see `build_backbone`.
        known: Whether the network takes known colors beside lightness.
        refined: Whether the decoder has residual blocks at an eighth and a sixteenth
            of the size. kcolor 0.2.0 had none: 2.6 M parameters, 0.9 GMACs.

    Returns:
        `keras.Model` named `mobile`, from lightness to ab as `kcolor.models` says. With
        `known` it takes a dict of `lightness` and `known`, float32 `(B, H, W, 3)`: a*
        and b* / 110 and a mask, 0 or 1, all zero where nothing is known.
    """
    return _assemble(build_backbone(backbone, backbone_weights), known, refined)


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
    if takes_known(network) or not _is_mobile(network):
        raise ValueError(
            "`network` must be a mobile without known colors. Received: "
            f"{network.name} with inputs {[tensor.name for tensor in network.inputs]}"
        )
    return _grown(network, known=True, refined=is_refined(network))


def is_refined(network: keras.Model) -> bool:
    """Says whether a `mobile` has the residual blocks of `build_mobile(refined=True)`.

    Args:
        network: As `build_mobile` gives it.
    """
    return any(layer.name == "decoder_p4_conv2" for layer in network.layers)


def refine(network: keras.Model) -> keras.Model:
    """Grows a trained `mobile` into one with residual blocks in its decoder.

    Args:
        network: As `build_mobile` gives it without `refined`, trained; any backbone,
            BatchNorm kept or folded into biases, with known colors or without.

    Returns:
        `keras.Model` as `build_mobile` gives it with `refined`, with weights of its
        own. The new blocks have BatchNorm, and pass on what comes until it is trained.

    Raises:
        ValueError: If `network` is no `mobile`, or has these blocks already.
    """
    if is_refined(network) or not _is_mobile(network):
        raise ValueError(
            "`network` must be a mobile without residual blocks. Received: "
            f"{network.name} of {len(network.layers)} layers"
        )
    grown = _grown(network, takes_known(network), refined=True)
    for level, count in _REFINED.items():
        for number in range(2, count + 2):
            norm = grown.get_layer(f"decoder_{level}_bn{number}")
            norm.gamma.assign(keras.ops.zeros_like(norm.gamma))
    return grown


def _is_mobile(network):
    return {"encoder", "decoder_p2_conv"} <= {layer.name for layer in network.layers}


def _grown(network, known, refined):
    layers = {layer.name: layer for layer in network.layers}
    grown = _assemble(keras.models.clone_model(layers["encoder"]), known, refined)
    biases = [
        f"{layer.name}/{weight.name}"
        for layer in network.layers
        for weight in layer.weights
        if "_conv" in layer.name and weight.name == "bias"
    ]
    if biases:
        grown = fold_batch_norm(grown, biases)
    for layer in grown.layers:
        if layer.name in layers:
            layer.set_weights(layers[layer.name].get_weights())
    return grown


def _assemble(encoder, known, refined):
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
    more = _REFINED if refined else {}
    for level, skip, filters in (("p4", p4, 128), ("p3", p3, 96), ("p2", p2, 64)):
        name = f"decoder_{level}"
        x = upsample(x, f"{name}_up")
        x = keras.layers.Concatenate(name=f"{name}_concat")([x, skip])
        x = _block(x, filters, name, planes.get(level))  # (B, H/16, W/16, 128) at p4
        for number in range(2, more.get(level, 0) + 2):
            x = conv_block(x, filters, name, number, activation="relu6", term=x)
    ab = upsample(ab_head(x, "head"), "ab", factor=4, dtype="float32")
    return keras.Model(inputs, ab, name="mobile")


def _block(x, filters, name, planes, kernel_size=3):
    term = None
    if planes is not None:
        term = known_term(planes, filters, name, kernel_size)
    return conv_block(
        x, filters, name, kernel_size=kernel_size, activation="relu6", term=term
    )
