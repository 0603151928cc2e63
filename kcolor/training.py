"""`fit`: trains one system and leaves a run folder that can be resumed exactly.

Resume rules: an epoch is the unit. Its end writes one checkpoint with the raw weights
and the optimizer's state (moments, averages, iterations); data and augmentation depend
on the seed and the count of pictures drawn alone; so a run that is killed and resumed
repeats the broken epoch and then equals one that was never stopped.
"""

import json
import logging
import math
import os
import sys
import time
from pathlib import Path

import cv2
import keras
import numpy as np
import tensorflow as tf

from kcolor import models
from kcolor.data.pipeline import evaluation_dataset, training_dataset
from kcolor.data.sources import MemoryCache, list_hash, open_sources, split_by_hash
from kcolor.errors import DataError
from kcolor.losses import ColorizationLoss
from kcolor.metrics.lpips import build_lpips
from kcolor.metrics.psnr import psnr
from kcolor.optimizers import LayerwiseAdamW
from kcolor.preprocessing import join
from kcolor.runs import (
    environment,
    load_model,
    read_config,
    read_history,
    replacing,
    write_history,
    write_json,
)
from kcolor.sheets import contact_sheet

SYSTEMS = {
    "unet": (models.build_unet, "resnet34"),
    "mobile": (models.build_mobile, "mobilenet_v2"),
}
PRECISIONS = ("auto", "float32", "mixed_float16", "mixed_bfloat16")
# What may differ when a run is resumed.
_FREE_ON_RESUME = ("run", "resume", "epochs", "cache", "val_images")
_SAMPLES = 8

logger = logging.getLogger(__name__)


def fit(
    system,
    run,
    data=(),
    val_data=None,
    backbone=None,
    backbone_weights="imagenet",
    loss="l2",
    perceptual=0.0,
    lpips_weights=None,
    size=256,
    batch_size=16,
    epochs=30,
    steps_per_epoch=None,
    learning_rate=1e-3,
    encoder_rate=0.2,
    warmup_steps=100,
    weight_decay=1e-4,
    clip_norm=1.0,
    ema=0.999,
    freeze_epochs=0,
    freeze_levels=0,
    degrade=0.0,
    val_fraction=0.05,
    val_images=256,
    precision="auto",
    cache="none",
    init_from=None,
    resume=False,
    seed=0,
):
    """Trains a system and writes a run folder.

    Args:
        system: `"unet"` or `"mobile"`.
        run: Path of the run folder to write.
        data: List of sources of color photographs; empty for scikit-image's own.
        val_data: Source to validate on; None splits `val_fraction` off `data` by a hash
            of the file names.
        backbone: Encoder, one of `kcolor.models.BACKBONES`; None for the system's own.
        backbone_weights: `"imagenet"`, `"none"` or a file, see `build_backbone`.
        loss: Pixel loss on ab: `"l2"` (the published one), `"l1"` or `"huber"`.
        perceptual: Weight of an LPIPS term on the recomposed RGB, 0 for none. It uses
            the first three layers on half of each batch.
        lpips_weights: File with LPIPS' parameters; None looks at the variable
            `KCOLOR_LPIPS_WEIGHTS`.
        size: Side of the training crops, in pixels, a multiple of 32.
        batch_size: Pictures per step.
        epochs: Epochs in all.
        steps_per_epoch: Steps per epoch; None for one pass over the data.
        learning_rate: Peak rate, reached after `warmup_steps` and lowered to 1% along a
            cosine.
        encoder_rate: Factor on the learning rate of a pretrained encoder.
        warmup_steps: Steps of linear warm-up at the start.
        weight_decay: Decoupled weight decay of AdamW.
        clip_norm: Largest global norm of the gradients; 0 for no limit.
        ema: Momentum of the weights' moving average, which is what is validated and
            saved; 0 for none. Lowered for runs too short for it.
        freeze_epochs: First epochs in which the encoder stays as it is.
        freeze_levels: Encoder layers up to this pyramid level (stride 2 to this power)
            never move; 0 for none.
        degrade: Share of inputs that are made to look like old photographs.
        val_fraction: Share of `data` to validate on without `val_data`.
        val_images: Most pictures to validate on, spread evenly over the list.
        precision: `"auto"` (float32 on a CPU, mixed_bfloat16 or mixed_float16 where the
            GPU has it) or a Keras dtype policy.
        cache: `"none"`, or `"memory"` to keep decoded pictures.
        init_from: Run folder or `.keras` file to start from (fine-tuning).
        resume: Go on with the run in `run`.
        seed: Seed of initial values, order and augmentation.

    Returns:
        List of dicts, one per epoch: `epoch`, `loss`, `val_loss`, `val_psnr`, ...

    Raises:
        ValueError: If an argument is out of range or differs from the resumed run's.
        DataError: If data, weights or run folder cannot be used, or the loss is NaN.
    """
    arguments = {k: v for k, v in locals().items()}
    arguments["data"] = [str(path) for path in data]
    arguments = {k: str(v) if isinstance(v, Path) else v for k, v in arguments.items()}
    run = Path(run)
    _check(arguments)
    train, validation = _open_data(arguments)
    done = _prepare_run(run, arguments, train, validation)

    keras.utils.set_random_seed(seed)
    policy = _policy(precision)
    keras.config.set_dtype_policy(policy)
    steps = steps_per_epoch or max(1, len(train) // batch_size)
    logger.info(
        "%s: %d training and %d validation pictures, %d steps an epoch, %s",
        run,
        len(train),
        len(validation),
        steps,
        policy,
    )
    try:
        model = _build(system, backbone, backbone_weights, init_from, done)
        _freeze_levels(model, freeze_levels)
        if cache == "memory":
            train = MemoryCache(train)
        pixel_loss = ColorizationLoss(loss, perceptual, _lpips(arguments))
        epoch_end = _EpochEnd(run, validation, size, batch_size)
        stages = [(0, freeze_epochs, True), (freeze_epochs, epochs, False)]
        for first, last, frozen in stages:
            if first == last or done > last or (done == last and last == epochs):
                continue
            optimizer = _compile(
                model, pixel_loss, arguments, frozen, steps, last - first
            )
            if first < done:
                _restore(run, model, done)
                if done == last:
                    # Keras' fit does so at the end of a stage.
                    optimizer.finalize_variable_values(model.trainable_variables)
                    continue
            start = max(first, done)
            model.fit(
                training_dataset(
                    train, size, batch_size, seed, start * steps * batch_size, degrade
                ),
                epochs=last,
                initial_epoch=start,
                steps_per_epoch=steps,
                callbacks=[epoch_end, _StopAtNaN(run)],
                shuffle=False,  # the stream is in its own seeded order already
                verbose=1 if sys.stdout.isatty() else 0,
            )
    finally:
        keras.config.set_dtype_policy("float32")
    return read_history(run)


class _EpochEnd(keras.callbacks.Callback):
    """Validates the averaged weights, then writes everything that an epoch leaves."""

    def __init__(self, run, validation, size, batch_size):
        super().__init__()
        self.run, self.batch_size = run, batch_size
        self.dataset = evaluation_dataset(validation, size, batch_size)
        self.average = None
        self.writer = tf.summary.create_file_writer(str(run / "logs"))

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.monotonic() - self.started
        checkpoint = self.run / "checkpoints" / f"epoch-{epoch + 1:04d}.weights.h5"
        with _averaged(self.model):
            row = {
                "epoch": epoch + 1,
                "loss": float(logs["loss"]),
                **self._validate(epoch),
                "learning_rate": float(self.model.optimizer.learning_rate),
                "images_per_second": self.params["steps"] * self.batch_size / seconds,
            }
            with replacing(self.run / "model.keras") as temporary:
                self.model.save(temporary, include_optimizer=False)
        write_history(self.run, [*read_history(self.run)[:epoch], row])
        # Last, so that a checkpoint never stands for an epoch whose files are missing.
        with replacing(checkpoint) as temporary:
            self.model.save_weights(temporary)
        for old in sorted(checkpoint.parent.glob("epoch-*.weights.h5"))[:-2]:
            old.unlink()
        self._log(row)

    def _validate(self, epoch):
        loss, scores, count, sheet = 0.0, [], 0, None
        for lightness, target in self.dataset:
            ab = self.model.predict_on_batch(lightness)
            share = len(ab)
            pixel = self.model.loss._pixel_loss(target[..., 1:] - ab)
            loss, count = loss + float(pixel) * share, count + share
            truth = join(target[..., :1], target[..., 1:])
            picture = join(target[..., :1], ab)
            scores.extend(np.asarray(psnr(truth, picture)))
            if sheet is None:
                columns = {
                    "gray": join(lightness, np.zeros_like(ab)),
                    "predicted": picture,
                    "truth": truth,
                }
                columns = {k: np.asarray(v)[:_SAMPLES] for k, v in columns.items()}
                sheet = contact_sheet(columns)
        with replacing(
            self.run / "samples" / f"epoch-{epoch + 1:04d}.png"
        ) as temporary:
            cv2.imwrite(str(temporary), sheet[..., ::-1])
        return {"val_loss": loss / count, "val_psnr": float(np.mean(scores))}

    def _log(self, row):
        numbers = {k: v for k, v in row.items() if k != "epoch"}
        logger.info(
            "epoch %d  %s",
            row["epoch"],
            "  ".join(f"{k} {v:.4g}" for k, v in numbers.items()),
        )
        with self.writer.as_default(step=row["epoch"]):
            for name, value in numbers.items():
                _write_scalar(name, value)
        self.writer.flush()


class _StopAtNaN(keras.callbacks.Callback):
    """Ends a run whose loss is no number before it spoils a checkpoint."""

    def __init__(self, run):
        super().__init__()
        self.run = run

    def on_train_batch_end(self, batch, logs=None):
        loss = logs["loss"]
        if not math.isfinite(loss):
            raise DataError(
                f"{self.run}: the loss became {loss} at step {batch + 1} of this "
                "epoch. The last good checkpoint is kept; try a lower --learning-rate"
            )


def _write_scalar(name, value):
    # tf.summary.scalar needs the tensorboard package only to spell this metadata.
    metadata = tf.compat.v1.SummaryMetadata(
        plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    )
    tf.summary.write(name, tf.constant(value, tf.float32), metadata=metadata)


class _averaged:
    """Puts the moving averages into the model for a while."""

    def __init__(self, model):
        self.swap = None
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        if optimizer.use_ema:
            self.swap = keras.callbacks.SwapEMAWeights()
            self.swap.set_model(model)

    def __enter__(self):
        if self.swap:
            self.swap.on_test_begin()

    def __exit__(self, *error):
        if self.swap:
            self.swap.on_test_end()


def _check(arguments):
    if arguments["system"] not in SYSTEMS:
        raise ValueError(
            f"`system` must be one of {', '.join(SYSTEMS)}. "
            f"Received: {arguments['system']!r}"
        )
    if arguments["size"] < 32 or arguments["size"] % 32:
        raise ValueError(
            f"`size` must be a multiple of 32. Received: {arguments['size']}"
        )
    if arguments["precision"] not in PRECISIONS:
        raise ValueError(
            f"`precision` must be one of {', '.join(PRECISIONS)}. "
            f"Received: {arguments['precision']!r}"
        )
    if arguments["cache"] not in ("none", "memory"):
        raise ValueError(
            f"`cache` must be none or memory. Received: {arguments['cache']!r}"
        )
    for name in ("batch_size", "epochs", "steps_per_epoch", "val_images"):
        if arguments[name] is not None and arguments[name] < 1:
            raise ValueError(
                f"`{name}` must be at least 1. Received: {arguments[name]}"
            )
    if not 0 <= arguments["freeze_epochs"] <= arguments["epochs"]:
        raise ValueError(
            f"`freeze_epochs` must be 0 to {arguments['epochs']} (all epochs). "
            f"Received: {arguments['freeze_epochs']}"
        )
    if not 0 < arguments["val_fraction"] < 1:
        raise ValueError(
            f"`val_fraction` must lie in (0, 1). Received: {arguments['val_fraction']}"
        )


def _open_data(arguments):
    source = open_sources(arguments["data"])
    if arguments["val_data"]:
        train, validation = source, open_sources([arguments["val_data"]])
    else:
        train, validation = split_by_hash(source, arguments["val_fraction"])
    count = min(len(validation), arguments["val_images"])
    spread = np.linspace(0, len(validation) - 1, count).round().astype(int)
    return train, validation.subset(sorted(set(spread.tolist())))


def _prepare_run(run, arguments, train, validation):
    """Creates or checks the run folder; returns how many epochs are done."""
    files = {"train": list_hash(train), "validation": list_hash(validation)}
    if not arguments["resume"]:
        if (run / "config.json").exists():
            raise DataError(
                f"{run}: holds a run already. Use --resume to go on with it, or "
                "another folder"
            )
        for folder in ("checkpoints", "samples", "logs"):
            (run / folder).mkdir(parents=True, exist_ok=True)
        config = {"arguments": arguments, **environment(), "files_sha256": files}
        write_json(run / "config.json", config)
        for part, source in (("train", train), ("validation", validation)):
            (run / f"{part}_files.txt").write_text("\n".join(source.names) + "\n")
        return 0
    config = read_config(run)
    for name, saved in config["arguments"].items():
        if name not in _FREE_ON_RESUME and arguments.get(name) != saved:
            raise ValueError(
                f"{run} was started with {name}={saved!r}; a resumed run must keep it. "
                f"Received: {arguments.get(name)!r}"
            )
    if config["files_sha256"]["train"] != files["train"]:
        raise DataError(f"{run}: the list of training pictures is not the run's own")
    config["arguments"]["epochs"] = arguments["epochs"]
    write_json(run / "config.json", config)
    checkpoints = sorted((run / "checkpoints").glob("epoch-*.weights.h5"))
    return int(checkpoints[-1].name[6:10]) if checkpoints else 0


def _build(system, backbone, backbone_weights, init_from, done):
    if init_from is not None:
        return load_model(init_from)
    build, default_backbone = SYSTEMS[system]
    # A resumed run takes all values from its checkpoint, but the file still decides
    # whether BatchNorm is folded, so it is read again.
    return build(backbone or default_backbone, backbone_weights)


def _freeze_levels(model, levels):
    if not levels:
        return
    encoder = model.get_layer("encoder")
    if not 1 <= levels <= len(encoder.outputs):
        raise ValueError(
            f"`freeze_levels` must be 0 to {len(encoder.outputs)}. Received: {levels}"
        )
    last = encoder.outputs[levels - 1]._keras_history.operation
    for layer in encoder.layers:
        layer.trainable = False
        if layer is last:
            return


def _compile(model, loss, arguments, frozen, steps, epochs):
    encoder = model.get_layer("encoder")
    states = [(layer, layer.trainable) for layer in encoder.layers]
    # Setting it on the model reaches every layer inside, those of `freeze_levels` too.
    encoder.trainable = not frozen
    if not frozen:
        for layer, trainable in states:
            layer.trainable = trainable
    total = steps * epochs
    warmup = min(arguments["warmup_steps"], total // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else arguments["learning_rate"],
        decay_steps=max(1, total - warmup),
        alpha=0.01,
        warmup_target=arguments["learning_rate"] if warmup else None,
        warmup_steps=warmup,
    )
    momentum = max(0.0, min(arguments["ema"], 1 - 20 / total))
    optimizer = LayerwiseAdamW(
        rate,
        rates={v.path: arguments["encoder_rate"] for v in encoder.trainable_variables},
        weight_decay=arguments["weight_decay"],
        global_clipnorm=arguments["clip_norm"] or None,
        use_ema=momentum > 0,
        ema_momentum=momentum,
    )
    # XLA on a CPU is 1.5 to 20 times slower here.
    gpu = bool(tf.config.list_physical_devices("GPU"))
    model.compile(optimizer=optimizer, loss=loss, jit_compile="auto" if gpu else False)
    optimizer = model.optimizer  # wrapped for loss scaling under mixed_float16
    optimizer.build(model.trainable_variables)
    return optimizer


def _restore(run, model, done):
    path = run / "checkpoints" / f"epoch-{done:04d}.weights.h5"
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: not a readable checkpoint of this run") from error


def _lpips(arguments):
    if not arguments["perceptual"]:
        return None
    path = arguments["lpips_weights"] or os.environ.get("KCOLOR_LPIPS_WEIGHTS")
    if not path:
        raise ValueError(
            "`perceptual` needs LPIPS' parameters: give --lpips-weights FILE or set "
            f"KCOLOR_LPIPS_WEIGHTS. Received: perceptual={arguments['perceptual']}"
        )
    return build_lpips(path, layers=3)


def _policy(precision):
    if precision != "auto":
        return precision
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "float32"
    capability = tf.config.experimental.get_device_details(gpus[0]).get(
        "compute_capability", (0, 0)
    )
    if capability >= (8, 0):
        return "mixed_bfloat16"
    return "mixed_float16" if capability >= (7, 0) else "float32"


def resume_arguments(run):
    """Returns the arguments that a run was started with, for the command line."""
    return read_config(run)["arguments"]


def summary(run):
    """Returns one line on how a run ended: its last row of history as JSON."""
    return json.dumps(read_history(run)[-1])
