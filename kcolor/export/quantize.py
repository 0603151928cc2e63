"""Quantization of a converted TFLite file; color math is never touched."""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

import numpy as np
import tensorflow as tf

from kcolor.color.graph import split
from kcolor.data.source import open_source
from kcolor.export import graphs, parity
from kcolor.parallel import cores, evenly_spaced

CALIBRATION_PICTURES = 64
# The network is the only part that a quantizer may touch.
_NETWORK_OPERATORS = rf".*{graphs.NETWORK_SCOPE}/.*"


def calibration_samples(
    source: Any, specs: dict[str, list[tf.TensorSpec]]
) -> dict[str, list[dict[str, np.ndarray]]]:
    """Makes inputs of real pictures, from whose values ranges are taken.

    Args:
        source: Photographs, see `kcolor.data.source.open_source`.
        specs: Signature's name to the `tf.TensorSpec` of its inputs: `lightness` and,
            if it takes them, known colors, or `image`.

    Returns:
        Dict of signature's name to list of its keyword arguments.
    """
    pictures = open_source(source)
    chosen = evenly_spaced(len(pictures), CALIBRATION_PICTURES)
    images = [pictures.read(i) for i in chosen]
    samples = {}
    rng = np.random.default_rng(0)
    for name, (first, *others) in specs.items():
        if first.shape[1] is None:
            inputs = [image[None] for image in parity.of_many_sizes(images)]
        else:
            inputs = list(parity.resized(images, tuple(first.shape[1:3]))[:, None])
        taken = inputs
        if first.dtype == tf.float32:
            taken = [np.asarray(split(image)[0]) for image in inputs]
        samples[name] = [{first.name: value} for value in taken]
        for known in others:
            for sample, image in zip(samples[name], inputs, strict=True):
                sample[known.name] = parity.known_colors(image, rng)
    return samples


def quantize_network(
    content: bytes, samples: dict[str, list] | None, float_layers: Sequence[str]
) -> bytes:
    """Quantizes the network inside a TFLite file.

    Args:
        content: Bytes of the float file.
        samples: As from `calibration_samples`: weights and activations become int8.
            None: weights only.
        float_layers: Names of layers that stay in float; for int8 activations.

    Returns:
        Bytes of the quantized file.
    """
    from ai_edge_quantizer import algorithm_manager, qtyping, quantizer

    worker = quantizer.Quantizer(bytearray(content))
    everything = qtyping.TFLOperationName.ALL_SUPPORTED
    with _silence():
        if samples is None:
            worker.add_dynamic_config(_NETWORK_OPERATORS, everything, num_bits=8)
            ranges = None
        else:
            worker.add_static_config(_NETWORK_OPERATORS, everything, 8, 8)
            # TensorFlow may number a layer's name when it is called again.
            names = "|".join(re.escape(name) for name in float_layers)
            worker.update_quantization_recipe(
                rf"{_NETWORK_OPERATORS}/({names})(_[0-9]+)?/.*",
                everything,
                algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE,
            )
            ranges = worker.calibrate(samples, num_threads=cores())
        result = worker.quantize(ranges, enable_progress_report=False)
    return bytes(result.quantized_model)


@contextmanager
def _silence() -> Iterator[None]:
    """Holds back the quantizer's progress bars and warnings about its own workings."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
