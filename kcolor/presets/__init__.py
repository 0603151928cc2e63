"""The networks that come with the package: `NAME.tflite` and its card `NAME.json`."""

import json
from pathlib import Path

from kcolor.errors import DataError

_FOLDER = Path(__file__).parent


def names():
    """Names of the bundled presets, sorted.

    Returns:
        List of strings, empty if none is bundled.
    """
    return sorted(path.stem for path in _FOLDER.glob("*.tflite"))


def find(name):
    """Finds a bundled network.

    Args:
        name: A preset's name, such as `"mobile"`.

    Returns:
        Path of the `.tflite` file.

    Raises:
        DataError: If no preset has that name; the message lists those there are.
    """
    if name not in names():
        known = ", ".join(names()) or "none is bundled"
        raise DataError(f"there is no preset {name!r} (presets: {known})")
    return _FOLDER / f"{name}.tflite"


def card(name):
    """Reads the card that says how a preset was made and what it scores.

    Args:
        name: A preset's name.

    Returns:
        Dict, empty if the preset has no card.

    Raises:
        DataError: If no preset has that name, or its card is not JSON.
    """
    path = find(name).with_suffix(".json")
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: the card is not valid JSON: {error}") from error
