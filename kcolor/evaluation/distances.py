"""FID and KID of each row: how far its pictures, as a set, are from the true ones.

Features of the true pictures of a manifest are kept in the user's cache, with what they
are of: the manifest's hash, which names protocol, files and boxes, and the network's.
"""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from kcolor.evaluation.manifest import Manifest
from kcolor.files import replacing, user_cache
from kcolor.metrics.distribution import frechet_distance, kernel_distance, moments

DISTANCES = ("fid", "kid")


class Extractor(Protocol):
    """What turns pictures into vectors; see `kcolor.evaluation.features.Features`."""

    name: str
    sha256: str
    count: int

    def __call__(self, images: Iterable[np.ndarray]) -> np.ndarray:
        """Turns uint8 RGB pictures into float32 `(images, count)`."""
        ...


class Distances:
    """Gathers features batch by batch."""

    def __init__(
        self,
        features: Extractor,
        rows: Sequence[str],
        count: int,
        *,
        manifest: Manifest | None = None,
        force: bool = False,
    ) -> None:
        """Prepares the sets.

        Args:
            features: Turns pictures into vectors.
            rows: The rows that every batch has.
            count: How many pictures will come.
            manifest: What all pictures that will come are; None: nothing is cached.
            force: Whether so few pictures will do that figures say little.

        Raises:
            ValueError: If there are too few.
        """
        least = features.count + 1
        if count < (2 if force else least):
            raise ValueError(
                f"FID and KID need at least {least} pictures, more than there are "
                f"features; with fewer (--force) FID says little. Received: {count}"
            )
        self._features = features
        self._found: dict[str, list[np.ndarray]] = {row: [] for row in rows}
        self._cache = None if manifest is None else _Cache(manifest, features)
        kept = self._cache.load(count) if self._cache else None
        self._true: list[np.ndarray] = [] if kept is None else [kept]
        self._is_kept = kept is not None

    def add(
        self, truth: np.ndarray, pictures: Mapping[str, np.ndarray], count: int
    ) -> None:
        """Takes one batch.

        Args:
            truth: uint8 RGB array `(batch, height, width, 3)`.
            pictures: Dict of each row to an array of the same kind.
            count: How many of the batch's pictures count.
        """
        if not self._is_kept:
            self._true.append(self._features(truth)[:count])
        for row, found in self._found.items():
            found.append(self._features(pictures[row])[:count])

    def figures(self, metrics: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Computes the distances of each row.

        Args:
            metrics: Some of `DISTANCES`.

        Returns:
            Dict of row to what its entry in the JSON is given: each distance, and of
            how many pictures and of which features it is.
        """
        true = np.concatenate(self._true)
        if self._cache and not self._is_kept:
            self._cache.save(true)
        true_moments = moments(true)
        figures = {}
        for row, parts in self._found.items():
            found = np.concatenate(parts)
            figure: dict[str, Any] = {}
            if "fid" in metrics:
                figure["fid"] = frechet_distance(moments(found), true_moments)
            if "kid" in metrics:
                figure["kid"] = kernel_distance(found, true)
            for metric in list(figure):
                figure[f"{metric}_images"] = len(found)
            figure["features"] = self._features.name
            figure["features_sha256"] = self._features.sha256
            figures[row] = figure
        return figures


class _Cache:
    # One file for each manifest and network. Moments follow from features, KID's
    # kernel does not follow from moments.
    def __init__(self, manifest: Manifest, features: Extractor) -> None:
        self._about = json.dumps(
            {
                "manifest_sha256": manifest.sha256,
                "protocol": manifest.protocol,
                "features": features.name,
                "features_sha256": features.sha256,
            }
        )
        self._width = features.count
        key = hashlib.sha256(self._about.encode()).hexdigest()[:16]
        self._file = user_cache() / f"true-features-{key}.npz"

    def load(self, count: int) -> np.ndarray | None:
        # What cannot be read, or is of something else, is computed again.
        try:
            # np.load would leave a torn file open that it opened itself.
            with self._file.open("rb") as file, np.load(file) as kept:
                about, features = str(kept["about"]), kept["features"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None
        fits = about == self._about and features.shape == (count, self._width)
        return features if fits else None

    def save(self, features: np.ndarray) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self._file) as temporary:
            np.savez(temporary, features=features, about=self._about)
