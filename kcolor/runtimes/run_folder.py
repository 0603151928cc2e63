"""Reading run folders, `config.json` and `history.csv`; `kcolor.training` writes."""

import csv
import json
from pathlib import Path
from typing import Any

from kcolor.errors import DataError


def read_config(run: Path | str) -> dict[str, Any]:
    """Reads the `config.json` of a run folder.

    Args:
        run: Path of the folder.

    Returns:
        Dict.

    Raises:
        DataError: If it is absent or damaged.
    """
    path = Path(run, "config.json")
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DataError(f"{run}: not a run folder (it has no config.json)") from error
    except ValueError as error:
        raise DataError(f"{path}: damaged ({error})") from error


def read_history(run: Path | str) -> list[dict[str, float]]:
    """Reads `history.csv`.

    Args:
        run: Path of the run folder.

    Returns:
        A dict per epoch; empty where no epoch is done.
    """
    path = Path(run, "history.csv")
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
