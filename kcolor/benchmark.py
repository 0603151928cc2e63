"""`benchmark`: how fast models are here, beside each other.

Each model and thread count runs in a process of its own, so load time and peak memory
are its own too. The processes take turns in short rounds: what else the machine does
hits all of them alike, and ratios between rows hold even on a busy machine.

Imports nothing heavy; the process of a `.tflite` file never imports TensorFlow. A
runtime computes on what it would for the user, a GPU if it finds one; each row says on
what.
"""

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from kcolor.errors import DataError
from kcolor.runtimes.resolve import Kind, Resolved, load_predictor, resolve

ROUNDS = 10
CALLS_PER_ROUND = 3
_WARMUP_CALLS = 3


def benchmark(
    models: Sequence[Path | str],
    size: int = 256,
    threads: Iterable[int] = (1, 2),
    rounds: int = ROUNDS,
) -> dict[str, Any]:
    """Measures models side by side on one picture at a time.

    Args:
        models: List of what `kcolor.runtimes.resolve.resolve` takes.
        size: Side of the picture, in pixels.
        threads: Thread counts; of the CPU's part where a GPU computes.
        rounds: Number of turns that each process takes, 3 calls each.

    Returns:
        Dict with `machine` and `rows`, a list of dicts with `model`, `kind`, `device`
        (`"cpu"` or a GPU's name), `threads`, `size`, `bytes`, `load_ms`, `latency_ms`
        (`median`, `p95`, `min`), `images_per_second` and `peak_memory_mb` (of the whole
        process, Python and the runtime included; None where the system does not tell).
        A model that takes known colors has two: without them, and, `hints` true, with.

    Raises:
        ValueError: If an argument is out of its range.
        DataError: If a model cannot be loaded or cannot take this size.
    """
    threads = list(threads)
    for name, values in (("size", [size]), ("threads", threads), ("rounds", [rounds])):
        if not values or min(values) < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {values}")
    workers: list[_Worker] = []
    try:
        for model in models:
            for count in threads:
                # One after the other, so that load times do not disturb each other.
                workers.append(_Worker(model, count, size))
                if workers[-1].takes_known:
                    workers.append(_Worker(model, count, size, hints=True))
        for _ in range(rounds):
            for worker in workers:
                worker.turn()
        rows = [worker.finish() for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    return {"machine": machine(), "rows": rows}


def machine() -> dict[str, Any]:
    """Says what the figures depend on besides the models.

    Returns:
        Dict fit for JSON.
    """
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Lays rows out as text.

    Args:
        rows: List of dicts as `benchmark` returns.

    Returns:
        String of several lines.
    """
    head = ["model", "device", "threads", "MB", "median ms", "p95 ms", "img/s"]
    lines = [[*head, "load ms", "peak MB"]]
    for row in rows:
        memory = row["peak_memory_mb"]
        lines.append(
            [
                row["model"] + " + hints" * row["hints"],
                row["device"],
                str(row["threads"]),
                f"{row['bytes'] / 1e6:.2f}",
                f"{row['latency_ms']['median']:.1f}",
                f"{row['latency_ms']['p95']:.1f}",
                f"{row['images_per_second']:.1f}",
                f"{row['load_ms']:.0f}",
                "-" if memory is None else f"{memory:.0f}",
            ]
        )
    return align(lines)


def align(lines: Sequence[Sequence[str]]) -> str:
    """Aligns text in columns, the first to the left and the others to the right.

    Args:
        lines: Rows of equally many cells.

    Returns:
        String of several lines.
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


class _Worker:
    """A process that holds one model and calls it when told to."""

    def __init__(
        self, model: Path | str, threads: int, size: int, hints: bool = False
    ) -> None:
        self._row: dict[str, Any] = {"model": str(model), "threads": threads}
        self._times: list[float] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kcolor.benchmark"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        question = {**self._row, "size": size, "hints": hints}
        try:
            self._row |= self._ask(question)
            self.takes_known = self._row.pop("takes_known")
        except BaseException:
            self.kill()
            raise

    def turn(self) -> None:
        self._times += self._ask({"calls": CALLS_PER_ROUND})["seconds"]

    def finish(self) -> dict[str, Any]:
        memory = self._ask({"end": True})["peak_memory_mb"]
        times = np.array(self._times) * 1000
        return {
            **self._row,
            "latency_ms": {
                "median": float(np.median(times)),
                "p95": float(np.percentile(times, 95)),
                "min": float(times.min()),
            },
            "images_per_second": 1000 / statistics.fmean(times),
            "calls": len(times),
            "peak_memory_mb": memory,
        }

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        asked, answered = self._process.stdin, self._process.stdout
        line = ""
        if asked is not None and answered is not None:
            try:
                asked.write(json.dumps(question) + "\n")
                asked.flush()
                line = answered.readline()
            except BrokenPipeError:
                pass
        if not line:
            code = self._process.wait()
            raise DataError(
                f"{self._row['model']}: the process that ran it ended (code {code})"
            )
        answer = json.loads(line)
        if "error" in answer:
            raise DataError(answer["error"])
        return answer


def _work(questions: TextIO, answers: TextIO) -> None:
    """Answers a parent's questions; the other end of `_Worker`."""

    def answer(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    setup = json.loads(questions.readline())
    try:
        call, row = _load(**setup)
        for _ in range(_WARMUP_CALLS):
            call()
    except ModuleNotFoundError as error:
        answer({"error": f"{setup['model']}: needs {error.name}, not installed"})
        return
    except (DataError, ValueError, OSError, RuntimeError) as error:
        reason = str(error)
        if not reason.startswith(setup["model"]):
            reason = f"{setup['model']}: {reason}"
        answer({"error": " ".join(reason.split())})
        return
    answer(row)
    for line in questions:
        question = json.loads(line)
        if "end" in question:
            answer({"peak_memory_mb": _peak_memory()})
            return
        seconds = []
        for _ in range(question["calls"]):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        answer({"seconds": seconds})


def _load(
    model: str, threads: int, size: int, hints: bool = False
) -> tuple[Callable[[], object], dict[str, Any]]:
    found = resolve(model)
    # Importing a runtime is not the model's doing.
    _import_runtime(found.kind, threads)
    start = time.perf_counter()
    predictor = load_predictor(model, threads=threads)
    rng = np.random.default_rng(0)

    def call() -> object:
        if predictor.takes_rgb:
            return predictor.predict_rgb(picture)
        return predictor.predict_ab(lightness, known)

    picture = rng.integers(0, 256, (1, size, size, 3), "uint8")
    lightness = rng.uniform(-1, 1, (1, size, size, 1)).astype("float32")
    known = np.zeros((1, size, size, 3), "float32") if hints else None
    call()  # Runtimes prepare their kernels at the first call.
    elapsed = 1000 * (time.perf_counter() - start)
    return call, {
        "kind": predictor.kind,
        "device": predictor.device,
        "size": size,
        "hints": hints,
        "takes_known": predictor.takes_known,
        "bytes": _bytes(found),
        "load_ms": elapsed,
    }


def _import_runtime(kind: Kind, threads: int) -> None:
    if kind == "tflite":
        import ai_edge_litert.interpreter  # noqa: F401
    elif kind == "onnx":
        import onnxruntime  # noqa: F401
    elif kind == "keras":
        import keras

        if keras.config.backend() == "tensorflow":
            _set_up_tensorflow(threads)
    else:
        _set_up_tensorflow(threads)


def _set_up_tensorflow(threads: int) -> None:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    # TensorFlow would take all of a GPU's memory, and leave the next process none.
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def _bytes(found: Resolved) -> int:
    if found.path.is_file():
        return found.path.stat().st_size
    files = found.path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def _peak_memory() -> float | None:
    """Returns the largest resident size of this process in MB, or None."""
    # getrusage would also count what the parent held when it started this process.
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        status = ""
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    if found:
        return int(found.group(1)) / 1024
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def _processor() -> str:
    try:
        info = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"model name\s*:\s*(.+)", info)
    return found.group(1) if found else platform.machine()


if __name__ == "__main__":
    # A process of its own: native libraries print to standard output, and the parent
    # must read answers only.
    _answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _work(sys.stdin, _answers)
