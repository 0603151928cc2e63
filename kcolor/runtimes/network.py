"""What every runner answers to, whatever file the network is in."""

from collections.abc import Sequence

import numpy as np

from kcolor.color.constants import STRIDE, nearest_multiple
from kcolor.errors import DataError

Size = tuple[int, int]


class Predictor:
    """A network that answers ab, or pictures; subclasses say how it is run.

    Attributes:
        name: What the user called it.
        kind: `"keras"`, `"tflite"`, `"saved-model"` or `"onnx"`.
        takes_rgb: Whether it takes and gives pictures; it then has `predict_rgb` and
            no `predict_ab`.
        takes_known: Whether it takes known colors beside lightness.
        needs_known: Whether it never takes lightness alone; it is then told that
            nothing is known.
        takes_seed: Whether it samples: it then has `sample_ab` beside `predict_ab`,
            which gives one of its answers, always the same.
        sizes: Picture sizes `(height, width)` that it is fixed to, or None: a network
            then takes any multiples of `stride`, one of pictures any size at all.
        stride: What the sides of a network's input are multiples of.
        device: What it runs on, for reports: `"cpu"`, or a GPU's name.
    """

    kind: str
    takes_rgb: bool = False
    takes_known: bool = False
    needs_known: bool = False
    takes_seed: bool = False
    sizes: list[Size] | None = None
    stride: int = STRIDE
    device: str = "cpu"

    def __init__(self, name: str) -> None:
        """Takes the name that reports show."""
        self.name = name

    def predict_ab(
        self, lightness: np.ndarray, known: np.ndarray | None = None
    ) -> np.ndarray:
        """Predicts color.

        Args:
            lightness: float32 array `(B, H, W, 1)`, L* / 50 - 1, in [-1, 1].
            known: float32 array `(B, H, W, 3)`, a* and b* / 110 and a mask, for a
                network that `takes_known`; None: nothing is known.

        Returns:
            float32 array `(B, H, W, 2)`, a* and b* / 110, about [-1, 1], not bounded.

        Raises:
            DataError: If the network cannot take this size or known colors, or answers
                RGB only.
        """
        raise DataError(f"{self.name}: answers RGB only")

    def sample_ab(self, lightness: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Draws one of the answers that a network holds for possible.

        Args:
            lightness: As for `predict_ab`.
            seeds: One of each picture, from 0 to 2^32 - 1: a picture and a seed give
                the same answer whatever the rest of the batch.

        Returns:
            As `predict_ab`.

        Raises:
            DataError: If the network gives one answer only.
        """
        raise DataError(f"{self.name}: gives one answer only")

    def predict_rgb(self, rgb: np.ndarray) -> np.ndarray:
        """Colorizes pictures.

        Args:
            rgb: uint8 RGB array `(B, H, W, 3)`, of a size that the file takes.

        Returns:
            uint8 RGB array of the same shape.

        Raises:
            DataError: If the file cannot take this size, or answers ab only.
        """
        raise DataError(f"{self.name}: answers ab only")

    def colorize(self, lightness: np.ndarray) -> np.ndarray:
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

    def inputs(
        self, lightness: np.ndarray, known: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        """Names what the network takes in this call.

        Args:
            lightness: As for `predict_ab`.
            known: As for `predict_ab`.

        Returns:
            Dict of `lightness` and, if any are or the network needs it, `known`.

        Raises:
            DataError: If colors are known and the network does not take them.
        """
        named = {"lightness": np.asarray(lightness, "float32")}
        if known is not None and not self.takes_known:
            raise DataError(f"{self.name}: takes no known colors")
        if known is None and self.needs_known:
            known = np.zeros((*lightness.shape[:3], 3), "float32")
        if known is not None:
            named["known"] = np.asarray(known, "float32")
        return named

    def check_size(self, height: int, width: int) -> None:
        """Refuses a size that the file cannot take.

        Args:
            height: Height of the picture.
            width: Width of the picture.

        Raises:
            DataError: If the file is fixed to other sizes, or a side is no multiple of
                the network's stride; the message says which size would do.
        """
        if self.sizes is not None:
            if (height, width) not in self.sizes:
                known = ", ".join(f"{h}x{w}" for h, w in self.sizes)
                raise DataError(
                    f"{self.name}: takes {known}. Received: {height}x{width}"
                )
            return
        if self.takes_rgb:
            return
        for side in (height, width):
            if side % self.stride:
                fitting = nearest_multiple(side, self.stride)
                raise DataError(
                    f"{self.name}: height and width must be multiples of "
                    f"{self.stride}; {fitting} would do. Received: {side}"
                )
