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
    size: int = Options.size,
    limit: int | None = Options.limit,
    metrics: Iterable[str] | None = Options.metrics,
    lpips_weights: Path | str | None = Options.lpips_weights,
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
        size: Side in pixels that every picture is resized to.
        limit: Number of pictures to use, spread evenly over the sorted list; None: all.
        metrics: Names from `kcolor.evaluation.protocol.METRICS`. None: all but
            `lpips_squeeze` and `chroma_excess`.
        lpips_weights: What `kcolor.metrics.lpips.find_weights` takes.
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
            parameters are not found, or the self-check fails.
    """
    options = Options(
        size=size,
        limit=limit,
        metrics=metrics,
        lpips_weights=lpips_weights,
        batch_size=batch_size,
        self_check=self_check,
    )
    measurements = measure(models, data, options, progress=progress)
    result = summarize(measurements, by_group=by_group, seed=seed)
    if self_check:
        check(measurements, seed=seed)
    return result
