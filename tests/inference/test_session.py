"""Tests for hints on a picture: kept at their place, spread, stopped at edges."""

import time

import cv2
import numpy as np
import pytest

from kcolor.color.host import split_on_host
from kcolor.images import exif
from kcolor.inference import colorizer as colorizer_module
from kcolor.inference.colorizer import Colorizer
from kcolor.inference.jobs import colorize_bytes


def lab_of(rgb):
    return split_on_host([rgb])[0] * np.float32([50, 110, 110]) + np.float32([50, 0, 0])


def asked(color):
    return lab_of(np.array([[tuple(bytes.fromhex(color[1:]))]], "uint8"))[0, 0]


def scene(height=300, width=420, seed=0):
    """Two areas of lightness 46 and 76 with a soft edge at width / 2, and grain."""
    rng = np.random.default_rng(seed)
    gray = np.full((height, width), 110.0)
    gray[:, width // 2 :] = 188
    gray = cv2.GaussianBlur(gray, (0, 0), 1.2) + rng.normal(0, 3, gray.shape)
    return np.clip(np.rint(gray), 0, 255).astype("uint8")


@pytest.fixture(scope="module")
def bundled():
    return Colorizer("mobile", threads=1)


@pytest.fixture(scope="module")
def plain(any_size_tflite):
    """With a network that does not take hints: what spreads them is seen alone."""
    return Colorizer(any_size_tflite, threads=1)


def assert_kept(rgb, x, y, color):
    want, got = asked(color), lab_of(np.ascontiguousarray(rgb))[y, x]
    hue = np.rad2deg(np.arctan2(*got[:0:-1]) - np.arctan2(*want[:0:-1]))
    assert abs((hue + 180) % 360 - 180) < 2
    assert abs(np.hypot(*got[1:]) - np.hypot(*want[1:])) < 2


@pytest.mark.parametrize("upsampling", ["guided", "bilinear"])
@pytest.mark.parametrize("model", ["mobile", "mobile-int8"])
def test_hue_and_chroma_at_a_hint_are_as_asked_and_lightness_stays(model, upsampling):
    gray = scene()
    hints = [(41, 50, "#a05f4a"), (47, 52, "#5f6f9a"), (77, 250, "#4f7f4a")]
    colorizer = Colorizer(model, upsampling=upsampling, saturation=1.4, threads=1)
    rgb = colorizer(gray, hints=hints)
    for hint in hints:
        assert_kept(rgb, *hint)
    lightness = lab_of(np.repeat(gray[..., None], 3, axis=2))[..., 0]
    assert np.abs(lab_of(rgb)[..., 0] - lightness).max() < 0.6


def test_a_color_that_the_lightness_cannot_show_loses_chroma_alone(bundled):
    gray = np.full((128, 160), 240, "uint8")
    rgb = bundled(gray, hints=[(80, 64, "#ff0000")])
    lightness, a, b = lab_of(rgb)[64, 80]
    assert 5 < np.hypot(a, b) < 40
    assert abs(lightness - lab_of(np.full((1, 1, 3), 240, "uint8"))[0, 0, 0]) < 0.6


def test_a_hint_colors_its_area_and_not_what_lies_beyond_an_edge(plain):
    gray = scene()
    without, rgb = plain(gray), plain(gray, hints=[(180, 150, "#a05f4a")])
    change = np.linalg.norm(lab_of(rgb) - lab_of(without), axis=-1)
    assert change[120:180, 150:200].mean() > 15
    assert change[:, 220:].mean() < 1


def test_a_hint_fades_with_distance_in_an_area_without_edges(plain):
    rng = np.random.default_rng(0)
    gray = rng.normal(120, 10, (64, 640)).astype("uint8")
    without, rgb = plain(gray), plain(gray, hints=[(20, 32, "#a05f4a")])
    change = np.linalg.norm(lab_of(rgb) - lab_of(without), axis=-1).mean(axis=0)
    assert change[40] > change[200] > change[350] and change[600] < 0.3 * change[40]


def test_two_hints_share_an_area_by_distance(plain):
    gray = np.full((200, 300), 120, "uint8")
    rgb = plain(gray, hints=[(100, 100, "#a05f4a"), (200, 100, "#5f6f9a")])
    row = lab_of(rgb)[100, :, 2]
    red, blue = asked("#a05f4a")[2], asked("#5f6f9a")[2]
    assert abs(row[105] - red) < 5 and abs(row[195] - blue) < 5
    assert abs(row[150] - (red + blue) / 2) < 0.2 * abs(red - blue)
    # A seam, not a step.
    assert np.abs(np.diff(row)).max() < 0.15 * abs(red - blue)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_coordinates_are_of_the_upright_picture(bundled, orientation):
    upright = scene(150, 210)
    stored = np.ascontiguousarray(exif.as_stored(upright, orientation))
    hint = (41, 50, "#a05f4a")
    rgb = bundled.session(stored, orientation)([hint])
    assert rgb.shape == (*stored.shape, 3)
    assert_kept(exif.upright(rgb, orientation), *hint)


def test_a_second_set_of_hints_does_not_run_the_network_again(plain, monkeypatch):
    gray = scene()
    first, second = [(41, 50, "#a05f4a")], [(300, 100, "#4f7f4a")]
    expected = plain(gray, hints=second)
    calls = []
    predict = plain.network.predict_ab
    monkeypatch.setattr(
        plain.network, "predict_ab", lambda *args: calls.append(1) or predict(*args)
    )
    session = plain.session(gray)
    session(first)
    np.testing.assert_array_equal(session(second), expected)
    session()
    assert len(calls) == 1


def test_hints_work_on_color_16_bit_and_tiny_pictures(bundled):
    rng = np.random.default_rng(0)
    for shape, dtype in (((40, 50, 3), "uint16"), ((1, 1), "uint8"), ((2, 9), "uint8")):
        top = np.iinfo(dtype).max // 2
        image = rng.integers(top - top // 8, top + top // 8, shape, dtype=dtype)
        rgb = bundled(image, hints=[("50%", "50%", "#a05f4a")])
        assert rgb.shape == (*shape[:2], 3) and rgb.dtype == dtype
        y, x = shape[0] // 2, shape[1] // 2
        levels = (rgb / (np.iinfo(dtype).max / 255) + 0.5).astype("uint8")
        assert_kept(levels, x, y, "#a05f4a")


def test_colorize_takes_hints_and_their_file(tmp_path):
    path = tmp_path / "hints.json"
    path.write_text('{"hints": [{"x": 41, "y": 50, "color": "#a05f4a"}]}')
    rgb = colorizer_module.colorize(scene(), hints=path)
    assert_kept(rgb, 41, 50, "#a05f4a")
    np.testing.assert_array_equal(
        colorizer_module.colorize(scene(), hints=[(41, 50, "#a05f4a")]), rgb
    )


@pytest.mark.slow
def test_ten_hints_on_a_photograph_of_12_megapixels_cost_less_than_half_more(bundled):
    photo = cv2.imencode(".jpg", cv2.resize(scene(), (4000, 3000)))[1].tobytes()
    rng = np.random.default_rng(0)
    hints = [(int(x), int(y), "#a05f4a") for x, y in rng.integers(0, 3000, (10, 2))]

    def seconds(**options):
        start = time.process_time()
        colorize_bytes(photo, bundled, **options)
        return time.process_time() - start

    pairs = [(seconds(), seconds(hints=hints)) for _ in range(5)]
    plain, hinted = map(min, zip(*pairs, strict=True))
    assert hinted < 1.5 * plain


@pytest.mark.parametrize("apart", [1, 3, 6, 9])
def test_two_colors_side_by_side_make_no_stronger_ones(bundled, apart):
    gray = np.full((900, 1200), 130, "uint8")  # 4.7 pixels are one of the view's
    hints = [(600, 450, "#96705c"), (600 + apart, 451, "#4a7ea8")]
    lab = lab_of(bundled(gray, hints=hints))
    strongest = max(np.hypot(*asked(color)[1:]) for _, _, color in hints)
    assert np.hypot(lab[..., 1], lab[..., 2]).max() < 1.6 * strongest
    if apart > 8:
        for x, y, color in hints:
            assert_kept(bundled(gray, hints=hints), x, y, color)
