"""Finds what a MODEL argument means, and opens it."""

from pathlib import Path

from kcolor import presets
from kcolor.errors import DataError
from kcolor.runtimes.keras import KerasPredictor, load_model
from kcolor.runtimes.litert import LiteRTPredictor
from kcolor.runtimes.onnx import OnnxPredictor
from kcolor.runtimes.saved_model import SavedModelPredictor, saved_model_folder


def load_predictor(model, threads=2):
    """Loads any `MODEL` for prediction.

    Args:
        model: Name of a bundled preset, or path of a run folder, a `.keras` file, a
            `.tflite` file, an `.onnx` file or a SavedModel folder.
        threads: Threads of a `.tflite` or `.onnx` file; TensorFlow has its own setting.

    Returns:
        `Predictor`.

    Raises:
        DataError: If it is none of these or cannot be read.
    """
    path = Path(model)
    if path.suffix == ".tflite":
        return LiteRTPredictor(str(model), path, threads)
    if path.suffix == ".onnx":
        return OnnxPredictor(str(model), path, threads)
    if path.is_dir() and saved_model_folder(path):
        return SavedModelPredictor(str(model), saved_model_folder(path))
    if path.suffix == ".keras" or path.is_dir():
        return KerasPredictor(str(model), load_model(model))
    if model in presets.names():
        return LiteRTPredictor(str(model), presets.find(model), threads)
    known = ", ".join(presets.names())
    raise DataError(
        f"{model}: no such model. It must be a preset ({known}), a run folder, or a "
        ".keras, .tflite, .onnx or SavedModel path"
    )
