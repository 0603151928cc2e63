"""What trains when: the stages of a run, and the course of the learning rate in each.

A stage has optimizers of its own, because Keras drops an optimizer's state whenever the
set of trainable weights changes.
"""

from dataclasses import dataclass

import keras

from kcolor.training.options import FitOptions


@dataclass(frozen=True)
class Stage:
    """Epochs in which the same weights train.

    Attributes:
        first: Epochs done before it.
        last: Epochs done after it.
        frozen: Whether the encoder stays as it is.
        adversarial: Whether pix2pix's discriminator takes part.
    """

    first: int
    last: int
    frozen: bool = False
    adversarial: bool = True


def plan_stages(options: FitOptions) -> list[Stage]:
    """Returns the stages of a run, in order, which together have all of its epochs."""
    edges = {0, options.freeze_epochs, options.epochs}
    if options.system == "pix2pix":
        edges.add(options.pretrain_epochs)
    ordered = sorted(edges)
    return [
        Stage(
            first,
            last,
            frozen=first < options.freeze_epochs,
            adversarial=first >= options.pretrain_epochs,
        )
        for first, last in zip(ordered, ordered[1:], strict=False)
    ]


def learning_rate(
    options: FitOptions, total: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Builds the course of the learning rate over a stage.

    Args:
        options: With a `learning_rate`, the peak.
        total: Steps of the stage.

    Returns:
        Schedule: linear warm-up, then what `schedule` says.
    """
    peak = options.learning_rate
    if options.schedule == "one-cycle":
        warmup = 3 * total // 10
    else:
        warmup = min(options.warmup_steps, total // 10)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else peak,
        decay_steps=max(1, total - warmup),
        alpha=1.0 if options.schedule == "constant" else 0.01,
        warmup_target=peak if warmup else None,
        warmup_steps=warmup,
    )
