"""The published ResNet autoencoder: an encoder, and a decoder without skips."""

from pathlib import Path

import keras

from kcolor.models.backbones import build_backbone
from kcolor.models.blocks import ab_head, conv_block, upsample


def build_resnet(
    backbone: str = "resnet34", backbone_weights: Path | str | None = None
) -> keras.Model:
    """Builds the `resnet` system.

    All that the decoder knows of the picture passes through the encoder's last map, at
    1/32 of the size, so colors are coarser than a `unet`'s; that is what it is for.

    Args:
        backbone: Name of an encoder, see `build_backbone`.
        backbone_weights: Its initial values, see `build_backbone`.

    Returns:
        `keras.Model` named `resnet`, from lightness to ab as `kcolor.models` says.
    """
    lightness = keras.Input((None, None, 1), name="lightness", dtype="float32")
    *_, x = build_backbone(backbone, backbone_weights)(lightness)
    for level, filters in ((4, 256), (3, 128), (2, 64), (1, 64), (0, 32)):
        x = upsample(x, f"decoder_p{level}_up")
        # (B, H/2^level, W/2^level, filters)
        x = conv_block(x, filters, f"decoder_p{level}")
    return keras.Model(lightness, ab_head(x), name="resnet")
