"""TFLite: one file for phones and for `kcolor colorize`, with builtin operators only.

What a reader would get wrong: a converter can succeed and write a file without weights,
and it can put in operators that a phone's runtime lacks. So the content is looked at
before anything runs it, and the written file is run against Keras.
"""

import re
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert import ConverterError

from kcolor.errors import DataError
from kcolor.export import IO, QUANTIZE, flatbuffer, graphs, parity
from kcolor.export.model import (
    KNOWN,
    Network,
    check_size,
    check_target,
    load,
    make_card,
    parameter_bytes,
)
from kcolor.export.quantize import calibration_samples, quantize_network
from kcolor.export.verified import write_verified
from kcolor.images import view
from kcolor.models.known import known_layers
from kcolor.models.surgery import last_layers, leaf_layers
from kcolor.runtimes.litert import LiteRTPredictor

ANY: Any = (None, None)  # As a size: whatever the picture has.
# Sizes of a network file for runtimes that cannot resize an input: a signature for each
# canvas, so that such a file shows the network what `kcolor colorize` does.
CANVASES = {
    f"view_{height}x{width}": (height, width) for height, width in view.canvases()
}
# Bytes that one parameter may not fall short of; a part of them may be shared.
_BYTES_PER_PARAMETER = {"none": 4, "fp16": 2, "dynamic": 1, "int8": 1}

Sizes = dict[str, view.Size]
Functions = dict[str, tuple[Callable, list[tf.TensorSpec]]]


def export_tflite(
    model: keras.Model | Path | str,
    path: Path | str,
    *,
    sizes: Sizes | None = None,
    io: str = "network",
    network_size: int = view.SIZE,
    quantize: str = "none",
    calibration: Any = None,
    data: Any = None,
    limit: int | None = None,
    license_name: str = "not stated",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Writes a verified `.tflite` file.

    Of a network that takes known colors, a file with `io="network"` has each signature
    twice: as it is, from lightness alone, which costs what a network without that input
    does; and as NAME`_known`, from `lightness` and `known`. An `"rgb"` file colorizes
    by itself: what a person knows is kept exactly at full size only, by `kcolor`.

    Args:
        model: What `kcolor.export.model.load` takes.
        path: The file to write.
        sizes: Dict of signature's name to `(height, width)`, or to `ANY`; `CANVASES` is
            one. Signatures share all weights. None: `{"serving_default": (256, 256)}`.
        io: `"network"` for `lightness` to `ab` (float32, units of
            `kcolor.color.graph`) or `"rgb"` for `image` to `colorized` (uint8 RGB
            with the color math in the graph).
        network_size: Side of the square canvas inside an `"rgb"` file for `ANY`.
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
        Dict as `write_verified` returns it, with `operators`, a dict of name to count.

    Raises:
        ValueError: If an argument is out of its range.
        DataError: If the model or a source cannot be used, the target exists, or the
            file is not what it must be; then nothing is left behind.
    """
    sizes = dict(sizes or {"serving_default": (view.SIZE, view.SIZE)})
    _check(sizes, io, network_size, quantize, calibration)
    path = Path(path)
    check_target(path, overwrite)
    network = load(model)
    if quantize == "fp16" and ANY in sizes.values() and _rescales(network.plain):
        raise DataError(
            f"{path}: of any size and in float16, LiteRT answers rightly most times "
            "and wrongly some times for networks with this encoder. Use --quantize "
            "none with --size any, or --quantize fp16 with a fixed --size"
        )
    side = view.SIZE if data is None else _square(sizes, path)
    shown = parity.pictures(data)
    functions = _functions(network, sizes, io, network_size)
    content = _convert(network.model, functions, quantize == "fp16")
    if quantize in ("dynamic", "int8"):
        samples = None
        if quantize == "int8":
            specs = {name: taken for name, (_, taken) in functions.items()}
            samples = calibration_samples(calibration, specs)
        content = quantize_network(content, samples, _float_layers(network))

    unpacked = flatbuffer.read(content)
    contract = _contract(functions, io, network_size)
    card = make_card(network, license_name, quantize=quantize, **contract)
    flatbuffer.add_card(unpacked, card)
    held = network.model if io == "network" else network.plain
    _check_content(path, unpacked, held, quantize)
    content = flatbuffer.write(unpacked)
    result = write_verified(
        network,
        path,
        card=card,
        write=lambda temporary: temporary.write_bytes(content),
        compare=lambda temporary: verify(
            temporary, network, shown, sizes, io, network_size
        ),
        quantize=quantize,
        data=data,
        side=side,
        limit=limit,
    )
    return {**result, "operators": flatbuffer.operators(unpacked)}


def verify(
    path: Path,
    network: Network,
    images: list[np.ndarray],
    sizes: Sizes,
    io: str = "network",
    network_size: int = view.SIZE,
) -> dict[str, Any]:
    """Runs a file in LiteRT on pictures and compares it with Keras.

    Args:
        path: The `.tflite` file.
        network: What it was made from.
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
    shapes = view.canvases(network_size)
    differences = parity.Differences()
    for size in sizes.values():
        if io == "rgb" and size == ANY:
            for image in parity.of_many_sizes(images):
                expected = graphs.colorize_any(network.plain, image[None], shapes)
                differences.add_rgb(expected, predictor.predict_rgb(image[None]))
            continue
        seen = [(view.SIZE, view.SIZE), (96, 160)] if size == ANY else [size]
        for one in seen:
            for image in parity.resized(images, one)[:, None]:
                if io == "rgb":
                    expected = graphs.colorize_fixed(network.plain, image)
                    differences.add_rgb(expected, predictor.predict_rgb(image))
                else:
                    differences.add_network(network, predictor, image)
    return differences.figures()


def _rescales(model: keras.Model) -> bool:
    """Tells whether a network brings lightness to its encoder's range, channel-wise.

    Measured with LiteRT 2.3: of a `unet` on ResNet18, one interpreter in three to eight
    gives an answer that grows eightfold from call to call. It never happened in float32
    (18), at fixed sizes (24), or where the encoder does not rescale: 386 of `mobile`,
    32 of a `unet` on MobileNetV2, 24 on ResNet50V2.
    """
    return any(
        isinstance(layer, keras.layers.Rescaling) for layer in leaf_layers(model)
    )


def _square(sizes: Sizes, path: Path) -> int:
    for size in sizes.values():
        if size == ANY:
            return view.SIZE
        if size[0] == size[1]:
            return size[0]
    raise ValueError(
        f"{path}: quality is measured on squares, and no signature takes one. "
        f"Received: sizes={sizes}"
    )


def _check(
    sizes: Sizes, io: str, network_size: int, quantize: str, calibration: Any
) -> None:
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


def _functions(network: Network, sizes: Sizes, io: str, network_size: int) -> Functions:
    """Returns dict of signature's name to (function, inputs' `tf.TensorSpec`)."""
    shapes = view.canvases(network_size)
    functions: Functions = {}
    for name, size in sizes.items():
        plain, model = network.plain, network.model
        if size == ANY:
            plain, model = graphs.any_size(plain), graphs.any_size(model)
        if io == "rgb":
            function = _rgb_function(
                partial(graphs.colorize_any, plain, shapes=shapes)
                if size == ANY
                else partial(graphs.colorize_fixed, plain)
            )
            image = tf.TensorSpec((1, *size, 3), tf.uint8, name="image")
            functions[name] = function, [image]
            continue
        lightness = tf.TensorSpec((1, *size, 1), tf.float32, name="lightness")
        functions[name] = _network_function(plain), [lightness]
        if network.takes_known:
            known = tf.TensorSpec((1, *size, 3), tf.float32, name="known")
            functions[f"{name}_known"] = _hinted_function(model), [lightness, known]
    return functions


# Keras names a signature's input after the function's argument, which a partial hides.
def _network_function(model: keras.Model) -> Callable:
    return lambda lightness: {"ab": graphs.predict(model, lightness)}


def _hinted_function(model: keras.Model) -> Callable:
    return lambda lightness, known: {"ab": graphs.predict(model, lightness, known)}


def _rgb_function(colorize: Callable) -> Callable:
    return lambda image: {"colorized": colorize(image)}


def _convert(model: keras.Model, functions: Functions, fp16: bool) -> bytes:
    archive = keras.export.ExportArchive()
    archive.track(model)
    for name, (function, specs) in functions.items():
        archive.add_endpoint(name, function, input_signature=specs)
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


def _float_layers(network: Network) -> list[str]:
    """Names the layers that an int8 file keeps in float.

    Few pixels have strong colors, so ab has rare, large values: 256 steps over their
    range are too coarse. The layers from the last convolution to the output cost no
    time and halve the error; known colors are such values, too.
    """
    last = last_layers(
        network.plain, lambda layer: isinstance(layer, keras.layers.Conv2D)
    )
    return [layer.name for layer in last] + known_layers(network.model)


def _check_content(
    path: Path, unpacked: Any, model: keras.Model, quantize: str
) -> None:
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


def _contract(functions: Functions, io: str, network_size: int) -> dict[str, Any]:
    if io == "rgb":
        ends = {
            "input": "image: uint8 RGB (1, height, width, 3), 0..255",
            "output": "colorized: uint8 RGB (1, height, width, 3), 0..255",
        }
    else:
        ends = {
            "input": "lightness: float32 (1, height, width, 1), L* / 50 - 1, [-1, 1]",
            "output": "ab: float32 (1, height, width, 2), a* and b* / 110, "
            "about [-1, 1]",
        }
    shown = {
        name: "any" if None in specs[0].shape else list(specs[0].shape[1:3])
        for name, (_, specs) in functions.items()
    }
    contract: dict[str, Any] = {**ends, "signatures": shown}
    if any(len(specs) > 1 for _, specs in functions.values()):
        contract["known"] = KNOWN
    if io == "rgb" and "any" in shown.values():
        contract["canvases"] = [list(shape) for shape in view.canvases(network_size)]
    return contract
