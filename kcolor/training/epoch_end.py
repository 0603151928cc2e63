"""What the end of an epoch brings: validation, samples, the model, history, logs."""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np

from kcolor.data.batches import evaluation_batches
from kcolor.data.source import Source
from kcolor.errors import DataError
from kcolor.files import replacing
from kcolor.runtimes.run_folder import read_history
from kcolor.training import processes
from kcolor.training.devices import one_device
from kcolor.training.run_folder import write_checkpoint, write_history
from kcolor.training.trainer import Trainer
from kcolor.training.validation import predictor, validate

logger = logging.getLogger(__name__)


class StopAtNaN(keras.callbacks.Callback):
    """Ends a run whose loss is no number before it spoils a checkpoint."""

    def __init__(self, run: Path | str) -> None:
        """Takes what the message names: the run folder."""
        super().__init__()
        self.run = run

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Looks at the loss.

        Raises:
            DataError: If it is NaN or infinite.
        """
        loss = (logs or {})["loss"]
        if not math.isfinite(loss):
            raise DataError(
                f"{self.run}: the loss became {loss} at step {batch + 1} of this "
                "epoch. The last good checkpoint is kept; try a lower --learning-rate"
            )


class EpochEnd(keras.callbacks.Callback):
    """Validates the averaged weights, then writes everything that an epoch leaves.

    Of several processes the first does that, and the others wait for its verdict.
    """

    def __init__(self, run: Path, trainer: Trainer, validation: Source) -> None:
        """Takes what every epoch needs.

        Args:
            run: Path of the run folder.
            trainer: What trains.
            validation: Pictures to validate on.
        """
        super().__init__()
        options, network = trainer.options, trainer.network
        self.run, self.network, self.loss = run, network, trainer.loss
        self.batch_size, self.patience = options.batch_size, options.patience
        self.batches = evaluation_batches(validation, options.size, options.batch_size)
        self.count = len(validation)
        # A compiled network would be saved with its optimizer and loss, four times as
        # large; an uncompiled twin is the network alone. It validates, too: a batch of
        # validation need not divide among several devices.
        with one_device():
            self.twin = keras.models.clone_model(network)
        self.predict = predictor(self.twin)
        self.is_first = processes.process_id() == 0
        self.events = _EventFile(run / "logs") if self.is_first else None

    def is_over(self) -> bool:
        """Tells whether patience has run out; all processes must ask."""
        losses = [row["val_loss"] for row in read_history(self.run)]
        over = 0 < self.patience < len(losses) - np.argmin([*losses, math.inf])
        # The others may see an older file.
        return bool(processes.gather(bool(over))[0])

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Notes the time."""
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Validates, and writes model, history, checkpoint, samples and log."""
        seconds = time.monotonic() - self.started
        rates = {
            "learning_rate": float(self.model.optimizer.learning_rate),
            "images_per_second": self.params["steps"] * self.batch_size / seconds,
        }
        with _averaged(self.model):
            averages = self.network.get_weights()
        if self.is_first:
            # Keras makes variables of its own to save some; they are nobody else's.
            with one_device():
                self.twin.set_weights(averages)
                self._write(epoch, logs or {}, rates)
        if self.is_over():
            self.model.stop_training = True

    def _write(self, epoch, logs, rates):
        history = read_history(self.run)[:epoch]
        row = {
            "epoch": epoch + 1,
            **{name: float(value) for name, value in logs.items()},
            **validate(
                self.predict,
                self.loss.pixel_loss,
                self.batches,
                self.count,
                self.run,
                epoch + 1,
            ),
            **rates,
        }
        best = min((r["val_loss"] for r in history), default=math.inf)
        if not self.patience or row["val_loss"] < best:
            with replacing(self.run / "model.keras") as temporary:
                self.twin.save(temporary)
        write_history(self.run, [*history, row])
        # Last, so that a checkpoint never stands for an epoch whose files are missing.
        write_checkpoint(self.run, self.model, epoch + 1)
        self._log(row)

    def _log(self, row):
        numbers = {k: v for k, v in row.items() if k != "epoch"}
        logger.info(
            "epoch %d  %s",
            row["epoch"],
            "  ".join(f"{k} {v:.4g}" for k, v in numbers.items()),
        )
        if self.events is not None:
            self.events.write(row["epoch"], numbers)


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
def _averaged(model: keras.Model) -> Iterator[None]:
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
