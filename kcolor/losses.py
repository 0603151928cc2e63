"""Losses between true color and predicted ab.

`y_true` carries lightness and ab in one tensor, `(B, H, W, 3)`, because a loss on the
recomposed picture needs the lightness that `y_pred`, ab alone, does not hold.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kcolor.color.graph import opponent_colorfulness, recompose

PIXEL_LOSSES = ("l2", "l1", "huber", "psnr")
# Huber's bend, in scaled ab: 5 of 110 units, about what an eye starts to see.
_HUBER_DELTA = 5 / 110
# Mean square error of 40 dB, which is added: nearly gray pictures are nearly right from
# the start, and would outweigh all others.
PSNR_FLOOR = 1e-4


@keras.saving.register_keras_serializable("kcolor")
class ColorizationLoss(keras.losses.Loss):
    """Pixel loss on ab, and optionally terms on the recomposed RGB."""

    def __init__(
        self,
        pixel: str = "l2",
        perceptual: float = 0.0,
        colorfulness: float = 0.0,
        lpips: Callable | None = None,
        perceptual_share: float = 0.5,
        teacher: Callable | None = None,
        teacher_weight: float = 0.5,
        psnr: float = 0.0,
        name: str = "colorization_loss",
    ) -> None:
        """Sets the terms up.

        Args:
            pixel: `"l2"` (mean square), `"l1"` (mean absolute) or `"huber"`, all of
                ab, or `"psnr"`: minus the mean over pictures of the recomposed RGB's
                PSNR, at most 40 dB, in units of 100 dB. It weighs an error by how good
                its picture is, as the figure does that evaluation prints; best for last
                steps, or beside another, see `psnr`.
            perceptual: Weight of the perceptual term beside the pixel term, >= 0.
            colorfulness: Weight of what a picture's colorfulness lacks to its truth's,
                in units of 100; 0 where it lacks nothing.
            lpips: Model of two RGB batches in [0, 1] that answers a distance per
                picture; needed where `perceptual` > 0.
            perceptual_share: Share of each batch, in (0, 1], that the perceptual term
                looks at; half costs half and trains as well.
            teacher: Trained model from lightness to ab, for distillation: its answer
                is a second target of the pixel term. It tells the share of color that
                can be told from lightness, without the chance of each single truth.
            teacher_weight: Share of the pixel term that looks at the teacher, [0, 1].
            psnr: Weight of what `"psnr"` computes, beside the pixel term, >= 0.
            name: Name of the loss.

        Raises:
            ValueError: If `pixel` is unknown or `lpips` is missing.

        Source: Hinton et al., Distilling the Knowledge in a Neural Network, 2015, with
        the weighted sum of both targets; on a regression instead of classes.
        """
        super().__init__(name=name, dtype="float32")
        if pixel not in PIXEL_LOSSES:
            raise ValueError(
                f"`loss` must be one of {', '.join(PIXEL_LOSSES)}. Received: {pixel!r}"
            )
        if perceptual and lpips is None:
            raise ValueError("a perceptual term needs LPIPS weights. Received: None")
        self.pixel, self.perceptual = pixel, perceptual
        self.lpips: Any = lpips
        self.colorfulness = colorfulness
        self.perceptual_share = perceptual_share
        self.teacher, self.teacher_weight = teacher, teacher_weight
        self.psnr = psnr

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Compares one batch.

        Args:
            y_true: float32 `(B, H, W, 3)`, lightness and ab in [-1, 1].
            y_pred: float `(B, H, W, 2)`, ab, not bounded.

        Returns:
            float32 of shape `(1,)`: already a mean over the batch. Calling the loss
            gives it as a scalar; on several devices as each one's share, as Keras does.
        """
        y_pred = ops.cast(y_pred, "float32")
        loss = self.pixel_loss(y_true, y_pred)
        if self.teacher is not None:
            taught = ops.stop_gradient(self.teacher(y_true[..., :1], training=False))
            loss = (1 - self.teacher_weight) * loss
            taught = ops.concatenate([y_true[..., :1], taught], axis=-1)
            loss = loss + self.teacher_weight * self.pixel_loss(taught, y_pred)
        if not self.perceptual and not self.colorfulness and not self.psnr:
            return ops.reshape(loss, (1,))
        count = max(1, round(y_true.shape[0] * self.perceptual_share))
        if not self.psnr:
            y_true, y_pred = y_true[:count], y_pred[:count]
        truth, picture = _pictures(y_true, y_pred)
        if self.psnr:
            loss = loss + self.psnr * _lacking_psnr(truth, picture)
            truth, picture = truth[:count], picture[:count]
        if self.perceptual:
            distance = self.lpips([truth, picture])
            loss = loss + self.perceptual * ops.mean(distance)
        if self.colorfulness:
            lack = opponent_colorfulness(truth) - opponent_colorfulness(picture)
            loss = loss + self.colorfulness * ops.mean(ops.relu(lack)) * 2.55
        return ops.reshape(loss, (1,))

    def pixel_loss(self, y_true: Any, y_pred: Any) -> Any:
        """Computes the pixel term alone; arguments and result as `call` has them."""
        if self.pixel == "psnr":
            return _lacking_psnr(*_pictures(y_true, y_pred))
        error = y_true[..., 1:] - y_pred
        if self.pixel == "l2":
            return ops.mean(ops.square(error))
        error = ops.abs(error)
        if self.pixel == "l1":
            return ops.mean(error)
        inside = ops.square(error) / (2 * _HUBER_DELTA)
        return ops.mean(
            ops.where(error < _HUBER_DELTA, inside, error - _HUBER_DELTA / 2)
        )

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs; the networks themselves are not in it."""
        return {
            "pixel": self.pixel,
            "perceptual": self.perceptual,
            "colorfulness": self.colorfulness,
            "perceptual_share": self.perceptual_share,
            "teacher": self.teacher is not None,
            "teacher_weight": self.teacher_weight,
            "psnr": self.psnr,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ColorizationLoss":
        """Rebuilds a loss from `get_config`'s dict.

        A term that needs a network waits for it: set `lpips` or `teacher` before the
        loss is called, which raises ValueError without them.
        """
        config = dict(config)
        if config.get("perceptual"):
            config["lpips"] = _NotSaved("lpips")
        config["teacher"] = _NotSaved("teacher") if config.get("teacher") else None
        return cls(**config)


def _pictures(y_true, y_pred):
    """Recomposes RGB of truth and prediction."""
    lightness = y_true[..., :1]
    return recompose(lightness, y_true[..., 1:]), recompose(lightness, y_pred)


def _lacking_psnr(truth, picture):
    error = ops.mean(ops.square(truth - picture), axis=(1, 2, 3))
    return ops.mean(ops.log10(error + PSNR_FLOOR)) / 10


class _NotSaved:
    """Stands for a network that a configuration cannot hold."""

    def __init__(self, name):
        self.name = name

    def __call__(self, *args, **kwargs):
        raise ValueError(
            f"`{self.name}` is a network, which a saved loss does not hold. Set the "
            f"attribute `{self.name}` before the loss is used"
        )
