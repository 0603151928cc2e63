"""Runs Keras networks.

A `.keras` file is data as long as Keras' safe mode is on, and here it is always on: a
file that holds Python code (a Lambda layer) is refused. It still names classes of
installed packages, which Keras imports, so files from strangers deserve the care of any
download.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kcolor.errors import DataError
from kcolor.runtimes.network import Predictor
from kcolor.runtimes.resolve import resolve

if TYPE_CHECKING:
    import keras


def load_model(model: Path | str) -> "keras.Model":
    """Loads a Keras network.

    Args:
        model: Name of a preset, or path of a run folder or a `.keras` file. See the
            module about files of unknown origin. A preset without a `.keras` file must
            be a float `mobile`, which its `.tflite` file is enough to restore.

    Returns:
        `keras.Model` from lightness to ab, not compiled.

    Raises:
        DataError: If it cannot be found or read, or holds code.
    """
    import keras

    # Importing models also registers the classes that a saved file may name.
    from kcolor.models.restore import restore_mobile

    found = resolve(model, to_train=True)
    found.check()
    if found.is_preset and found.kind == "tflite":
        return restore_mobile(found.path)
    if found.kind != "keras":
        raise DataError(f"{model}: must be a run folder, a .keras file or a preset")
    if not found.path.exists():
        raise DataError(f"{found.path}: no such file")
    try:
        return keras.models.load_model(found.path, compile=False, safe_mode=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if "safe_mode" in str(error):
            raise DataError(
                f"{found.path}: holds Python code (a Lambda layer), which kcolor does "
                "not run"
            ) from error
        raise DataError(f"{found.path}: not a readable Keras model") from error


def tensorflow_device() -> str:
    """Names what TensorFlow computes on.

    Returns:
        Name of the first GPU, or `"cpu"`.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "cpu"
    details = tf.config.experimental.get_device_details(gpus[0])
    return details.get("device_name", "gpu")


class KerasPredictor(Predictor):
    """Runs a Keras model; safe to call from several threads."""

    kind = "keras"

    def __init__(self, name: str, model: "keras.Model") -> None:
        """Takes a loaded model.

        Args:
            name: What messages and reports call it.
            model: `keras.Model` from lightness, with known colors or without, to ab.

        Raises:
            ValueError: If its known colors cannot be left out, see `without_known`.
        """
        import keras

        from kcolor.models.known import takes_known, without_known

        super().__init__(name)
        self.model = model
        self.takes_known = takes_known(model)
        self._lock = threading.Lock()
        networks = without_known(model), model
        if keras.config.backend() == "tensorflow":
            self.device = tensorflow_device()
            self._plain, self._hinted = map(_compiled, networks)
        else:
            self.device = keras.distribution.list_devices()[0]
            self._plain, self._hinted = (one.predict_on_batch for one in networks)

    def predict_ab(
        self, lightness: np.ndarray, known: np.ndarray | None = None
    ) -> np.ndarray:
        """Predicts color, see `Predictor.predict_ab`."""
        self.check_size(*lightness.shape[1:3])
        named = self.inputs(lightness, known)
        with self._lock:  # The first call builds the function that all share.
            if known is None:
                return np.asarray(self._plain(named["lightness"]))
            return np.asarray(self._hinted(named))


def _compiled(model: "keras.Model") -> Callable:
    import tensorflow as tf

    # Keras' own function, `predict_on_batch`, leaves the size open from the second one
    # on, where `UpSampling2D` fails. This one is traced for each size.
    return tf.function(lambda x: model(x, training=False), autograph=False)
