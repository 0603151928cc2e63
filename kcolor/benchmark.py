"""`benchmark`: how fast models are here, beside each other.

Each model and thread count runs in a process of its own, so load time and peak memory
are its own too. The processes take turns in short rounds: what else the machine does
hits all of them alike, and ratios between rows hold even on a busy machine.

Imports nothing heavy; the process of a `.tflite` file never imports TensorFlow.
"""

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from kcolor.errors import DataError

ROUNDS = 10
CALLS_PER_ROUND = 3
_WARMUP_CALLS = 3


def benchmark(models, size=256, threads=(1, 2), rounds=ROUNDS):
    """Measures models side by side on one picture at a time.

    Args:
        models: List of what `kcolor.evaluation.measure.load_predictor` takes.
        size: Side of the picture, in pixels.
        threads: Iterable of thread counts.
        rounds: Number of turns that each process takes, 3 calls each.

    Returns:
        Dict with `machine` and `rows`, a list of dicts with `model`, `kind`, `threads`,
        `size`, `bytes`, `load_ms`, `latency_ms` (`median`, `p95`, `min`),
        `images_per_second` and `peak_memory_mb` (of the whole process, Python and the
        runtime included; None where the system does not tell).

    Raises:
        ValueError: If an argument is out of its range.
        DataError: If a model cannot be loaded or cannot take this size.
    """
    threads = list(threads)
    for name, values in (("size", [size]), ("threads", threads), ("rounds", [rounds])):
        if not values or min(values) < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {values}")
    workers = []
    try:
        for model in models:
            for count in threads:
                # One after the other, so that load times do not disturb each other.
                workers.append(_Worker(model, count, size))
        for _ in range(rounds):
            for worker in workers:
                worker.turn()
        rows = [worker.finish() for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    return {"machine": machine(), "rows": rows}


def machine():
    """Returns what the figures depend on besides the models, for JSON."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def table(rows):
    """Lays rows out as text.

    Args:
        rows: List of dicts as `benchmark` returns.

    Returns:
        String of several lines.
    """
    head = ["model", "threads", "MB", "median ms", "p95 ms", "img/s", "load ms"]
    lines = [[*head, "peak MB"]]
    for row in rows:
        memory = row["peak_memory_mb"]
        lines.append(
            [
                row["model"],
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


def align(lines):
    """Aligns a list of lists of strings in columns, the first to the left."""
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

    def __init__(self, model, threads, size):
        self._row = {"model": str(model), "kind": None, "threads": threads}
        self._times = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kcolor.benchmark"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
        )
        question = {"model": str(model), "threads": threads, "size": size}
        try:
            self._row |= self._ask(question)
        except BaseException:
            self.kill()
            raise

    def turn(self):
        self._times += self._ask({"calls": CALLS_PER_ROUND})["seconds"]

    def finish(self):
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

    def kill(self):
        self._process.kill()
        self._process.communicate()

    def _ask(self, question):
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self._process.wait()
            raise DataError(
                f"{self._row['model']}: the process that ran it ended (code {code})"
            )
        answer = json.loads(line)
        if "error" in answer:
            raise DataError(answer["error"])
        return answer


def _work(questions, answers):
    """Answers a parent's questions; the other end of `_Worker`."""

    def answer(content):
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    setup = json.loads(questions.readline())
    try:
        call, row = _load(setup["model"], setup["threads"], setup["size"])
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


def _load(model, threads, size):
    from kcolor.runtimes.resolve import load_predictor

    # Importing a runtime is not the model's doing.
    kind = _import_runtime(Path(model), threads)
    start = time.perf_counter()
    predictor = load_predictor(model, threads=threads)
    rng = np.random.default_rng(0)
    if predictor.takes_rgb:
        picture = rng.integers(0, 256, (1, size, size, 3), "uint8")
        call = lambda: predictor.predict_rgb(picture)  # noqa: E731
    else:
        picture = rng.uniform(-1, 1, (1, size, size, 1)).astype("float32")
        call = lambda: predictor.predict_ab(picture)  # noqa: E731
    call()  # Runtimes prepare their kernels at the first call.
    elapsed = 1000 * (time.perf_counter() - start)
    row = {"kind": predictor.kind, "size": size, "bytes": _bytes(model, kind)}
    return call, {**row, "load_ms": elapsed}


def _import_runtime(path, threads):
    if path.suffix == ".onnx":
        import onnxruntime  # noqa: F401

        return "onnx"
    if path.suffix == ".keras" or path.is_dir():
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        if path.suffix == ".keras" or (path / "config.json").exists():
            import keras  # noqa: F401

            return "keras"
        return "saved-model"
    from ai_edge_litert import interpreter  # noqa: F401

    return "tflite"


def _bytes(model, kind):
    path = Path(model)
    if kind == "tflite" and not path.exists():
        from kcolor.presets import find

        path = find(model)
    if kind == "keras" and path.is_dir():
        path = path / "model.keras"
    if path.is_file():
        return path.stat().st_size
    from kcolor.runtimes.saved_model import saved_model_folder

    files = saved_model_folder(path).rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def _peak_memory():
    """Returns the largest resident size of this process in MB, or None."""
    # getrusage would also count what the parent held when it started this process.
    try:
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024
    except OSError:
        pass
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def _processor():
    try:
        info = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"model name\s*:\s*(.+)", info)
    return found.group(1) if found else platform.machine()


if __name__ == "__main__":
    # Native libraries print to standard output; the parent must only read answers.
    _answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _work(sys.stdin, _answers)
