"""Networks that have a name: bundled ones, and those that installed packs bring.

A preset is a card, `NAME.json`, beside `NAME.tflite`, `NAME.keras` or both. What a
reader would get wrong: packs are looked for only when a name is no bundled one, so that
they cost the default nothing, and none of them can take a bundled name.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kcolor.errors import DataError

METRICS = ("psnr", "ssim", "lpips", "ciede2000", "colorfulness")  # of a card's rows

_FOLDER = Path(__file__).parent
_OWN = "kcolor"
# No dot and no slash: what has one is a path, for which no pack is looked at.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Preset:
    """A named network.

    Attributes:
        name: What a user calls it.
        origin: `"kcolor"`, or the pack that brings it and its version.
        folder: Where its card and files lie.
    """

    name: str
    origin: str
    folder: Path

    @property
    def is_bundled(self) -> bool:
        """Whether it comes with kcolor itself."""
        return self.origin == _OWN

    def card(self) -> dict[str, Any]:
        """Reads what is known of it.

        Returns:
            Dict. A pack's card must hold the `sha256` of its `.tflite` file, and in
            `keras` that of its `.keras` file; all else may be absent.

        Raises:
            DataError: If the card is absent, or not a JSON object.
        """
        path = self._card_path
        try:
            card = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DataError(f"{path}: no such card ({self.origin})") from error
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: the card is not valid JSON: {error}") from error
        if not isinstance(card, dict):
            raise DataError(f"{path}: the card must be a JSON object")
        return card

    def figures_card(self) -> dict[str, Any]:
        """Reads what is known of it, fit for a table; running it needs no such card.

        Returns:
            Dict as `card` returns it. `megabytes` and `milliseconds` are numbers,
            `machine` names its `processor`, and `figures` with a `protocol` has two
            `rows` of the metrics, gray's and its own; each may be absent.

        Raises:
            DataError: As `card`, or if one of these is something else.
        """
        card = self.card()
        fault = _fault(card)
        if fault:
            raise DataError(f"{self._card_path}: {fault}")
        return card

    @property
    def _card_path(self) -> Path:
        return self.folder / f"{self.name}.json"

    def to_run(self) -> Path:
        """Finds the file that colorizes and is measured: `.tflite` where there is one.

        Raises:
            DataError: If it is absent.
        """
        return self._first(".tflite", ".keras")

    def to_train(self) -> Path:
        """Finds the file that training goes on from: `.keras` where there is one.

        Raises:
            DataError: If it is absent.
        """
        return self._first(".keras", ".tflite")

    def check(self, path: Path) -> None:
        """Compares a file of a pack with its card; kcolor's own are not looked at.

        Args:
            path: What `to_run` or `to_train` returned.

        Raises:
            DataError: If the card does not hold the file's SHA-256.
        """
        if self.is_bundled:
            return
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self._hashes().get(path.suffix):
            raise DataError(
                f"{path}: its SHA-256 is not what the card of {self.name} says; "
                f"install {self.origin} again. Received: {found}"
            )

    def _first(self, *suffixes: str) -> Path:
        for suffix in suffixes:
            path = self.folder / f"{self.name}{suffix}"
            if path.is_file():
                return path
            if not self.is_bundled and suffix in self._hashes():
                raise DataError(
                    f"{path}: no such file, but the card names it; install "
                    f"{self.origin} again"
                )
        raise DataError(f"{self.name}: {self.origin} has its card, but no file of it")

    def _hashes(self) -> dict[str, str]:
        card = self.card()
        given = {".tflite": card.get("sha256")}
        if isinstance(card.get("keras"), dict):
            given[".keras"] = card["keras"].get("sha256")
        return {suffix: value for suffix, value in given.items() if value}


def _fault(card: dict[str, Any]) -> str | None:
    for key in ("megabytes", "milliseconds"):
        if key in card and not _is_number(card[key]):
            return f"`{key}` must be a number"
    machine = card.get("machine", {"processor": ""})
    if not isinstance(machine, dict) or not isinstance(machine.get("processor"), str):
        return "`machine` must be an object with the name of its `processor`"
    figures = card.get("figures", {})
    if not isinstance(figures, dict):
        return "`figures` must be an object"
    protocol = figures.get("protocol")
    if not protocol:
        return None
    if not isinstance(protocol, dict) or not {"images", "size"} <= set(protocol):
        return "the `protocol` of `figures` must be an object with `images` and `size`"
    rows = figures.get("rows")
    if not isinstance(rows, list) or len(rows) != 2 or not all(map(_is_row, rows)):
        metrics = ", ".join(METRICS)
        return f"`figures` must have two `rows`, gray's and its own, of {metrics}"
    return None


def _is_row(row):
    return isinstance(row, dict) and all(_is_number(row.get(name)) for name in METRICS)


def _is_number(value):
    # Python's JSON knows NaN, and whole numbers that no float can hold.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < 1e12


def get(name: str) -> Preset | None:
    """Finds a preset.

    Args:
        name: What a user calls a model, perhaps a path.

    Returns:
        The bundled preset of that name, or the one that a pack brings, or None.

    Raises:
        DataError: If several packs bring that name.
    """
    if not _NAME.fullmatch(name):
        return None
    if (_FOLDER / f"{name}.json").is_file():
        return Preset(name, _OWN, _FOLDER)
    from kcolor.presets import packs

    return packs.get(name)


def find(name: str) -> Preset:
    """Finds a preset that there must be, see `get`.

    Raises:
        DataError: If there is none; the message lists those there are.
    """
    preset = get(name)
    if preset is None:
        found, faults = listed()
        names = ", ".join(preset.name for preset in found)
        said = f"there is no preset {name!r} (presets: {names})"
        raise DataError("; ".join([said, *faults]))
    return preset


def listed() -> tuple[list[Preset], list[str]]:
    """Lists all presets.

    Returns:
        Tuple of the presets, bundled ones first, and of a line for each thing that is
        wrong with an installed pack.
    """
    from kcolor.presets import packs

    own = in_folder(_FOLDER, _OWN)
    brought, faults = packs.listed({preset.name for preset in own})
    return own + brought, faults


def in_folder(folder: Path, origin: str) -> list[Preset]:
    """Lists the presets whose cards lie in a folder.

    Args:
        folder: Where to look.
        origin: Whose folder it is, see `Preset`.

    Returns:
        List, sorted by name.
    """
    names = sorted(path.stem for path in folder.glob("*.json"))
    return [Preset(name, origin, folder) for name in names if _NAME.fullmatch(name)]
