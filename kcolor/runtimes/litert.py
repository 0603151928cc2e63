"""Runs `.tflite` files; imports neither TensorFlow nor Keras.

A network file takes lightness and answers with ab, both in the units of
`kcolor.color.constants`. Its picture size is free (any multiple of 32), or fixed to
one, or it has a signature for each of several sizes. A file exported with `--io rgb`
takes and gives pictures.

LiteRT says once a process, through C and past Python's `sys.stderr`, that it started.
A library may not redirect a process' standard error for that, so it is heard; the
command line keeps it off the terminal.
"""

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from kcolor.errors import DataError
from kcolor.runtimes.network import Predictor, Size

# What a signature takes, sorted, and answers.
_CONTRACTS = {
    ("lightness", "ab", np.float32),
    ("known", "lightness", "ab", np.float32),
    ("image", "colorized", np.uint8),
}


class LiteRTPredictor(Predictor):
    """A `.tflite` file, safe to call from several threads.

    Each thread that calls at the same time gets an interpreter of its own; they are
    kept and used again, by preference for the size they last ran at.
    """

    kind = "tflite"

    def __init__(self, name: str, path: Path | str, threads: int = 2) -> None:
        """Opens the file and checks what its signatures take and answer.

        Args:
            name: What messages and reports call it.
            path: Path of the file. Each signature has the input `lightness`, float32
                `(1, height, width, 1)`, and the output `ab`, float32
                `(1, height, width, 2)`; or `image` and `colorized`, uint8 RGB. Beside
                `lightness` there may be `known`, float32 `(1, height, width, 3)`: such
                signatures serve calls with known colors, and those without only where
                there is no other.
            threads: Threads that one call may use.

        Raises:
            DataError: If the file cannot be read, or is not such a file.
        """
        super().__init__(name)
        self._path = Path(path)
        self._threads = threads
        self._lock = threading.Lock()
        self._idle: list[tuple[Size | None, dict[str, Any]]] = []
        if not self._path.is_file():
            raise DataError(f"{self._path}: no such file")
        first = self._open()
        if not first:
            raise DataError(f"{self._path}: has no signature")
        self._keys = {self._contract(key, runner): key for key, runner in first.items()}
        kinds = {inputs for inputs, _ in self._keys}
        self.takes_rgb = ("image",) in kinds
        self.takes_known = ("known", "lightness") in kinds
        self.needs_known = kinds == {("known", "lightness")}
        sizes = dict.fromkeys(size for _, size in self._keys)
        fixed = [size for size in sizes if size is not None]
        self.sizes = fixed if len(fixed) == len(sizes) else None
        self._idle.append((None, first))

    def predict_ab(
        self, lightness: np.ndarray, known: np.ndarray | None = None
    ) -> np.ndarray:
        """Predicts color, see `Predictor.predict_ab`.

        Raises:
            DataError: If the size does not fit, or an answer is not a number.
        """
        if self.takes_rgb:
            return super().predict_ab(lightness)
        ab = self._run(self.inputs(lightness, known), "ab")
        if not np.isfinite(ab).all():
            raise DataError(f"{self.name}: the network answered with NaN or infinity")
        return ab

    def predict_rgb(self, rgb: np.ndarray) -> np.ndarray:
        """Colorizes pictures, see `Predictor.predict_rgb`."""
        if not self.takes_rgb:
            return super().predict_rgb(rgb)
        return self._run({"image": np.asarray(rgb, "uint8")}, "colorized")

    def _run(self, named: dict[str, np.ndarray], answer: str) -> np.ndarray:
        count, height, width, _ = next(iter(named.values())).shape
        size = height, width
        self.check_size(*size)
        inputs = tuple(sorted(named))
        key = self._keys[inputs, None if self.sizes is None else size]
        runners = self._take(size)
        try:
            # Files take one picture at a time; an answer is copied, since the memory
            # that holds it is the interpreter's.
            answers = [
                np.array(
                    runners[key](
                        **{name: batch[at : at + 1] for name, batch in named.items()}
                    )[answer]
                )
                for at in range(count)
            ]
        finally:
            with self._lock:
                self._idle.append((size, runners))
        return np.concatenate(answers)

    def _take(self, size: Size) -> dict[str, Any]:
        with self._lock:
            if self._idle:
                sizes = [last for last, _ in self._idle]
                return self._idle.pop(sizes.index(size) if size in sizes else 0)[1]
        return self._open()

    def _open(self) -> dict[str, Any]:
        # The runners of all signatures; each keeps the interpreter alive.
        from ai_edge_litert.interpreter import Interpreter

        try:
            interpreter = Interpreter(str(self._path), num_threads=self._threads)
            keys: Iterable[str] = interpreter.get_signature_list()
            return {key: interpreter.get_signature_runner(key) for key in keys}
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{self._path}: not a TFLite file ({reason})") from error

    def _contract(self, key: str, runner: Any) -> tuple[tuple[str, ...], Size | None]:
        # What the signature takes, sorted, and the size it is fixed to.
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        names = tuple(sorted(inputs))
        dtypes = {entry["dtype"] for entry in (*inputs.values(), *outputs.values())}
        # `known`, if there is any, has the same height and width.
        shape = next(iter(inputs.values()), {"shape_signature": ()})["shape_signature"]
        if (*names, *outputs, *dtypes) not in _CONTRACTS or len(shape) != 4:
            raise DataError(
                f"{self._path}: not a colorization network, its signature {key!r} is "
                f"{list(inputs)} -> {list(outputs)}; kcolor's files take `lightness` "
                "and answer `ab`, or take `image` and answer `colorized`"
            )
        height, width = (int(side) for side in shape[1:3])
        return names, None if min(height, width) < 0 else (height, width)
