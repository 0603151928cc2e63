"""ONNX: opset 18, any batch, any size.

What a reader would get wrong: the converter takes the graph of TensorFlow, not the
Keras model, so a size that Keras can only trace as a number stays a number. The network
here is `graphs.any_size`'s.
"""

import json
import logging
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from kcolor.errors import DataError
from kcolor.export import graphs, parity
from kcolor.export.model import (
    KNOWN,
    Network,
    check_size,
    check_target,
    load,
    make_card,
    parameter_bytes,
)
from kcolor.export.verified import write_verified
from kcolor.images import view
from kcolor.runtimes.onnx import OnnxPredictor

OPSET = 18


def export_onnx(
    model: keras.Model | Path | str,
    path: Path | str,
    *,
    io: str = "rgb",
    size: int | Literal["any"] = "any",
    network_size: int = view.SIZE,
    data: Any = None,
    limit: int | None = None,
    license_name: str = "not stated",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Writes a verified `.onnx` file; the batch is free.

    ONNX has no signatures: of a network that takes known colors, a file with
    `io="network"` always takes `known` beside `lightness`; where nothing is known, it
    is all 0. An `"rgb"` file colorizes by itself.

    Args:
        model: What `kcolor.export.model.load` takes.
        path: The file to write.
        io: `"network"` for `lightness` to `ab` (float32, units of
            `kcolor.color.graph`) or `"rgb"` for `image` to `colorized` (uint8 RGB
            with the color math in the graph).
        size: Side of the pictures, or `"any"`: for a network any multiples of 32, for
            RGB any size at all.
        network_size: Side of the square canvas inside an `"rgb"` file for any size.
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
    import onnx

    if io not in ("rgb", "network"):
        raise ValueError(f"`io` must be rgb or network. Received: {io!r}")
    check_size((network_size,) if size == "any" else (size, network_size))
    path = Path(path)
    check_target(path, overwrite)
    network = load(model)
    shown = parity.pictures(data)
    proto = _convert(network, io, size, network_size)
    contract = _contract(network, io, size, network_size)
    card = make_card(network, license_name, **contract)
    entry = proto.metadata_props.add()
    entry.key, entry.value = "kcolor", json.dumps(card)
    held = network.model if io == "network" else network.plain
    found = _check_content(path, proto, held)

    def compare(temporary: Path) -> dict[str, Any]:
        try:
            onnx.checker.check_model(str(temporary), full_check=True)
        except onnx.checker.ValidationError as error:
            raise DataError(str(error)) from error
        return verify(temporary, network, shown, io, size, network_size)

    result = write_verified(
        network,
        path,
        card=card,
        write=lambda temporary: onnx.save(proto, str(temporary)),
        compare=compare,
        data=data,
        side=view.SIZE if size == "any" else size,
        limit=limit,
    )
    return {**result, "operators": found}


def verify(
    path: Path,
    network: Network,
    images: list[np.ndarray],
    io: str = "rgb",
    size: int | Literal["any"] = "any",
    network_size: int = view.SIZE,
) -> dict[str, Any]:
    """Runs a file in onnxruntime on pictures and compares it with Keras.

    Args:
        path: The `.onnx` file.
        network: What it was made from.
        images: List of uint8 RGB arrays `(height, width, 3)`.
        io: As for `export_onnx`.
        size: As for `export_onnx`.
        network_size: As for `export_onnx`.

    Returns:
        Dict, see `kcolor.export.parity.Differences.figures`.

    Raises:
        DataError: If the file cannot be run or its answers have the wrong shape.
    """
    predictor = OnnxPredictor(str(path), path)
    differences = parity.Differences()
    if io == "rgb" and size == "any":
        batches = [image[None] for image in parity.of_many_sizes(images)]
        batches.append(parity.resized(images[:3], (96, 144)))
    else:
        square = view.SIZE if size == "any" else size
        sides = [(square, square), (96, 160)] if size == "any" else [(square, square)]
        every = [parity.resized(images, side) for side in sides]
        # Batches of 1, 2 and 3 show that the batch is free.
        batches = [b for e in every for b in (e[:1], e[1:3], e[3:6], *e[6:, None])]
    shapes = view.canvases(network_size)
    for batch in batches:
        if io == "network":
            differences.add_network(network, predictor, batch)
            continue
        if size == "any":
            expected = graphs.colorize_any(network.plain, batch, shapes)
        else:
            expected = graphs.colorize_fixed(network.plain, batch)
        differences.add_rgb(expected, predictor.predict_rgb(batch))
    return differences.figures()


def _convert(
    network: Network, io: str, size: int | Literal["any"], network_size: int
) -> Any:
    import tf2onnx

    sides = (None, None) if size == "any" else (size, size)
    model = network.model if io == "network" else network.plain
    if size == "any":
        model = graphs.any_size(model)
    if io == "network":

        def predict(lightness, known=None):
            return {"ab": graphs.predict(model, lightness, known)}

        function = tf.function(predict, autograph=False)
        specs = [tf.TensorSpec((None, *sides, 1), tf.float32, name="lightness")]
        if network.takes_known:
            specs.append(tf.TensorSpec((None, *sides, 3), tf.float32, name="known"))
    else:
        shapes = view.canvases(network_size)

        def colorize(image):
            if size == "any":
                return {"colorized": graphs.colorize_any(model, image, shapes)}
            return {"colorized": graphs.colorize_fixed(model, image)}

        function = tf.function(colorize, autograph=False)
        specs = [tf.TensorSpec((None, *sides, 3), tf.uint8, name="image")]
    # It reports each of its passes through the root logger's handlers.
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    try:
        proto, _ = tf2onnx.convert.from_function(
            function, input_signature=specs, opset=OPSET
        )
    # tf2onnx raises what it meets, bare Exception and AttributeError among it.
    except Exception as error:  # noqa: BLE001
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{model.name}: cannot be converted to ONNX ({reason})"
        ) from error
    return proto


def _check_content(path: Path, proto: Any, model: keras.Model) -> dict[str, int]:
    """Refuses foreign operators and files without weights; counts the operators."""
    found: dict[str, int] = {}
    for node in proto.graph.node:
        if node.domain not in ("", "ai.onnx"):
            raise DataError(
                f"{path}: the converter used an operator that is not ONNX' own "
                f"({node.domain}.{node.op_type}); nothing was written"
            )
        found[node.op_type] = found.get(node.op_type, 0) + 1
    held = sum(len(tensor.raw_data) for tensor in proto.graph.initializer)
    least = parameter_bytes(model)
    if held < least:
        raise DataError(
            f"{path}: the converter left weights out ({held / 1e6:.2f} MB held; at "
            f"least {least / 1e6:.2f} expected); nothing was written"
        )
    return found


def _contract(
    network: Network, io: str, size: int | Literal["any"], network_size: int
) -> dict[str, Any]:
    if io == "rgb":
        ends = {
            "input": "image: uint8 RGB (B, H, W, 3), 0..255",
            "output": "colorized: uint8 RGB (B, H, W, 3), 0..255",
        }
    else:
        ends = {
            "input": "lightness: float32 (B, H, W, 1), L* / 50 - 1, [-1, 1]",
            "output": "ab: float32 (B, H, W, 2), a* and b* / 110, about [-1, 1]",
            **({"known": KNOWN} if network.takes_known else {}),
        }
    contract: dict[str, Any] = {**ends, "size": size, "opset": OPSET}
    if io == "rgb" and size == "any":
        contract["canvases"] = [list(shape) for shape in view.canvases(network_size)]
    return contract
