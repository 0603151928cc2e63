"""How far predictions are from the truth, and how sure that is.

`measure` takes the figures of every picture, `summarize` their means and intervals,
`check` refuses what cannot be; `evaluate` is the three in one call.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from kcolor.data.source import Source
from kcolor.evaluation.measure import measure
from kcolor.evaluation.protocol import Options
from kcolor.evaluation.self_check import check
from kcolor.evaluation.statistics import summarize
from kcolor.runtimes.network import Predictor

__all__ = ["Options", "check", "evaluate", "measure", "summarize"]


def evaluate(
    models: Iterable[Predictor | Path | str],
    data: Source | Path | str | None,
    *,
    protocol: str | None = Options.protocol,
    size: int | None = Options.size,
    manifest: Path | str | None = Options.manifest,
    limit: int | None = Options.limit,
    metrics: Iterable[str] | None = Options.metrics,
    lpips_weights: Path | str | None = Options.lpips_weights,
    fid_features: str = Options.fid_features,
    fid_weights: Path | str | None = Options.fid_weights,
    force: bool = Options.force,
    batch_size: int = Options.batch_size,
    by_group: bool = False,
    self_check: bool = Options.self_check,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, Any]:
    """Measures models on the pictures of a source, always beside the row `gray`.

    Args:
        models: What `kcolor.runtimes.resolve.load_predictor` takes, or its results.
        data: What `kcolor.data.source.open_source` takes, or its result.
        protocol: One of `kcolor.evaluation.framing.PROTOCOLS`, see there. None:
            what the manifest says, or `"square256"`.
        size: Side in pixels that replaces the protocol's.
        manifest: File that says which pictures the source must hold, see
            `kcolor.evaluation.manifest`.
        limit: Number of pictures to use, spread evenly over the sorted list; None: all.
        metrics: Names from `kcolor.evaluation.protocol.METRICS`. None: all but
            `lpips_squeeze`, `colorfulness_unsigned`, `chroma_excess`, `fid` and `kid`.
        lpips_weights: What `kcolor.metrics.lpips.find_weights` takes.
        fid_features: What `kcolor.evaluation.features.load_features` takes.
        fid_weights: What it takes, too.
        force: Whether FID and KID are measured of fewer pictures than features.
        batch_size: Pictures per step. The figures do not depend on it.
        by_group: Whether to add the figures of each subfolder.
        self_check: Whether to add the rows `truth`, `sepia` and `shuffled` and to fail
            unless they, and every model, are what they must be.
        seed: Seed of the bootstrap.
        progress: Function called with (pictures done, pictures in all), or None.

    Returns:
        Dict as `--json` writes it; see `summarize`.

    Raises:
        ValueError: If an argument is out of its range.
        DataError: If a model or picture cannot be used, a metric is asked for whose
            parameters are not found, the source is not what the manifest says, or the
            self-check fails.
    """
    options = Options(
        protocol=protocol,
        size=size,
        manifest=manifest,
        limit=limit,
        metrics=metrics,
        lpips_weights=lpips_weights,
        fid_features=fid_features,
        fid_weights=fid_weights,
        force=force,
        batch_size=batch_size,
        self_check=self_check,
    )
    measurements = measure(models, data, options, progress=progress)
    result = summarize(measurements, by_group=by_group, seed=seed)
    if self_check:
        check(measurements, seed=seed)
    return result
