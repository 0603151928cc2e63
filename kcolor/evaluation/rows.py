"""The rows of an evaluation: what models are called, and what they make of pictures.

A network sees lightness and answers ab, so a row's picture always has the lightness of
what was shown; only a file exported with RGB in and out could break that, which the
self-check finds.
"""

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import keras
import numpy as np

from kcolor import presets
from kcolor.color.graph import join, split
from kcolor.errors import DataError
from kcolor.evaluation.compilation import compiled
from kcolor.evaluation.protocol import CHECK_ROWS, GRAY
from kcolor.runtimes.network import Predictor
from kcolor.runtimes.resolve import load_predictor


def load_rows(models: Iterable[Predictor | Path | str]) -> dict[str, Predictor]:
    """Opens models and gives each a row of its own.

    Args:
        models: What `kcolor.runtimes.resolve.load_predictor` takes, or its results.

    Returns:
        Dict of row to predictor, in the order of `models`. A row is called by the last
        part of its model's path, or by the whole where two models share that.

    Raises:
        DataError: If a model cannot be used.
    """
    predictors = [load_predictor(m) if isinstance(m, str | Path) else m for m in models]
    names = _row_names([str(predictor.name).rstrip("/") for predictor in predictors])
    return dict(zip(names, predictors, strict=True))


def describe_rows(rows: Mapping[str, Predictor]) -> dict[str, dict[str, str | None]]:
    """Says what each row's model is.

    Args:
        rows: What `load_rows` returns.

    Returns:
        Dict of row to its `path`, as the user wrote it, `kind`, and the `sha256` of its
        file; None for a SavedModel, which is no single file.
    """
    return {
        row: {
            "path": predictor.name,
            "kind": predictor.kind,
            "sha256": _model_hash(predictor.name),
        }
        for row, predictor in rows.items()
    }


class Painter:
    """Colorizes batches in every row.

    Attributes:
        rows: Dict of row to predictor.
    """

    def __init__(self, rows: Mapping[str, Predictor]) -> None:
        """Takes the models and builds what turns their ab into pictures."""
        self.rows = rows
        rgb = keras.Input((None, None, 3), dtype="uint8", name="rgb")
        lightness = keras.Input((None, None, 1), dtype="float32", name="lightness")
        ab = keras.Input((None, None, 2), dtype="float32", name="ab")
        self._split = compiled(
            keras.Model(rgb, list(split(rgb)), name="split"), elementwise=True
        )
        self._join = compiled(
            keras.Model([lightness, ab], join(lightness, ab), name="join"),
            elementwise=True,
        )

    def paint(self, shown: np.ndarray) -> dict[str, np.ndarray]:
        """Colorizes a batch in every row.

        Args:
            shown: uint8 RGB array `(batch, height, width, 3)`; its L* is what the
                models see.

        Returns:
            Dict of `gray`, which is `shown` reduced to its L*, and each row to uint8
            RGB array of the same shape.

        Raises:
            DataError: If a model fails, or answers with another shape or type.
        """
        lightness, _ = self.split(shown)
        gray = self.tint(lightness, np.zeros(2))
        # Float rounding puts the channels of a few pixels one level apart.
        gray = np.repeat(gray[..., 1:2], 3, axis=-1)
        pictures = {GRAY: gray}
        for row, predictor in self.rows.items():
            if predictor.takes_rgb:
                rgb = np.asarray(predictor.predict_rgb(gray))
            else:
                rgb = self.tint(lightness, predictor.predict_ab(lightness))
            if rgb.shape != gray.shape or rgb.dtype != np.uint8:
                raise DataError(
                    f"{predictor.name}: must answer uint8 of the shape {gray.shape}. "
                    f"Received: {rgb.dtype} of {rgb.shape}"
                )
            pictures[row] = rgb
        return pictures

    def split(self, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Splits a batch of uint8 RGB, see `kcolor.color.graph.split`."""
        lightness, ab = self._split.predict_on_batch(rgb)
        return np.asarray(lightness), np.asarray(ab)

    def tint(self, lightness: np.ndarray, ab: np.ndarray) -> np.ndarray:
        """Joins lightness with colors, see `kcolor.color.graph.join`.

        Args:
            lightness: float32 array `(batch, height, width, 1)`.
            ab: Array `(batch, height, width, 2)`, or `(2,)` for one color everywhere.

        Returns:
            uint8 RGB array `(batch, height, width, 3)`.
        """
        ab = np.asarray(ab, "float32")
        if ab.ndim == 1:
            ab = np.broadcast_to(ab, (*lightness.shape[:-1], 2))
        return np.asarray(self._join.predict_on_batch([lightness, ab]))


def _row_names(paths: Sequence[str]) -> list[str]:
    short = [_short_name(path) for path in paths]
    # The last part of a path says enough, unless two models share it.
    names = [
        short[i] if short.count(short[i]) == 1 else path for i, path in enumerate(paths)
    ]
    taken = {GRAY, *CHECK_ROWS}
    for i, name in enumerate(names):
        numbers = itertools.count(2)
        while names[i] in taken:
            names[i] = f"{name} ({next(numbers)})"
        taken.add(names[i])
    return names


def _short_name(path: str) -> str:
    parts = PurePosixPath(path).parts
    # A SavedModel's folder is often a bare version number.
    many = len(parts) > 1 and (parts[-1].isdigit() or parts[-1] == "model.keras")
    return "/".join(parts[-2:] if many else parts[-1:]) or path


def _model_hash(model: str) -> str | None:
    preset = presets.get(model)
    path = Path(model) if preset is None else preset.to_run()
    path = path / "model.keras" if path.is_dir() else path
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
