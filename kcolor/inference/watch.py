"""Colorizes what arrives in a folder, by looking again and again.

Polling works on network drives, where no system tells of changes. What is done is told
by the results themselves, so that a restart goes on where the last run ended.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from kcolor.errors import DataError
from kcolor.inference.colorizer import Colorizer
from kcolor.inference.film.settings import is_film
from kcolor.inference.jobs import Settings, Status
from kcolor.inference.plan import Job, keep_results, plan
from kcolor.inference.runner import clean, run
from kcolor.inference.shards import Shard

SECONDS = 2.0  # between two looks
# Size, time of change and the job's fault; a file that still grows has others at the
# next look, and one whose fault is gone is taken as if it had changed.
_State = tuple[int, int, str | None]


class Watch:
    """One folder that is looked at again and again."""

    def __init__(
        self,
        folder: Path | str,
        out: Path | str | None = None,
        kind: str | None = None,
        recursive: bool = True,
        overwrite: bool = False,
        codec: str | None = None,
        shard: Shard | None = None,
        films: bool = True,
    ) -> None:
        """Takes what `plan` takes for a folder.

        Args:
            folder: The folder.
            out: Folder of the results; None: `FOLDER-color`.
            kind: Format of all results, or None.
            recursive: Look into subfolders, too.
            overwrite: Colorize again what is newer than its result.
            codec: Codec of films, as `plan` takes it.
            shard: The part of the photographs to take, as `plan` takes it.
            films: Whether films can be read; else they are left and said to be.

        Raises:
            DataError: If `folder` is no folder.
        """
        if not Path(folder).is_dir():
            raise DataError(f"{folder}: must be a folder that can be watched")
        self.trouble: str | None = None
        self._folder, self._out, self._kind = folder, out, kind
        self._recursive, self._overwrite = recursive, overwrite
        self._codec, self._shard, self._films = codec, shard, films
        self._seen: dict[Path, _State] = {}
        self._failed: dict[Path, _State] = {}

    def ready(self) -> list[Job]:
        """Looks once.

        Returns:
            Jobs whose photographs have not changed since the look before and have no
            result. `trouble` says afterwards why nothing could be planned, or is None.
        """
        try:
            jobs = plan(
                [self._folder],
                self._out,
                self._kind,
                self._recursive,
                self._codec,
                self._shard,
            )
            self.trouble = None
        except DataError as error:
            # Nothing there yet, or two photographs that want one name.
            jobs, self.trouble = [], str(error)
        if not self._films:
            left = [job for job in jobs if is_film(job.source)]
            jobs = [job for job in jobs if job not in left]
            if left:
                self.trouble = f"{left[0].source}: films need 'kcolor[video]'"
        kept = keep_results(jobs)
        late = {job.source for job in kept if job.fault is not None}
        before, self._seen = self._seen, {}
        found = []
        for job in jobs if self._overwrite else kept:
            source = Path(job.source)
            state = _state(source, job.fault)
            if state is None or (job.source not in late and self._is_done(job, state)):
                continue
            self._seen[source] = state
            if before.get(source) == state and self._failed.get(source) != state:
                found.append(job)
        return found

    def note(self, status: Status) -> None:
        """Remembers a photograph that failed, until it changes."""
        source = Path(status.input)
        if status.error is not None and source in self._seen:
            self._failed[source] = self._seen[source]

    def _is_done(self, job, state):
        target = _state(Path(job.target))
        return target is not None and not (self._overwrite and target[1] < state[1])


def watch(
    watched: Watch,
    colorizer: Colorizer,
    settings: Settings,
    workers: int = 1,
    log: Callable[[Status], None] | None = None,
    seconds: float = SECONDS,
) -> Iterator[Status | str]:
    """Colorizes what arrives, until it is interrupted.

    Args:
        watched: The folder.
        colorizer: What colorizes.
        settings: How to write the results.
        workers: Photographs at a time.
        log: As `run` takes it.
        seconds: Time between two looks.

    Yields:
        Status of each photograph, and a line whenever something else is in the way.
    """
    trouble = None
    while True:
        jobs = watched.ready()
        if watched.trouble not in (None, trouble):
            yield str(watched.trouble)
        trouble = watched.trouble
        clean(jobs)
        for status in run(jobs, colorizer, settings, workers, log):
            watched.note(status)
            yield status
        time.sleep(seconds)


def _state(path, fault=None):
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, fault
