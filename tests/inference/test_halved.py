"""Large photographs to JPEG: colored at half the size, as if at full size."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from kcolor.color import host
from kcolor.images import decode
from kcolor.images.page import Page
from kcolor.inference.colorizer import Colorizer
from kcolor.inference.halved import may_be_halved
from kcolor.inference.hints import as_hints
from kcolor.inference.jobs import Settings, colorize_file
from kcolor.inference.plan import Job


@pytest.fixture(scope="module")
def colorizer(any_size_tflite):
    return Colorizer(any_size_tflite, threads=1)


def _photograph(height, width, tint=(1, 1, 1)):
    rng = np.random.default_rng(3)
    coarse = rng.integers(40, 216, (9, 12)).astype("uint8")
    fine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    fine = np.clip(fine + rng.normal(0, 4, fine.shape), 0, 255)
    if tint == (1, 1, 1):
        return fine.astype("uint8")
    return np.clip(fine[..., None] * tint, 0, 255).astype("uint8")


def _colorize(colorizer, source, **settings):
    target = source.with_name("out.jpg")
    settings = Settings(lossless_luma=False, **settings)
    colorize_file(colorizer, Job(source, target), settings)
    return target


def _lightness(rgb):
    return 50 * (host.lightness(rgb) + 1)


@pytest.mark.parametrize("size", [(1024, 1100), (1031, 1025)])
@pytest.mark.parametrize("tint", [(1, 1, 1), (1.1, 1, 0.8)])
def test_it_is_the_picture_that_all_pixels_give(tmp_path, colorizer, size, tint):
    pixels = _photograph(*size, tint)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    target = _colorize(colorizer, tmp_path / "a.png", quality=98)
    with Image.open(target) as image:
        assert image.size == size[::-1] and image.layer[1][1:3] == (1, 1)
        assert image.layer[0][1:3] == (2, 2)
    found, expected = decode.load(target), colorizer(pixels)
    assert found.shape == expected.shape
    apart = np.abs(_lightness(found) - _lightness(pixels))
    assert apart.mean() < 0.6 and np.quantile(apart, 0.999) < 3
    chroma = [
        cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)[..., 1:].astype(int)
        for rgb in (found, expected)
    ]
    assert np.abs(chroma[0] - chroma[1]).mean() < 2
    assert np.abs(chroma[1] - 128).mean() > 10


def test_luma_changes_so_that_lightness_does_not(tmp_path, colorizer):
    pixels = _photograph(1024, 1024)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    luma = decode.decode_luma(_colorize(colorizer, tmp_path / "a.png").read_bytes())
    assert np.abs(luma.astype(int) - pixels).mean() > 1


def test_what_belongs_to_the_photograph_comes_along(tmp_path, colorizer):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "harvest"
    image = Image.fromarray(_photograph(1040, 1100, (1.1, 1, 0.8)))
    image.save(tmp_path / "a.jpg", exif=exif, dpi=(300, 300), quality=95)
    target = _colorize(colorizer, tmp_path / "a.jpg")
    with Image.open(target) as result:
        assert result.size == (1100, 1040) and result.info["dpi"] == (300, 300)
        assert dict(result.getexif()) == {0x0112: 6, 0x010E: "harvest"}


def test_saturation_and_quality_are_heard(tmp_path, colorizer):
    Image.fromarray(_photograph(1024, 1030)).save(tmp_path / "a.png")
    gray = decode.load(_colorize(colorizer, tmp_path / "a.png", saturation=0.0))
    assert gray.ndim == 2  # Three equal channels are read as one.
    sizes = [
        _colorize(colorizer, tmp_path / "a.png", quality=quality).stat().st_size
        for quality in (40, 95)
    ]
    assert sizes[0] < sizes[1] / 2


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("orientation", [1, 6])
def test_known_colors_are_there(tmp_path, colorizer, lossless, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(_photograph(1040, 1201))
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    # Pixels of the photograph as it is seen.
    places = [(101, 200), (700, 903), (333, 1007), (1030, 5)]
    hints = tuple(as_hints([(x, y, "#a05030") for x, y in places]))
    job = Job(tmp_path / "a.jpg", tmp_path / "out.jpg")
    settings = Settings(hints=hints, lossless_luma=lossless)
    luma = colorize_file(colorizer, job, settings)
    assert luma == ("kept" if lossless else None)
    with Image.open(job.target) as result:
        rgb = np.asarray(ImageOps.exif_transpose(result).convert("RGB"))
    found = host.split_on_host([rgb])[0][..., 1:] * 110
    _, a, b = (
        host.split_on_host([np.array([[[0xA0, 0x50, 0x30]]], "uint8")])[0, 0, 0] * 110
    )
    for x, y in places:
        assert np.hypot(*(found[y, x] - (a, b))) < 6, (x, y)


@pytest.mark.parametrize("settings", [{"compare": True}, {"size": 1023}])
def test_others_have_color_at_every_pixel(tmp_path, colorizer, settings):
    pixels = _photograph(settings.pop("size", 1024), 1030)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with Image.open(_colorize(colorizer, tmp_path / "a.png", **settings)) as image:
        assert image.layer[0][1:3] == (1, 1)


def test_what_jpeg_cannot_hold_is_left_to_the_ordinary_way(colorizer):
    def may(width):
        return may_be_halved(
            Page(np.broadcast_to(np.uint8(9), (1024, width))), colorizer
        )

    assert may(65_500) and not may(65_501)


@pytest.mark.parametrize("kind", ["alpha", "16 bits"])
def test_alpha_and_16_bits_go_the_ordinary_way(tmp_path, colorizer, kind):
    pixels = _photograph(1024, 1024)
    if kind == "alpha":
        Image.fromarray(np.dstack([pixels, pixels])).save(tmp_path / "a.png")
    else:
        cv2.imwrite(str(tmp_path / "a.png"), pixels.astype("uint16") * 257)
    with Image.open(_colorize(colorizer, tmp_path / "a.png")) as image:
        assert image.layer[0][1:3] == (1, 1)
