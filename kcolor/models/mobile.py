"""The small network that ships: a MobileNetV2 encoder and a light UNet decoder."""

from pathlib import Path

import keras

from kcolor.models.backbones import build_backbone
from kcolor.models.blocks import ab_head, conv_block, upsample


def build_mobile(
    backbone: str = "mobilenet_v2", backbone_weights: Path | str | None = None
) -> keras.Model:
    """Builds the `mobile` system: 2.6 M parameters, 0.9 GMACs at 256x256.

    Skips leave the encoder at the thin ends of its bottlenecks, where they are cheap.
    The head sits at a quarter of the size and starts at zero, so that an untrained
    network answers gray and training only ever moves away from it.

    Args:
        backbone: Name of an encoder, see `build_backbone`.
        backbone_weights: Its initial values, see `build_backbone`.

    Returns:
        `keras.Model` named `mobile`, from lightness to ab as `kcolor.models` says.
    """
    lightness = keras.Input((None, None, 1), name="lightness", dtype="float32")
    _, p2, p3, p4, p5 = build_backbone(backbone, backbone_weights)(lightness)
    x = conv_block(p5, 256, "decoder_p5", kernel_size=1, activation="relu6")
    # What the picture is about (indoors, sea, ...) decides colors far away from where
    # it shows; a pooled vector carries it everywhere for almost no work.
    context = keras.layers.GlobalAveragePooling2D(keepdims=True, name="context_pool")(x)
    context = keras.layers.Conv2D(256, 1, activation="relu", name="context")(context)
    x = keras.layers.Add(name="context_add")([x, context])  # (B, H/32, W/32, 256)
    x = _up_block(x, p4, 128, "decoder_p4")  # (B, H/16, W/16, 128)
    x = _up_block(x, p3, 96, "decoder_p3")  # (B, H/8, W/8, 96)
    x = _up_block(x, p2, 64, "decoder_p2")  # (B, H/4, W/4, 64)
    ab = upsample(ab_head(x, "head"), "ab", factor=4, dtype="float32")
    return keras.Model(lightness, ab, name="mobile")


def _up_block(x, skip, filters, name):
    x = upsample(x, f"{name}_up")
    x = keras.layers.Concatenate(name=f"{name}_concat")([x, skip])
    return conv_block(x, filters, name, activation="relu6")
