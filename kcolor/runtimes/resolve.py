"""Finds what a MODEL argument means, and opens it: the same for every command.

What a reader would get wrong: a preset's name comes first, so that a folder which
happens to be called `mobile` changes nothing; `./mobile` is the folder.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kcolor import presets
from kcolor.errors import DataError
from kcolor.runtimes.network import Predictor

Kind = Literal["tflite", "onnx", "keras", "saved-model"]
_SUFFIXES: dict[str, Kind] = {".keras": "keras", ".tflite": "tflite", ".onnx": "onnx"}


@dataclass(frozen=True)
class Resolved:
    """What a MODEL argument means.

    Attributes:
        name: What the user called it.
        kind: Which runtime runs it.
        path: The file, or the folder that holds `saved_model.pb`.
        run: The run folder that it is of, or None.
        preset: The preset that it is, or None.
    """

    name: str
    kind: Kind
    path: Path
    run: Path | None = None
    preset: presets.Preset | None = None

    @property
    def is_preset(self) -> bool:
        """Whether the user gave a preset's name."""
        return self.preset is not None

    def check(self) -> None:
        """Compares a preset's file with its card, see `Preset.check`."""
        if self.preset is not None:
            self.preset.check(self.path)


def resolve(model: Path | str, to_train: bool = False) -> Resolved:
    """Finds what a MODEL argument means; opens nothing.

    Args:
        model: The first of these that fits: name of a preset, path of a run folder, of
            a `.keras`, `.tflite` or `.onnx` file, of a SavedModel or the folder of its
            versions, of a folder that holds exactly one `.tflite` file.
        to_train: Which file of a preset is meant: the one that training and export
            start from, or the one that runs.

    Returns:
        `Resolved`. A file with one of the three suffixes need not exist.

    Raises:
        DataError: If it is none of these, or a preset without its files.
    """
    name, path = str(model), Path(model)
    # A Path that was given as one is a path: Path("./mobile") has lost its dot.
    preset = presets.get(model) if isinstance(model, str) else None
    if preset is not None:
        file = preset.to_train() if to_train else preset.to_run()
        return Resolved(name, _SUFFIXES[file.suffix], file, preset=preset)
    if path.is_dir():
        return _resolve_folder(name, path)
    if path.suffix in _SUFFIXES:
        return Resolved(name, _SUFFIXES[path.suffix], path)
    what = "no such model" if not path.exists() else "not a model"
    found, faults = presets.listed()
    names = ", ".join(preset.name for preset in found)
    said = (
        f"{name}: {what}. It must be a preset ({names}), a run folder, or a .keras, "
        ".tflite, .onnx or SavedModel path"
    )
    raise DataError("; ".join([said, *faults]))


def load_predictor(model: Path | str, threads: int = 2) -> Predictor:
    """Opens any MODEL for prediction, importing its own runtime only.

    Args:
        model: See `resolve`.
        threads: Threads of a `.tflite` or `.onnx` file; TensorFlow has its own setting.

    Returns:
        `Predictor`.

    Raises:
        DataError: If it cannot be found or read.
    """
    found = resolve(model)
    found.check()
    if found.kind == "tflite":
        from kcolor.runtimes.litert import LiteRTPredictor

        return LiteRTPredictor(found.name, found.path, threads)
    if found.kind == "onnx":
        from kcolor.runtimes.onnx import OnnxPredictor

        return OnnxPredictor(found.name, found.path, threads)
    if found.kind == "saved-model":
        from kcolor.runtimes.saved_model import SavedModelPredictor

        return SavedModelPredictor(found.name, found.path)
    from kcolor.runtimes.keras import KerasPredictor, load_model

    return KerasPredictor(found.name, load_model(model))


def _resolve_folder(name: str, path: Path) -> Resolved:
    if (path / "config.json").exists():
        weights = path / "model.keras"
        if not weights.exists():
            raise DataError(f"{name}: has no model.keras yet; no epoch is finished")
        return Resolved(name, "keras", weights, run=path)
    versions = [p for p in path.glob("*/saved_model.pb") if p.parent.name.isdigit()]
    if (path / "saved_model.pb").exists():
        return Resolved(name, "saved-model", path)
    if versions:
        newest = max(versions, key=lambda p: int(p.parent.name)).parent
        return Resolved(name, "saved-model", newest)
    files = sorted(path.glob("*.tflite"))
    if len(files) == 1:
        return Resolved(name, "tflite", files[0])
    held = f"; it holds {len(files)} .tflite files, name one" if files else ""
    raise DataError(
        f"{name}: a folder must be a run folder, a SavedModel, or hold one .tflite "
        f"file{held}"
    )
