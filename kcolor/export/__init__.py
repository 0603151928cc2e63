"""Export: writes a trained network for other runtimes and proves that they agree.

Every file is written beside its target, run in its own runtime against Keras, and only
then renamed; what is out of its limits is removed. TensorFlow is imported when
`export` runs, never by this module.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kcolor.errors import DataError

if TYPE_CHECKING:
    import keras

# Here, and not in the modules that write files: the command line's help is made from
# them, without TensorFlow.
FORMATS = ("saved-model", "tflite", "onnx")
IO = ("rgb", "network")
QUANTIZE = ("none", "fp16", "dynamic", "int8")
ENCODINGS = ("png", "jpeg")
_ROUNDS = 5
# By its suffix a file's runtime is chosen; a SavedModel is a folder.
_SUFFIXES = {"tflite": ".tflite", "onnx": ".onnx"}
_NO_FOLDERS = (*_SUFFIXES.values(), ".keras", ".pb", ".h5")


def export(
    model: "keras.Model | Path | str",
    output: Path | str,
    *,
    format: str,
    io: str = "rgb",
    size: int | Literal["any"] | None = None,
    quantize: str = "none",
    calibration: Any = None,
    data: Any = None,
    limit: int | None = 300,
    encoding: str = "png",
    license_name: str = "not stated",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Exports a network, verifies the file and measures it.

    Args:
        model: What `kcolor.export.model.load` takes: name of a preset,
            path of a run folder or of a `.keras` file, or a `keras.Model`.
        output: File to write, or for `"saved-model"` the folder of versions.
        format: One of `FORMATS`.
        io: One of `IO`; a SavedModel has both.
        size: Side of the pictures, or `"any"`. None: 256 for TFLite, any for the
            others. Inside an RGB graph for any size the network sees what
            `kcolor.images.view` says; a SavedModel takes any size always, and this is
            the side of its square canvas.
        quantize: TFLite only; see `kcolor.export.tflite.export_tflite`.
        calibration: Source of photographs for int8.
        data: Source of color photographs to verify on.
        limit: Number of pictures of `data` for the cost in quality.
        encoding: Of a SavedModel's answers, `"png"` or `"jpeg"`.
        license_name: License of the weights.
        overwrite: Whether an existing file may be replaced.

    Returns:
        Dict fit for JSON: `file`, `format`, `io`, `size`, `quantize`, `bytes`,
        `differences`, `limits`, `cost`, `latency`, `card`, `machine`.

    Raises:
        ValueError: If an argument is out of its range.
        DataError: If anything cannot be used or the file is out of its limits.
    """
    if format not in FORMATS:
        raise ValueError(
            f"`format` must be one of {', '.join(FORMATS)}. Received: {format!r}"
        )
    if format != "tflite" and quantize != "none":
        raise ValueError(
            f"only tflite files are quantized. Received: quantize={quantize!r}"
        )
    output = Path(output)
    _check_name(output, format)
    import tensorflow as tf

    from kcolor.benchmark import benchmark, machine
    from kcolor.export import parity
    from kcolor.images.view import SIZE

    shared: dict[str, Any] = {
        "data": data,
        "limit": limit,
        "license_name": license_name,
    }
    try:
        if format == "tflite":
            from kcolor.export.tflite import ANY, export_tflite

            side = SIZE if size is None else size
            result = export_tflite(
                model,
                output,
                sizes={"serving_default": ANY if side == "any" else (side, side)},
                io=io,
                quantize=quantize,
                calibration=calibration,
                overwrite=overwrite,
                **shared,
            )
        elif format == "onnx":
            from kcolor.export.onnx import export_onnx

            result = export_onnx(
                model,
                output,
                io=io,
                size="any" if size is None else size,
                overwrite=overwrite,
                **shared,
            )
        else:
            from kcolor.export.saved_model import export_saved_model

            side = size if isinstance(size, int) else SIZE
            result = export_saved_model(
                model, output, size=side, encoding=encoding, **shared
            )
    except tf.errors.OpError as error:
        reason = " ".join(str(error.message).split())[:200]
        raise DataError(f"{output}: cannot be written ({reason})") from error
    measured_at = size if isinstance(size, int) else SIZE
    rows = benchmark([result["file"]], measured_at, rounds=_ROUNDS)["rows"]
    return {
        "format": format,
        "io": io,
        "size": size,
        "quantize": quantize,
        **result,
        "limits": {**parity.LIMITS[quantize], "cost": parity.COST_LIMITS},
        "latency": rows,
        "machine": machine(),
    }


def _check_name(output: Path, format: str) -> None:
    suffix = _SUFFIXES.get(format)
    if suffix and output.suffix != suffix:
        raise DataError(
            f"{output}: the name of a file for {format} must end in {suffix}"
        )
    if not suffix and output.suffix in _NO_FOLDERS:
        raise DataError(
            f"{output}: a SavedModel is a folder, whose name must not end in "
            f"{output.suffix}"
        )
