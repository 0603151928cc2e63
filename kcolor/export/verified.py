"""The way of every exported file: written beside its target, run, compared, kept.

A format brings how it is written and how it is run; that nothing unverified is ever
seen under its name is settled here.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from kcolor.errors import DataError
from kcolor.export import parity
from kcolor.export.model import Network
from kcolor.files import replacing


def write_verified(
    network: Network,
    target: Path,
    *,
    card: dict[str, Any],
    write: Callable[[Path], Any],
    compare: Callable[[Path], dict[str, Any]],
    place: Callable[[Path], AbstractContextManager[Path]] = replacing,
    quantize: str = "none",
    data: Any = None,
    side: int,
    limit: int | None = None,
) -> dict[str, Any]:
    """Writes a file and keeps it if it answers as Keras does.

    Args:
        network: What is exported.
        target: The file, or the folder of a SavedModel.
        card: What the file says about itself, for the report.
        write: Writes to a temporary path.
        compare: Runs what is there in its own runtime beside Keras and returns figures
            as `parity.Differences.figures` does.
        place: Gives the temporary path, and renames it to `target` if nothing fails.
        quantize: Key of `parity.LIMITS`.
        data: Source of color photographs to measure the cost in quality on, or None.
        side: Side of the squares that it is measured on.
        limit: Number of them; None for all.

    Returns:
        Dict with `file`, `bytes`, `card`, `differences` and `cost` (see `parity.cost`;
        None without `data`).

    Raises:
        DataError: If the file cannot be run, or it is out of its limits; then nothing
            is left behind.
    """
    with place(target) as temporary:
        write(temporary)
        try:
            differences = compare(temporary)
        except DataError as error:
            raise DataError(f"{target}: {error}") from error
        parity.check(target, differences, quantize)
        cost = None
        if data is not None:
            cost = parity.cost(network.plain, temporary, target, data, side, limit)
            parity.check_cost(target, cost)
    return {
        "file": str(target),
        "bytes": _bytes(target),
        "card": card,
        "differences": differences,
        "cost": cost,
    }


def _bytes(target: Path) -> int:
    files = [target] if target.is_file() else target.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())
