"""Tests for kcolor.training.options: one place for what `fit` can be told."""

from dataclasses import MISSING, fields
from pathlib import Path

import click
import pytest

from kcolor import losses
from kcolor.cli.main import main
from kcolor.models import pix2pix
from kcolor.training import gan, trainer
from kcolor.training.options import SYSTEMS, FitOptions, choices, value_type

PARAMETERS = {option.name: option for option in main.commands["fit"].params}


def test_command_line_has_every_option_and_no_other():
    # Which of several processes this is decides nothing about what is trained.
    process = {"coordinator", "processes", "process_id"}
    assert set(PARAMETERS) == {option.name for option in fields(FitOptions)} | process


@pytest.mark.parametrize("option", fields(FitOptions), ids=lambda option: option.name)
def test_command_line_and_dataclass_agree(option):
    parameter = PARAMETERS[option.name]
    if option.name != "system":
        assert parameter.help == option.metadata["help"]
    if option.default is not MISSING:
        given = main.commands["fit"].make_context("fit", ["unet", "-o", "run"]).params
        assert given[option.name] == option.default
    listed = getattr(parameter.type, "choices", ())
    assert tuple(listed) == choices(option.name)
    kinds = {bool: click.BOOL, int: click.INT, float: click.FLOAT}
    if value_type(option.name) in kinds:
        assert type(parameter.type) is type(kinds[value_type(option.name)])


def test_choices_are_those_of_the_code_behind_them():
    assert choices("system") == tuple(SYSTEMS) == tuple(trainer.BUILDERS)
    assert choices("loss") == losses.PIXEL_LOSSES
    assert choices("discriminator") == pix2pix.DISCRIMINATORS
    assert choices("gan_loss") == gan.GAN_LOSSES


@pytest.mark.parametrize("source", ["photos", Path("photos"), ["photos"], ("photos",)])
def test_one_source_needs_no_list(source):
    assert FitOptions("unet", "run", data=source).data == ("photos",)


def test_options_are_equal_after_json():
    options = FitOptions("unet", Path("runs") / "a", ["one.tar=0.3", Path("two")])
    assert FitOptions(**options.to_json()) == options
    assert options.to_json()["run"] == str(Path("runs") / "a")


def test_the_system_decides_what_is_not_said():
    chosen = FitOptions("pix2pix", "run").with_defaults()
    assert (chosen.backbone, chosen.loss, chosen.learning_rate) == (
        "resnet50",
        "l1",
        2e-4,
    )
    assert FitOptions("pix2pix", "run", loss="huber").with_defaults().loss == "huber"


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"size": 100}, "multiple of 32. Received: 100"),
        ({"size": 0}, "multiple of 32. Received: 0"),
        ({"batch_size": 0}, "`batch_size` must be at least 1. Received: 0"),
        ({"steps_per_epoch": 0}, "`steps_per_epoch` must be at least 1"),
        ({"loss": "l3"}, "must be one of l2, l1, huber, psnr. Received: 'l3'"),
        ({"precision": "half"}, "Received: 'half'"),
        ({"schedule": "linear"}, "Received: 'linear'"),
        ({"freeze_epochs": 40}, r"`freeze_epochs` must be 0 to 30 \(all epochs\)"),
        ({"pretrain_epochs": -1}, "`pretrain_epochs` must be 0 to 30"),
        ({"perceptual_layers": 6}, "`perceptual_layers` must be 1 to 5. Received: 6"),
        ({"crop_min": 0.9, "crop_max": 0.8}, "Received: 0.9 and 0.8"),
        ({"whole_share": -0.1}, r"`whole_share` must lie in \[0, 1\]. Received: -0.1"),
        ({"degrade": 20.0}, r"`degrade` must lie in \[0, 1\]. Received: 20.0"),
        ({"patience": -1}, "`patience` must be at least 0. Received: -1"),
        ({"perceptual": float("nan")}, "`perceptual` must be at least 0. Received: n"),
        ({"learning_rate": 0.0}, "`learning_rate` must be over 0. Received: 0.0"),
        ({"ema": 1.0}, r"`ema` must lie in \[0, 1\). Received: 1.0"),
        ({"teacher_weight": 1.5}, r"`teacher_weight` must lie in \[0, 1\]"),
        ({"val_fraction": 1.0}, r"`val_fraction` must lie in \(0, 1\)"),
    ],
)
def test_wrong_values_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        FitOptions("mobile", "run", **wrong)
