"""Tests for training with known colors."""

import keras
import numpy as np
import pytest

from kcolor.models import build_mobile
from kcolor.models.known import takes_known
from kcolor.runtimes.keras import load_model
from kcolor.training.fit import fit
from kcolor.training.options import FitOptions
from kcolor.training.trainer import build_trainer

SMALL = dict(
    size=32, batch_size=2, steps_per_epoch=2, val_images=2, backbone_weights="none"
)


@pytest.fixture
def automatic(tmp_path):
    """A saved network that answers color, without the input for hints."""
    network = build_mobile()
    head = network.get_layer("head")
    rng = np.random.default_rng(0)
    head.set_weights([rng.normal(0, 0.1, w.shape) for w in head.get_weights()])
    path = tmp_path / "automatic.keras"
    network.save(path)
    return path


def test_a_network_trained_with_hints_starts_from_one_without(automatic, tmp_path):
    start = load_model(automatic)
    options = FitOptions("mobile", tmp_path / "run", init_from=automatic, **SMALL)
    assert not takes_known(build_trainer(options).network)
    options = FitOptions(
        "mobile", tmp_path / "run", init_from=automatic, hints_share=0.5, **SMALL
    )
    network = build_trainer(options).network
    rng = np.random.default_rng(1)
    lightness = rng.uniform(-1, 1, (1, 32, 64, 1)).astype("float32")
    inputs = {"lightness": lightness, "known": np.full((1, 32, 64, 3), 0.5, "float32")}
    np.testing.assert_array_equal(network(inputs), start(lightness))


def test_a_teacher_that_takes_hints_teaches_without(tmp_path):
    network = build_mobile(known=True)
    rng = np.random.default_rng(0)
    network.set_weights([rng.normal(0, 0.1, w.shape) for w in network.get_weights()])
    network.save(tmp_path / "teacher.keras")
    options = FitOptions(
        "mobile", tmp_path / "run", teacher=tmp_path / "teacher.keras", **SMALL
    )
    lightness = rng.uniform(-1, 1, (1, 32, 64, 1)).astype("float32")
    teacher = build_trainer(options).loss.teacher
    taught = teacher(keras.ops.convert_to_tensor(lightness), training=False)
    nothing = np.zeros((1, 32, 64, 3), "float32")
    expected = network({"lightness": lightness, "known": nothing})
    assert np.asarray(expected).any()
    np.testing.assert_array_equal(taught, expected)


@pytest.mark.slow
def test_hints_train_their_kernels_and_the_network_can_be_trained_on(tmp_path):
    options = FitOptions("mobile", tmp_path / "a", hints_share=1.0, epochs=2, **SMALL)
    history = fit(options)
    model = load_model(tmp_path / "a")
    assert takes_known(model)
    kernel = keras.ops.convert_to_numpy(model.get_layer("decoder_p2_known").kernel)
    assert np.any(kernel)
    # A trained network goes on with hints whether the option is given or not.
    again = FitOptions(
        "mobile", tmp_path / "b", init_from=tmp_path / "a", epochs=1, **SMALL
    )
    assert np.isfinite(fit(again)[-1]["loss"]) and np.isfinite(history[-1]["loss"])


@pytest.mark.parametrize(("system", "share"), [("unet", 0.5), ("mobile", 1.5)])
def test_hints_are_for_mobile_and_a_share(system, share):
    with pytest.raises(ValueError, match=rf"`hints_share` .* {share} for {system}"):
        FitOptions(system, "run", hints_share=share)
