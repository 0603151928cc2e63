"""Tests for the page's network: equal to the preset, whatever that is made of."""

import numpy as np
import pytest

from kcolor import presets
from kcolor.errors import DataError
from kcolor.export import flatbuffer
from kcolor.images.view import canvases
from kcolor.runtimes.litert import LiteRTPredictor
from kcolor.serve.model import fix_sizes, signature_name


@pytest.fixture(scope="module", params=["preset", "hinted"])
def preset(request):
    """A preset's file, and one of a network that takes known colors."""
    if request.param == "hinted":
        return request.getfixturevalue("hinted_tflite")
    return presets.find("mobile").to_run()


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
        lightness = rng.uniform(-1, 1, (1, *canvas, 1)).astype("float32")
        expected = one.predict_ab(lightness)
        assert np.ptp(expected) > 0.01
        np.testing.assert_allclose(other.predict_ab(lightness), expected, atol=1e-6)
        if one.takes_known:
            mask = rng.random((1, *canvas, 1)) < 0.01
            known = (mask * [0.4, -0.3, 1.0]).astype("float32")
            hinted = one.predict_ab(lightness, known)
            assert np.abs(hinted - expected).mean() > 0.01
            found = other.predict_ab(lightness, known)
            np.testing.assert_allclose(found, hinted, atol=1e-5)


def test_nothing_in_it_depends_on_a_size(fixed):
    model = flatbuffer.read(fixed)
    assert not set(flatbuffer.operators(model)) & {"SHAPE", "SLICE", "PACK"}
    for graph in model.subgraphs:
        assert all(tensor.shapeSignature is None for tensor in graph.tensors)


def test_canvases_share_their_weights(preset, fixed):
    graphs = len(flatbuffer.read(fixed).subgraphs)
    assert len(fixed) < preset.stat().st_size + 100_000 * graphs


def test_signatures_are_named_after_their_canvas(preset, fixed):
    found = {s.signatureKey.decode() for s in flatbuffer.read(fixed).signatureDefs}
    kinds = [False, True][: 1 + LiteRTPredictor("one", preset).takes_known]
    assert found == {signature_name(c, kind) for c in canvases() for kind in kinds}


def test_a_file_of_fixed_size_is_refused(fixed):
    with pytest.raises(DataError, match="free size"):
        fix_sizes(fixed, canvases())
