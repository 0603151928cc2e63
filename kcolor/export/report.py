"""`kcolor export`: one call for every format, and the figures it prints.

Writing and verifying is each format's own module; here they get the same arguments and
the same report.
"""

from pathlib import Path

import tensorflow as tf

from kcolor.benchmark import align, benchmark, machine
from kcolor.errors import DataError
from kcolor.export import parity
from kcolor.export.model import SIZE
from kcolor.export.onnx import export_onnx
from kcolor.export.saved_model import export_saved_model
from kcolor.export.tflite import ANY, export_tflite

FORMATS = ("saved-model", "tflite", "onnx")
_ROUNDS = 5


def export(
    model,
    output,
    *,
    format,
    io="rgb",
    size=None,
    quantize="none",
    calibration=None,
    data=None,
    limit=300,
    encoding="png",
    license_name="not stated",
    overwrite=False,
):
    """Exports a network, verifies the file and measures it.

    Args:
        model: Path of a run folder or a `.keras` file.
        output: File to write, or for `"saved-model"` the folder of versions.
        format: One of `FORMATS`.
        io: `"rgb"` or `"network"`; a SavedModel has both.
        size: Side of the pictures, or `"any"`. None: 256 for TFLite, any for the
            others. Around an any-size graph the network works at 256; a SavedModel
            takes any size always and its network works at this one.
        quantize: TFLite only; see `export_tflite`.
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
    # Evaluation calls the network at several sizes on purpose; TensorFlow would warn.
    tf.get_logger().setLevel("ERROR")
    output = Path(output)
    shared = {"data": data, "limit": limit, "license_name": license_name}
    try:
        if format == "tflite":
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
            result = export_onnx(
                model, output, io=io, size=size or "any", overwrite=overwrite, **shared
            )
        else:
            side = SIZE if size in (None, "any") else size
            result = export_saved_model(
                model, output, size=side, encoding=encoding, **shared
            )
    except tf.errors.OpError as error:
        reason = " ".join(str(error.message).split())[:200]
        raise DataError(f"{output}: cannot be written ({reason})") from error
    file = Path(result.pop("file", output))
    measured_at = SIZE if size in (None, "any") else size
    rows = benchmark([str(file)], measured_at, rounds=_ROUNDS)["rows"]
    return {
        "file": str(file),
        "format": format,
        "io": io,
        "size": size,
        "quantize": quantize,
        **result,
        "limits": {**parity.LIMITS[quantize], "cost": parity.COST_LIMITS},
        "latency": rows,
        "machine": machine(),
    }


def table(report):
    """Lays a report out as text.

    Args:
        report: Dict as `export` returns it.

    Returns:
        String of several lines.
    """
    differences = report["differences"]
    lines = [
        [f"{report['file']}", ""],
        ["size", f"{report['bytes'] / 1e6:.2f} MB"],
        *(
            [
                f"latency, {row['threads']} thread{'s' * (row['threads'] > 1)}",
                f"{row['latency_ms']['median']:.1f} ms",
            ]
            for row in report["latency"]
        ),
        ["pictures compared with Keras", str(differences["pictures"])],
        ["ab, mean difference", f"{differences['ab_mean']:.4f}"],
        ["ab, largest difference", f"{differences['ab_max']:.4f}"],
        ["levels of 255, mean difference", f"{differences['levels_mean']:.4f}"],
        ["levels of 255, largest difference", f"{differences['levels_max']}"],
    ]
    if report["cost"]:
        lines.append(["pictures with true colors", str(report["cost"]["images"])])
    for metric, figures in (report["cost"] or {}).items():
        if metric != "images":
            lines.append(
                [
                    f"{metric}: Keras, file",
                    f"{figures['keras']:.4f}, {figures['file']:.4f}",
                ]
            )
    return align(lines)
