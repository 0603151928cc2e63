"""Golden parameter counts and shapes, and what freezing holds and unfreezing frees."""

import keras
import numpy as np
import pytest
from encoders import CHANNELS

from kcolor.models import (
    build_discriminator,
    build_mobile,
    build_pix2pix_generator,
    build_resnet,
    build_unet,
)
from kcolor.training.options import FitOptions
from kcolor.training.stages import Stage
from kcolor.training.trainer import build_trainer

BUILDERS = {
    "resnet": build_resnet,
    "unet": build_unet,
    "pix2pix": build_pix2pix_generator,
    "mobile": build_mobile,
}
# All parameters, BatchNorm's statistics among them, as Keras counts.
PARAMETERS = {
    ("resnet", "resnet18"): 12_792_450,
    ("resnet", "resnet34"): 22_908_034,
    ("resnet", "resnet50"): 28_732_994,
    ("resnet", "resnet101"): 47_803_458,
    ("resnet", "resnet152"): 63_516_226,
    ("resnet", "resnet50v2"): 28_710_082,
    ("resnet", "resnet101v2"): 47_771_842,
    ("resnet", "resnet152v2"): 63_476_930,
    ("resnet", "mobilenet_v2"): 3_007_234,
    ("resnet", "efficientnet_lite0"): 4_162_274,
    ("unet", "resnet18"): 14_425_858,
    ("unet", "resnet34"): 24_541_442,
    ("unet", "resnet50"): 32_688_834,
    ("unet", "resnet101"): 51_759_298,
    ("unet", "resnet152"): 67_472_066,
    ("unet", "resnet50v2"): 30_343_490,
    ("unet", "resnet101v2"): 49_405_250,
    ("unet", "resnet152v2"): 65_110_338,
    ("unet", "mobilenet_v2"): 4_110_722,
    ("unet", "efficientnet_lite0"): 5_311_842,
    ("pix2pix", "resnet18"): 12_282_754,
    ("pix2pix", "resnet34"): 22_398_338,
    ("pix2pix", "resnet50"): 25_335_618,
    ("pix2pix", "resnet101"): 44_406_082,
    ("pix2pix", "resnet152"): 60_118_850,
    ("pix2pix", "resnet50v2"): 25_054_658,
    ("pix2pix", "resnet101v2"): 44_116_418,
    ("pix2pix", "resnet152v2"): 59_821_506,
    ("pix2pix", "mobilenet_v2"): 2_831_874,
    ("pix2pix", "efficientnet_lite0"): 3_992_034,
    ("mobile", "mobilenet_v2"): 2_607_170,
    ("mobile", "efficientnet_lite0"): 3_787_554,
    ("mobile", "efficientnet_lite2"): 5_227_058,
    ("mobile", "resnet18"): 12_289_474,
}
DISCRIMINATORS = {"patch": 2_765_698, "classifier": 6_957_505}
# Published counts of the whole ImageNet classifiers: torchvision's, which leave out
# BatchNorm's statistics, for the two small ones; Keras', which do not, for the others.
CLASSIFIERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_636_712,
    "resnet101": 44_707_176,
    "resnet152": 60_419_944,
    "resnet50v2": 25_613_800,
    "resnet101v2": 44_675_560,
    "resnet152v2": 60_380_648,
    "mobilenet_v2": 3_538_984,
    # Their publication counts 4,652,008 and 6,092,072, without the statistics.
    "efficientnet_lite0": 4_694_024,
    "efficientnet_lite2": 6_150_168,
}


# Built in every run: each system's own backbone and one of each family.
QUICK = (
    ("resnet", "resnet18"),
    ("resnet", "resnet34"),
    ("unet", "resnet34"),
    ("unet", "resnet50v2"),
    ("unet", "mobilenet_v2"),
    ("pix2pix", "resnet50"),
    ("mobile", "mobilenet_v2"),
    ("mobile", "efficientnet_lite0"),
    ("mobile", "resnet18"),
)


def dense(inputs, outputs):
    return inputs * outputs + outputs


def conv(inputs, outputs, kernel=3):
    """A convolution without bias, and BatchNorm's four values a channel."""
    return kernel * kernel * inputs * outputs + 4 * outputs


def head(inputs):
    return 9 * inputs * 2 + 2


def encoder_parameters(backbone):
    if "resnet" not in backbone:  # it ends before the 1x1 convolution to 1280
        last = conv(CHANNELS[backbone][-1], 1280, 1)
        return CLASSIFIERS[backbone] - dense(1280, 1000) - last
    if backbone not in ("resnet18", "resnet34"):
        return CLASSIFIERS[backbone] - dense(2048, 1000)
    blocks = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}[backbone]
    normalized = 64 + sum(
        64 * 2**stage * (2 * count + (stage > 0)) for stage, count in enumerate(blocks)
    )
    return CLASSIFIERS[backbone] - dense(512, 1000) + 2 * normalized


def decoder_parameters(system, backbone):
    p1, p2, p3, p4, p5 = CHANNELS[backbone]
    if system == "resnet":
        widths = (p5, 256, 128, 64, 64, 32)
        return sum(map(conv, widths, widths[1:])) + head(32)
    if system == "unet":
        inputs = (p5 + p4, 256 + p3, 128 + p2, 64 + p1, 64)
        widths = (256, 128, 64, 64, 32)
        return sum(conv(i, o) + conv(o, o) for i, o in zip(inputs, widths, strict=True)
                   ) + head(32)  # fmt: skip
    if system == "pix2pix":
        laterals = dense(p4, 256) + dense(p3, 128) + dense(p2, 64) + dense(p1, 64)
        narrows = conv(p5, 256, 1) + conv(256, 128, 1) + conv(128, 64, 1)
        fused = sum(conv(width, width) for width in (256, 128, 64, 64))
        return laterals + narrows + fused + conv(64, 32) + head(32)
    context = conv(p5, 256, 1) + dense(256, 256)
    return (
        context + conv(256 + p4, 128) + conv(128 + p3, 96) + conv(96 + p2, 64)
        + head(64)
    )  # fmt: skip


@pytest.mark.parametrize("system, backbone", PARAMETERS)
def test_golden_counts_follow_from_the_published_ones(system, backbone):
    expected = encoder_parameters(backbone) + decoder_parameters(system, backbone)
    assert PARAMETERS[system, backbone] == expected


@pytest.mark.parametrize(
    "system, backbone",
    [
        pytest.param(*key, marks=() if key in QUICK else pytest.mark.slow)
        for key in PARAMETERS
    ],
)
def test_network_has_its_golden_count_and_shapes(system, backbone):
    model = BUILDERS[system](backbone)
    assert model.count_params() == PARAMETERS[system, backbone]
    assert model.input_shape == (None, None, None, 1)
    for shape in ((64, 96), (256, 32)):
        output = model(keras.Input((*shape, 1), batch_size=3))
        assert output.shape == (3, *shape, 2)
        assert output.dtype == "float32"


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_discriminator_has_its_golden_count_and_shape(kind):
    widths = (3, 64, 128, 256, 512, *((1,) if kind == "patch" else (512,)))
    pairs = list(zip(widths, widths[1:], strict=False))
    expected = sum(16 * i * o + o for i, o in pairs)
    if kind == "patch":  # spectral normalization keeps one vector a layer
        expected += sum(widths[1:])
    else:  # BatchNorm on all but the first layer
        expected += 4 * sum(widths[2:]) + dense(512, 1)
    model = build_discriminator(kind)
    assert model.count_params() == expected == DISCRIMINATORS[kind]
    logits = model(keras.Input((64, 96, 3), batch_size=4))
    assert logits.shape == ((4, 6, 10, 1) if kind == "patch" else (4, 1))


def prepare(system):
    """A trainer on ResNet18 whose first step counts."""
    keras.utils.set_random_seed(0)
    # Without warm-up the first step counts; without decay nothing moves but by its
    # gradient.
    return build_trainer(
        FitOptions(
            system,
            "run",
            backbone="resnet18",
            backbone_weights="none",
            warmup_steps=0,
            weight_decay=0.0,
        )
    )


FROZEN, FREE = Stage(0, 2, frozen=True), Stage(0, 2)


def batch(seed, size):
    target = np.random.default_rng(seed).uniform(-0.8, 0.8, (3, size, size, 3))
    target = target.astype("float32")
    return target[..., :1], target


def values(variables):
    return {v.path: v.numpy() for v in variables}


@pytest.mark.parametrize("system", ["resnet", "unet", "pix2pix"])
def test_frozen_encoder_stays_bit_equal(system):
    trainer = prepare(system)
    network = trainer.network
    encoder = network.get_layer("encoder")
    trainer.compile(FROZEN, 100)
    before, decoder = values(encoder.weights), values(network.trainable_variables)
    assert any("moving_variance" in path for path in before)
    assert not set(before) & set(decoder)
    for seed in range(3):
        trainer.model.train_on_batch(*batch(seed, size=32))
    for path, value in values(encoder.weights).items():
        np.testing.assert_array_equal(value, before[path], err_msg=path)
    for path, value in values(network.trainable_variables).items():
        assert np.any(value != decoder[path]), path


def test_unfreezing_moves_every_weight_in_one_step():
    trainer = prepare("unet")
    network = trainer.network
    # A head of zeros, as it starts, would pass no gradient on.
    kernel = network.get_layer("ab").kernel
    kernel.assign(np.random.default_rng(0).normal(0, 0.1, kernel.shape))
    trainer.compile(FROZEN, 100)
    frozen = {v.path for v in network.trainable_variables}
    trainer.compile(FREE, 100)
    before = values(network.weights)
    assert len(network.trainable_variables) > len(frozen)
    trainer.model.train_on_batch(*batch(0, size=64))
    after = values(network.weights)
    for variable in network.weights:  # BatchNorm's statistics as well
        moved = np.any(after[variable.path] != before[variable.path])
        assert moved, variable.path
