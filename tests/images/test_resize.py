"""Resizing: areas are averaged where both sides shrink, else it is bicubic."""

import cv2
import numpy as np
import pytest

from kcolor.images.resize import resize_square, resize_to


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (40, 66, 3), "uint8")


def test_whole_blocks_are_averaged(image):
    means = image.reshape(20, 2, 33, 2, 3).mean(axis=(1, 3))
    # OpenCV rounds halves to even or up; either is within half a level.
    assert np.abs(resize_to(image, 20, 33) - means).max() <= 0.5


@pytest.mark.parametrize("height, width", [(41, 33), (20, 67), (90, 90)])
def test_a_side_that_grows_makes_it_bicubic(image, height, width):
    expected = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(resize_to(image, height, width), expected)


def test_a_square_is_no_case_of_its_own(image):
    np.testing.assert_array_equal(resize_square(image, 32), resize_to(image, 32, 32))
