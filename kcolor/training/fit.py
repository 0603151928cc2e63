"""`fit`: trains one system and leaves a run folder that can be resumed exactly.

Resume rules: an epoch is the unit. Its end writes one checkpoint with the raw weights
and the optimizer's state (moments, averages, iterations); data and augmentation depend
on the seed and the count of pictures drawn alone; so a run that is killed and resumed
repeats the broken epoch and then equals one that was never stopped.
"""

import logging
import math
import sys
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import cv2
import keras
import numpy as np

from kcolor import models
from kcolor.color.graph import join
from kcolor.data.augment import opencv_in_one_thread
from kcolor.data.batches import (
    evaluation_batches,
    pass_length,
    reading_size,
    training_batches,
)
from kcolor.data.cache import Cache
from kcolor.data.cleaning import SkipBad, without_bad, without_gray
from kcolor.data.source import list_hash, open_sources, split_by_hash
from kcolor.environment import environment
from kcolor.errors import DataError
from kcolor.files import replacing, write_json
from kcolor.images.sheets import contact_sheet
from kcolor.losses import ColorizationLoss
from kcolor.metrics.lpips import build_lpips, find_weights
from kcolor.metrics.psnr import psnr
from kcolor.models.precision import under_policy
from kcolor.parallel import evenly_spaced
from kcolor.process import keep_freed_memory
from kcolor.runtimes.keras import load_model
from kcolor.runtimes.run_folder import read_config, read_history, write_history
from kcolor.training.devices import fuse_batch_norm
from kcolor.training.optimizer import LayerwiseAdamW


@dataclass(frozen=True)
class System:
    """What a system trains with where the user does not say."""

    build: object
    backbone: str
    loss: str = "l2"
    learning_rate: float = 1e-3


SYSTEMS = {
    "resnet": System(models.build_resnet, "resnet34"),
    "unet": System(models.build_unet, "resnet34"),
    # Adversarial training diverges at rates that a plain loss bears.
    "pix2pix": System(models.build_pix2pix_generator, "resnet50", "l1", 2e-4),
    "mobile": System(models.build_mobile, "mobilenet_v2"),
}
PRECISIONS = ("auto", "float32", "mixed_float16", "mixed_bfloat16")
SCHEDULES = ("cosine", "one-cycle", "constant")
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
    loss=None,
    perceptual=0.0,
    colorfulness=0.0,
    lpips_weights=None,
    teacher=None,
    teacher_weight=0.5,
    discriminator="patch",
    lambda_l1=100.0,
    gan_loss="bce",
    pretrain_epochs=0,
    size=256,
    batch_size=16,
    epochs=30,
    steps_per_epoch=None,
    learning_rate=None,
    encoder_rate=0.2,
    schedule="cosine",
    warmup_steps=100,
    weight_decay=1e-4,
    clip_norm=1.0,
    ema=0.999,
    patience=0,
    freeze_epochs=0,
    freeze_levels=0,
    crop_min=0.5,
    crop_max=1.0,
    degrade=0.0,
    min_colorfulness=0.0,
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
        system: `"resnet"`, `"unet"`, `"pix2pix"` or `"mobile"`.
        run: Path of the run folder to write.
        data: List of sources of color photographs, see `open_sources`; empty for
            scikit-image's own. A file that cannot be read is left out and listed in
            the run's `bad_files.txt`.
        val_data: Source to validate on; None splits `val_fraction` off `data` by a hash
            of the file names.
        backbone: Encoder, one of `kcolor.models.BACKBONES`; None for the system's own.
        backbone_weights: `"imagenet"`, `"none"` or a file, see `build_backbone`.
        loss: Pixel loss: `"l2"`, `"l1"` or `"huber"` of ab, or `"psnr"` of the picture,
            see `ColorizationLoss`; None for the published one, which is l1 for pix2pix
            and l2 for the others.
        perceptual: Weight of an LPIPS term on the recomposed RGB, 0 for none. It uses
            the first three layers on half of each batch.
        colorfulness: Weight of a term that asks for the truth's colorfulness.
        lpips_weights: File with LPIPS' parameters; None looks at the variable
            `KCOLOR_LPIPS_WEIGHTS`.
        teacher: Run folder, `.keras` file or bundled float preset whose answers are a
            second target of the pixel loss (distillation); None for none.
        teacher_weight: Share of the pixel loss that looks at them, 0 to 1.
        discriminator: Of pix2pix: `"patch"` (70x70 PatchGAN) or `"classifier"`.
        lambda_l1: Of pix2pix: weight of the pixel loss beside the adversarial term.
        gan_loss: Of pix2pix: `"bce"` or `"hinge"`.
        pretrain_epochs: Of pix2pix: first epochs on the pixel loss alone.
        size: Side of the training crops, in pixels, a multiple of 32.
        batch_size: Pictures per step.
        epochs: Epochs in all.
        steps_per_epoch: Steps per epoch; None for one pass over the data.
        learning_rate: Peak rate; None for 2e-4 (pix2pix) or 1e-3 (the others).
        encoder_rate: Factor on the learning rate of a pretrained encoder.
        schedule: `"cosine"` (warm-up, then down to 1% along a cosine), `"one-cycle"`
            (the same with a warm-up of 30% of the steps) or `"constant"` (after the
            warm-up). A stage that freezes or pretrains has a schedule of its own.
        warmup_steps: Steps of linear warm-up, at most a tenth of a stage's.
        weight_decay: Decoupled weight decay of AdamW.
        clip_norm: Largest global norm of the gradients; 0 for no limit.
        ema: Momentum of the weights' moving average, which is what is validated and
            saved; 0 for none. Lowered for runs too short for it.
        patience: Epochs without a lower validation loss after which to stop; the best
            epoch's model is kept then. 0: never, and the last epoch's is.
        freeze_epochs: First epochs in which the encoder stays as it is.
        freeze_levels: Encoder layers up to this pyramid level (stride 2 to this power)
            never move; 0 for none.
        crop_min: Least side of a training crop, as a share of the picture's shorter
            side. A network is best where pictures are used at the scale that it was
            trained at, so small crops of large pictures should be cut small.
        crop_max: Its greatest side.
        degrade: Share of inputs that are made to look like old photographs.
        min_colorfulness: Least colorfulness (M3, 8-bit levels) of pictures to train
            on; 0 keeps all. Validation keeps all in any case.
        val_fraction: Share of `data` to validate on without `val_data`.
        val_images: Most pictures to validate on, spread evenly over the list.
        precision: `"auto"` (float32 on a CPU, mixed_bfloat16 or mixed_float16 where the
            GPU has it) or a Keras dtype policy.
        cache: Where decoded pictures are kept: `"none"`, `"memory"`, or `"disk"`: a
            file in the run folder that is gone when the run ends.
        init_from: Run folder, `.keras` file or bundled float preset to start from
            (fine-tuning).
        resume: Go on with the run in `run`.
        seed: Seed of initial values, order and augmentation.

    Returns:
        List of dicts, one per epoch: `epoch`, `loss`, `val_loss`, `val_psnr`, ...

    Raises:
        ValueError: If an argument is out of range or differs from the resumed run's.
        DataError: If data, weights or run folder cannot be used, over 5% of the
            pictures cannot be read, or the loss is NaN.
    """
    arguments = dict(locals())
    arguments["data"] = [str(path) for path in data]
    arguments = {k: str(v) if isinstance(v, Path) else v for k, v in arguments.items()}
    run = Path(run)
    _check(arguments)
    if not resume:
        _refuse_old(run)
    train, validation = _open_data(arguments)
    chosen = _with_defaults(arguments)

    keep_freed_memory()
    keras.utils.set_random_seed(seed)
    policy = _policy(precision)
    steps = steps_per_epoch or max(1, pass_length(train) // batch_size)
    logger.info(
        "%s: %d training and %d validation pictures, %d steps an epoch, %s on %s",
        run,
        len(train),
        len(validation),
        steps,
        policy,
        keras.backend.backend(),
    )
    with opencv_in_one_thread(), _dtype_policy(policy), _all_devices():
        network = _build(chosen)
        trainer = network
        if system == "pix2pix":
            trainer = models.Pix2Pix(network, models.build_discriminator(discriminator))
        pixel_loss = ColorizationLoss(
            chosen["loss"],
            perceptual,
            colorfulness,
            _lpips(arguments),
            teacher=None if teacher is None else load_model(teacher),
            teacher_weight=teacher_weight,
        )
        # Only now: what fails above leaves no half-made run behind.
        done = _prepare_run(run, arguments, train, validation)
        validation = without_bad(validation, run / "bad_files.txt")
        train = SkipBad(train, run / "bad_files.txt")
        if cache != "none":
            short_side = reading_size(size, (crop_min, crop_max))
            train = Cache(train, short_side, run if cache == "disk" else None)
        epoch_end = _EpochEnd(
            run, network, pixel_loss, validation, size, batch_size, patience
        )
        for stage in _stages(chosen):
            first, last = stage
            if done > last or (done == last == epochs) or epoch_end.is_over():
                continue
            _compile(trainer, network, pixel_loss, chosen, first, steps, last - first)
            if first < done:
                _restore(run, trainer, done)
                if done == last:
                    # Keras' fit does so at the end of a stage.
                    trainer.optimizer.finalize_variable_values(
                        trainer.trainable_variables
                    )
                    continue
            start = max(first, done)
            batches = training_batches(
                train,
                size,
                batch_size,
                seed,
                start * steps * batch_size,
                degrade,
                (crop_min, crop_max),
            )
            try:
                trainer.fit(
                    batches,
                    epochs=last,
                    initial_epoch=start,
                    steps_per_epoch=steps,
                    callbacks=[_StopAtNaN(run), epoch_end],
                    shuffle=False,  # the stream is in its own seeded order already
                    verbose=1 if sys.stdout.isatty() else 0,
                )
            except Exception as error:
                # tf.data hides which file it was behind an error of its own.
                if train.failure is not None:
                    raise train.failure from error
                raise
    return read_history(run)


class _EpochEnd(keras.callbacks.Callback):
    """Validates the averaged weights, then writes everything that an epoch leaves."""

    def __init__(self, run, network, loss, validation, size, batch_size, patience):
        super().__init__()
        self.run, self.network, self.loss = run, network, loss
        self.batch_size, self.patience = batch_size, patience
        self.batches = evaluation_batches(validation, size, batch_size)
        self.predict = _predictor(network)
        self.shown = set(evenly_spaced(len(validation), _SAMPLES))
        # A compiled network would be saved with its optimizer and loss, four times as
        # large; an uncompiled twin is the network alone.
        self.twin = keras.models.clone_model(network)
        self.events = _EventFile(run / "logs")

    def is_over(self):
        """Tells whether patience has run out."""
        losses = [row["val_loss"] for row in read_history(self.run)]
        return 0 < self.patience < len(losses) - np.argmin([*losses, math.inf])

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.monotonic() - self.started
        history = read_history(self.run)[:epoch]
        with _averaged(self.model):
            row = {
                "epoch": epoch + 1,
                **{name: float(value) for name, value in logs.items()},
                **self._validate(epoch),
                "learning_rate": float(self.model.optimizer.learning_rate),
                "images_per_second": self.params["steps"] * self.batch_size / seconds,
            }
            best = min((r["val_loss"] for r in history), default=math.inf)
            if not self.patience or row["val_loss"] < best:
                self.twin.set_weights(self.network.get_weights())
                with replacing(self.run / "model.keras") as temporary:
                    self.twin.save(temporary)
        write_history(self.run, [*history, row])
        # Last, so that a checkpoint never stands for an epoch whose files are missing.
        checkpoint = self.run / "checkpoints" / f"epoch-{epoch + 1:04d}.weights.h5"
        with replacing(checkpoint) as temporary:
            self.model.save_weights(temporary)
        for old in sorted(checkpoint.parent.glob("epoch-*.weights.h5"))[:-2]:
            old.unlink()
        self._log(row)
        if self.is_over():
            self.model.stop_training = True

    def _validate(self, epoch):
        loss, scores, gray_scores, rows = 0.0, [], [], []
        for lightness, target in self.batches:
            ab = self.predict(lightness)
            loss += float(self.loss.pixel_loss(target, ab)) * len(ab)
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
                if len(scores) + i in self.shown:
                    rows.append((seen[i], picture[i], truth[i]))
            scores.extend(keras.ops.convert_to_numpy(psnr(truth, picture)))
            gray_scores.extend(keras.ops.convert_to_numpy(psnr(truth, gray)))
        columns = zip(*rows, strict=True)
        sheet = contact_sheet(
            dict(zip(("gray", "predicted", "truth"), columns, strict=True))
        )
        path = self.run / "samples" / f"epoch-{epoch + 1:04d}.png"
        with replacing(path) as temporary:
            cv2.imwrite(str(temporary), sheet[..., ::-1])
        return {
            "val_loss": loss / len(scores),
            "val_psnr": float(np.mean(scores)),
            # Of the same pictures left gray: a PSNR alone says nothing.
            "val_psnr_gray": float(np.mean(gray_scores)),
        }

    def _log(self, row):
        numbers = {k: v for k, v in row.items() if k != "epoch"}
        logger.info(
            "epoch %d  %s",
            row["epoch"],
            "  ".join(f"{k} {v:.4g}" for k, v in numbers.items()),
        )
        self.events.write(row["epoch"], numbers)


def _predictor(network):
    """Returns a function from a NumPy batch to what the network answers."""
    if keras.backend.backend() != "tensorflow":
        return network.predict_on_batch
    import tensorflow as tf

    # Keras' own answers one replica's share only where there are several.
    call = tf.function(lambda lightness: network(lightness, training=False))
    return lambda lightness: call(tf.constant(lightness)).numpy()


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


class _EventFile:
    """TensorBoard's log; TensorFlow writes it, so without TensorFlow there is none."""

    def __init__(self, folder):
        try:
            import tensorflow as tf
        except ModuleNotFoundError:
            logger.info("TensorFlow is not installed: no TensorBoard log is written")
            self.tf = None
            return
        self.tf = tf
        self.writer = tf.summary.create_file_writer(str(folder))

    def write(self, step, numbers):
        if self.tf is None:
            return
        # tf.summary.scalar needs the tensorboard package, only to spell this metadata.
        metadata = self.tf.compat.v1.SummaryMetadata(
            plugin_data={"plugin_name": "scalars"}
        )
        with self.writer.as_default(step=step):
            for name, value in numbers.items():
                value = self.tf.constant(value, self.tf.float32)
                self.tf.summary.write(name, value, metadata=metadata)
        self.writer.flush()


@contextmanager
def _averaged(model):
    """Puts the moving averages into the model for a while."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not optimizer.use_ema:
        yield
        return
    swap = keras.callbacks.SwapEMAWeights()
    swap.set_model(model)
    swap.on_test_begin()
    try:
        yield
    finally:
        swap.on_test_end()


@contextmanager
def _dtype_policy(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _all_devices():
    """Spreads batches over the GPUs of this machine where there are several."""
    if not _gpu_capability():
        return nullcontext()
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        if len(tf.config.list_physical_devices("GPU")) > 1:
            return tf.distribute.MirroredStrategy().scope()
    elif backend == "jax" and len(keras.distribution.list_devices("gpu")) > 1:
        keras.distribution.set_distribution(keras.distribution.DataParallel())
    return nullcontext()


def _stages(chosen):
    """Returns the stages as (first, last) epochs: what trains changes between them."""
    edges = {0, chosen["freeze_epochs"], chosen["epochs"]}
    if chosen["system"] == "pix2pix":
        edges.add(chosen["pretrain_epochs"])
    edges = sorted(edges)
    return list(zip(edges, edges[1:], strict=False))


def _with_defaults(arguments):
    """Fills in what the system decides where the user does not."""
    chosen = dict(arguments)
    for name in ("backbone", "loss", "learning_rate"):
        if chosen[name] is None:
            chosen[name] = getattr(SYSTEMS[arguments["system"]], name)
    return chosen


def _check(arguments):
    choices = {
        "system": tuple(SYSTEMS),
        "precision": PRECISIONS,
        "schedule": SCHEDULES,
        "cache": ("none", "memory", "disk"),
        "discriminator": models.pix2pix.DISCRIMINATORS,
        "gan_loss": models.pix2pix.GAN_LOSSES,
    }
    for name, allowed in choices.items():
        if arguments[name] not in allowed:
            raise ValueError(
                f"`{name}` must be one of {', '.join(allowed)}. "
                f"Received: {arguments[name]!r}"
            )
    if arguments["size"] < 32 or arguments["size"] % 32:
        raise ValueError(
            f"`size` must be a multiple of 32. Received: {arguments['size']}"
        )
    for name in ("batch_size", "epochs", "steps_per_epoch", "val_images"):
        if arguments[name] is not None and arguments[name] < 1:
            raise ValueError(
                f"`{name}` must be at least 1. Received: {arguments[name]}"
            )
    for name in ("freeze_epochs", "pretrain_epochs"):
        if not 0 <= arguments[name] <= arguments["epochs"]:
            raise ValueError(
                f"`{name}` must be 0 to {arguments['epochs']} (all epochs). "
                f"Received: {arguments[name]}"
            )
    if not 0 < arguments["crop_min"] <= arguments["crop_max"] <= 1:
        raise ValueError(
            "`crop_min` and `crop_max` must be 0 < crop_min <= crop_max <= 1. "
            f"Received: {arguments['crop_min']} and {arguments['crop_max']}"
        )
    if not 0 <= arguments["teacher_weight"] <= 1:
        raise ValueError(
            "`teacher_weight` must lie in [0, 1]. "
            f"Received: {arguments['teacher_weight']}"
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
    chosen = evenly_spaced(len(validation), arguments["val_images"])
    validation = validation.subset(chosen)
    if arguments["min_colorfulness"]:
        train = without_gray(train, arguments["min_colorfulness"])
    return train, validation


def _refuse_old(run):
    if (run / "config.json").exists():
        raise DataError(
            f"{run}: holds a run already. Use --resume to go on with it, or another "
            "folder"
        )


def _prepare_run(run, arguments, train, validation):
    """Creates or checks the run folder; returns how many epochs are done."""
    files = {"train": list_hash(train), "validation": list_hash(validation)}
    if not arguments["resume"]:
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


def _build(chosen):
    if chosen["init_from"] is not None:
        policy = keras.config.dtype_policy().name
        return under_policy(load_model(chosen["init_from"]), policy)
    # A resumed run takes all values from its checkpoint, but the file still decides
    # whether BatchNorm is folded, so it is read again.
    build = SYSTEMS[chosen["system"]].build
    return build(chosen["backbone"], chosen["backbone_weights"])


def _set_frozen(encoder, frozen, levels):
    """Freezes the whole encoder, or its layers up to a pyramid level."""
    if not 0 <= levels <= len(encoder.outputs):
        raise ValueError(
            f"`freeze_levels` must be 0 to {len(encoder.outputs)}. Received: {levels}"
        )
    # Set on the model, it reaches every layer inside; then those below the level.
    encoder.trainable = not frozen
    if frozen or not levels:
        return
    last = encoder.outputs[levels - 1]._keras_history.operation
    for layer in encoder.layers:
        layer.trainable = False
        if layer is last:
            return


def _compile(trainer, network, loss, chosen, first, steps, epochs):
    """Prepares one stage: what moves, at which rates, with fresh optimizers."""
    encoder = network.get_layer("encoder")
    _set_frozen(encoder, first < chosen["freeze_epochs"], chosen["freeze_levels"])
    total = steps * epochs
    momentum = max(0.0, min(chosen["ema"], 1 - 20 / total))

    def optimizer(**options):
        return LayerwiseAdamW(
            _schedule(chosen, total),
            weight_decay=chosen["weight_decay"],
            global_clipnorm=chosen["clip_norm"] or None,
            **options,
        )

    generator_optimizer = optimizer(
        rates={v.path: chosen["encoder_rate"] for v in encoder.trainable_variables},
        use_ema=momentum > 0,
        ema_momentum=momentum,
    )
    # XLA on a CPU is 1.5 to 20 times slower than TensorFlow's own kernels.
    on_cpu = keras.backend.backend() == "tensorflow" and not _gpu_capability()
    if on_cpu:
        fuse_batch_norm(trainer)
    jit_compile = False if on_cpu else "auto"
    if trainer is network:
        network.compile(
            optimizer=generator_optimizer, loss=loss, jit_compile=jit_compile
        )
        network.optimizer.build(network.trainable_variables)
        return
    trainer.compile(
        optimizer=generator_optimizer,
        # The discriminator forgets its momentum sooner, as in the publication.
        discriminator_optimizer=optimizer(beta_1=0.5),
        loss=loss,
        lambda_l1=chosen["lambda_l1"],
        gan_loss=chosen["gan_loss"],
        adversarial=first >= chosen["pretrain_epochs"],
        jit_compile=jit_compile,
    )


def _schedule(chosen, total):
    peak = chosen["learning_rate"]
    if chosen["schedule"] == "one-cycle":
        warmup = 3 * total // 10
    else:
        warmup = min(chosen["warmup_steps"], total // 10)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else peak,
        decay_steps=max(1, total - warmup),
        alpha=1.0 if chosen["schedule"] == "constant" else 0.01,
        warmup_target=peak if warmup else None,
        warmup_steps=warmup,
    )


def _restore(run, trainer, done):
    path = run / "checkpoints" / f"epoch-{done:04d}.weights.h5"
    try:
        trainer.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: not a readable checkpoint of this run") from error


def _lpips(arguments):
    if not arguments["perceptual"]:
        return None
    path = find_weights(arguments["lpips_weights"])
    if path is None:
        raise ValueError(
            "`perceptual` needs LPIPS' parameters: give --lpips-weights FILE or set "
            f"KCOLOR_LPIPS_WEIGHTS. Received: perceptual={arguments['perceptual']}"
        )
    return build_lpips(path, layers=3)


def _policy(precision):
    if precision != "auto":
        return precision
    capability = _gpu_capability()
    if capability >= (8, 0):  # Ampere is the first with bfloat16 units
        return "mixed_bfloat16"
    return "mixed_float16" if capability >= (7, 0) else "float32"


def _gpu_capability():
    """Returns the first GPU's compute capability, or () where there is none."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if not gpus:
            return ()
        details = tf.config.experimental.get_device_details(gpus[0])
        return tuple(details.get("compute_capability", (0, 0)))
    if backend == "jax":
        import jax

        if jax.default_backend() != "gpu":
            return ()
        numbers = jax.devices()[0].compute_capability.split(".")
        return tuple(int(number) for number in numbers)
    import torch

    return torch.cuda.get_device_capability() if torch.cuda.is_available() else ()


def resume_arguments(run):
    """Returns the arguments that a run was started with, for the command line."""
    return read_config(run)["arguments"]
