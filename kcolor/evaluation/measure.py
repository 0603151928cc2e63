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
from kcolor.evaluation.distances import Distances
from kcolor.evaluation.features import load_features
from kcolor.evaluation.framing import Framing
from kcolor.evaluation.full_size import FullSizePainter
from kcolor.evaluation.manifest import Entry, Manifest
from kcolor.evaluation.measurements import Measurements
from kcolor.evaluation.protocol import (
    CHECK_ROWS,
    COLUMNS,
    GRAY,
    METRICS,
    Options,
)
from kcolor.evaluation.reader import Pair, Reader
from kcolor.evaluation.record import describe
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
        ValueError: If the self-check is asked for and there are fewer than 2 pictures,
            or they have many sizes.
        DataError: If a model or picture cannot be used, a metric is asked for whose
            parameters are not found, a gray picture and its color partner differ, or
            the source is not what the manifest says.
    """
    start = time.monotonic()
    options = options or Options()
    frame, manifest = options.open()
    source = _open(data)
    if manifest:
        manifest.check(source)
    networks = find_networks(options)
    metrics = [metric for metric in METRICS if metric in options.chosen]
    painter = _painter(frame, models)
    reader = Reader(source, frame, manifest)
    indices = evenly_spaced(len(source), options.limit)
    check_rows = None
    if options.self_check and isinstance(painter, Painter):
        check_rows = CheckRows(reader, painter, indices)
    columns = [GRAY, *painter.rows, *(CHECK_ROWS if check_rows else ())]
    any_size = frame.size is None
    score = Scorers(columns, metrics, networks, any_size=any_size)
    of_sets = [metric for metric in metrics if COLUMNS[metric].of_set]
    distances = None
    if of_sets:
        distances = Distances(
            load_features(options.fid_features, options.fid_weights),
            columns,
            len(indices),
            manifest=manifest if options.limit is None else None,
            force=options.force,
        )

    figures, correlations = [], []
    entries: list[Entry] = []
    batch_size = 1 if any_size else options.batch_size
    for pairs, others, count in _batches(reader, check_rows, indices, batch_size):
        truth, shown, pictures = _paint(pairs, painter, reader.paired)
        if check_rows:
            if not entries:
                check_rows.check_neighbors(shown, pictures)
            pictures["truth"], pictures["shuffled"] = others
            pictures["sepia"] = check_rows.sepia(shown)
            found = check_rows.correlations(truth, pictures)
            correlations.append({row: values[:count] for row, values in found.items()})
        scores = score(truth, pictures)
        figures.append({key: values[:count] for key, values in scores.items()})
        if distances:
            distances.add(truth, pictures, count)
        entries += [pair.entry for pair in pairs[:count]]
        if progress:
            progress(len(entries), len(indices))
    names = [source.names[i] for i in indices]
    measured = Manifest(frame.name, dict(zip(names, entries, strict=True)))
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
            source,
            names,
            options,
            frame,
            measured,
            metrics,
            networks,
            time.monotonic() - start,
        ),
        lightness_correlation=_concatenated(correlations),
        sets=distances.figures(of_sets) if distances else {},
        manifest=measured,
    )


def render(
    models: Iterable[Predictor | Path | str],
    data: Source | Path | str | None,
    names: Iterable[str],
    options: Options | None = None,
) -> dict[str, list[np.ndarray]]:
    """Shows what was measured: the pictures of every row.

    Args:
        models: What `measure` took.
        data: What `measure` took.
        names: Names in the source.
        options: What `measure` took.

    Returns:
        Dict of `gray`, each model's row and `truth` to a list of uint8 RGB arrays
        `(height, width, 3)`, one for each name.

    Raises:
        DataError: If a model or picture cannot be used.
    """
    frame, manifest = (options or Options()).open()
    source = _open(data)
    painter = _painter(frame, models)
    reader = Reader(source, frame, manifest)
    shown: dict[str, list[np.ndarray]] = {}
    for name in names:
        pair = reader.pair(source.names.index(name))
        truth, _, pictures = _paint([pair], painter, reader.paired)
        for row, (picture,) in (pictures | {"truth": truth}).items():
            shown.setdefault(row, []).append(picture)
    return shown


def _open(data):
    is_path = data is None or isinstance(data, str | Path)
    return open_source(data) if is_path else data


def _painter(frame: Framing, models) -> Painter | FullSizePainter:
    rows = load_rows(models)
    return FullSizePainter(rows) if frame.size is None else Painter(rows)


def _batches(
    reader: Reader, check_rows: CheckRows | None, indices: list[int], batch_size: int
) -> Iterator[tuple[tuple[Pair, ...], list[np.ndarray], int]]:
    # Yields the pictures of a batch, stacks of what the check rows read, and how many
    # count: a short batch is filled up, since another shape would be compiled anew.
    batch_size = min(batch_size, len(indices))

    def read(index):
        return reader.pair(index), check_rows.read(index) if check_rows else ()

    batch = []
    last = indices[-1]
    for index, element in zip(
        indices, reader.ahead(read, indices, depth=4 * batch_size), strict=True
    ):
        batch.append(element)
        if len(batch) == batch_size or index == last:
            filled = batch + [element] * (batch_size - len(batch))
            pairs, others = zip(*filled, strict=True)
            stacks = [np.stack(pictures) for pictures in zip(*others, strict=True)]
            yield pairs, stacks, len(batch)
            batch = []


def _paint(pairs, painter, paired):
    truth = np.stack([pair.truth for pair in pairs])
    shown = np.stack([pair.shown for pair in pairs])
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
