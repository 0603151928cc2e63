"""Tests for kcolor.losses."""

import keras
import numpy as np
import pytest

from kcolor.color.graph import recompose
from kcolor.losses import ColorizationLoss


def random_batch():
    rng = np.random.default_rng(0)
    y_true = rng.uniform(-0.8, 0.8, (3, 6, 5, 3)).astype("float32")
    return y_true, rng.uniform(-0.8, 0.8, (3, 6, 5, 2)).astype("float32")


def test_pixel_losses_equal_their_formulas():
    y_true, y_pred = random_batch()
    error = np.abs(y_true[..., 1:] - y_pred)
    delta = 5 / 110
    huber = np.where(error < delta, error**2 / (2 * delta), error - delta / 2)
    for name, expected in (("l2", error**2), ("l1", error), ("huber", huber)):
        loss = ColorizationLoss(name)(y_true, y_pred)
        np.testing.assert_allclose(loss, expected.mean(), rtol=1e-5)


def test_psnr_loss_is_the_mean_of_each_pictures_own():
    y_true, y_pred = random_batch()
    y_pred[0] = y_true[0, ..., 1:] + 0.01  # one far better than the others
    truth, picture = (
        np.asarray(recompose(y_true[..., :1], ab)) for ab in (y_true[..., 1:], y_pred)
    )
    error = np.mean((truth - picture) ** 2, axis=(1, 2, 3))
    lacking = np.log10(error + 1e-4).mean() / 10
    loss = ColorizationLoss("psnr")(y_true, y_pred)
    np.testing.assert_allclose(loss, lacking, rtol=1e-5)
    beside = ColorizationLoss("l1", psnr=2.0)(y_true, y_pred)
    l1 = ColorizationLoss("l1")(y_true, y_pred)
    np.testing.assert_allclose(beside, l1 + 2 * lacking, rtol=1e-5)


def test_psnr_loss_of_equal_pictures_is_finite():
    y_true, _ = random_batch()
    loss = ColorizationLoss("psnr")(y_true, y_true[..., 1:])
    np.testing.assert_allclose(loss, -0.4, rtol=1e-6)  # 40 dB, the floor


def test_lightness_does_not_enter_the_pixel_loss():
    y_true, y_pred = random_batch()
    other = y_true.copy()
    other[..., 0] *= -1
    for name in ("l1", "l2"):
        loss = ColorizationLoss(name)
        np.testing.assert_array_equal(loss(y_true, y_pred), loss(other, y_pred))


def test_perceptual_term_compares_recomposed_pictures_of_half_the_batch():
    y_true, y_pred = random_batch()
    a, b = keras.Input((None, None, 3)), keras.Input((None, None, 3))
    distance = keras.Model([a, b], keras.ops.mean(keras.ops.abs(a - b), axis=(1, 2, 3)))
    loss = ColorizationLoss("l1", perceptual=2.0, lpips=distance, perceptual_share=0.6)
    lightness = y_true[:2, ..., :1]
    truth, picture = (
        np.asarray(recompose(lightness, ab)) for ab in (y_true[:2, ..., 1:], y_pred[:2])
    )
    expected = np.abs(y_true[..., 1:] - y_pred).mean() + 2 * np.mean(
        np.abs(truth - picture)
    )
    np.testing.assert_allclose(loss(y_true, y_pred), expected, rtol=1e-5)


def test_teacher_is_a_second_target_of_the_pixel_term():
    y_true, y_pred = random_batch()
    lightness = keras.Input((None, None, 1))
    answer = keras.ops.concatenate([lightness * 0.5, lightness * -0.25], axis=-1)
    teacher = keras.Model(lightness, answer)
    loss = ColorizationLoss("l1", teacher=teacher, teacher_weight=0.75)
    taught = y_true[..., :1] * np.array([0.5, -0.25])
    expected = 0.25 * np.abs(y_true[..., 1:] - y_pred).mean()
    expected += 0.75 * np.abs(taught - y_pred).mean()
    np.testing.assert_allclose(loss(y_true, y_pred), expected, rtol=1e-5)
    # What is validated is the truth alone.
    np.testing.assert_allclose(
        loss.pixel_loss(y_true, y_pred),
        np.abs(y_true[..., 1:] - y_pred).mean(),
        rtol=1e-5,
    )


def test_unknown_loss_is_named():
    with pytest.raises(ValueError, match="Received: 'l3'"):
        ColorizationLoss("l3")


def test_perceptual_loss_without_weights_is_refused():
    with pytest.raises(ValueError, match="LPIPS"):
        ColorizationLoss("l1", perceptual=0.5)


def lightness_network():
    lightness = keras.Input((None, None, 1))
    return keras.Model(lightness, keras.ops.concatenate([lightness] * 2, axis=-1))


def rgb_distance():
    a, b = keras.Input((None, None, 3)), keras.Input((None, None, 3))
    return keras.Model([a, b], keras.ops.mean(keras.ops.abs(a - b), axis=(1, 2, 3)))


def test_config_round_trip_keeps_every_term():
    y_true, y_pred = random_batch()
    loss = ColorizationLoss(
        "huber",
        perceptual=2.0,
        colorfulness=0.1,
        lpips=rgb_distance(),
        perceptual_share=0.6,
        teacher=lightness_network(),
        teacher_weight=0.75,
        psnr=0.5,
    )
    rebuilt = ColorizationLoss.from_config(loss.get_config())
    assert rebuilt.get_config() == loss.get_config()
    # Networks are not part of a configuration; the terms wait for theirs.
    rebuilt.lpips, rebuilt.teacher = loss.lpips, loss.teacher
    np.testing.assert_array_equal(rebuilt(y_true, y_pred), loss(y_true, y_pred))


@pytest.mark.parametrize(
    "terms, name",
    [
        ({"perceptual": 1.0, "lpips": rgb_distance()}, "lpips"),
        ({"teacher": lightness_network()}, "teacher"),
    ],
)
def test_a_rebuilt_loss_without_its_network_says_so_when_called(terms, name):
    rebuilt = ColorizationLoss.from_config(ColorizationLoss(**terms).get_config())
    with pytest.raises(ValueError, match=f"`{name}` is a network"):
        rebuilt(*random_batch())
