"""Tests for kcolor.models.grow: how a UNet is trained in parts."""

import numpy as np

from kcolor.models import build_unet
from kcolor.models.grow import copy_layers, end_at_level, grow


def test_a_grown_unet_answers_what_the_short_one_does():
    rng = np.random.default_rng(0)
    short = end_at_level(build_unet("resnet18"), 2)
    kernel = np.zeros((3, 3, 64, 2))
    # At its center alone: what reaches further is four times nearer once it has grown.
    kernel[1, 1] = rng.normal(0, 0.3, (64, 2))
    short.get_layer("head").set_weights([kernel, np.array([0.1, -0.2])])
    whole = build_unet("resnet18")
    lightness = rng.uniform(-1, 1, (3, 64, 96, 1)).astype("float32")
    grow(short, whole, lightness)
    before, after = (np.asarray(network(lightness)) for network in (short, whole))
    # Two bilinear steps by 2 are not quite one by 4.
    assert before.std() > 10 * np.abs(after - before).mean()
    assert np.any(whole.get_layer("decoder_p0_conv1").get_weights()[0][..., 4:])


def test_layers_are_copied_by_name():
    one, two = build_unet("resnet18"), build_unet("resnet18")
    copy_layers(one, two, ["encoder"])
    pairs = zip(
        one.get_layer("encoder").get_weights(),
        two.get_layer("encoder").get_weights(),
        strict=True,
    )
    for first, second in pairs:
        np.testing.assert_array_equal(first, second)
    kernels = [m.get_layer("decoder_p4_conv1").get_weights()[0] for m in (one, two)]
    assert np.any(kernels[0] != kernels[1])
