"""Runs `.onnx` files."""

from pathlib import Path

import numpy as np

from kcolor.errors import DataError
from kcolor.runtimes.network import Predictor


class OnnxPredictor(Predictor):
    """Runs an `.onnx` file on the CPU; safe to call from several threads."""

    kind = "onnx"

    def __init__(self, name: str, path: Path | str, threads: int = 2) -> None:
        """Reads the file.

        Args:
            name: What messages and reports call it.
            path: Path of the file.
            threads: Threads that one call may use.

        Raises:
            DataError: If it cannot be read or takes neither lightness nor pictures.
        """
        import onnxruntime

        super().__init__(name)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        if not Path(path).is_file():
            raise DataError(f"{path}: no such file")
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # noqa: BLE001 (its classes derive from nothing else)
            raise DataError(f"{path}: not a readable .onnx file") from error
        inputs = self._session.get_inputs()
        names = sorted(entry.name for entry in inputs)
        if names not in (["lightness"], ["known", "lightness"], ["image"]):
            raise DataError(
                f"{path}: takes {names}; kcolor's files take `lightness`, with `known` "
                "or without, or `image`"
            )
        self.takes_rgb = names == ["image"]
        self.takes_known = self.needs_known = "known" in names
        height, width = inputs[0].shape[1:3]  # A name or None where it is free.
        if isinstance(height, int) and isinstance(width, int):
            self.sizes = [(height, width)]

    def predict_ab(
        self, lightness: np.ndarray, known: np.ndarray | None = None
    ) -> np.ndarray:
        """Predicts color, see `Predictor.predict_ab`."""
        if self.takes_rgb:
            return super().predict_ab(lightness)
        return self._run(self.inputs(lightness, known))

    def predict_rgb(self, rgb: np.ndarray) -> np.ndarray:
        """Colorizes pictures, see `Predictor.predict_rgb`."""
        if not self.takes_rgb:
            return super().predict_rgb(rgb)
        return self._run({"image": np.asarray(rgb, "uint8")})

    def _run(self, named: dict[str, np.ndarray]) -> np.ndarray:
        name, value = next(iter(named.items()))
        self.check_size(*value.shape[1:3])
        try:
            return self._session.run(None, named)[0]
        except Exception as error:  # noqa: BLE001 (its classes derive from nothing else)
            reason = " ".join(str(error).split())[:160]
            raise DataError(
                f"{self.name}: cannot run on {name} {value.shape} ({reason})"
            ) from error
