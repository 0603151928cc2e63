"""Tests for kcolor.images.view: what a network sees of a photograph."""

import cv2
import numpy as np
import pytest

from kcolor.color.constants import nearest_multiple
from kcolor.images import view


def photograph(height, width, dtype="uint8", channels=3):
    rng = np.random.default_rng(height + width)
    coarse = rng.integers(0, 256, (5, 7, channels), "uint8")
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    image = image.reshape(height, width, channels)
    image = np.clip(image + rng.normal(0, 9, image.shape), 0, 255)
    image = (image * (257 if dtype == "uint16" else 1)).astype(dtype)
    return image[..., 0] if channels == 1 else image


def exact_average(pixels, height, width):
    """Area averages by brute force: every pixel as a block of height x width."""
    blocks = np.repeat(np.repeat(pixels, height, axis=0), width, axis=1)
    tall, wide = pixels.shape[:2]
    shape = (height, tall, width, wide, *pixels.shape[2:])
    return blocks.reshape(shape).mean(axis=(1, 3))


def test_canvases_have_the_squares_area_within_a_tenth():
    shapes = view.canvases()
    assert shapes == [(352, 192), (288, 224), (256, 256), (224, 288), (192, 352)]
    areas = [height * width for height, width in shapes]
    assert max(areas) < 1.1 * min(areas)


def test_a_side_goes_to_the_nearest_multiple_and_halves_go_up():
    sides = {1: 32, 47: 32, 48: 64, 79.9: 64, 80: 96, 96: 96, 112: 128}
    assert {side: nearest_multiple(side) for side in sides} == sides
    assert nearest_multiple(12, 8) == 16


@pytest.mark.parametrize("size", [32, 64, 100, 128, 512])
def test_canvases_of_every_size_fit_the_network(size):
    shapes = view.canvases(size)
    assert not any(side % 32 for shape in shapes for side in shape)
    assert [shape[::-1] for shape in shapes[::-1]] == shapes


@pytest.mark.parametrize("height, width", [(100, 100), (33, 50), (50, 33), (9, 800)])
def test_the_chosen_canvas_is_filled_best(height, width):
    def filled(shape):
        box = view.fit(shape, 1000 * height, 1000 * width)
        return box.height * box.width / (shape[0] * shape[1])

    chosen = view.choose(height, width, view.canvases())
    assert filled(chosen) == max(map(filled, view.canvases()))


@pytest.mark.parametrize(
    "size, box",
    [
        ((300, 450), (18, 0, 187, 280)),
        ((224, 280), (0, 0, 224, 280)),
        ((1, 9999), (111, 0, 1, 280)),
        ((9999, 1), (0, 139, 224, 1)),
    ],
)
def test_a_photograph_fills_one_side_and_lies_in_the_middle(size, box):
    assert view.fit((224, 280), *size) == box


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_shrinking_averages_fractions_of_pixels(dtype, channels):
    pixels = photograph(50, 67, dtype, channels)
    small = view.shrink(pixels, 12, 17)
    expected = exact_average(pixels.astype("float64"), 12, 17)
    scale = 257 if dtype == "uint8" else 1
    assert small.dtype == np.uint16
    np.testing.assert_allclose(small, expected * scale, atol=0.51 + 0.01 * scale)


@pytest.mark.parametrize("size", [(401, 601), (399, 403), (1021, 2047)])
def test_halving_first_moves_nothing(size):
    # A ramp shows a shift: cropped to even sides, it would be off by half a step.
    ramp = np.linspace(0, 60000, size[1], dtype="uint16")
    pixels = np.broadcast_to(ramp, size).copy()
    small = view.shrink(pixels, 20, 30)
    expected = exact_average(ramp[None].astype("float64"), 1, 30)
    step = 60000 / size[1]
    assert np.abs(small - expected)[:, :-1].max() < 0.15 * step


def test_enlarging_is_opencvs_bilinear():
    pixels = photograph(20, 31, "uint16")
    large = view.shrink(pixels, 64, 99)
    expected = cv2.resize(pixels.astype("float32"), (99, 64))
    np.testing.assert_allclose(large, expected, atol=2)


def test_a_strip_is_averaged_along_and_enlarged_across():
    pixels = photograph(3, 700, channels=1)
    small = view.shrink(pixels, 7, 35)
    across = cv2.resize(pixels.astype("float32"), (700, 7))
    expected = across.reshape(7, 35, 20).mean(axis=2) * 257
    np.testing.assert_allclose(small, expected, atol=8)


@pytest.mark.parametrize("size", [(5, 32), (32, 3), (1, 32), (32, 32)])
def test_what_is_around_a_view_is_its_mirror_image(size):
    seen = np.arange(size[0] * size[1], dtype="float32").reshape(size)
    canvas = view.surround(seen, (32, 32))
    top, left = (32 - size[0]) // 2, (32 - size[1]) // 2
    box = view.Box(top, left, *size)
    np.testing.assert_array_equal(view.cut(canvas, box), seen)
    mode = "reflect" if min(size) > 1 else "edge"
    pads = [(top, 32 - size[0] - top), (left, 32 - size[1] - left)]
    np.testing.assert_array_equal(canvas, np.pad(seen, pads, mode))
