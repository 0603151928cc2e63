"""The published ResNet-UNet: an encoder, and a symmetric decoder with skips."""

from pathlib import Path

import keras

from kcolor.models.backbones import build_backbone
from kcolor.models.blocks import ab_head, conv_block, upsample


def build_unet(
    backbone: str = "resnet34", backbone_weights: Path | str | None = None
) -> keras.Model:
    """Builds the `unet` system.

    Args:
        backbone: Name of an encoder, see `build_backbone`.
        backbone_weights: Its initial values, see `build_backbone`.

    Returns:
        `keras.Model` named `unet`, from lightness to ab as `kcolor.models` says.
    """
    lightness = keras.Input((None, None, 1), name="lightness", dtype="float32")
    p1, p2, p3, p4, x = build_backbone(backbone, backbone_weights)(lightness)
    x = _up_block(x, p4, 256, "decoder_p4")  # (B, H/16, W/16, 256)
    x = _up_block(x, p3, 128, "decoder_p3")  # (B, H/8, W/8, 128)
    x = _up_block(x, p2, 64, "decoder_p2")  # (B, H/4, W/4, 64)
    x = _up_block(x, p1, 64, "decoder_p1")  # (B, H/2, W/2, 64)
    x = _up_block(x, None, 32, "decoder_p0")  # (B, H, W, 32)
    return keras.Model(lightness, ab_head(x), name="unet")


def _up_block(x, skip, filters, name):
    x = upsample(x, f"{name}_up")
    if skip is not None:
        x = keras.layers.Concatenate(name=f"{name}_concat")([x, skip])
    x = conv_block(x, filters, name, number=1)
    return conv_block(x, filters, name, number=2)
