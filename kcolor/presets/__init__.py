"""The networks that come with the package: `NAME.tflite` and its card `NAME.json`.

A card without its file is that of a model too large to bundle.
"""

import json
from pathlib import Path

from kcolor.errors import DataError

_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Names of the bundled presets, sorted.

    Returns:
        List of strings, empty if none is bundled.
    """
    return sorted(path.stem for path in _FOLDER.glob("*.tflite"))


def find(name: str) -> Path:
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


def cards() -> dict[str, dict]:
    """Reads the cards that say how presets were made and what they score.

    Returns:
        Dict of name to card (a dict), sorted by name; also of presets that are not
        bundled.

    Raises:
        DataError: If a card is not JSON.
    """
    found = {}
    for path in sorted(_FOLDER.glob("*.json")):
        try:
            found[path.stem] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{path}: the card is not valid JSON: {error}") from error
    return found
