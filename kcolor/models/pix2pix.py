"""The published Pix2Pix: generator and discriminators. `training.gan` trains them."""

from pathlib import Path

import keras

from kcolor.models.backbones import build_backbone
from kcolor.models.blocks import ab_head, conv_block, upsample

DISCRIMINATORS = ("patch", "classifier")


def build_pix2pix_generator(
    backbone: str = "resnet50", backbone_weights: Path | str | None = None
) -> keras.Model:
    """Builds the generator: a fully convolutional network on a ResNet.

    The maps of all levels are brought to equal widths by 1x1 convolutions and added on
    the way up, as a fully convolutional network fuses its strides.

    Args:
        backbone: Name of an encoder, see `build_backbone`.
        backbone_weights: Its initial values, see `build_backbone`.

    Returns:
        `keras.Model` named `pix2pix`, from lightness to ab as `kcolor.models` says.

    Source: Long et al., Fully Convolutional Networks for Semantic Segmentation, 2015
    (fusing strides by addition); with bilinear resizing for transposed convolutions.
    """
    lightness = keras.Input((None, None, 1), name="lightness", dtype="float32")
    *skips, x = build_backbone(backbone, backbone_weights)(lightness)
    x = conv_block(x, 256, "decoder_p5", kernel_size=1)
    for level, filters in ((4, 256), (3, 128), (2, 64), (1, 64)):
        if x.shape[-1] != filters:
            x = conv_block(x, filters, f"decoder_p{level}_narrow", kernel_size=1)
        x = upsample(x, f"decoder_p{level}_up")
        skip = keras.layers.Conv2D(filters, 1, name=f"decoder_p{level}_lateral")(
            skips[level - 1]
        )
        x = keras.layers.Add(name=f"decoder_p{level}_add")([x, skip])
        # (B, H/2^level, W/2^level, filters)
        x = conv_block(x, filters, f"decoder_p{level}")
    x = upsample(x, "decoder_p0_up")
    x = conv_block(x, 32, "decoder_p0")  # (B, H, W, 32)
    return keras.Model(lightness, ab_head(x), name="pix2pix")


def build_discriminator(kind: str = "patch") -> keras.Model:
    """Builds a discriminator of lightness with real or predicted ab.

    Args:
        kind: `"patch"`: judges each 70x70 patch, with spectral normalization;
            `"classifier"`: judges the whole picture by one number, as published.

    Returns:
        Functional `keras.Model` from float32 `(B, H, W, 3)`, lightness and ab in
        [-1, 1], to float32 logits: `(B, H/8 - 2, W/8 - 2, 1)` or `(B, 1)`. Positive
        means real.

    Raises:
        ValueError: If `kind` is neither.

    Source: Isola et al., Image-to-Image Translation with Conditional Adversarial
    Networks, 2017, section 6.1.2 (C64-C128-C256-C512); spectral normalization (Miyato
    et al., 2018) takes the place of BatchNorm.
    """
    if kind not in DISCRIMINATORS:
        raise ValueError(
            f"`discriminator` must be one of {', '.join(DISCRIMINATORS)}. "
            f"Received: {kind!r}"
        )
    inputs = x = keras.Input((None, None, 3), name="lab", dtype="float32")
    if kind == "patch":
        for i, (filters, strides) in enumerate(((64, 2), (128, 2), (256, 2), (512, 1))):
            x = _spectral_conv(x, filters, strides, f"patch_conv{i + 1}")
            x = keras.layers.LeakyReLU(0.2, name=f"patch_relu{i + 1}")(x)
        logits = _spectral_conv(x, 1, 1, "patch_logits", dtype="float32")
        return keras.Model(inputs, logits, name="discriminator")
    for i, filters in enumerate((64, 128, 256, 512, 512)):
        x = keras.layers.Conv2D(
            filters, 4, 2, padding="same", name=f"classifier_conv{i + 1}"
        )(x)
        if i > 0:
            x = keras.layers.BatchNormalization(
                momentum=0.9, name=f"classifier_bn{i + 1}"
            )(x)
        x = keras.layers.LeakyReLU(0.2, name=f"classifier_relu{i + 1}")(x)
    x = keras.layers.GlobalAveragePooling2D(dtype="float32", name="classifier_pool")(x)
    logits = keras.layers.Dense(1, dtype="float32", name="classifier_logits")(x)
    return keras.Model(inputs, logits, name="discriminator")


def _spectral_conv(x, filters, strides, name, dtype=None):
    x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    conv = keras.layers.Conv2D(filters, 4, strides, dtype=dtype, name=f"{name}_kernel")
    # The wrapper's power iteration adds constants that float16 cannot hold; it runs in
    # float32, the convolution itself in the policy's dtype.
    return keras.layers.SpectralNormalization(conv, dtype="float32", name=name)(x)
