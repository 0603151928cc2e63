"""Tests for kcolor.export.flatbuffer: smaller files that say the same."""

import flatbuffers
import numpy as np
import pytest

from kcolor import presets
from kcolor.export import flatbuffer


@pytest.fixture(scope="module")
def content():
    return presets.find("mobile-int8").to_run().read_bytes()


def quantization(content):
    graphs = flatbuffer.read(content).subgraphs
    tables = [t.quantization for graph in graphs for t in graph.tensors]
    return [
        (t.scale, t.zeroPoint, t.quantizedDimension)
        for t in tables
        if t is not None and t.scale is not None
    ]


def test_equal_scales_and_zero_points_are_written_once(content):
    builder = flatbuffers.Builder(1 << 20)
    model = flatbuffer.read(content)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    plain = bytes(builder.Output())
    shared = flatbuffer.write(flatbuffer.read(plain))
    assert len(shared) < 0.88 * len(plain)
    found, expected = quantization(shared), quantization(plain)
    assert len(found) == len(expected) > 300
    for one, other in zip(found, expected, strict=True):
        for value, right in zip(one, other, strict=True):
            np.testing.assert_array_equal(value, right)
    # Of several channels, and of other values than the zero points.
    assert max(len(scale) for scale, *_ in found) > 1000


def test_a_rewritten_file_answers_as_before(content):
    from ai_edge_litert.interpreter import Interpreter

    again = flatbuffer.write(flatbuffer.read(content))
    lightness = np.random.default_rng(0).uniform(-1, 1, (1, 256, 256, 1))
    lightness = lightness.astype("float32")
    answers = [
        Interpreter(model_content=file).get_signature_runner("serving_default")(
            lightness=lightness
        )["ab"]
        for file in (content, again)
    ]
    assert np.abs(answers[0]).max() > 0.01
    np.testing.assert_array_equal(*answers)
