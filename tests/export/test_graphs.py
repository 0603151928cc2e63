"""Tests for kcolor.export.graphs: the view inside a file is that of the light path."""

from importlib.util import find_spec

import cv2
import numpy as np
import pytest

if find_spec("tensorflow") is None:
    pytest.skip("needs kcolor[train]", allow_module_level=True)

import tensorflow as tf

from kcolor.color import grain, host
from kcolor.export import graphs
from kcolor.images import view


def test_canvas_and_box_are_those_of_the_light_path():
    rng = np.random.default_rng(0)
    sizes = np.exp(rng.uniform(0, np.log(20_000), (2000, 2))).astype("int32")
    shapes = view.canvases()
    chosen = np.asarray(graphs.choose(sizes[:, 0], sizes[:, 1], shapes))
    assert set(chosen) == set(range(len(shapes)))
    for (height, width), at in zip(sizes.tolist(), chosen, strict=True):
        assert view.choose(height, width, shapes) == shapes[at]
        box = graphs.fit(shapes[at], tf.constant(height), tf.constant(width))
        assert tuple(map(int, box)) == view.fit(shapes[at], height, width)


@pytest.mark.parametrize("start, count", [(2, 5), (20, 3), (7, 1), (0, 32)])
def test_mirror_is_that_of_opencv(start, count):
    line = np.arange(count, dtype="uint8")[:, None]
    expected = cv2.copyMakeBorder(
        line, start, max(0, 32 - start - count), 0, 0, cv2.BORDER_REFLECT_101
    )
    np.testing.assert_array_equal(graphs._mirror(32, start, count), expected[:32, 0])


@pytest.mark.parametrize("size", [(300, 451), (90, 41), (35, 300), (256, 256)])
def test_a_graph_sees_what_the_light_path_shows(size):
    rng = np.random.default_rng(sum(size))
    coarse = rng.integers(0, 256, (6, 5, 3), "uint8")
    image = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    canvas = view.choose(*size, view.canvases())
    box = view.fit(canvas, *size)
    small = host.lightness(view.shrink(image, box.height, box.width))
    seen, _ = graphs.surrounded(np.stack([image, image[::-1]]), canvas)
    assert seen.shape == (2, *canvas, 1)
    np.testing.assert_allclose(seen[0, ..., 0], view.surround(small, canvas), atol=5e-4)


def test_light_and_graph_agree_on_a_square_that_needs_no_view():
    image = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), "uint8")
    seen, box = graphs.surrounded(image, (256, 256))
    np.testing.assert_allclose(seen, graphs.split(image)[0], atol=1e-6)
    assert tuple(map(int, box)) == (0, 0, 256, 256)


@pytest.mark.parametrize("size", [(256, 256), (224, 320), (32, 32), (64, 33)])
def test_grain_is_measured_as_on_the_light_path(size):
    rng = np.random.default_rng(1)
    slope = np.linspace(-0.6, 0.6, size[1], dtype="float32")
    batch = np.tile(slope, (6, size[0], 1))
    for picture, sigma in zip(batch, (0, 0.01, 0.02, 0.04, 0.2, 0.03), strict=True):
        picture += rng.normal(0, sigma, size).astype("float32")
    batch[2, : size[0] // 4] = 1  # a frame, or a sky without grain
    batch[5] = -1
    ab = rng.normal(0, 0.2, (6, *size, 2)).astype("float32")
    given = np.asarray(graphs.give_back(tf.constant(batch[..., None]), tf.constant(ab)))
    factors = [grain.factor(picture) for picture in batch]
    assert len(set(factors)) >= 5 and factors[0] == factors[5] == 1
    assert factors[2] > factors[1]
    np.testing.assert_array_equal(given, ab * np.float32(factors)[:, None, None, None])
