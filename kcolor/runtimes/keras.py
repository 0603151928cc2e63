"""Runs Keras networks."""

from pathlib import Path

import numpy as np

from kcolor import presets
from kcolor.errors import DataError
from kcolor.runtimes.network import Predictor


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
