"""`fit`: trains one system and leaves a run folder that can be resumed exactly.

Resume rules; the order of what `fit` does follows from them.

1. An epoch is the unit. Its end writes one checkpoint: the raw weights and the state of
   the optimizers (moments, averages, iterations, from which the learning rate follows).
2. Data and augmentation depend on the seed and on the count of pictures drawn alone, so
   a run that is killed repeats the broken epoch and then equals one never stopped.
3. A stage starts from the averages of the one before it, with fresh optimizers. So a
   checkpoint is read into a model that is compiled for the stage it was written in.
4. What decides the result must be as it was: options, and the list of the pictures.
5. Nothing is written before everything that can fail has been read: a wrong argument
   leaves no half-made run behind.
"""

import logging
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kcolor.data.augment import opencv_in_one_thread
from kcolor.data.batches import pass_length, reading_size, training_batches
from kcolor.data.cache import Cache
from kcolor.data.cleaning import SkipBad, without_bad, without_gray
from kcolor.data.lists import list_hash, split_by_hash
from kcolor.data.source import Source, open_sources
from kcolor.environment import environment
from kcolor.models.known import takes_known
from kcolor.parallel import evenly_spaced
from kcolor.runtimes.run_folder import read_history
from kcolor.training import processes
from kcolor.training.devices import all_devices, dtype_policy, policy_name
from kcolor.training.epoch_end import EpochEnd, StopAtNaN
from kcolor.training.options import FitOptions
from kcolor.training.run_folder import prepare_run, read_checkpoint, refuse_old_run
from kcolor.training.stages import Stage, plan_stages
from kcolor.training.trainer import Trainer, build_trainer

logger = logging.getLogger(__name__)


def fit(options: FitOptions) -> list[dict[str, float]]:
    """Trains a system and writes a run folder.

        fit(FitOptions("unet", "runs/unet", data="photos", epochs=10))

    Python's and NumPy's random state, Keras' dtype policy and its distribution are
    afterwards as they were before; the backend's own seed is not, since Keras has no
    way to read it.

    Args:
        options: What to train, on what, and how. To go on with a run, take
            `kcolor.training.run_folder.resumed_options(run)`.

    Returns:
        List of dicts, one per epoch: `epoch`, `loss`, `val_loss`, `val_psnr`, ...

    Raises:
        ValueError: If an option does not fit the others or differs from the resumed
            run's.
        DataError: If data, weights or run folder cannot be used, over 5% of the
            pictures cannot be read, or the loss is NaN.
    """
    run = Path(options.run)
    processes.refuse_lone_process()
    is_first = processes.process_id() == 0
    if is_first and not options.resume:
        refuse_old_run(run)
    train, validation = open_data(options)
    steps = options.steps_per_epoch
    if steps is None:
        steps = max(1, pass_length(train) // options.batch_size)
    policy = policy_name(options.precision)
    logger.info(
        "%s: %d training and %d validation pictures, %d steps an epoch, %s on %s",
        run,
        len(train),
        len(validation),
        steps,
        policy,
        keras.backend.backend(),
    )
    with (
        opencv_in_one_thread(),
        _seeded(options.seed),
        dtype_policy(policy),
        all_devices(options.batch_size),
        processes.ending_together(run),
    ):
        if processes.count() > 1:
            processes.require_equal(_what_decides(options, policy, train))
        trainer = build_trainer(options)
        done, bad_files = 0, None
        if is_first:  # of several processes it alone looks at the run folder
            done = prepare_run(run, options, train, validation)  # rules 4 and 5
            bad_files = run / "bad_files.txt"
            validation = without_bad(validation, bad_files)
        done = processes.gather(done)[0]
        readable = SkipBad(train, bad_files)
        pictures: SkipBad | Cache = readable
        if options.cache != "none":
            crop = options.crop_min, options.crop_max
            short_side = reading_size(options.size, crop)
            folder = run if options.cache == "disk" else None
            pictures = Cache(pictures, short_side, folder)
        epoch_end = EpochEnd(run, trainer, validation)
        callbacks = [
            StopAtNaN(run),
            processes.ShareBadFiles(readable),
            epoch_end,
        ]
        for stage in plan_stages(options):
            if done > stage.last or done == options.epochs or epoch_end.is_over():
                continue
            trainer.compile(stage, steps)
            if stage.first < done:
                read_checkpoint(run, trainer.model, done)  # rule 3
            if done == stage.last:
                # Keras' fit puts the averages into the weights at the end of a stage.
                trainer.model.optimizer.finalize_variable_values(
                    trainer.model.trainable_variables
                )
                continue
            _train(trainer, pictures, stage, max(stage.first, done), steps, callbacks)
    return read_history(run)


def _train(
    trainer: Trainer,
    pictures: SkipBad | Cache,
    stage: Stage,
    start: int,
    steps: int,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    options = trainer.options
    batches = training_batches(
        pictures,
        options.size,
        options.batch_size,
        options.seed,
        start * steps * options.batch_size,  # rule 2
        options.degrade,
        (options.crop_min, options.crop_max),
        # A network that takes hints is fed, were it with none at all.
        options.hints_share if takes_known(trainer.network) else None,
        (processes.process_id(), processes.count()),
        options.whole_share,
    )
    try:
        trainer.model.fit(
            batches,
            epochs=stage.last,
            initial_epoch=start,
            steps_per_epoch=steps,
            callbacks=callbacks,
            shuffle=False,  # the stream is in its own seeded order already
            verbose=1 if sys.stdout.isatty() else 0,
        )
    except Exception as error:
        # tf.data hides which file it was behind an error of its own.
        if pictures.failure is not None:
            raise pictures.failure from error
        raise


def _what_decides(options: FitOptions, policy: str, train: Source) -> dict[str, Any]:
    """Returns what must be the same in all processes, by names for a message."""
    return {
        **{f"`{name}`": value for name, value in options.to_json().items()},
        "number of devices": processes.devices(),
        "dtype policy": policy,
        "SHA-256 of the training pictures' names": list_hash(train),
        **{f"version of {k}": v for k, v in environment()["versions"].items()},
    }


def open_data(options: FitOptions) -> tuple[Source, Source]:
    """Opens what a training learns from and what it is validated on.

    Args:
        options: Options of the training.

    Returns:
        Tuple of both sources: gray pictures left out of the first where the options
        say so, the second thinned out to as many pictures as they ask for.
    """
    source = open_sources(options.data)
    if options.val_data:
        train, validation = source, open_sources([options.val_data])
    else:
        train, validation = split_by_hash(source, options.val_fraction)
    chosen = evenly_spaced(len(validation), options.val_images)
    validation = validation.subset(chosen)
    if options.min_colorfulness:
        train = without_gray(train, options.min_colorfulness)
    return train, validation


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seeds initial values by Keras' own function; leaves Python and NumPy as found."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
