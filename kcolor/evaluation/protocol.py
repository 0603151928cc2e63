"""What is measured, and how: the metrics, the rows and the options.

`COLUMNS` is the one list of metrics: tables, JSON, CSV and charts follow it. A new
metric is an entry here and its function in `scorers`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kcolor.errors import DataError
from kcolor.evaluation.framing import PROTOCOLS, Framing, framing
from kcolor.evaluation.manifest import Manifest, read_manifest

GRAY = "gray"
CHECK_ROWS = ("truth", "sepia", "shuffled")


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
        of_set: Whether all pictures together have one figure, and no picture its own.
        comes_with: The metric that brings it, if it cannot be asked for alone.
    """

    label: str
    text: str = ""
    best: float | None = 0.0
    direction: int = -1
    digits: int = 1
    unit: str = ""
    default: bool = True
    of_set: bool = False
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
    # The difference of the means is the mean of the differences, sign kept ...
    "colorfulness_difference": Metric(
        "colorfulness minus truth's", direction=0, comes_with="colorfulness"
    ),
    # ... but not of their sizes: a row may be too pale here and too strong there.
    "colorfulness_distance": Metric(
        "colorfulness distance to truth's", comes_with="colorfulness"
    ),
    "colorfulness_unsigned": Metric(
        "unsigned colorfulness",
        "as Hasler-Suesstrunk M3, but of the opponent channels' absolute values, as in "
        "DDColor's code, 8-bit levels",
        best=None,
        direction=0,
        default=False,
    ),
    "colorfulness_unsigned_difference": Metric(
        "unsigned colorfulness minus truth's",
        direction=0,
        comes_with="colorfulness_unsigned",
    ),
    "colorfulness_unsigned_distance": Metric(
        "unsigned colorfulness distance to truth's", comes_with="colorfulness_unsigned"
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
    "fid": Metric(
        "FID",
        "Frechet distance of the moments of features, float64, all pictures",
        digits=3,
        default=False,
        of_set=True,
    ),
    "kid": Metric(
        "KID",
        "unbiased squared MMD of features with the kernel (x y / D + 1)^3, all pairs",
        digits=5,
        default=False,
        of_set=True,
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

    protocol: str | None = None
    size: int | None = None
    manifest: Path | str | None = None
    limit: int | None = None
    metrics: Iterable[str] | None = None
    lpips_weights: Path | str | None = None
    fid_features: str = "inception"
    fid_weights: Path | str | None = None
    force: bool = False
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
        if all(COLUMNS[name].of_set for name in chosen):
            raise ValueError(
                "metrics must name one of single pictures beside fid and kid, such as "
                f"psnr. Received: {', '.join(sorted(chosen))}"
            )
        framing(self.protocol or PROTOCOLS[0], self.size)
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

    def open(self) -> tuple[Framing, Manifest | None]:
        """Finds the protocol, which a manifest may name, and reads the manifest.

        Returns:
            Tuple of both; the second is None unless there is one.

        Raises:
            ValueError: If the protocol has no size and one was asked for, or the
                self-check, which compares pictures of one size.
            DataError: If the manifest cannot be read or is of another protocol.
        """
        manifest = None if self.manifest is None else read_manifest(self.manifest)
        name = self.protocol or (manifest.protocol if manifest else PROTOCOLS[0])
        found = framing(name, self.size)
        if manifest and manifest.protocol != found.name:
            raise DataError(
                f"{self.manifest}: is of the protocol {manifest.protocol}. "
                f"Received: {found.name}"
            )
        if self.self_check and found.size is None:
            raise ValueError(
                "--self-check compares pictures of one size; original has many"
            )
        return found, manifest
