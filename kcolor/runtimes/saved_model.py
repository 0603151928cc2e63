"""Runs SavedModels."""

from pathlib import Path

from kcolor.errors import DataError
from kcolor.runtimes.network import Predictor


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
