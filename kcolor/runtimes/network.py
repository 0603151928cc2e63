"""What every runner answers to."""

import numpy as np

from kcolor.errors import DataError


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
        from kcolor.color.graph import join

        if self.takes_rgb:
            gray = join(lightness, np.zeros((*lightness.shape[:-1], 2), "float32"))
            return self.predict_rgb(np.asarray(gray))
        return np.asarray(join(lightness, self.predict_ab(lightness)))
