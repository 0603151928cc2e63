"""The plan where inputs or results are in object storage."""

import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from kcolor import remote
from kcolor.errors import DataError
from kcolor.images import formats
from kcolor.inference import plan
from kcolor.inference.film.settings import is_film
from kcolor.inference.plan import Job
from kcolor.inference.shards import Shard
from kcolor.remote import is_url

_log = logging.getLogger(__name__)


def plan_urls(
    inputs: Sequence[Path | str],
    out: Path | str,
    kind: str | None = None,
    recursive: bool = True,
    shard: Shard | None = None,
) -> list[Job]:
    """Decides which objects and files are read and where each result goes.

    Args:
        inputs: URLs or paths of photo files and folders.
        out: URL or path of the folder of all results.
        kind: Format of all results, or None.
        recursive: Look into subfolders of a folder; the results keep its tree.
        shard: Plan only the files of this part of the whole, or None.

    Returns:
        List of `Job`s.

    Raises:
        DataError: If an input is missing or holds no photograph, two results would
            have one name, or results would lie in one of the inputs.
    """
    names = [str(name) if is_url(name) else Path(name).absolute() for name in inputs]
    out = str(out) if is_url(out) else Path(out).absolute()
    for name in [*names, out]:
        if is_url(name):
            remote.check(name)
    if remote.has([str(name) for name in names], str(out)):
        raise DataError(f"{out}: lies in an input; choose another --output")
    named: list[Job] = []
    for root in names:
        for source, inside in _found(root, recursive, len(names) > 1):
            if shard is None or shard.holds(plan.shard_key(inside)):
                named.append(Job(source, plan.renamed(Path(inside), kind)))
    seen: dict[Path | str, Path | str] = {}
    for job in plan.set_apart(named):
        if job.target in seen:
            raise DataError(
                f"{job.target}: both {seen[job.target]} and {job.source} would be "
                "written to it; colorize them apart"
            )
        seen[job.target] = job.source
    return [Job(source, _below(out, name)) for name, source in seen.items()]


def existing(jobs: Sequence[Job], out: Path | str) -> list[Job]:
    """Lists the jobs whose result is there already.

    Args:
        jobs: What `plan_urls` returned.
        out: The folder of all results that it was given.

    Returns:
        List of those, in order.
    """
    if not is_url(out):
        return plan.existing(jobs)
    there = remote.present({str(job.target) for job in jobs}, out)
    return [job for job in jobs if job.target in there]


def _found(root, recursive, several):
    # Pairs of a photograph and its path below the folder of all results.
    inside = remote.find(root if is_url(root) else root.as_uri(), recursive)
    last = PurePosixPath(remote.name_of(root) if is_url(root) else root.name)
    if inside is None:
        if is_film(str(last)):
            raise DataError(f"{root}: films are not colorized at URLs; copy it here")
        return [(root, last)]
    films = [name for name in inside if is_film(name)]
    if films:
        _log.warning(
            "%s: films are not colorized at URLs; left out: %d, such as %s",
            root,
            len(films),
            films[0],
        )
    found = [PurePosixPath(name) for name in inside if formats.of_name(name)]
    if not found:
        raise DataError(f"{root}: no photographs in this folder")
    return [(_below(root, name), last / name if several else name) for name in found]


def _below(root, name):
    return remote.join(root, name.as_posix()) if is_url(root) else root / name
