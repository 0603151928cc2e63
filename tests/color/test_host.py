"""The light path's arithmetic against the in-graph one, and its promises."""

import cv2
import numpy as np
import pytest

from kcolor.color import curves, host
from kcolor.images.view import shrink


def _random_colors(rng, height, width):
    # Every lightness with every ab a network could say, in and out of the gamut.
    lightness = rng.uniform(-1, 1, (height, width)).astype("float32")
    ab = rng.uniform(-1.2, 1.2, (height, width, 2)).astype("float32")
    return lightness, ab


def _gray_of(lightness):
    # The uint8 gray whose L* is nearest, and its own L* in the network's unit.
    levels = host.lightness(np.arange(256, dtype="uint8")[None])[0]
    gray = np.abs(lightness.reshape(-1, 1) - levels).argmin(axis=1)
    return gray.reshape(lightness.shape).astype("uint8")


@pytest.mark.parametrize("scale", [0.1, 0.4, 1.0])
def test_merge_agrees_with_join_within_a_level(scale):
    graph = pytest.importorskip("kcolor.color.graph")
    lightness, ab = _random_colors(np.random.default_rng(3), 97, 131)
    ab *= scale
    gray = _gray_of(lightness)
    exact = host.lightness(gray)[..., None]
    expected = np.asarray(graph.join(exact, ab)).astype(int)
    merged = host.recolor(gray, ab).astype(int)
    assert np.abs(merged - expected).max() <= 1


@pytest.mark.parametrize("scale", [0.6, 1.5])
def test_enlarged_colors_outside_the_gamut_agree_with_join(scale):
    graph = pytest.importorskip("kcolor.color.graph")
    rng = np.random.default_rng(4)
    gray = rng.integers(0, 256, (64, 96), "uint8")
    ab = rng.uniform(-scale, scale, (8, 12, 2)).astype("float32")
    enlarged = cv2.resize(ab, (96, 64), interpolation=cv2.INTER_LINEAR)
    expected = np.asarray(graph.join(host.lightness(gray)[..., None], enlarged))
    assert np.abs(host.recolor(gray, ab).astype(int) - expected).max() <= 1


def test_merge_agrees_with_join_on_photographs_split_by_the_graph():
    graph = pytest.importorskip("kcolor.color.graph")
    data = pytest.importorskip("skimage.data")
    for photo in (data.astronaut(), data.chelsea(), data.coffee(), data.rocket()):
        photo = np.ascontiguousarray(photo[:300, :451])
        lightness, ab = (np.asarray(part) for part in graph.split(photo))
        expected = np.asarray(graph.join(lightness, ab)).astype(int)
        np.testing.assert_array_equal(expected, photo)
        assert np.abs(host.recolor(photo, ab) - expected).max() <= 1
        np.testing.assert_allclose(
            host.lightness(photo), lightness[..., 0], atol=0.02 / 50
        )


def test_every_gray_level_stays_what_it_is_without_color():
    gray = np.arange(256, dtype="uint8").reshape(8, 32)
    merged = host.recolor(gray, np.zeros((2, 3, 2), "float32"))
    np.testing.assert_array_equal(merged, np.repeat(gray[..., None], 3, axis=2))


@pytest.mark.parametrize("dtype, levels", [("uint8", 255), ("uint16", 65535)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("guided", [False, True])
def test_lightness_is_kept_inside_and_outside_the_gamut(
    dtype, levels, channels, guided
):
    rng = np.random.default_rng(channels)
    pixels = rng.integers(0, levels + 1, (143, 211, channels)).astype(dtype)
    pixels = pixels[..., 0] if channels == 1 else pixels
    ab = rng.uniform(-1, 1, (9, 14, 2)).astype("float32")
    view = host.lightness(shrink(pixels, 9, 14))
    merged = host.recolor(pixels, ab, guide=view if guided else None)
    error = 50 * np.abs(host.lightness(merged) - host.lightness(pixels))
    # 8-bit rounding alone costs 0.1 on average and 0.5 at black.
    assert error.mean() < 0.15 if dtype == "uint8" else error.mean() < 0.001
    assert error.max() < 0.7


def test_sixteen_bits_agree_with_eight():
    rng = np.random.default_rng(5)
    gray = rng.integers(0, 256, (60, 85)).astype("uint8")
    ab = rng.uniform(-0.5, 0.5, (6, 8, 2)).astype("float32")
    fine = host.recolor(gray.astype("uint16") * 257, ab)
    assert fine.dtype == np.uint16
    difference = np.rint(fine / 257) - host.recolor(gray, ab)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("height, width", [(1, 1), (1, 700), (700, 1), (397, 1210)])
def test_bilinear_upsampling_is_opencvs(height, width):
    rng = np.random.default_rng(height)
    gray = rng.integers(0, 256, (height, width)).astype("uint8")
    ab = rng.uniform(-0.3, 0.3, (7, 11, 2)).astype("float32")
    large = cv2.resize(ab, (width, height)).reshape(height, width, 2)
    difference = host.recolor(gray, ab).astype(int) - host.recolor(gray, large)
    assert np.abs(difference).max() <= 1


def test_threads_and_place_change_nothing():
    rng = np.random.default_rng(11)
    rgb = rng.integers(0, 256, (701, 523, 3)).astype("uint8")
    ab = rng.uniform(-0.5, 0.5, (20, 15, 2)).astype("float32")
    view = host.lightness(shrink(rgb, 20, 15))
    expected = host.recolor(rgb, ab, guide=view)
    np.testing.assert_array_equal(
        host.recolor(rgb, ab, guide=view, threads=3), expected
    )
    host.recolor(rgb, ab, guide=view, out=rgb, threads=2)
    np.testing.assert_array_equal(rgb, expected)


def test_an_opencv_without_16_bit_tables_gives_the_same(monkeypatch):
    rng = np.random.default_rng(8)
    rgb = rng.integers(0, 256, (61, 83, 3)).astype("uint8")
    ab = rng.uniform(-0.5, 0.5, (7, 9, 2)).astype("float32")
    expected = host.recolor(rgb, ab)
    monkeypatch.setattr(curves, "_WIDE_LUT", False)
    np.testing.assert_array_equal(host.recolor(rgb, ab), expected)


def test_a_toned_picture_colorizes_like_its_lightness():
    rng = np.random.default_rng(2)
    gray = cv2.blur(rng.integers(0, 256, (40, 64)).astype("uint8"), (5, 5))
    sepia = host.recolor(gray, np.full((1, 1, 2), (0.06, 0.2), "float32"))
    assert np.ptp(sepia.astype(int), axis=2).max() > 20
    ab = rng.uniform(-0.3, 0.3, (5, 8, 2)).astype("float32")
    toned, plain = host.recolor(sepia, ab), host.recolor(gray, ab)
    # The sepia's own rounding moves its L* by up to half a level.
    assert np.abs(toned.astype(int) - plain).max() <= 2


def test_saturation_and_blend_have_their_ends():
    rng = np.random.default_rng(4)
    rgb = rng.integers(0, 256, (33, 47, 3)).astype("uint8")
    ab = rng.uniform(-0.4, 0.4, (6, 9, 2)).astype("float32")
    neutral = host.recolor(rgb, ab, saturation=0)
    tint = np.ptp(neutral.astype(int), axis=2)
    # A level apart where a value falls on the border between two.
    assert tint.max() <= 1 and tint.mean() < 0.002
    np.testing.assert_array_equal(host.recolor(rgb, ab, blend=0), rgb)
    half = host.recolor(rgb, ab, blend=0.5).astype(int)
    mean = (host.recolor(rgb, ab).astype(int) + rgb) / 2
    assert np.abs(half - mean).max() <= 0.5


def test_guided_colors_follow_an_edge_that_bilinear_ones_cross():
    # A step in lightness and color, seen at a quarter of the size, and its ab as
    # smooth as a network's last layer, which is a quarter of that, makes it.
    height, width = 320, 1024
    gray = np.full((height, width), 70, "uint8")
    ab = np.zeros((height, width, 2), "float32")
    gray[:, 500:], ab[:, 500:, 1] = 180, 0.4
    truth = host.recolor(gray, ab).astype(int)
    view = host.lightness(shrink(gray, 80, 256))
    smooth = cv2.resize(ab, (64, 20), interpolation=cv2.INTER_AREA)
    smooth = cv2.resize(smooth, (256, 80), interpolation=cv2.INTER_LINEAR)
    errors = [
        np.abs(host.recolor(gray, smooth, guide=guide) - truth).mean()
        for guide in (None, view)
    ]
    assert errors[1] < 0.6 * errors[0]


def test_guided_upsampling_leaves_colors_alone_where_lightness_is_flat():
    ab = np.random.default_rng(6).uniform(-0.3, 0.3, (16, 24, 2)).astype("float32")
    ab = cv2.resize(ab, (96, 64))
    gray = np.full((320, 480), 131, "uint8")
    view = host.lightness(shrink(gray, 64, 96))
    difference = host.recolor(gray, ab, guide=view).astype(int) - host.recolor(gray, ab)
    assert np.abs(difference).max() <= 1


def test_guided_upsampling_improves_true_colors_of_photographs():
    data = pytest.importorskip("skimage.data")
    graph = pytest.importorskip("kcolor.color.graph")
    for photo in (data.astronaut(), data.chelsea(), data.coffee()):
        height, width = photo.shape[:2]
        ab = np.asarray(graph.split(photo)[1])
        smooth = cv2.resize(ab, (64, 64), interpolation=cv2.INTER_AREA)
        smooth = cv2.resize(smooth, (256, 256), interpolation=cv2.INTER_LINEAR)
        view = host.lightness(shrink(photo, 256, 256))
        bilinear, guided = (
            np.mean((host.recolor(photo, smooth, guide=g).astype("f4") - photo) ** 2)
            for g in (None, view)
        )
        # 0.3 to 0.8 dB measured.
        assert guided < 0.95 * bilinear
