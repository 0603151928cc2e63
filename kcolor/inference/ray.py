"""Colorizes files on a cluster: the job function of every other way, on Ray Data.

Paths and URLs go out to the machines, one small row a file comes back; pixels go
nowhere. An actor is a process on one core that opens the network once. When an actor or
its machine dies, what it had is done again elsewhere: results appear whole or not at
all and are the same wherever they are made, so that twice is as good as once.
"""

import logging
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kcolor import __version__
from kcolor.errors import DataError, one_line
from kcolor.files import remove_leftovers
from kcolor.inference.colorizer import Colorizer
from kcolor.inference.jobs import Settings, Status, run_job
from kcolor.inference.plan import Job
from kcolor.inference.runner import follow
from kcolor.parallel import cores
from kcolor.remote import is_url
from kcolor.runtimes.resolve import resolve

_log = logging.getLogger(__name__)

# Files that travel together: what a dead machine costs is at most this much work for
# each of its cores, and a million files are 30,000 tasks, which Ray takes.
_TOGETHER = 32
# How often Ray gives the files of a dead actor to another at once: while a dead machine
# is missed, each attempt to reach it counts. What did not come by then is given out
# again when all else is done, file by file: a file that kills whatever reads it is
# tried no more than so often, and takes no other with it.
_RETRIES = 3
_ROUNDS = 3
_LOST = "every worker that had it died; Ray's logs say more"


class _Worker:
    """What an actor holds: one network on one core."""

    def __init__(
        self, version: str, network: dict[str, Any], settings: Settings
    ) -> None:
        if version != __version__:
            raise DataError(
                f"kcolor {__version__} on {os.uname().nodename}, but {version} "
                "where the job was started"
            )
        self._colorizer = Colorizer(threads=1, **network)
        self._settings = settings
        self._cleaned: set[Path] = set()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        job = Job(_name(row["source"]), _name(row["target"]))
        if isinstance(job.target, Path) and job.target.parent not in self._cleaned:
            self._cleaned.add(job.target.parent)
            remove_leftovers(job.target.parent)
        status = run_job(self._colorizer, job, self._settings)
        # Arrow wants one type a column.
        error = os.fsencode(status.error or "")
        return {
            "number": row["number"],
            "status": status.status,
            "seconds": status.seconds,
            "error": error,
            "luma": status.luma or "",
        }


def colorize_all(
    jobs: list[Job],
    network: dict[str, Any],
    settings: Settings,
    workers: int | None = None,
    log: Callable[[Status], None] | None = None,
) -> tuple[list[Status], str]:
    """Colorizes files on a Ray cluster and shows on standard error how far it has come.

    Joins the cluster that `RAY_ADDRESS` names, or starts one of this machine alone,
    which listens on the loopback address and ends with this process. No statistics of
    its use are sent. On a cluster all machines see the files under the same paths, have
    this version of kcolor, and credentials of their own for object storage.

    Args:
        jobs: What to read and where to write, paths or URLs.
        network: Keyword arguments of `Colorizer`.
        settings: How to write the results.
        workers: Actors, each on one core; None: as many as the cluster has cores.
        log: Called with the status of each file; or None.

    Returns:
        Tuple of the failed files' statuses and a line that sums up the others.

    Raises:
        DataError: If the network cannot be read, or Ray cannot work.
        ValueError: If a value in `network` is out of its range.
    """
    model = resolve(network["model"])
    Colorizer(threads=1, **network)  # What is wrong with it is said once, and here.
    if not jobs:
        return [], "0 written"
    if not model.is_preset:
        # An actor's working folder is its own.
        network = {**network, "model": os.path.abspath(network["model"])}
    ray = _connected(workers)
    try:
        statuses = _statuses(ray, jobs, network, settings, workers)
        return follow(_logged(statuses, log), len(jobs))
    except ray.exceptions.RayError as error:
        raise DataError(f"Ray: {_cause(error)}") from error
    finally:
        ray.shutdown()


def _logged(statuses, log):
    for status in statuses:
        if log:
            log(status)
        yield status


def _connected(workers: int | None) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    joins = bool(os.environ.get("RAY_ADDRESS"))
    if not joins:
        # Told to listen on the loopback address, Ray looks up one that other machines
        # reach and listens on all, unless it is told that there are no others. It asks
        # so for Windows and macOS, when it is imported.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    import ray

    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if not joins:
        settings |= {
            # Or a cluster that another program left behind would be joined.
            "address": "local",
            "num_cpus": workers or cores(),
            "include_dashboard": False,
            # Rows of names are all that it holds.
            "object_store_memory": 100_000_000,
            "_node_ip_address": "127.0.0.1",
        }
    try:
        ray.init(**settings)
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        raise DataError(f"Ray: {_cause(error)}") from error
    return ray


def _cores_of(ray: Any) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _statuses(
    ray: Any,
    jobs: list[Job],
    network: dict[str, Any],
    settings: Settings,
    workers: int | None,
) -> Iterator[Status]:
    missing = dict(enumerate(jobs))
    for attempt in range(_ROUNDS):
        # A node may have gone since the last round.
        actors = min(workers or sys.maxsize, _cores_of(ray), len(missing))
        # Several turns for each actor, so that none is idle while the last has many.
        together = max(1, min(_TOGETHER, len(missing) // (8 * actors)))
        rows = _rows(
            missing, network, settings, actors, together if attempt == 0 else 1
        )
        for row in rows:
            job = missing.pop(row["number"])
            yield _status(job, row)
        if not missing:
            return
        _log.debug("%d files are given out again", len(missing))
    for job in missing.values():
        error = f"{job.source}: {_LOST}"
        yield Status(str(job.source), str(job.target), "failed", 0.0, error)


def _rows(
    jobs: dict[int, Job],
    network: dict[str, Any],
    settings: Settings,
    actors: int,
    together: int,
) -> Iterator[dict[str, Any]]:
    # What `_Worker` returns for each file, as it comes; some may be missing.
    from ray import data

    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    # What does not come is no reason to give up on the others.
    context.max_errored_blocks = -1
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    rows = [
        {"number": number, "source": _bytes(job.source), "target": _bytes(job.target)}
        for number, job in jobs.items()
    ]
    blocks = math.ceil(len(rows) / together)
    with warnings.catch_warnings():
        # The options of actors are to move; until then they have no other place.
        warnings.simplefilter("ignore")
        dataset = data.from_items(rows, override_num_blocks=blocks).map(
            _Worker,
            fn_constructor_args=(__version__, network, settings),
            compute=data.ActorPoolStrategy(size=actors),
            num_cpus=1,
            max_restarts=-1,
            max_task_retries=_RETRIES,
        )
    yield from dataset.iter_rows()


def _status(job: Job, row: dict[str, Any]) -> Status:
    error = os.fsdecode(row["error"]) or None
    for name in (job.source, job.target):
        # As it was given, and not as the actor knows it.
        if error and error.startswith(f"{_absolute(name)}:"):
            error = f"{name}{error[len(_absolute(name)) :]}"
    source, target = str(job.source), str(job.target)
    luma = row["luma"] or None
    return Status(source, target, row["status"], row["seconds"], error, luma)


def _bytes(name: Path | str) -> bytes:
    # Names may hold bytes that are no text, which Arrow refuses.
    return os.fsencode(_absolute(name))


def _absolute(name: Path | str) -> str:
    return name if is_url(name) else os.path.abspath(name)


def _name(stored: bytes) -> Path | str:
    name = os.fsdecode(stored)
    return name if is_url(name) else Path(name)


def _cause(error: BaseException) -> str:
    # Of Ray's own pages of text, the last line is the one with the reason.
    lines = [line for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[-1].split()) if lines else one_line(Exception(repr(error)))
