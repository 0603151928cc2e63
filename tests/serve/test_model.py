"""Tests for the page's network: equal to the preset, whatever that is made of."""

import numpy as np
import pytest

from kcolor import presets
from kcolor.errors import DataError
from kcolor.export import flatbuffer
from kcolor.images.view import canvases
from kcolor.runtimes.litert import LiteRTPredictor
from kcolor.serve.model import fix_sizes, signature_name


@pytest.fixture(scope="module")
def preset():
    return presets.find("mobile")


@pytest.fixture(scope="module")
def fixed(preset):
    return fix_sizes(preset.read_bytes(), canvases())


def test_every_canvas_answers_as_the_preset_does(preset, fixed, tmp_path):
    path = tmp_path / "fixed.tflite"
    path.write_bytes(fixed)
    one, other = LiteRTPredictor("one", preset), LiteRTPredictor("other", path)
    rng = np.random.default_rng(0)
    assert sorted(other.sizes) == sorted(canvases())
    for canvas in canvases():
        inputs = [rng.uniform(-1, 1, (1, *canvas, 1)).astype("float32")]
        if one.takes_known:
            mask = rng.random((1, *canvas, 1)) < 0.01
            known = rng.uniform(-1, 1, (1, *canvas, 3)) * mask
            known[..., 2:] = mask
            inputs.append(known.astype("float32"))
        expected = one.predict_ab(*inputs)
        assert np.ptp(expected) > 0.01
        np.testing.assert_allclose(other.predict_ab(*inputs), expected, atol=1e-6)


def test_nothing_in_it_depends_on_a_size(fixed):
    model = flatbuffer.read(fixed)
    assert not set(flatbuffer.operators(model)) & {"SHAPE", "SLICE", "PACK"}
    for graph in model.subgraphs:
        assert all(tensor.shapeSignature is None for tensor in graph.tensors)


def test_canvases_share_their_weights(preset, fixed):
    assert len(fixed) < preset.stat().st_size + 500_000


def test_signatures_are_named_after_their_canvas(fixed):
    found = {s.signatureKey.decode() for s in flatbuffer.read(fixed).signatureDefs}
    assert found == set(map(signature_name, canvases()))


def test_a_file_of_fixed_size_is_refused(fixed):
    with pytest.raises(DataError, match="one graph"):
        fix_sizes(fixed, canvases())
