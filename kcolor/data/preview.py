"""Draws what training feeds the network, so that data can be looked at first."""

from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np

from kcolor.color.graph import join
from kcolor.data.batches import training_batches
from kcolor.data.source import open_sources
from kcolor.images.sheets import contact_sheet


def preview(
    data: Iterable[Path | str] | Path | str | None,
    size: int = 256,
    count: int = 8,
    crop_min: float = 0.5,
    crop_max: float = 1.0,
    degrade: float = 0.0,
    seed: int = 0,
    whole_share: float = 0.0,
) -> np.ndarray:
    """Draws pictures as a training run sees them.

    Args:
        data: One or more sources, see `open_sources`.
        size: Side of the training crops, in pixels, as `fit` has it.
        count: How many pictures to draw.
        crop_min: Least side of a crop, as `fit` has it.
        crop_max: Greatest side of a crop, as `fit` has it.
        degrade: Share of inputs made to look like old photographs, as `fit` has it.
        seed: Seed of order and augmentation, as `fit` has it.
        whole_share: Share of the pictures that are squashed whole, as `fit` has it.

    Returns:
        uint8 RGB array `(height, width, 3)`: a row per picture, its input beside its
        target.

    Raises:
        DataError: If the data cannot be used.
    """
    source = open_sources(data)
    try:
        crop = crop_min, crop_max
        batches = iter(
            training_batches(
                source,
                size,
                count,
                seed,
                degrade=degrade,
                crop=crop,
                whole=whole_share,
            )
        )
        lightness, target = (np.asarray(part) for part in next(batches))
    except Exception as error:
        # tf.data hides which file it was behind an error of its own.
        if source.failure is not None:
            raise source.failure from error
        raise
    shown = {
        "input": join(lightness, np.zeros_like(target[..., 1:])),
        "target": join(target[..., :1], target[..., 1:]),
    }
    return contact_sheet(
        {label: keras.ops.convert_to_numpy(rgb) for label, rgb in shown.items()}
    )
