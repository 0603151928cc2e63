"""Run folders, presets and model files: everything that `MODEL` can name.

A run folder holds `config.json`, `model.keras`, `history.csv`, `checkpoints/`,
`samples/` and TensorBoard `logs/`.
"""

import csv
import json
import os
import platform
import subprocess
import tempfile
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from kcolor import presets
from kcolor.errors import DataError

_VERSIONED = ("kcolor", "keras", "tensorflow", "jax", "torch", "numpy")


@contextmanager
def replacing(path):
    """Gives a temporary name beside `path` and renames it to `path` at the end.

    Args:
        path: The file to write. Its folder must exist.

    Yields:
        Path of the temporary file, with the same suffixes, so that writers which look
        at them behave. It is removed if the block fails.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=f".{path.name}")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def environment():
    """Returns what a figure depends on besides its arguments: versions and commit."""
    versions = {"python": platform.python_version()}
    for package in _VERSIONED:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    try:
        commit = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = None  # installed from a wheel
    return {"versions": versions, "commit": commit}


def write_json(path, content):
    """Writes JSON whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def read_config(run):
    """Reads the `config.json` of a run folder.

    Args:
        run: Path of the folder.

    Returns:
        Dict.

    Raises:
        DataError: If it is absent or damaged.
    """
    path = Path(run, "config.json")
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DataError(f"{run}: not a run folder (it has no config.json)") from error
    except ValueError as error:
        raise DataError(f"{path}: damaged ({error})") from error


def read_history(run):
    """Reads `history.csv` as a list of dicts of float; empty where there is none."""
    path = Path(run, "history.csv")
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def write_history(run, rows):
    """Writes `history.csv` from a list of dicts with equal keys."""
    with replacing(Path(run, "history.csv")) as temporary:
        with open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)


def load_model(model):
    """Loads a Keras network.

    Args:
        model: Path of a run folder or a `.keras` file, or the name of a bundled float
            preset.

    Returns:
        `keras.Model` from lightness to ab, not compiled.

    Raises:
        DataError: If it cannot be found or read.
    """
    import keras

    # Importing models also registers the classes that a saved file may name.
    from kcolor.models.restore import restore_mobile

    path = Path(model)
    if not path.exists() and str(model) in presets.names():
        return restore_mobile(presets.find(str(model)))
    if path.is_dir() and (path / "config.json").exists():
        path = path / "model.keras"
        if not path.exists():
            raise DataError(f"{model}: has no model.keras yet; no epoch is finished")
    if path.suffix != ".keras":
        raise DataError(
            f"{model}: must be a run folder, a .keras file or a bundled preset"
        )
    if not path.exists():
        raise DataError(f"{path}: no such file")
    try:
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a readable Keras model") from error


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


def saved_model_folder(path):
    """Finds the SavedModel that a path means.

    Args:
        path: A SavedModel, or a folder of numbered versions of one.

    Returns:
        Path of the folder that holds `saved_model.pb`, of the newest version; None if
        there is none.
    """
    path = Path(path)
    versions = [p for p in path.glob("*/saved_model.pb") if p.parent.name.isdigit()]
    if (path / "saved_model.pb").exists() or not versions:
        return path if (path / "saved_model.pb").exists() else None
    return max(versions, key=lambda p: int(p.parent.name)).parent


class Predictor:
    """A network that answers ab; subclasses say how it is run.

    Attributes:
        name: What the user called it.
        kind: `"keras"`, `"tflite"`, `"saved-model"` or `"onnx"`.
        takes_rgb: Whether it takes and gives pictures; it then has `predict_rgb` and
            no `predict_ab`.
    """

    kind = None
    takes_rgb = False

    def __init__(self, name):
        """Takes the name that reports show."""
        self.name = name

    def predict_ab(self, lightness):
        """Predicts color.

        Args:
            lightness: float32 array `(B, H, W, 1)` in [-1, 1].

        Returns:
            float32 array `(B, H, W, 2)` in [-1, 1].

        Raises:
            DataError: If the network cannot take this size.
        """
        raise DataError(f"{self.name}: answers RGB only")

    def predict_rgb(self, rgb):
        """Colorizes uint8 RGB pictures `(B, H, W, 3)` of a size the file takes."""
        raise DataError(f"{self.name}: answers ab only")

    def colorize(self, lightness):
        """Colorizes pictures, keeping their lightness.

        Args:
            lightness: float32 array `(B, H, W, 1)` in [-1, 1].

        Returns:
            uint8 RGB array `(B, H, W, 3)`.
        """
        from kcolor.preprocessing import join

        if self.takes_rgb:
            gray = join(lightness, np.zeros((*lightness.shape[:-1], 2), "float32"))
            return self.predict_rgb(np.asarray(gray))
        return np.asarray(join(lightness, self.predict_ab(lightness)))


class KerasPredictor(Predictor):
    """Runs a Keras model."""

    kind = "keras"

    def __init__(self, name, model):
        """Takes a loaded model."""
        super().__init__(name)
        self.model = model

    def predict_ab(self, lightness):
        """Predicts color, see `Predictor.predict_ab`."""
        for side in lightness.shape[1:3]:
            if side % 32:
                raise DataError(
                    f"{self.name}: height and width must be multiples of 32; "
                    f"{max(32, round(side / 32) * 32)} would do. Received: {side}"
                )
        return np.asarray(self.model.predict_on_batch(np.asarray(lightness)))


class SavedModelPredictor(Predictor):
    """Runs a SavedModel; `predict_ab` is its bare network (`serving_ab`)."""

    kind = "saved-model"

    def __init__(self, name, path):
        """Loads the folder."""
        import tensorflow as tf

        super().__init__(name)
        try:
            # Kept whole: dropping it would free the function's variables.
            self._loaded = tf.saved_model.load(str(path))
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: not a readable SavedModel") from error
        if "serving_ab" not in self._loaded.signatures:
            raise DataError(f"{path}: has no signature serving_ab")

    def predict_ab(self, lightness):
        """Predicts color, see `Predictor.predict_ab`."""
        return self._run("serving_ab", "lightness", "ab", lightness).numpy()

    def predict_rgb(self, rgb):
        """Colorizes pictures of any one size, see `Predictor.predict_rgb`."""
        return self._run("serving_tensor", "images", "colorized", rgb).numpy()

    def predict_bytes(self, contents):
        """Colorizes a list of encoded pictures; what is none gives empty bytes."""
        answers = self._run(
            "serving_default", "image_bytes", "colorized_bytes", contents
        )
        return answers.numpy().tolist()

    def _run(self, signature, name, answer, value):
        import tensorflow as tf

        if signature not in self._loaded.signatures:
            raise DataError(f"{self.name}: has no signature {signature}")
        function = self._loaded.signatures[signature]
        return function(**{name: tf.constant(value)})[answer]


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
