"""Tests for kcolor.training.optimizer."""

import keras
import numpy as np

from kcolor.training.optimizer import LayerwiseAdamW


def test_layerwise_rates_scale_each_step():
    rng = np.random.default_rng(0)
    variables = [keras.Variable(rng.normal(size=(3, 4))) for _ in range(2)]
    before = [v.numpy() for v in variables]
    optimizer = LayerwiseAdamW(0.1, rates={variables[1].path: 0.25}, weight_decay=0)
    optimizer.build(variables)
    gradient = keras.ops.convert_to_tensor(rng.normal(size=(3, 4)), "float32")
    optimizer.apply([gradient, gradient])
    steps = [v.numpy() - b for v, b in zip(variables, before, strict=True)]
    np.testing.assert_allclose(steps[1], 0.25 * steps[0], rtol=1e-4)
    rebuilt = LayerwiseAdamW.from_config(optimizer.get_config())
    assert rebuilt.rates == optimizer.rates
