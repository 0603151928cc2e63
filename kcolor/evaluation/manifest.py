"""Manifests: the very pictures that figures are of, so that others measure the same.

A manifest names the protocol and, for each picture, its name in the source, the part
that is measured, and the SHA-256 of its file. Measured again, the source must hold
exactly those pictures: one missing, one more or one changed byte is an error.
"""

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kcolor.data.source import Source, Stored
from kcolor.errors import DataError
from kcolor.evaluation.framing import Box
from kcolor.files import write_json
from kcolor.parallel import cores, read_ahead

_FORMAT = "kcolor-manifest-1"


@dataclass(frozen=True)
class Entry:
    """One picture of a manifest.

    Attributes:
        box: The part that is measured.
        sha256: Digest of its file; of the pixels where a source holds arrays.
        gray_sha256: Digest of its gray partner's file, or None where it has none.
    """

    box: Box
    sha256: str
    gray_sha256: str | None = None


@dataclass(frozen=True)
class Manifest:
    """The pictures of one protocol.

    Attributes:
        protocol: Name of it.
        pictures: Dict of name in the source to its `Entry`.
    """

    protocol: str
    pictures: Mapping[str, Entry]

    @property
    def sha256(self) -> str:
        """Digest of everything it says, however its file is formatted."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Turns it into what a file holds."""
        pictures = []
        for name, entry in sorted(self.pictures.items()):
            item: dict[str, Any] = {"id": name, "box": list(entry.box)}
            item["sha256"] = entry.sha256
            if entry.gray_sha256 is not None:
                item["gray_sha256"] = entry.gray_sha256
            pictures.append(item)
        return {"format": _FORMAT, "protocol": self.protocol, "pictures": pictures}

    def check(self, source: Source) -> None:
        """Fails unless a source holds exactly these pictures.

        Args:
            source: The source.

        Raises:
            DataError: If a picture is missing, too many, or another; the message names
                the first.
        """
        held = set(source.names)
        for name in self.pictures:
            if name not in held:
                raise DataError(f"{source.path}: {name}: in the manifest, but missing")
        for name in source.names:
            if name not in self.pictures:
                raise DataError(f"{source.path}: {name}: not in the manifest")

        def changed(index):
            name = source.names[index]
            entry = self.pictures[name]
            stored = entry.sha256, entry.gray_sha256
            return None if digests(source.content(index)) == stored else name

        with ThreadPoolExecutor(cores()) as pool:
            for name in read_ahead(pool, changed, range(len(source)), 4 * cores()):
                if name is not None:
                    raise DataError(
                        f"{source.path}: {name}: not the file of the manifest, its "
                        "SHA-256 differs"
                    )


def digests(content: tuple[Stored, Stored | None]) -> tuple[str, str | None]:
    """Digests a picture as it is stored.

    Args:
        content: What `Source.content` returns.

    Returns:
        Tuple of SHA-256 as hexadecimal digits, of the color picture and of its gray
        partner; None if it has none.
    """
    color, gray = content
    return _sha256(color), None if gray is None else _sha256(gray)


def write_manifest(path: Path | str, manifest: Manifest) -> None:
    """Writes a manifest as JSON, whole or not at all.

    Args:
        path: The file to write.
        manifest: What it is to hold.

    Raises:
        OSError: If the disk does not take it.
    """
    write_json(path, manifest.to_json())


def read_manifest(path: Path | str) -> Manifest:
    """Reads what `write_manifest` wrote.

    Args:
        path: The file.

    Returns:
        The `Manifest`.

    Raises:
        DataError: If it is no such file; the message says where.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a manifest ({error})") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise DataError(f"{path}: not a manifest of kcolor ({_FORMAT})")
    pictures = {}
    listed = content.get("pictures")
    for number, item in enumerate(listed if isinstance(listed, list) else [], 1):
        try:
            left, top, width, height = map(int, item["box"])
            box = Box(left, top, width, height)
            entry = Entry(box, str(item["sha256"]), item.get("gray_sha256"))
            name = str(item["id"])
        except (
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
            OverflowError,
        ) as error:
            raise DataError(
                f"{path}: picture {number} must have id, box and sha256"
            ) from error
        if name in pictures or min(width, height) < 1:
            what = "is listed twice" if name in pictures else "has an empty box"
            raise DataError(f"{path}: {name} {what}")
        pictures[name] = entry
    if not pictures or not isinstance(content.get("protocol"), str):
        raise DataError(f"{path}: lacks its protocol or pictures")
    return Manifest(content["protocol"], pictures)


def _sha256(content: Stored) -> str:
    whole = content if isinstance(content, bytes) else content.tobytes()
    return hashlib.sha256(whole).hexdigest()
