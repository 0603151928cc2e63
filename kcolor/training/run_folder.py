"""A run folder as training writes it; `kcolor.runtimes.run_folder` reads one.

Reading lies a room below, because loading a model and exporting one need it and must
not import training.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import keras

from kcolor.data.lists import list_hash
from kcolor.data.source import Source
from kcolor.environment import environment
from kcolor.errors import DataError
from kcolor.files import replacing, write_json
from kcolor.runtimes.run_folder import read_config
from kcolor.training.options import FitOptions

# What may differ when a run is resumed.
_FREE_ON_RESUME = ("run", "resume", "epochs", "cache", "val_images")


def resumed_options(run: Path | str, **changed: Any) -> FitOptions:
    """Returns the options that go on with a run.

    Args:
        run: Path of its folder.
        **changed: Options that are given anew, such as `epochs`.

    Returns:
        The run's own options with those, `resume` set.

    Raises:
        DataError: If the folder holds no run, or one of another version of kcolor that
            had options which this one lacks.
    """
    saved = _saved_options(run, read_config(run))
    return FitOptions(**{**saved, **changed, "run": run, "resume": True})


def refuse_old_run(run: Path) -> None:
    """Raises DataError where a folder holds a run that would be overwritten."""
    if (run / "config.json").exists():
        raise DataError(
            f"{run}: holds a run already. Use --resume to go on with it, or another "
            "folder"
        )


def prepare_run(
    run: Path, options: FitOptions, train: Source, validation: Source
) -> int:
    """Creates the run folder, or checks that the run in it is the one to go on with.

    Args:
        run: Path of the folder.
        options: As the user gave them.
        train: Pictures to train on.
        validation: Pictures to validate on.

    Returns:
        How many epochs are done.

    Raises:
        ValueError: If an option differs from the resumed run's.
        DataError: If the pictures do, or there is no run to resume.
    """
    files = {"train": list_hash(train), "validation": list_hash(validation)}
    if not options.resume:
        for folder in ("checkpoints", "samples", "logs"):
            (run / folder).mkdir(parents=True, exist_ok=True)
        config = {
            "arguments": options.to_json(),
            **environment(),
            "files_sha256": files,
        }
        write_json(run / "config.json", config)
        for part, source in (("train", train), ("validation", validation)):
            # Name by name: there may be millions of them.
            path = run / f"{part}_files.txt"
            with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.writelines(f"{name}\n" for name in source.names)
        return 0
    config = read_config(run)
    now = options.to_json()
    for name, saved in _saved_options(run, config).items():
        if name not in _FREE_ON_RESUME and now[name] != saved:
            raise ValueError(
                f"{run} was started with {name}={saved!r}; a resumed run must keep it. "
                f"Received: {now[name]!r}"
            )
    if config["files_sha256"]["train"] != files["train"]:
        raise DataError(f"{run}: the list of training pictures is not the run's own")
    same_count = now["val_images"] == config["arguments"]["val_images"]
    if same_count and config["files_sha256"]["validation"] != files["validation"]:
        raise DataError(f"{run}: the list of validation pictures is not the run's own")
    config["arguments"]["epochs"] = options.epochs
    write_json(run / "config.json", config)
    checkpoints = sorted((run / "checkpoints").glob("epoch-*.weights.h5"))
    return int(checkpoints[-1].name[6:10]) if checkpoints else 0


def write_history(run: Path | str, rows: Sequence[Mapping[str, float]]) -> None:
    """Writes `history.csv`.

    Args:
        run: Path of the run folder.
        rows: A dict per epoch, all of equal keys; not empty.
    """
    with replacing(Path(run, "history.csv")) as temporary:
        with open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)


def write_checkpoint(run: Path, model: keras.Model, epochs: int) -> None:
    """Writes weights and optimizers after some epochs; keeps the last two such files.

    Args:
        run: Path of the run folder.
        model: Compiled `keras.Model`.
        epochs: How many epochs are done.
    """
    checkpoint = _checkpoint(run, epochs)
    with replacing(checkpoint) as temporary:
        model.save_weights(temporary)
    for old in sorted(checkpoint.parent.glob("epoch-*.weights.h5"))[:-2]:
        old.unlink()


def read_checkpoint(run: Path, model: keras.Model, epochs: int) -> None:
    """Puts back what `write_checkpoint` wrote.

    Args:
        run: Path of the run folder.
        model: `keras.Model` compiled for the stage that the epoch was in.
        epochs: How many epochs were done.

    Raises:
        DataError: If the file does not fit or cannot be read.
    """
    path = _checkpoint(run, epochs)
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: not a readable checkpoint of this run") from error


def _checkpoint(run, epochs):
    return run / "checkpoints" / f"epoch-{epochs:04d}.weights.h5"


def _saved_options(run, config):
    saved = config["arguments"]
    unknown = saved.keys() - {option.name for option in fields(FitOptions)}
    if unknown:
        raise DataError(
            f"{run}: was started by another version of kcolor, with options that this "
            f"one does not have: {', '.join(sorted(unknown))}"
        )
    return saved
