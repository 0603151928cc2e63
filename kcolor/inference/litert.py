"""Runs a colorization network from a `.tflite` file.

A network file takes lightness and answers with ab, both in the units of
`kcolor.preprocessing`. Its picture size is either free (any multiple of 32) or fixed.
"""

import contextlib
import os
import sys
import threading
from pathlib import Path

import numpy as np

from kcolor.errors import DataError

STRIDE = 32  # A free-size network halves its input five times and doubles it back.
# LiteRT says this once a process through C, past Python's sys.stderr.
_CHATTER = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU."
_chatter_lock = threading.Lock()


class Network:
    """A `.tflite` network from lightness to ab, safe to call from several threads.

    Each thread that calls at the same time gets an interpreter of its own; they are
    kept and used again, by preference for the size they last ran at.
    """

    def __init__(self, path, threads=1):
        """Opens the file and checks that it is a network.

        Args:
            path: Path of a `.tflite` file with the input `lightness`, float32
                `(1, height, width, 1)`, and the output `ab`, float32
                `(1, height, width, 2)`.
            threads: Threads that one call may use.

        Raises:
            DataError: If the file cannot be read, or is not such a network.
        """
        self.path = Path(path)
        self._threads = threads
        self._lock = threading.Lock()
        self._idle = []
        # Mapped from the file by LiteRT, so all interpreters share one copy.
        if not self.path.is_file():
            raise DataError(f"{self.path}: no such file")
        first = self._open()
        details = first.get_input_details()
        self._check(first, details)
        signature = details[0]["shape_signature"]
        size = tuple(int(side) for side in signature[1:3])
        self.size = None if min(size) < 0 else size
        """Picture size `(height, width)` that the file is fixed to; None: any."""
        self._input = details[0]["index"]
        self._output = first.get_output_details()[0]["index"]
        self._idle.append((None, first))

    def __call__(self, lightness):
        """Predicts the colors of one picture.

        Args:
            lightness: float32 array of shape `(height, width)`, L* / 50 - 1. The
                size is `self.size`, or, if that is None, multiples of 32.

        Returns:
            float32 array of shape `(height, width, 2)`, a* and b* / 110.

        Raises:
            ValueError: If the file cannot run at this size.
        """
        shape = (1, *lightness.shape, 1)
        fits = (
            lightness.shape == self.size
            if self.size
            else not any(side % STRIDE for side in lightness.shape)
        )
        if not fits:
            wanted = self.size or f"multiples of {STRIDE}"
            raise ValueError(
                f"{self.path.name} takes a lightness of size {wanted}. "
                f"Received: shape={lightness.shape}"
            )
        last, interpreter = self._take(shape)
        if last != shape:
            if self.size is None:
                interpreter.resize_tensor_input(self._input, shape, strict=True)
            with _without_chatter():
                interpreter.allocate_tensors()
        interpreter.set_tensor(
            self._input, np.ascontiguousarray(lightness, "float32").reshape(shape)
        )
        interpreter.invoke()
        ab = interpreter.get_tensor(self._output)[0]
        with self._lock:
            self._idle.append((shape, interpreter))
        if not np.isfinite(ab).all():
            raise DataError(f"{self.path}: the network answered with NaN or infinity")
        return ab

    def _take(self, shape):
        with self._lock:
            if self._idle:
                shapes = [last for last, _ in self._idle]
                at = shapes.index(shape) if shape in shapes else 0
                return self._idle.pop(at)
        return None, self._open()

    def _open(self):
        from ai_edge_litert.interpreter import Interpreter

        try:
            return Interpreter(str(self.path), num_threads=self._threads)
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{self.path}: not a TFLite file ({reason})") from error

    def _check(self, interpreter, inputs):
        outputs = interpreter.get_output_details()
        found = [(i["dtype"], len(i["shape"]), i["shape"][-1]) for i in inputs]
        given = [(o["dtype"], len(o["shape"])) for o in outputs]
        if found == [(np.float32, 4, 1)] and given == [(np.float32, 4)]:
            return
        if found and found[0][0] == np.uint8:
            raise DataError(
                f"{self.path}: takes RGB (it was exported with --io rgb). "
                "kcolor colorize needs a file exported with --io network"
            )
        raise DataError(
            f"{self.path}: not a colorization network; it must take lightness, "
            "float32 (1, height, width, 1), and answer with ab, float32 "
            "(1, height, width, 2), as kcolor export --io network writes it"
        )


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
