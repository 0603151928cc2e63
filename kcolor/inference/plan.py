"""Which files are read and where each result goes, before any work is done.

No input is ever overwritten, and no result leaves the output folder.
"""

import functools
import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from kcolor.errors import DataError
from kcolor.files import not_listed
from kcolor.images import formats
from kcolor.inference.film.settings import check_target, film_name, is_film
from kcolor.inference.shards import Shard

_log = logging.getLogger(__name__)

STANDARD = "-"


@dataclass(frozen=True)
class Job:
    """One photograph or film to colorize.

    Attributes:
        source: Path of the file, or `"-"`, standard input.
        target: Path of the result, or `"-"`, standard output.
        data: The file's bytes, where they have been read already; `source` only names
            it then.
        fault: Why nothing can come of it, such as a folder that could not be listed: a
            job that fails, so that it is counted and named among the others.
        alone: The result's path if there were no twin, see `set_apart`; None: `target`.
    """

    source: Path | str
    target: Path | str
    data: bytes | None = None
    fault: str | None = None
    alone: Path | str | None = None


def plan(
    inputs: Sequence[Path | str],
    out: Path | str | None = None,
    kind: str | None = None,
    recursive: bool = True,
    codec: str | None = None,
    shard: Shard | None = None,
) -> list[Job]:
    """Decides which files are read and where each result goes.

    Args:
        inputs: Paths of photo files, films and folders, or `["-"]`.
        out: Path of a file or a folder, `"-"`, or None: beside the input, as
            `NAME-color.SUFFIX` or, for a folder, `FOLDER-color`.
        kind: Format of all photographs' results, or None.
        recursive: Look into subfolders of a folder; the results keep its tree.
        codec: Codec of all films' results, or None.
        shard: Plan only the files of this part of the whole, or None.

    Returns:
        List of `Job`s; with a shard, there may be none. A subfolder that cannot be
        listed is one of them, with its `fault`.

    Raises:
        DataError: If an input is missing or empty, two results would have one name,
            a result's name means another format, or a result would overwrite an input
            or leave the output folder.
    """
    if "" in inputs or out == "":
        raise DataError("an empty text is no name of a file or folder")
    if STANDARD in inputs or out == STANDARD:
        if shard:
            raise DataError("standard input or output cannot be split into shards")
        return _plan_standard(inputs, out, kind)
    several = len(inputs) > 1
    if several and out is not None and Path(out).is_file():
        raise DataError(f"{out}: is a file; several results need a folder")
    jobs = []
    kinds = kind, codec
    for source in map(Path, inputs):
        if source.is_dir():
            jobs += _plan_folder(source, out, kinds, recursive, several, shard)
        elif not source.exists():
            raise DataError(f"{source}: no such file or folder")
        else:
            target = _file_target(source, out, kinds, several)
            if shard is None or shard.holds(shard_key(Path(source.name))):
                jobs.append(Job(source, target))
    jobs = set_apart(jobs)
    _check_targets(jobs)
    if shard and several:
        _check_apart(jobs, inputs)
    return jobs


def _plan_standard(inputs, out, kind):
    if len(inputs) > 1:
        raise DataError("standard input or output takes one photograph, not several")
    source = inputs[0]
    if source != STANDARD:
        source = Path(source)
        if is_film(source):
            raise DataError(f"{source}: a film cannot go to standard output")
        if source.is_dir():
            raise DataError(f"{source}: a folder cannot go to standard output")
    if out in (None, STANDARD):
        return [Job(source, STANDARD)]
    if Path(out).is_dir() or str(out).endswith(("/", os.sep)):
        raise DataError(f"{out}: is a folder; standard input has no name, give a file")
    kind_of(out, kind)
    return [Job(source, Path(out))]


def _plan_folder(source, out, kinds, recursive, several, shard):
    # Beside a link, not beside what it leads to; "." has no name of its own.
    whole = Path(os.path.abspath(source))
    if out is None:
        out = whole.with_name(f"{whole.name}-color")
    elif several:
        out = Path(out) / whole.name
    out = Path(out)
    if out.is_file():
        raise DataError(f"{out}: is a file; a folder's results need a folder")
    # Of a million files most are other shards': names are all that is kept of those.
    # Those that begin with "._" hold what a Mac keeps of other systems' files.
    found: list[str] = []
    unlisted: list[OSError] = []
    for folder, folders, names in os.walk(source, onerror=unlisted.append):
        # Results of an earlier run are no input, wherever they lie.
        folders[:] = sorted(
            name
            for name in folders
            if recursive and not _same(Path(folder) / name, out)
        )
        for name in folders:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                _note_link(path)
        found += [
            os.path.join(folder, name)
            for name in sorted(names)
            if (formats.of_name(name) or is_film(name)) and not name.startswith("._")
        ]
    faults = [not_listed(error) for error in unlisted]
    if not found:
        if faults:
            raise DataError(faults[0])
        where = "" if recursive else " (--recursive looks into its subfolders)"
        raise DataError(f"{source}: no photographs or films in this folder{where}")
    jobs, parents = [], set()
    for path in map(Path, found):
        name = path.relative_to(source)
        if shard is None or shard.holds(shard_key(name)):
            target = out / renamed(name, *kinds)
            jobs.append(Job(path, target))
            parents.add(target.parent)
    for error, fault in zip(unlisted, faults, strict=True):
        path = Path(error.filename)
        # A name that no result has: it is never there already.
        target = out / path.relative_to(source) / "*"
        jobs.append(Job(path, target, fault=fault))
    root = out.resolve()
    for parent in parents:
        if not parent.resolve().is_relative_to(root):
            raise DataError(f"{parent}: a link leads out of the output folder")
    return jobs


@functools.cache
def _note_link(path: str) -> None:
    # Once: a watched folder is planned again every few seconds.
    _log.warning("%s: a link to a folder is not followed; colorize it apart", path)


def _file_target(source, out, kinds, several):
    name = renamed(Path(source.name), *kinds)
    if out is None:
        return source.with_name(f"{name.stem}-color{name.suffix}")
    if several or Path(out).is_dir() or str(out).endswith(("/", os.sep)):
        return Path(out) / name
    # Now, and not after the work.
    if is_film(source):
        check_target(Path(out))
    else:
        kind_of(out, kinds[0])
    return Path(out)


def renamed(path: Path, kind: str | None = None, codec: str | None = None) -> Path:
    """Names a result: as its input, with the suffix of the result's format.

    Args:
        path: Path of a photograph or film.
        kind: Format of all photographs' results; None: each one's own, where it can be
            written, or JPEG.
        codec: Codec of all films' results, or None.

    Returns:
        Path of the result.
    """
    if is_film(path):
        return film_name(path, codec)
    own = formats.of_name(path)
    wanted = formats.BY_NAME[kind] if kind else formats.written_as(own)
    return path if wanted is own else path.with_suffix(wanted.suffixes[0])


def shard_key(name: PurePath) -> PurePath:
    """Finds what decides over the shard of a photograph or film.

    Photographs of which one may get the other's name, such as IMG_1.heic, IMG_1.jpg and
    IMG_1.heic.jpg, have to be in one shard, which sets them apart or refuses them.

    Args:
        name: Path of the photograph inside the input.

    Returns:
        The path without the suffixes of pictures and films.
    """
    while name.suffix and (formats.of_name(name) or is_film(str(name))):
        name = name.with_suffix("")
    return name


def set_apart(jobs: Sequence[Job]) -> list[Job]:
    """Keeps the own suffix of a file that becomes another format, beside its twin.

    A phone leaves IMG_1.HEIC and IMG_1.jpg in one folder, and both become IMG_1.jpg.

    Args:
        jobs: What to read and where to write, paths.

    Returns:
        The jobs, some of their targets renamed.
    """
    counts = Counter(job.target for job in jobs)

    def apart(job):
        target, own = job.target, PurePath(job.source).suffix.lower()
        if counts[target] == 1 or own == target.suffix.lower():
            return job
        name = f"{target.stem}{own}{target.suffix}"
        return replace(job, target=target.with_name(name), alone=target)

    return list(map(apart, jobs))


def keep_results(jobs: Sequence[Job]) -> list[Job]:
    """Leaves a result to the file that it was made of, though a twin came later.

    IMG_1.HEIC alone became IMG_1.jpg. Beside an IMG_1.jpg that came afterwards it would
    become another name and be done again, and the newcomer would count as done.

    Args:
        jobs: What `plan` returned.

    Returns:
        The jobs. The older twin has its result's name back, and the newcomer a `fault`.
        A twin that came while the other's run was on is not noticed.
    """
    twins: dict[Path | str, list[Job]] = {}
    for job in jobs:
        if job.alone is not None and not Path(job.target).exists():
            twins.setdefault(job.alone, []).append(job)
    changed: dict[Path | str, Job] = {}
    for job in jobs:
        rivals = twins.get(job.target)
        if rivals and job.fault is None and _came_after(job.source, job.target):
            owner = min(rivals, key=lambda twin: _arrival(twin.source))
            changed[owner.source] = replace(owner, target=job.target, alone=None)
            fault = (
                f"{job.source}: not colorized, since {job.target} is older than it and "
                f"seems to be of {owner.source}; remove it to have both colorized"
            )
            changed[job.source] = replace(job, fault=fault)
    return [changed.get(job.source, job) for job in jobs]


def _came_after(source, result):
    try:
        return _arrival(source) > Path(result).stat().st_mtime_ns
    except OSError:
        return False


def _arrival(path):
    # Copies may keep the time of modification, which a camera set, but not this one.
    try:
        return Path(path).stat().st_ctime_ns
    except OSError:  # gone since the folder was listed
        return 0


def _check_targets(jobs):
    folders: dict[Path, Path] = {}
    sources = {_resolved(job.source, folders) for job in jobs}
    seen: dict[Path, Path | str] = {}
    for job in jobs:
        target = _resolved(job.target, folders)
        if target in sources:
            raise DataError(
                f"{job.target}: would overwrite an input; choose another --output"
            )
        if target in seen:
            raise DataError(
                f"{job.target}: both {seen[target]} and {job.source} would be written "
                "to it; colorize them apart"
            )
        seen[target] = job.source


def _resolved(path, folders):
    # Each folder once: on shared storage every part of every name costs a look-up.
    if path.is_symlink():
        return path.resolve()
    if path.parent not in folders:
        folders[path.parent] = path.parent.resolve()
    return folders[path.parent] / path.name


def _check_apart(jobs, inputs):
    # Other shards' files are not in the plan, so that no result may go where they are.
    places = [Path(source).resolve() for source in inputs]
    folders: dict[Path, Path] = {}
    for job in jobs:
        target = _resolved(job.target, folders)
        if any(target.is_relative_to(place) for place in places):
            raise DataError(
                f"{job.target}: would lie among the inputs; with several inputs and "
                "--shard choose another --output"
            )


def _same(path, other):
    return path.resolve() == other.resolve()


def kind_of(target: Path | str, kind: str | None = None) -> str:
    """Finds the format of a result.

    Args:
        target: Path of the result.
        kind: The format asked for, or None.

    Returns:
        Name of a writable format of `formats`.

    Raises:
        DataError: If the name has a suffix that no format has, or another format's
            than was asked for.
    """
    named = formats.of_name(target)
    if kind:
        if named and named.name != kind:
            raise DataError(
                f"{target}: the name says {named.name}, --format says {kind}; leave "
                "one of them out"
            )
        return kind
    if named and named.writable:
        return named.name
    known = ", ".join(sorted(formats.CHOICES))
    raise DataError(f"{target}: no known format in this name ({known}); use --format")


def existing(jobs: Iterable[Job]) -> list[Job]:
    """Lists the jobs whose result is there already; one with a fault has none."""
    return [
        job
        for job in jobs
        if job.fault is None and isinstance(job.target, Path) and job.target.exists()
    ]
