"""The record of how figures came about, for the JSON and the report."""

import hashlib
import importlib.metadata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import keras

from kcolor.data.lists import as_bytes, list_hash
from kcolor.data.source import Source
from kcolor.environment import environment
from kcolor.evaluation.framing import Framing
from kcolor.evaluation.manifest import Manifest
from kcolor.evaluation.protocol import COLUMNS, Options


def describe(
    source: Source,
    names: list[str],
    options: Options,
    frame: Framing,
    manifest: Manifest,
    metrics: Iterable[str],
    networks: Mapping[str, Path],
    seconds: float,
) -> dict[str, Any]:
    """Records how figures came about, for the JSON.

    Args:
        source: Where the pictures came from.
        names: The pictures that were measured.
        options: How they were.
        frame: The protocol.
        manifest: What it did to which pictures.
        metrics: What was measured.
        networks: Dict of metric to the file of its network's parameters.
        seconds: How long it took.

    Returns:
        Dict of plain values: the data and its hashes, the protocol of each metric, and
        the versions of all that takes part.
    """
    installed = environment()
    installed["versions"]["opencv"] = cv2.__version__
    for package in ("ai-edge-litert", "onnxruntime"):
        try:
            installed["versions"][package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            installed["versions"][package] = None
    return {
        "name": frame.name,
        "data": str(source.path),
        "images": len(names),
        "limit": options.limit,
        "source_sha256": list_hash(source),
        "list_sha256": hashlib.sha256(as_bytes("\n".join(names))).hexdigest(),
        "manifest_sha256": manifest.sha256,
        "size": frame.size,
        "framing": frame.text,
        "paired": source.paired,
        "input": "the gray/ pictures"
        if source.paired
        else "the truth reduced to its L*",
        "metrics": {metric: COLUMNS[metric].text for metric in metrics},
        "lpips_sha256": {
            metric: hashlib.sha256(file.read_bytes()).hexdigest()
            for metric, file in networks.items()
        },
        **installed,
        "backend": keras.backend.backend(),
        "seconds": round(seconds, 2),
    }
