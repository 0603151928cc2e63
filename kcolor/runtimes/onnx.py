"""Runs `.onnx` files."""

import numpy as np

from kcolor.errors import DataError
from kcolor.runtimes.network import Predictor


class OnnxPredictor(Predictor):
    """Runs an `.onnx` file."""

    kind = "onnx"

    def __init__(self, name, path, threads=2):
        """Reads the file."""
        import onnxruntime

        super().__init__(name)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # noqa: BLE001 (its classes derive from nothing else)
            raise DataError(f"{path}: not a readable .onnx file") from error
        names = [entry.name for entry in self._session.get_inputs()]
        if names not in (["lightness"], ["image"]):
            raise DataError(
                f"{path}: takes {names}; kcolor's files take `lightness` or `image`"
            )
        self.takes_rgb = names == ["image"]

    def predict_ab(self, lightness):
        """Predicts color, see `Predictor.predict_ab`."""
        if self.takes_rgb:
            return super().predict_ab(lightness)
        return self._run("lightness", np.asarray(lightness, "float32"))

    def predict_rgb(self, rgb):
        """Colorizes pictures, see `Predictor.predict_rgb`."""
        if not self.takes_rgb:
            return super().predict_rgb(rgb)
        return self._run("image", np.asarray(rgb, "uint8"))

    def _run(self, name, value):
        try:
            return self._session.run(None, {name: value})[0]
        except Exception as error:  # noqa: BLE001 (its classes derive from nothing else)
            reason = " ".join(str(error).split())[:160]
            raise DataError(
                f"{self.name}: cannot run on {name} {value.shape} ({reason})"
            ) from error
