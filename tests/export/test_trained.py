"""Tests for kcolor.export.trained: a small file that training goes on from."""

import numpy as np
import pytest
from small_network import build_small

from kcolor.export.trained import write_trained
from kcolor.models import build_mobile
from kcolor.models.known import takes_known
from kcolor.models.surgery import under_policy
from kcolor.runtimes.keras import load_model


def test_the_file_answers_nearly_as_the_network_does(tmp_path):
    network = build_small()
    write_trained(network, tmp_path / "small.keras")
    restored = load_model(tmp_path / "small.keras")
    lightness = np.random.default_rng(0).uniform(-1, 1, (2, 32, 64, 1))
    expected = np.asarray(network(lightness))
    off = np.abs(np.asarray(restored(lightness)) - expected).mean()
    # Each weight is off by 0.6%, root mean square.
    assert 0 < off < 0.02 * np.abs(expected).mean()


def test_kernels_keep_six_bits_and_vectors_all(tmp_path):
    network = build_small()
    bn = network.get_layer("bn")
    rng = np.random.default_rng(1)
    bn.set_weights([rng.uniform(0.5, 2, w.shape) for w in bn.get_weights()])
    write_trained(network, tmp_path / "small.keras")
    restored = load_model(tmp_path / "small.keras")
    for old, new in zip(network.weights, restored.weights, strict=True):
        old, new = np.asarray(old), np.asarray(new)
        if old.ndim < 2:
            np.testing.assert_array_equal(new, old)
            continue
        # Half of the last of six bits, where the first has the least weight.
        np.testing.assert_array_less(np.abs(new - old), np.abs(old) * 2.0**-6 + 1e-30)
        significant = np.frexp(new)[0] * 2**6
        np.testing.assert_array_equal(significant, np.rint(significant))


def test_the_file_is_small_and_takes_what_the_network_takes(tmp_path):
    network = build_mobile(known=True)
    write_trained(network, tmp_path / "mobile.keras")
    size = (tmp_path / "mobile.keras").stat().st_size
    assert size < 1.8 * network.count_params()
    assert takes_known(load_model(tmp_path / "mobile.keras"))


def test_the_file_computes_in_float32(tmp_path):
    network = under_policy(build_small(), "mixed_bfloat16")
    write_trained(network, tmp_path / "small.keras")
    layers = load_model(tmp_path / "small.keras").layers
    assert {layer.compute_dtype for layer in layers} == {"float32"}
    assert "bfloat16" in {layer.compute_dtype for layer in network.layers}


def test_an_optimizer_is_not_shipped(tmp_path):
    network = build_small()
    network.compile("adam", "mse")
    with pytest.raises(ValueError, match="must not be compiled.* Received: small"):
        write_trained(network, tmp_path / "small.keras")
    assert not list(tmp_path.iterdir())
