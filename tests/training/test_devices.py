"""Tests for kcolor.training.devices: what is set for a while, fused BatchNorm."""

import keras
import numpy as np
import pytest

from kcolor.training import devices
from kcolor.training.devices import (
    all_devices,
    dtype_policy,
    fuse_batch_norm,
    one_device,
)


def build(policy, seed=0):
    keras.utils.set_random_seed(seed)
    with_policy = {"dtype": policy}
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(8, 3, padding="same", **with_policy)(inputs)
    x = keras.layers.BatchNormalization(momentum=0.9, name="bn", **with_policy)(x)
    inner = keras.Input((None, None, 8))
    nested = keras.layers.BatchNormalization(name="inner_bn", **with_policy)(inner)
    x = keras.Model(inner, nested, name="nested")(x)
    x = keras.layers.Conv2D(1, 1, dtype="float32")(keras.layers.ReLU(dtype=policy)(x))
    model = keras.Model(inputs, x)
    model.compile(
        keras.optimizers.SGD(0.1), "mse", jit_compile=False, auto_scale_loss=False
    )
    return model


@pytest.mark.parametrize(
    "policy, tolerance", [("float32", 2e-4), ("mixed_bfloat16", 0.03)]
)
def test_training_equals_plain_batch_norm(policy, tolerance):
    rng = np.random.default_rng(0)
    x = rng.normal(2, 3, (4, 16, 12, 3)).astype("float32")
    y = rng.normal(0, 1, (4, 16, 12, 1)).astype("float32")
    plain, fused = build(policy), build(policy)
    fuse_batch_norm(fused)
    before = [w.copy() for w in fused.get_weights()]
    for _ in range(5):
        losses = [model.train_on_batch(x, y) for model in (plain, fused)]
        assert losses[0] == pytest.approx(losses[1], rel=tolerance)
    pairs = zip(plain.weights, plain.get_weights(), fused.get_weights(), strict=True)
    for (variable, one, two), old in zip(pairs, before, strict=True):
        np.testing.assert_allclose(
            one, two, atol=tolerance * max(1, np.abs(one).max()), err_msg=variable.path
        )
        assert not np.array_equal(two, old), variable.path
    np.testing.assert_allclose(
        plain.predict_on_batch(x), fused.predict_on_batch(x), atol=10 * tolerance
    )


def test_frozen_layers_keep_their_statistics():
    model = build("float32")
    model.get_layer("bn").trainable = False
    fuse_batch_norm(model)
    before = model.get_layer("bn").get_weights()
    model.train_on_batch(np.ones((2, 8, 8, 3)), np.ones((2, 8, 8, 1)))
    for one, two in zip(before, model.get_layer("bn").get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_saved_files_stay_plain_keras(tmp_path):
    model = build("float32")
    fuse_batch_norm(model)
    fuse_batch_norm(model)
    model.save(tmp_path / "a.keras")
    loaded = keras.models.load_model(tmp_path / "a.keras")
    assert type(loaded.get_layer("bn")) is keras.layers.BatchNormalization
    assert "call" not in vars(loaded.get_layer("bn"))
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 3))
    np.testing.assert_allclose(loaded(x), model(x), atol=1e-6)


def test_dtype_policy_is_put_back_whatever_happens():
    with pytest.raises(KeyError), dtype_policy("mixed_bfloat16"):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        raise KeyError
    assert keras.config.dtype_policy().name == "float32"


def test_distribution_of_jax_ends_with_the_training(monkeypatch):
    monkeypatch.setattr(devices, "gpu_capability", lambda: (8, 0))
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    two = ["gpu:0", "gpu:1"]
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: two)
    parallel = keras.distribution.DataParallel(devices=two)
    monkeypatch.setattr(
        keras.distribution, "DataParallel", lambda auto_shard_dataset: parallel
    )
    with pytest.raises(ValueError, match="`batch_size` must be a multiple of 2"):
        all_devices(7)
    with all_devices(8):
        assert keras.distribution.distribution() is parallel
        with one_device():
            assert keras.distribution.distribution() is None
        assert keras.distribution.distribution() is parallel
    assert keras.distribution.distribution() is None
