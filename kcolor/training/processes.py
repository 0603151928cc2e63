"""Processes that train one network together, with JAX: on several machines, or on one.

All run the same program. Each reads its own part of every batch, JAX adds up what they
learn from it, and all hold the same weights at any time; the first alone writes.

What a reader would get wrong: variables lie on all machines at once. Whatever assigns
to them is done by all processes, in the same order; reading their values is not.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kcolor.data.cleaning import SkipBad
from kcolor.errors import DataError, one_line

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def join(coordinator: str, processes: int, process_id: int) -> None:
    """Makes this process one of several, before anything is computed in it.

    Nothing protects the coordinator's port: who reaches it can join. On a loopback
    address it is bound to that alone, else to all addresses of the machine.

    Args:
        coordinator: `HOST:PORT` on which process 0 listens and which all others reach;
            of a list separated by commas the first counts.
        processes: How many there are.
        process_id: Which this is, from 0 on.

    Raises:
        ValueError: If one of these cannot be, or the backend is not JAX.
        DataError: If the others do not come within five minutes.
    """
    if keras.backend.backend() != "jax":
        raise ValueError(
            "several processes train with KERAS_BACKEND=jax. "
            f"Received: KERAS_BACKEND={keras.backend.backend()}"
        )
    coordinator = coordinator.split(",")[0]
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"`coordinator` must be HOST:PORT. Received: {coordinator}")
    if not 0 <= process_id < processes:
        raise ValueError(
            f"`process_id` must be 0 to {processes - 1}, below `processes`. "
            f"Received: {process_id}"
        )
    import jax

    try:
        # Keras' own way would also look for Slurm and MPI, and then take one GPU alone.
        jax.distributed.initialize(
            coordinator,
            processes,
            process_id,
            cluster_detection_method="deactivate",
            coordinator_bind_address=coordinator if host in _LOOPBACK else None,
        )
    except jax.errors.JaxRuntimeError as error:
        raise DataError(
            f"{coordinator}: the {processes} processes did not find each other "
            f"({one_line(error)})"
        ) from error


def count() -> int:
    """Returns how many processes train together; 1 where none was joined."""
    if keras.backend.backend() != "jax":
        return 1
    import jax

    return jax.process_count()


def process_id() -> int:
    """Returns which of them this is; the first, 0, is the one that writes."""
    if count() == 1:
        return 0
    import jax

    return jax.process_index()


def devices() -> int:
    """Returns how many devices JAX has in this process alone."""
    import jax

    return jax.local_device_count()


def refuse_lone_process() -> None:
    """Refuses to train alone where the environment asks for several processes.

    Raises:
        ValueError: If it does; each of them would train all by itself, and all would
            write to one run folder.
    """
    if count() > 1:
        return
    try:
        cluster = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {})
    except ValueError as error:
        raise ValueError(f"TF_CONFIG must be JSON. Received: {error}") from error
    if sum(map(len, cluster.values())) > 1:
        raise ValueError(
            "TF_CONFIG names several machines, on which Keras' `fit` does not train "
            "with TensorFlow (MultiWorkerMirroredStrategy). Unset it, and train with "
            "KERAS_BACKEND=jax and --coordinator, --processes and --process-id"
        )
    if int(os.environ.get("KERAS_DISTRIBUTION_NUM_PROCESSES") or 1) > 1:
        raise ValueError(
            "KERAS_DISTRIBUTION_NUM_PROCESSES asks for several processes: call "
            "kcolor.training.processes.join before anything else"
        )


def gather(value: Any) -> list[Any]:
    """Shows all processes what each of them has; all must call it.

    Args:
        value: What JSON can hold.

    Returns:
        List of each process' value, in their order.
    """
    if count() == 1:
        return [value]
    from jax.experimental.multihost_utils import process_allgather

    data = np.frombuffer(json.dumps(value).encode(), np.uint8)
    sizes = process_allgather(np.int32(len(data)))
    padded = np.zeros(max(sizes), np.uint8)
    padded[: len(data)] = data
    rows = process_allgather(padded)
    return [
        json.loads(row[:size].tobytes()) for row, size in zip(rows, sizes, strict=True)
    ]


def require_equal(parts: Mapping[str, Any]) -> None:
    """Makes sure that all processes are about to do the same; all must call it.

    Args:
        parts: What must be equal, as JSON can hold it, by the name for the message.

    Raises:
        DataError: If something differs, in all processes.
    """
    first, *others = gather(dict(parts))
    for number, other in enumerate(others, 1):
        for name, value in first.items():
            if other[name] != value:
                raise DataError(
                    f"all processes must have the same {name}. Received: {value!r} of "
                    f"process 0, {other[name]!r} of process {number}"
                )


@contextmanager
def ending_together(run: Path | str) -> Iterator[None]:
    """Says what to do when another process has ended in the middle of the work.

    Args:
        run: Path of the run folder, for the message.

    Raises:
        DataError: If JAX cannot reach the others any more.
    """
    try:
        yield
    except (RuntimeError, ValueError) as error:
        # JAX raises either, and begins with the name of a status.
        if count() == 1 or not re.match("[A-Z_]+: ", str(error)):
            raise
        raise DataError(
            f"{run}: this process of the training cannot go on, most likely because "
            f"another has ended ({one_line(error)}). Start all of them again with "
            "--resume"
        ) from error


class ShareBadFiles(keras.callbacks.Callback):
    """Tells all processes at the end of an epoch which files each found unreadable."""

    def __init__(self, pictures: SkipBad) -> None:
        """Takes the pictures that this process trains on."""
        super().__init__()
        self.pictures = pictures

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Shares them.

        Raises:
            DataError: If together they are too many, in all processes.
        """
        for found in gather(list(self.pictures.bad.items())):
            for index, message in found:
                self.pictures.leave_out(index, message)
