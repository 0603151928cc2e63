"""The rows of the protocol `original`: what a user gets.

Pictures go the way that `kcolor colorize` takes, `Colorizer`, one at a time. The row
gray goes it, too, with no color to put on.
"""

from collections.abc import Mapping

import numpy as np

from kcolor.color.host import recolor
from kcolor.evaluation.protocol import GRAY
from kcolor.inference.colorizer import Colorizer
from kcolor.runtimes.network import Predictor


class FullSizePainter:
    """Colorizes pictures of any size in every row; see `rows.Painter`.

    Attributes:
        rows: Dict of row to predictor.
    """

    def __init__(self, rows: Mapping[str, Predictor]) -> None:
        """Takes the models.

        Args:
            rows: What `kcolor.evaluation.rows.load_rows` returns.

        Raises:
            DataError: If one of them answers RGB only.
        """
        self.rows = rows
        self._colorizers = {
            row: Colorizer(predictor) for row, predictor in rows.items()
        }

    def paint(self, shown: np.ndarray) -> dict[str, np.ndarray]:
        """Colorizes one picture in every row.

        Args:
            shown: uint8 RGB array `(1, height, width, 3)`; its L* is what the models
                see.

        Returns:
            Dict of `gray`, which is `shown` reduced to its L*, and each row to uint8
            RGB array of the same shape.
        """
        (pixels,) = shown
        colorless = np.zeros((1, 1, 2), "float32")
        return {GRAY: recolor(pixels, colorless)[None]} | {
            row: colorizer(pixels)[None] for row, colorizer in self._colorizers.items()
        }
