"""Runs a colorization network from a `.tflite` file.

A network file takes lightness and answers with ab, both in the units of
`kcolor.color.constants`. Its picture size is free (any multiple of 32), or fixed to
one, or it has a signature for each of several sizes.
"""

import contextlib
import os
import sys
import threading
from pathlib import Path

import numpy as np

from kcolor.color.constants import STRIDE
from kcolor.errors import DataError
from kcolor.runtimes.network import Predictor

_WANTED = (
    "kcolor colorize needs a file that kcolor export wrote with --format tflite "
    "--io network"
)
# LiteRT says this once a process through C, past Python's sys.stderr.
_CHATTER = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU."
_chatter_lock = threading.Lock()


class Network:
    """A `.tflite` network from lightness to ab, safe to call from several threads.

    Each thread that calls at the same time gets an interpreter of its own; they are
    kept and used again, by preference for the size they last ran at.

    Attributes:
        sizes: Picture sizes `(height, width)` that the file takes, each a signature of
            its own; None: any multiple of 32.
    """

    def __init__(self, path, threads=1):
        """Opens the file and checks that it is a network.

        Args:
            path: Path of a `.tflite` file. Each signature has the input `lightness`,
                float32 `(1, height, width, 1)`, and the output `ab`, float32
                `(1, height, width, 2)`.
            threads: Threads that one call may use.

        Raises:
            DataError: If the file cannot be read, or is not such a network.
        """
        self.path = Path(path)
        self._threads = threads
        self._lock = threading.Lock()
        self._idle = []
        if not self.path.is_file():
            raise DataError(f"{self.path}: no such file")
        first = self._open()
        self._signatures = {
            self._size(name, runner): name for name, runner in first.items()
        }
        if not self._signatures:
            raise DataError(f"{self.path}: has no signature. {_WANTED}")
        self.sizes = None if None in self._signatures else list(self._signatures)
        self._idle.append((None, first))

    def __call__(self, lightness):
        """Predicts the colors of one picture.

        Args:
            lightness: float32 array of shape `(height, width)`, L* / 50 - 1; one of
                `sizes`, or, if that is None, multiples of 32.

        Returns:
            float32 array of shape `(height, width, 2)`, a* and b* / 110.

        Raises:
            ValueError: If the file cannot run at this size.
            DataError: If the network's answer is not a number.
        """
        size = lightness.shape
        if self.sizes is None:
            name = self._signatures[None]
            fits = not any(side % STRIDE for side in size)
        else:
            name = self._signatures.get(size)
            fits = name is not None
        if not fits:
            wanted = self.sizes or f"multiples of {STRIDE}"
            raise ValueError(
                f"{self.path.name} takes a lightness of size {wanted}. "
                f"Received: shape={size}"
            )
        canvas = np.ascontiguousarray(lightness, "float32").reshape(1, *size, 1)
        last, runners = self._take(size)
        # Memory for a new size is set up in the call, and with it the chatter comes.
        with contextlib.nullcontext() if last == size else _without_chatter():
            ab = runners[name](lightness=canvas)["ab"][0]
        with self._lock:
            self._idle.append((size, runners))
        if not np.isfinite(ab).all():
            raise DataError(f"{self.path}: the network answered with NaN or infinity")
        return ab

    def _take(self, size):
        with self._lock:
            if self._idle:
                sizes = [last for last, _ in self._idle]
                at = sizes.index(size) if size in sizes else 0
                return self._idle.pop(at)
        return None, self._open()

    def _open(self):
        # The runners of all signatures; each keeps the interpreter alive.
        from ai_edge_litert.interpreter import Interpreter

        try:
            interpreter = Interpreter(str(self.path), num_threads=self._threads)
            names = interpreter.get_signature_list()
            return {name: interpreter.get_signature_runner(name) for name in names}
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{self.path}: not a TFLite file ({reason})") from error

    def _size(self, name, runner):
        # (height, width) that the signature is fixed to, or None for any.
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        if list(inputs) == ["image"]:
            raise DataError(
                f"{self.path}: takes RGB (it was exported with --io rgb). {_WANTED}"
            )
        good = (
            list(inputs) == ["lightness"]
            and list(outputs) == ["ab"]
            and inputs["lightness"]["dtype"] == np.float32
            and outputs["ab"]["dtype"] == np.float32
            and len(inputs["lightness"]["shape"]) == 4
        )
        if not good:
            raise DataError(
                f"{self.path}: not a colorization network, its signature {name!r} is "
                f"{list(inputs)} -> {list(outputs)}. {_WANTED}"
            )
        size = tuple(int(side) for side in inputs["lightness"]["shape_signature"][1:3])
        return None if min(size) < 0 else size


class LiteRTPredictor(Predictor):
    """Runs a `.tflite` file, one picture at a time."""

    kind = "tflite"

    def __init__(self, name, path, threads=2):
        """Reads the file and its signatures."""
        from ai_edge_litert.interpreter import Interpreter

        super().__init__(name)
        try:
            self._interpreter = Interpreter(str(path), num_threads=threads)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: not a readable .tflite file") from error
        # Size (height, width) -> runner. Files with RGB in and out have `image`.
        self._runners = {}
        for key in self._interpreter.get_signature_list():
            runner = self._interpreter.get_signature_runner(key)
            details = runner.get_input_details()
            self.takes_rgb = "image" in details
            entry = details.get("image") or details.get("lightness")
            if entry is None:
                raise DataError(
                    f"{path}: signature {key} takes {sorted(details)}; kcolor's files "
                    "take `lightness` or `image`"
                )
            size = tuple(int(n) for n in entry.get("shape_signature", entry["shape"]))
            self._runners[size[1:3]] = runner
        if not self._runners:
            raise DataError(f"{path}: has no signature")

    def _runner(self, height, width):
        for size in ((height, width), (-1, -1)):
            if size in self._runners:
                return self._runners[size]
        sizes = ", ".join(f"{h}x{w}" for h, w in self._runners)
        raise DataError(f"{self.name}: takes {sizes}. Received: {height}x{width}")

    def predict_ab(self, lightness):
        """Predicts color, see `Predictor.predict_ab`."""
        if self.takes_rgb:
            return super().predict_ab(lightness)
        runner = self._runner(*lightness.shape[1:3])
        lightness = np.asarray(lightness, "float32")
        answers = [runner(lightness=one[None])["ab"] for one in lightness]
        return np.concatenate(answers).astype("float32")

    def predict_rgb(self, rgb):
        """Colorizes pictures, see `Predictor.predict_rgb`."""
        if not self.takes_rgb:
            return super().predict_rgb(rgb)
        runner = self._runner(*rgb.shape[1:3])
        return np.concatenate([runner(image=one[None])["colorized"] for one in rgb])


@contextlib.contextmanager
def _without_chatter():
    """Holds back LiteRT's line about its delegate; anything else is passed on."""
    with _chatter_lock:
        try:
            sys.stderr.flush()
            saved = os.dup(2)
        except (OSError, ValueError, AttributeError):
            # No standard error to keep clean.
            yield
            return
        # A pipe that never blocks: what does not fit in it is lost, nothing hangs.
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        os.dup2(writer, 2)
        os.close(writer)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            said = b""
            with contextlib.suppress(BlockingIOError):
                said = os.read(reader, 1 << 20)
            os.close(reader)
            said = said.replace(_CHATTER + b"\n", b"").replace(_CHATTER, b"")
            if said:
                os.write(2, said)
