"""Tests for kcolor.evaluation.framing and the rows of `original`."""

import numpy as np
import pytest
from scenes import Rgb, Tinted, scene, write_picture

from kcolor.data.source import open_source
from kcolor.errors import DataError
from kcolor.evaluation import Options, evaluate, measure
from kcolor.evaluation.framing import Box, framing
from kcolor.evaluation.measure import render
from kcolor.images.resize import resize_square
from kcolor.inference.colorizer import Colorizer
from kcolor.metrics.psnr import psnr

SIZE = 48


@pytest.mark.parametrize(
    "height, width, box",
    [(30, 90, (30, 0, 30, 30)), (91, 30, (0, 30, 30, 30)), (40, 40, (0, 0, 40, 40))],
)
def test_center_is_the_square_in_the_middle(height, width, box):
    assert framing("center256").box(height, width) == Box(*box)


def test_center_is_cut_out_before_it_is_resized():
    rgb = scene(0, 60, 100)
    frame = framing("center256", SIZE)
    expected = resize_square(rgb[:, 20:80], SIZE)
    np.testing.assert_array_equal(frame.apply(rgb, frame.box(60, 100)), expected)


@pytest.mark.parametrize("name", ["square256", "center256", "original"])
def test_name_is_kept_in_the_record(folder, name):
    result = evaluate([], folder, protocol=name, limit=2, metrics=["psnr"])
    assert result["protocol"]["name"] == name
    assert result["protocol"]["size"] == (None if name == "original" else 256)


def test_another_size_is_another_name():
    assert framing("center256", 128).name == "center128"
    assert framing("square128") == framing("square256", 128)


@pytest.mark.parametrize(
    "name, size, message",
    [
        ("val5k", None, "must be one of square256, .* Received: 'val5k'"),
        ("original", 128, "original has no size"),
        ("center16", None, "size must be at least 31. Received: 16"),
        ("square256", 0, "size must be at least 31. Received: 0"),
        ("square0", None, "must be one of"),
    ],
)
def test_unknown_protocol_or_size_is_refused(name, size, message):
    with pytest.raises(ValueError, match=message):
        framing(name, size)


def test_original_measures_what_colorize_makes(folder):
    options = Options(protocol="original", metrics=["psnr"])
    measured = measure([Tinted(strength=0.4)], folder, options)
    colorizer, source = Colorizer(Tinted(strength=0.4)), open_source(folder)
    shown = render([Tinted(strength=0.4)], folder, measured.names, options)
    for i, made in enumerate(shown["tinted"]):
        truth = source.read(i)
        np.testing.assert_array_equal(made, colorizer(truth))
        np.testing.assert_array_equal(shown["truth"][i], truth)
        found = measured.rows["tinted"]["psnr"][i]
        assert found == pytest.approx(float(psnr(truth[None], made[None])[0]), abs=1e-3)


def test_gray_of_original_has_no_color_and_the_lightness_of_the_truth(folder):
    options = Options(protocol="original", metrics=["colorfulness"])
    names = open_source(folder).names[:2]
    shown = render([], folder, names, options)["gray"]
    assert not any(np.ptp(picture, axis=-1).any() for picture in shown)
    square = render([], folder, names, Options(size=64))["gray"]
    for full, small in zip(shown, square, strict=True):
        difference = resize_square(full, 64).astype("float32") - small
        assert abs(difference).mean() < 2


def test_original_refuses_what_needs_one_size(folder):
    with pytest.raises(ValueError, match="--self-check compares pictures of one size"):
        evaluate([], folder, protocol="original", metrics=["ssim"], self_check=True)
    with pytest.raises(DataError, match="tinted: takes RGB"):
        evaluate([Rgb()], folder, protocol="original", metrics=["ssim"])


def test_original_refuses_a_picture_that_is_too_small_for_the_metrics(tmp_path):
    write_picture(tmp_path / "dot.png", scene(0, 40, 30))
    with pytest.raises(DataError, match="dot.png: 30x40 pixels .* needs 31x31"):
        evaluate([], tmp_path, protocol="original", metrics=["lpips"])


def test_original_refuses_a_gray_partner_of_another_size(tmp_path):
    write_picture(tmp_path / "color" / "a.png", scene(0, 60, 80))
    write_picture(tmp_path / "gray" / "a.png", scene(0, 60, 80)[::2, ::2])
    with pytest.raises(DataError, match="a: .* equally large .* 40x30 and 80x60"):
        evaluate([], tmp_path, protocol="original", metrics=["psnr"])
