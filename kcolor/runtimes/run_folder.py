"""Reading run folders: `config.json` and `history.csv`."""

import csv
import json
from pathlib import Path

from kcolor.errors import DataError
from kcolor.files import replacing


def read_config(run):
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


def read_history(run):
    """Reads `history.csv` as a list of dicts of float; empty where there is none."""
    path = Path(run, "history.csv")
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def write_history(run, rows):
    """Writes `history.csv` from a list of dicts with equal keys."""
    with replacing(Path(run, "history.csv")) as temporary:
        with open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
