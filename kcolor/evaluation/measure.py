"""Measures pictures in one pass over the source.

Truth and prediction of a picture always come from one element of that pass; nothing
here looks up a second list. All rows are measured on the same pictures, so the rows can
be compared picture by picture.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from kcolor.data.source import Source, open_source
from kcolor.evaluation.measurements import Measurements
from kcolor.evaluation.protocol import (
    CHECK_ROWS,
    COLUMNS,
    GRAY,
    METRICS,
    Options,
    describe,
)
from kcolor.evaluation.reader import Reader
from kcolor.evaluation.rows import Painter, describe_rows, load_rows
from kcolor.evaluation.scorers import Scorers, find_networks
from kcolor.evaluation.self_check import CheckRows
from kcolor.parallel import evenly_spaced
from kcolor.runtimes.network import Predictor


def measure(
    models: Iterable[Predictor | Path | str],
    data: Source | Path | str | None,
    options: Options | None = None,
    *,
    progress: Callable[[int, int], object] | None = None,
) -> Measurements:
    """Measures every picture; `kcolor.evaluation.statistics.summarize` takes the means.

    Args:
        models: What `kcolor.runtimes.resolve.load_predictor` takes, or its results.
        data: What `kcolor.data.source.open_source` takes, or its result.
        options: How to measure. None: as `Options()` says.
        progress: Function called with (pictures done, pictures in all), or None.

    Returns:
        The figures of every picture.

    Raises:
        ValueError: If the self-check is asked for and there are fewer than 2 pictures.
        DataError: If a model or picture cannot be used, a metric is asked for whose
            parameters are not found, or a gray picture and its color partner differ.
    """
    start = time.monotonic()
    options = options or Options()
    source = _open(data)
    networks, missing = find_networks(options)
    metrics = [m for m in METRICS if m in options.chosen and m not in missing]
    painter = Painter(load_rows(models))
    reader = Reader(source, options.size)
    indices = evenly_spaced(len(source), options.limit)
    check_rows = CheckRows(reader, painter, indices) if options.self_check else None
    columns = [GRAY, *painter.rows, *(CHECK_ROWS if check_rows else ())]
    score = Scorers(columns, metrics, networks)

    figures, correlations = [], []
    done = 0
    for batch, count in _batches(reader, check_rows, indices, options.batch_size):
        truth, shown, pictures = _paint(batch, painter, reader.paired)
        if check_rows:
            if not done:
                check_rows.check_neighbors(shown, pictures)
            pictures["truth"], pictures["shuffled"] = batch[2:]
            pictures["sepia"] = check_rows.sepia(shown)
            found = check_rows.correlations(truth, pictures)
            correlations.append({row: values[:count] for row, values in found.items()})
        scores = score(truth, pictures)
        figures.append({key: values[:count] for key, values in scores.items()})
        done += count
        if progress:
            progress(done, len(indices))
    names = [source.names[i] for i in indices]
    together = _concatenated(figures)
    return Measurements(
        names=names,
        rows={
            row: {
                column: together[row, column]
                for column in COLUMNS
                if (row, column) in together
            }
            for row in columns
        },
        models=describe_rows(painter.rows),
        protocol=describe(
            source, names, options, metrics, networks, time.monotonic() - start
        ),
        lightness_correlation=_concatenated(correlations),
        missing=missing,
    )


def render(
    models: Iterable[Predictor | Path | str],
    data: Source | Path | str | None,
    names: Iterable[str],
    *,
    size: int = Options.size,
) -> dict[str, np.ndarray]:
    """Shows what was measured: the pictures of every row.

    Args:
        models: What `measure` took.
        data: What `measure` took.
        names: Names in the source.
        size: Side in pixels that pictures are resized to.

    Returns:
        Dict of `gray`, each model's row and `truth` to uint8 RGB array
        `(len(names), size, size, 3)`.

    Raises:
        DataError: If a model or picture cannot be used.
    """
    source = _open(data)
    painter = Painter(load_rows(models))
    reader = Reader(source, size)
    shown = []
    for name in names:
        element = reader.pair(source.names.index(name))
        truth, _, pictures = _paint([x[None] for x in element], painter, reader.paired)
        shown.append(pictures | {"truth": truth})
    return {
        row: np.concatenate([pictures[row] for pictures in shown])
        for row in (GRAY, *painter.rows, "truth")
    }


def _open(data):
    is_path = data is None or isinstance(data, str | Path)
    return open_source(data) if is_path else data


def _batches(
    reader: Reader, check_rows: CheckRows | None, indices: list[int], batch_size: int
) -> Iterator[tuple[list[np.ndarray], int]]:
    # Yields what the pictures of a batch are (truth, shown, then those of the check
    # rows), stacked, and how many count: a short batch is filled up, since another
    # shape would be compiled anew.
    batch_size = min(batch_size, len(indices))

    def read(index):
        return reader.pair(index) + (check_rows.read(index) if check_rows else ())

    batch = []
    last = indices[-1]
    for index, element in zip(
        indices, reader.ahead(read, indices, depth=4 * batch_size), strict=True
    ):
        batch.append(element)
        if len(batch) == batch_size or index == last:
            filled = batch + [element] * (batch_size - len(batch))
            yield (
                [np.stack(pictures) for pictures in zip(*filled, strict=True)],
                len(batch),
            )
            batch = []


def _paint(batch, painter, paired):
    truth, shown, *_ = batch
    pictures = painter.paint(shown)
    if paired:  # what the source calls gray is what the models were given
        pictures[GRAY] = shown
    return truth, shown, pictures


def _concatenated(parts):
    keys = parts[0] if parts else ()
    return {
        key: np.concatenate([part[key] for part in parts]).astype("float64")
        for key in keys
    }
