"""What is measured, and how: the metrics, the rows, the options, and the record of it.

`COLUMNS` is the one list of metrics: tables, JSON, CSV and charts follow it. A new
metric is an entry here and its function in `scorers`. Named protocols (other sizes or
crops than the whole picture's square) would be further values of `Options`.
"""

import hashlib
import importlib.metadata
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import keras

from kcolor.data.source import Source, list_hash
from kcolor.environment import environment
from kcolor.metrics import lpips

GRAY = "gray"
CHECK_ROWS = ("truth", "sepia", "shuffled")
INTERPOLATION = (
    "whole picture to size x size on uint8 RGB; cv2.INTER_AREA where both sides "
    "shrink, else cv2.INTER_CUBIC"
)


@dataclass(frozen=True)
class Metric:
    """What is said about one figure.

    Attributes:
        label: Its name in tables.
        text: How it is computed, for the protocol.
        best: Its value where the prediction is the truth; None if the picture decides.
        direction: 1: more is better, -1: less is better, 0: neither.
        digits: Digits behind the point.
        unit: Its unit, or nothing.
        default: Whether it is measured unless others are asked for.
        comes_with: The metric that brings it, if it cannot be asked for alone.
    """

    label: str
    text: str = ""
    best: float | None = 0.0
    direction: int = -1
    digits: int = 1
    unit: str = ""
    default: bool = True
    comes_with: str | None = None


# All that a row may hold, in the order of tables.
COLUMNS: dict[str, Metric] = {
    "psnr": Metric(
        "PSNR",
        "per image on uint8 RGB, peak 255, mean over images",
        best=math.inf,
        direction=1,
        digits=2,
        unit="dB",
    ),
    "ssim": Metric(
        "SSIM",
        "11x11 Gaussian window, sigma 1.5, data range 255, mean over channels",
        best=1.0,
        direction=1,
        digits=3,
    ),
    "lpips": Metric("LPIPS", "v0.1, AlexNet, RGB in [-1, 1]", digits=3),
    "lpips_squeeze": Metric(
        "LPIPS (SqueezeNet)",
        "v0.1, SqueezeNet 1.1, RGB in [-1, 1]",
        digits=3,
        default=False,
    ),
    "ciede2000": Metric(
        "CIEDE2000",
        "kL = kC = kH = 1, D65, mean over pixels, then over images",
        digits=2,
    ),
    # Neither more nor less is better; it should be the truth's.
    "colorfulness": Metric(
        "colorfulness",
        "Hasler-Suesstrunk M3, signed, 8-bit levels",
        best=None,
        direction=0,
    ),
    "colorfulness_difference": Metric(
        "colorfulness minus truth's", direction=0, comes_with="colorfulness"
    ),
    # Gray scores 0, so it says something beside the others only.
    "chroma_excess": Metric(
        "chroma excess",
        "share of pixels whose chroma sqrt(a*^2 + b*^2) exceeds the truth's by more "
        "than 30, D65, mean over images",
        digits=2,
        unit="%",
        default=False,
    ),
}
METRICS = tuple(name for name, metric in COLUMNS.items() if not metric.comes_with)
DIRECTIONS = {
    name: metric.direction for name, metric in COLUMNS.items() if metric.direction
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """How pictures are measured: the arguments of `kcolor.evaluation.evaluate`.

    Raises:
        ValueError: If one of them is out of its range.
    """

    size: int = 256
    limit: int | None = None
    metrics: Iterable[str] | None = None
    lpips_weights: Path | str | None = None
    batch_size: int = 8
    self_check: bool = False

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if self.metrics is not None:  # an iterator would last for one look only
            object.__setattr__(self, "metrics", tuple(self.metrics))
        chosen = set(self.chosen)
        unknown = sorted(chosen - set(METRICS))
        if unknown or not chosen:
            raise ValueError(
                f"metrics must be some of {', '.join(METRICS)}. "
                f"Received: {', '.join(unknown) or 'none'}"
            )
        smallest = max(lpips.SMALLEST.values())
        if self.size < smallest:
            raise ValueError(f"size must be at least {smallest}. Received: {self.size}")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit must be at least 1. Received: {self.limit}")
        if self.batch_size < 1:
            raise ValueError(
                f"batch_size must be at least 1. Received: {self.batch_size}"
            )
        if self.self_check and "ssim" not in chosen:
            raise ValueError("--self-check needs the metric ssim")

    @property
    def chosen(self) -> tuple[str, ...]:
        """The metrics that are asked for, by name or by default."""
        if self.metrics is not None:
            return tuple(self.metrics)
        return tuple(name for name in METRICS if COLUMNS[name].default)


def describe(
    source: Source,
    names: list[str],
    options: Options,
    metrics: Iterable[str],
    networks: Mapping[str, Path],
    seconds: float,
) -> dict[str, Any]:
    """Records how figures came about, for the JSON.

    Args:
        source: Where the pictures came from.
        names: The pictures that were measured.
        options: How they were.
        metrics: What was.
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
        "data": str(source.path),
        "images": len(names),
        "limit": options.limit,
        "source_sha256": list_hash(source),
        "list_sha256": hashlib.sha256("\n".join(names).encode()).hexdigest(),
        "size": options.size,
        "interpolation": INTERPOLATION,
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
