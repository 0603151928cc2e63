"""How much grain is in a picture, and what is given back for it."""

import cv2
import numpy as np
import pytest

from kcolor.color import grain
from kcolor.inference.colorizer import Colorizer

SIDE = 160


def _scene():
    # Slopes and clear edges, as L*.
    y, x = np.mgrid[:SIDE, :SIDE].astype("float32")
    scene = 20 + 30 * x / SIDE + 20 * y / SIDE
    scene[SIDE // 3 : SIDE // 2, SIDE // 4 :] += 25
    return scene


def _grainy(scene, sigma, seed=0):
    noise = np.random.default_rng(seed).normal(0, sigma, scene.shape)
    return ((scene + noise) / 50 - 1).astype("float32")


@pytest.mark.parametrize("sigma", [1, 2, 4])
def test_grain_is_measured_whatever_is_in_the_picture(sigma):
    assert grain.deviation(_grainy(_scene(), 0)) < 1e-3
    # The smoothest blocks are smooth by chance, too.
    found = grain.deviation(_grainy(_scene(), sigma))
    assert 0.65 * sigma < found < 0.9 * sigma


def test_texture_in_most_of_a_picture_is_no_grain():
    scene = _scene()
    y, x = np.mgrid[:SIDE, :SIDE]
    texture = 10 * np.sin(1.9 * x + 0.7 * y)
    scene[SIDE // 6 :] += texture[SIDE // 6 :]
    assert grain.factor(_grainy(scene, 0)) == 1
    assert 0.6 < grain.deviation(_grainy(scene, 1)) < 0.9


def test_frames_and_blown_highlights_hide_no_grain():
    noisy = _grainy(_scene(), 2)
    whole = grain.factor(noisy)
    framed = noisy.copy()
    framed[:13], framed[-13:] = -1, -1
    framed[:, :9], framed[:, -9:] = 1, 1
    framed[50:90, 60:100] = 1
    assert grain.factor(framed) == pytest.approx(whole, abs=0.03)
    assert grain.factor(np.ones_like(noisy)) == 1


def test_turning_a_picture_changes_little():
    noisy = _grainy(_scene(), 2)
    turned = grain.deviation(np.rot90(noisy))
    assert turned == pytest.approx(grain.deviation(noisy), rel=0.1)


def test_nothing_is_given_back_without_grain_and_never_too_much():
    assert grain.factor(_grainy(_scene(), 0)) == 1
    assert grain.factor(_grainy(_scene(), 0.4)) == 1
    factors = [grain.factor(_grainy(_scene(), sigma)) for sigma in (1, 1.5, 2, 30)]
    assert factors == sorted(factors) and 1 < factors[0] < factors[2]
    assert factors[-1] == 307 / 256


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_answer_of_a_network_is_strengthened(
    any_size_tflite, monkeypatch, orientation
):
    colorizer = Colorizer(any_size_tflite, threads=1)
    rng = np.random.default_rng(1)
    coarse = rng.integers(20, 236, (5, 7)).astype("uint8")
    smooth = cv2.resize(coarse, (256, 192), interpolation=cv2.INTER_CUBIC)
    noisy = np.clip(smooth + rng.normal(0, 12, smooth.shape), 0, 255).astype("uint8")
    for pixels, least, most in ((smooth, 1, 1.01), (noisy, 1.05, 1.2)):
        _, ab = colorizer.predict(pixels, orientation)
        with monkeypatch.context() as patch:
            patch.setattr(grain, "factor", lambda _: 1)
            _, own = colorizer.predict(pixels, orientation)
        strength = np.hypot(*ab.T).sum() / np.hypot(*own.T).sum()
        assert least <= strength <= most
        np.testing.assert_allclose(ab, own * strength, atol=1e-5)
