"""TFLite: one file for phones and for `kcolor colorize`, with builtin operators only.

What a reader would get wrong: a converter can succeed and write a file without weights,
and it can put in operators that a phone's runtime lacks. So the content is looked at
before anything runs it, and the written file is run against Keras.
"""

import os
import re
import tempfile
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert import ConverterError

from kcolor.color.graph import split
from kcolor.data.source import open_source
from kcolor.errors import DataError
from kcolor.export import flatbuffer, graphs, parity
from kcolor.export.model import (
    SIZE,
    check_size,
    check_target,
    load,
    make_card,
    parameter_bytes,
)
from kcolor.files import replacing
from kcolor.models.surgery import last_layers, leaf_layers
from kcolor.parallel import evenly_spaced
from kcolor.runtimes.litert import LiteRTPredictor

QUANTIZE = ("none", "fp16", "dynamic", "int8")
IO = ("rgb", "network")
ANY = (None, None)  # As a size: whatever the picture has.
CALIBRATION_PICTURES = 64
# Signatures of a file that keeps a picture's aspect: name to (height, width).
ASPECTS = {"square": (256, 256), "landscape": (224, 320), "portrait": (320, 224)}
# Bytes that one parameter may not fall short of; a part of them may be shared.
_BYTES_PER_PARAMETER = {"none": 4, "fp16": 2, "dynamic": 1, "int8": 1}
# The network is the only part that a quantizer may touch.
_NETWORK_OPERATORS = rf".*{graphs.NETWORK_SCOPE}/.*"


def export_tflite(
    model,
    path,
    *,
    sizes=None,
    io="network",
    network_size=SIZE,
    quantize="none",
    calibration=None,
    data=None,
    limit=None,
    license_name="not stated",
    overwrite=False,
):
    """Writes a verified `.tflite` file.

    Args:
        model: `keras.Model` from lightness to ab, or path of a run folder or a `.keras`
            file.
        path: The file to write.
        sizes: Dict of signature's name to `(height, width)`, or to `ANY`. Signatures
            share all weights. None: `{"serving_default": (256, 256)}`.
        io: `"network"` for `lightness` to `ab` (float32, units of
            `kcolor.color.graph`) or `"rgb"` for `image` to `colorized` (uint8 RGB
            with the color math in the graph).
        network_size: Side that the network works at inside an `"rgb"` file for `ANY`.
        quantize: `"none"`, `"fp16"` (weights), `"dynamic"` (int8 weights) or `"int8"`
            (the network up to its last convolution; color math stays in float32).
        calibration: For `"int8"`: a source of photographs, see
            `kcolor.data.source.open_source`.
        data: Source to verify on, which then also gives the cost in quality; None for
            the photographs inside scikit-image.
        limit: Number of pictures of `data` for the cost in quality; None for all.
        license_name: License of the weights, for the card in the file.
        overwrite: Whether an existing file may be replaced.

    Returns:
        Dict with `bytes`, `operators`, `card`, `differences` (see
        `parity.Differences.figures`) and `cost` (see `parity.cost`; None without
        `data`).

    Raises:
        ValueError: If an argument is out of its range.
        DataError: If the model or a source cannot be used, the target exists, or the
            file is not what it must be; then nothing is left behind.
    """
    sizes = dict(sizes or {"serving_default": (SIZE, SIZE)})
    _check(sizes, io, network_size, quantize, calibration)
    path = Path(path)
    check_target(path, overwrite)
    source, model = model, load(model)
    if quantize == "fp16" and ANY in (sizes or {}).values() and _rescales(model):
        raise DataError(
            f"{path}: of any size and in float16, LiteRT answers rightly most times "
            "and wrongly some times for networks with this encoder. Use --quantize "
            "none with --size any, or --quantize fp16 with a fixed --size"
        )
    shown = parity.pictures(data)
    functions = _functions(model, sizes, io, network_size)
    content = _convert(model, functions, quantize == "fp16")
    if quantize in ("dynamic", "int8"):
        samples = None
        if quantize == "int8":
            samples = _calibration_samples(calibration, functions)
        content = _quantize(content, quantize, samples, _last_layers(model))

    unpacked = flatbuffer.read(content)
    card = make_card(
        model, source, license_name, quantize=quantize, **_contract(sizes, io)
    )
    flatbuffer.add_card(unpacked, card)
    _check_content(path, unpacked, model, quantize)
    content = flatbuffer.write(unpacked)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
        try:
            differences = verify(temporary, model, shown, sizes, io, network_size)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        parity.check(path, differences, quantize)
        cost = None
        if data is not None:
            side = _square(sizes, path)
            cost = parity.cost(model, temporary, path, data, side, limit)
            parity.check_cost(path, cost)
    return {
        "bytes": len(content),
        "operators": flatbuffer.operators(unpacked),
        "card": card,
        "differences": differences,
        "cost": cost,
    }


def verify(path, model, images, sizes, io="network", network_size=SIZE):
    """Runs a file in LiteRT on pictures and compares it with Keras.

    Args:
        path: The `.tflite` file.
        model: Float32 `keras.Model` that it was made from.
        images: List of uint8 RGB arrays `(height, width, 3)`.
        sizes: As for `export_tflite`.
        io: As for `export_tflite`.
        network_size: As for `export_tflite`.

    Returns:
        Dict, see `parity.Differences.figures`.

    Raises:
        DataError: If the file cannot be run or its answers have the wrong shape.
    """
    predictor = LiteRTPredictor(str(path), path)
    differences = parity.Differences()
    for size in sizes.values():
        if io == "rgb" and size == ANY:
            for image in parity.of_many_sizes(images):
                expected = graphs.colorize_any(model, image[None], (network_size,) * 2)
                differences.add_rgb(expected, predictor.predict_rgb(image[None]))
            continue
        seen = [(SIZE, SIZE), (96, 160)] if size == ANY else [size]
        for one in seen:
            for image in parity.resized(images, one)[:, None]:
                if io == "rgb":
                    expected = graphs.colorize_fixed(model, image)
                    differences.add_rgb(expected, predictor.predict_rgb(image))
                else:
                    lightness = np.asarray(split(image)[0])
                    expected = model(lightness, training=False)
                    answer = predictor.predict_ab(lightness)
                    differences.add_ab(lightness, expected, answer)
    return differences.figures()


def _rescales(model):
    """Tells whether a network brings lightness to its encoder's range, channel-wise.

    Measured with LiteRT 2.3: of a `unet` on ResNet18, one interpreter in three to eight
    gives an answer that grows eightfold from call to call. It never happened in float32
    (18), at fixed sizes (24), or where the encoder does not rescale: 386 of `mobile`,
    32 of a `unet` on MobileNetV2, 24 on ResNet50V2.
    """
    return any(
        isinstance(layer, keras.layers.Rescaling) for layer in leaf_layers(model)
    )


def _square(sizes, path):
    for size in sizes.values():
        if size == ANY:
            return SIZE
        if size[0] == size[1]:
            return size[0]
    raise ValueError(
        f"{path}: quality is measured on squares, and no signature takes one. "
        f"Received: sizes={sizes}"
    )


def _check(sizes, io, network_size, quantize, calibration):
    if io not in IO:
        raise ValueError(f"`io` must be one of {', '.join(IO)}. Received: {io!r}")
    if quantize not in QUANTIZE:
        raise ValueError(
            f"`quantize` must be one of {', '.join(QUANTIZE)}. Received: {quantize!r}"
        )
    if quantize == "int8" and calibration is None:
        raise ValueError(
            "int8 needs photographs to calibrate on: give --calibration SRC. "
            "Received: calibration=None"
        )
    if quantize != "int8" and calibration is not None:
        raise ValueError(
            "only int8 is calibrated; leave --calibration out. "
            f"Received: quantize={quantize!r}"
        )
    for size in sizes.values():
        if size != ANY:
            check_size(size)
        elif quantize == "int8" and io == "network":
            raise ValueError(
                "an int8 network has a fixed size; give --size N, or --io rgb. "
                "Received: size=any"
            )
    check_size((network_size,))


def _functions(model, sizes, io, network_size):
    """Returns dict of signature's name to (function, input's `tf.TensorSpec`)."""
    flexible = (
        graphs.any_size(model) if io == "network" and ANY in sizes.values() else 0
    )

    def network(lightness, any_size):
        return {"ab": graphs.predict(flexible if any_size else model, lightness)}

    def rgb(image, any_size):
        if any_size:
            colorized = graphs.colorize_any(model, image, (network_size,) * 2)
        else:
            colorized = graphs.colorize_fixed(model, image)
        return {"colorized": colorized}

    def bind(function, any_size):
        # Keras reads the name of the argument; a partial would hide it.
        if function is network:
            return lambda lightness: function(lightness, any_size)
        return lambda image: function(image, any_size)

    functions = {}
    for name, size in sizes.items():
        if io == "network":
            spec = tf.TensorSpec((1, *size, 1), tf.float32, name="lightness")
            functions[name] = bind(network, size == ANY), spec
        else:
            spec = tf.TensorSpec((1, *size, 3), tf.uint8, name="image")
            functions[name] = bind(rgb, size == ANY), spec
    return functions


def _convert(model, functions, fp16):
    archive = keras.export.ExportArchive()
    archive.track(model)
    for name, (function, spec) in functions.items():
        archive.add_endpoint(name, function, input_signature=[spec])
    with tempfile.TemporaryDirectory(prefix="kcolor-") as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=list(functions)
        )
        if fp16:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        try:
            return converter.convert()
        except ConverterError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise DataError(
                f"{model.name}: cannot be converted to TFLite with builtin operators "
                f"alone ({lines[0][:200]})"
            ) from error


def _calibration_samples(source, functions):
    """Returns dict of signature's name to list of its inputs, from real pictures."""
    images = _calibration_pictures(source)
    samples = {}
    for name, (_, spec) in functions.items():
        size = tuple(spec.shape[1:3])
        if size == ANY:
            size = (SIZE, SIZE)
        inputs = parity.resized(images, size)[:, None]
        if spec.dtype == tf.float32:
            inputs = [np.asarray(split(image)[0]) for image in inputs]
        samples[name] = [{spec.name: value} for value in inputs]
    return samples


def _calibration_pictures(source):
    pictures = open_source(source)
    chosen = evenly_spaced(len(pictures), CALIBRATION_PICTURES)
    return [pictures.read(i) for i in chosen]


def _last_layers(model):
    """Names the layers from the last convolution to the output.

    Few pixels have strong colors, so ab has rare, large values: 256 steps over their
    range are too coarse. These layers stay in float; it costs no time and halves the
    error of an int8 file.
    """
    layers = last_layers(model, lambda layer: isinstance(layer, keras.layers.Conv2D))
    return [layer.name for layer in layers]


def _quantize(content, quantize, samples, float_layers):
    from ai_edge_quantizer import algorithm_manager, qtyping, quantizer

    worker = quantizer.Quantizer(bytearray(content))
    everything = qtyping.TFLOperationName.ALL_SUPPORTED
    with _silence():
        if quantize == "dynamic":
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
            ranges = worker.calibrate(samples, num_threads=os.cpu_count() or 1)
        result = worker.quantize(ranges, enable_progress_report=False)
    return bytes(result.quantized_model)


@contextmanager
def _silence():
    """Holds back the quantizer's progress bars and warnings about its own workings."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield


def _check_content(path, unpacked, model, quantize):
    """Refuses what no phone runs and what holds no weights."""
    found = flatbuffer.operators(unpacked)
    foreign = sorted(
        name.removeprefix("CUSTOM:")
        for name in found
        if name.startswith("CUSTOM:")
        or re.search(r"VAR_HANDLE|READ_VARIABLE|ASSIGN_VARIABLE", name)
    )
    if foreign:
        raise DataError(
            f"{path}: the converter used operators that are not builtin "
            f"({', '.join(foreign)}); nothing was written"
        )
    least = parameter_bytes(model) * _BYTES_PER_PARAMETER[quantize] // 4
    held = flatbuffer.constant_bytes(unpacked)
    if held < least:
        raise DataError(
            f"{path}: the converter left weights out ({held / 1e6:.2f} MB held; "
            f"at least {least / 1e6:.2f} expected); nothing was written"
        )


def _contract(sizes, io):
    if io == "rgb":
        ends = {
            "input": "image: uint8 RGB (1, height, width, 3), 0..255",
            "output": "colorized: uint8 RGB (1, height, width, 3), 0..255",
        }
    else:
        ends = {
            "input": "lightness: float32 (1, height, width, 1), L* / 50 - 1, [-1, 1]",
            "output": "ab: float32 (1, height, width, 2), a* and b* / 110, [-1, 1]",
        }
    shown = {k: "any" if s == ANY else list(s) for k, s in sizes.items()}
    return {**ends, "signatures": shown}
