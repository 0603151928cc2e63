"""How good a network is on validation pictures, in figures and as a sheet."""

from collections.abc import Callable, Iterable
from pathlib import Path

import keras
import numpy as np

from kcolor.color.graph import join
from kcolor.data.batches import Batch
from kcolor.images.sheets import contact_sheet, write_sheet
from kcolor.metrics.psnr import psnr
from kcolor.models.known import without_hints
from kcolor.parallel import evenly_spaced

_SAMPLES = 8


def predictor(network: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function from a NumPy batch to what the network answers by itself.

    Args:
        network: What is asked now and, with other weights, after later epochs.

    Returns:
        Function from lightness `(B, H, W, 1)` to ab `(B, H, W, 2)`, float32.
    """
    if keras.backend.backend() != "tensorflow":
        return lambda lightness: network.predict_on_batch(
            without_hints(network, lightness)
        )
    import tensorflow as tf

    # Keras' own answers one replica's share only where there are several.
    call = tf.function(
        lambda lightness: network(without_hints(network, lightness), training=False)
    )
    return lambda lightness: call(tf.constant(lightness)).numpy()


def validate(
    predict: Callable[[np.ndarray], np.ndarray],
    pixel_loss: Callable[[np.ndarray, np.ndarray], float],
    batches: Iterable[Batch],
    count: int,
    run: Path,
    epoch: int,
) -> dict[str, float]:
    """Measures a network on validation pictures and draws some of them.

    Args:
        predict: The network, see `predictor`.
        pixel_loss: From the target `(B, H, W, 3)` and ab to the batch's mean loss.
        batches: What to measure on, see `evaluation_batches`.
        count: How many pictures they hold.
        run: Run folder, whose `samples` get a sheet of gray, predicted and true
            pictures, evenly spaced over the batches.
        epoch: Which epoch has ended, from 1.

    Returns:
        `val_loss`; `val_psnr` in dB; and `val_psnr_gray`, of the same pictures left
        gray, without which a PSNR says nothing. Pictures without color, of which gray
        is the truth, count in neither; NaN if there are no others.
    """
    shown = set(evenly_spaced(count, _SAMPLES))
    loss = 0.0
    scores: list[float] = []
    gray_scores: list[float] = []
    rows = []
    for lightness, target in batches:
        ab = predict(lightness)
        loss += float(pixel_loss(target, ab)) * len(ab)
        seen, truth, picture, gray = (
            keras.ops.convert_to_numpy(join(light, color))
            for light, color in (
                (lightness, np.zeros_like(ab)),
                (target[..., :1], target[..., 1:]),
                (target[..., :1], ab),
                (target[..., :1], np.zeros_like(ab)),
            )
        )
        for i in range(len(ab)):
            if len(scores) + i in shown:
                rows.append((seen[i], picture[i], truth[i]))
        scores.extend(keras.ops.convert_to_numpy(psnr(truth, picture)))
        gray_scores.extend(keras.ops.convert_to_numpy(psnr(truth, gray)))
    columns = zip(*rows, strict=True)
    sheet = contact_sheet(
        dict(zip(("gray", "predicted", "truth"), columns, strict=True))
    )
    has_color = np.isfinite(gray_scores)
    write_sheet(run / "samples" / f"epoch-{epoch:04d}.png", sheet)
    return {
        "val_loss": loss / len(scores),
        "val_psnr": _mean(np.array(scores)[has_color]),
        "val_psnr_gray": _mean(np.array(gray_scores)[has_color]),
    }


def _mean(values):
    return float(values.mean()) if len(values) else float("nan")
