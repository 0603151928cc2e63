"""Runs SavedModels.

A SavedModel is a program: its graph may hold any of TensorFlow's operations, those that
read and write files among them, and running it runs them. Nothing checks that, so open
only folders from people whom you would let run a program on your machine.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kcolor.errors import DataError
from kcolor.runtimes.network import Predictor


class SavedModelPredictor(Predictor):
    """Runs a SavedModel; `predict_ab` is its bare network.

    That is `serving_ab`, or `serving_ab_known` where colors are known.
    """

    kind = "saved-model"

    def __init__(self, name: str, path: Path | str) -> None:
        """Loads the folder; see the module about folders of unknown origin.

        Args:
            name: What messages and reports call it.
            path: Folder that holds `saved_model.pb`.

        Raises:
            DataError: If it cannot be read, or is not one of `kcolor export`.
        """
        import tensorflow as tf

        from kcolor.runtimes.keras import tensorflow_device

        super().__init__(name)
        try:
            # Kept whole: dropping it would free the function's variables.
            self._loaded = tf.saved_model.load(str(path))
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: not a readable SavedModel") from error
        if "serving_ab" not in self._loaded.signatures:
            raise DataError(f"{path}: has no signature serving_ab")
        self.takes_known = "serving_ab_known" in self._loaded.signatures
        self.device = tensorflow_device()

    def predict_ab(
        self, lightness: np.ndarray, known: np.ndarray | None = None
    ) -> np.ndarray:
        """Predicts color, see `Predictor.predict_ab`."""
        self.check_size(*lightness.shape[1:3])
        named = self.inputs(lightness, known)
        signature = "serving_ab_known" if "known" in named else "serving_ab"
        return self._run(signature, named, "ab")

    def predict_rgb(self, rgb: np.ndarray) -> np.ndarray:
        """Colorizes pictures of any one size, see `Predictor.predict_rgb`."""
        return self._run("serving_tensor", {"images": rgb}, "colorized")

    def predict_bytes(self, contents: Sequence[bytes]) -> list[bytes]:
        """Colorizes encoded pictures.

        Args:
            contents: JPEG, PNG, BMP or GIF files, each of any size.

        Returns:
            List of encoded pictures in the same order; empty bytes for what is none.
        """
        named = {"image_bytes": contents}
        return self._run("serving_default", named, "colorized_bytes").tolist()

    def _run(self, signature: str, named: dict[str, Any], answer: str) -> np.ndarray:
        import tensorflow as tf

        if signature not in self._loaded.signatures:
            raise DataError(f"{self.name}: has no signature {signature}")
        function = self._loaded.signatures[signature]
        tensors = {name: tf.constant(value) for name, value in named.items()}
        return function(**tensors)[answer].numpy()
