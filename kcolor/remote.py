"""Files in object storage, by URLs that fsspec knows: s3://, gs://, az://.

An object is written whole: one PUT, or a multipart upload that counts when it is
completed, so that no reader ever sees half a result. Credentials come from where the
storage's own tools look for them, never from a URL: URLs end up in logs.
"""

import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any, BinaryIO, TypeGuard, TypeVar

from kcolor.errors import DataError, one_line
from kcolor.images import opening

_log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

# Attempts at a request, and the longest wait in seconds before the second; it doubles.
_ATTEMPTS = 5
_WAIT = 0.5
# What the next attempt will not change.
_FOR_GOOD = (
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    ImportError,
    DataError,
)


def is_url(name: object) -> TypeGuard[str]:
    """Says whether a name is a URL and no path."""
    return isinstance(name, str) and "://" in name


def check(url: str) -> None:
    """Refuses a URL with a password in it, without repeating it.

    Args:
        url: The URL.

    Raises:
        DataError: If it names a user or a password.
    """
    scheme, _, rest = url.partition("://")
    if "@" in rest.split("/")[0]:
        raise DataError(
            f"{scheme}://...: a URL must not hold a name or password; use the "
            "environment or the storage's own configuration"
        )


def read(url: str) -> bytes:
    """Reads an object.

    Args:
        url: Its URL.

    Returns:
        All its bytes.

    Raises:
        DataError: If it cannot be read, or has over 1 GB.
    """

    def attempt(storage: Any, path: str) -> bytes:
        size = storage.size(path)
        if size is not None and size > opening.MAX_BYTES:
            raise DataError(f"{url}: over 1 GB")
        return storage.cat_file(path)

    return _try(url, attempt)


def read_part(url: str, start: int, length: int) -> bytes:
    """Reads a part of an object, by one request.

    Args:
        url: Its URL.
        start: Where the part begins, in bytes.
        length: How many bytes it has.

    Returns:
        The part.

    Raises:
        DataError: If it cannot be read.
    """

    def attempt(storage: Any, path: str) -> bytes:
        # By name: other arguments come first for some storages.
        return storage.cat_file(path, start=start, end=start + length)

    return _try(url, attempt)


def scan(url: str, function: Callable[[BinaryIO], _Result]) -> _Result:
    """Lets a function look for what it needs in an object, a request for each read.

    Args:
        url: Its URL.
        function: Function of the open file. If a request fails it is called again.

    Returns:
        What the function returned.

    Raises:
        DataError: If the object cannot be read; or the function's own.
    """

    def attempt(storage: Any, path: str) -> _Result:
        with storage.open(path, "rb", cache_type="none") as file:
            return function(file)

    return _try(url, attempt)


def match(pattern: str) -> list[str]:
    """Lists the objects whose names match a pattern.

    Args:
        pattern: URL with `*` or `?` in it.

    Returns:
        Sorted list of URLs.

    Raises:
        DataError: If they cannot be listed.
    """

    def attempt(storage: Any, path: str) -> list[str]:
        return sorted(map(storage.unstrip_protocol, storage.glob(path)))

    return _try(pattern, attempt)


def write(url: str, data: bytes) -> None:
    """Writes an object, or replaces it.

    Args:
        url: Its URL.
        data: All its bytes.

    Raises:
        DataError: If it cannot be written.
    """
    _try(url, lambda storage, path: storage.pipe_file(path, data))


def find(url: str, recursive: bool = True) -> list[str] | None:
    """Lists what lies below a URL.

    Args:
        url: The URL of a "folder", or of an object.
        recursive: List what is in folders below it, too.

    Returns:
        Sorted list of paths relative to it, or None if it is an object itself.

    Raises:
        DataError: If there is nothing.
    """

    def attempt(storage: Any, path: str) -> list[str] | None:
        storage.invalidate_cache()
        root = path.rstrip("/")
        names = storage.find(root, maxdepth=None if recursive else 1)
        if names == [root]:
            return None
        return sorted(
            PurePosixPath(name).relative_to(root).as_posix() for name in names
        )

    found = _try(url, attempt)
    if found == []:
        raise DataError(f"{url}: nothing there")
    return found


def present(urls: Iterable[str], root: str) -> set[str]:
    """Finds which objects there are, with a request for every thousand of them.

    Args:
        urls: URLs to look for, all of them below `root`.
        root: URL that is listed.

    Returns:
        Set of those that exist.
    """
    try:
        names = find(root)
    except DataError:
        # The first result makes the folder; what else is wrong, the first job tells.
        return set()
    if names is None:
        return {root} & set(urls)
    return {join(root, name) for name in names} & set(urls)


def join(root: str, name: PurePosixPath | str) -> str:
    """Puts a relative path behind a URL."""
    return f"{root.rstrip('/')}/{name}"


def name_of(url: str) -> str:
    """Returns the last part of a URL."""
    return url.rstrip("/").rsplit("/", 1)[-1]


def has(names: Sequence[str], url: str) -> bool:
    """Says whether any of `names` is `url` or lies below it."""
    return any(f"{url.rstrip('/')}/".startswith(f"{n.rstrip('/')}/") for n in names)


def _try(url: str, attempt: Callable[[Any, str], _Result]) -> _Result:
    import fsspec

    check(url)
    for number in range(_ATTEMPTS):
        try:
            return attempt(*fsspec.core.url_to_fs(url))
        except DataError:
            raise
        except Exception as error:  # noqa: BLE001  Every storage raises its own kinds.
            # Nothing of the request is repeated: a header may hold a signature.
            kind = type(error).__name__
            plain = isinstance(error, OSError | ImportError)
            said = one_line(error) if plain else kind
            _log.debug("%s: attempt %d: %s", url, number + 1, kind)
            if isinstance(error, _FOR_GOOD) or number + 1 == _ATTEMPTS:
                raise DataError(f"{url}: {said or kind}") from None
        # Workers that failed together do not come back together.
        time.sleep(_WAIT * 2**number * random.uniform(0.5, 1))
    raise AssertionError("unreachable")
