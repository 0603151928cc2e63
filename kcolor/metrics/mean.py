"""What every streaming metric of pictures does alike."""

from collections.abc import Callable
from typing import Any

import keras


class MeanOverImages(keras.metrics.MeanMetricWrapper):
    """Streams the mean over images of a figure per image."""

    def __init__(
        self, figure: Callable, name: str, dtype: str, direction: str | None = None
    ) -> None:
        """Takes the figure.

        Args:
            figure: Function of true and predicted RGB, `(batch, height, width, 3)`,
                that returns float32 `(batch,)`.
            name: Name of the metric.
            dtype: Of the mean.
            direction: `"up"` where more is better, `"down"` where less is, or None.
        """
        super().__init__(figure, name=name, dtype=dtype)
        self._direction = direction

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the subclass' constructor."""
        return {"name": self.name, "dtype": self.dtype}
