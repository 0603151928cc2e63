"""Evaluation: how far predictions are from the truth, and how sure that is.

Truth and prediction of a picture always come from one element of one pass over the
source; nothing here looks up a second list. All rows are measured on the same pictures,
so the rows can be compared picture by picture.
"""

import hashlib
import importlib.metadata
import itertools
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import cv2
import keras
import numpy as np

from kcolor import presets
from kcolor.color.constants import LIGHTNESS_SCALE
from kcolor.color.graph import join, split
from kcolor.data.source import list_hash, open_source
from kcolor.environment import environment
from kcolor.errors import DataError
from kcolor.images.resize import resize_square
from kcolor.metrics import lpips
from kcolor.metrics.ciede2000 import ciede2000
from kcolor.metrics.colorfulness import colorfulness
from kcolor.metrics.psnr import psnr
from kcolor.metrics.ssim import ssim
from kcolor.metrics.stored import as_float
from kcolor.parallel import cores, evenly_spaced, read_ahead
from kcolor.runtimes.resolve import load_predictor

METRICS = ("psnr", "ssim", "lpips", "lpips_squeeze", "ciede2000", "colorfulness")
# All that a row may hold, in the order of tables.
COLUMNS = (*METRICS, "colorfulness_difference")
DEFAULT_METRICS = ("psnr", "ssim", "lpips", "ciede2000", "colorfulness")
# 1: more is better, -1: less is better. Colorfulness is neither; it should be truth's.
DIRECTIONS = {"psnr": 1, "ssim": 1, "lpips": -1, "lpips_squeeze": -1, "ciede2000": -1}
UNITS = {"psnr": "dB"}
LABELS = {
    "psnr": "PSNR",
    "ssim": "SSIM",
    "lpips": "LPIPS",
    "lpips_squeeze": "LPIPS (SqueezeNet)",
    "ciede2000": "CIEDE2000",
    "colorfulness": "colorfulness",
    "colorfulness_difference": "colorfulness minus truth's",
}
PROTOCOL = {
    "psnr": "per image on uint8 RGB, peak 255, mean over images",
    "ssim": "11x11 Gaussian window, sigma 1.5, data range 255, mean over channels",
    "lpips": "v0.1, AlexNet, RGB in [-1, 1]",
    "lpips_squeeze": "v0.1, SqueezeNet 1.1, RGB in [-1, 1]",
    "ciede2000": "kL = kC = kH = 1, D65, mean over pixels, then over images",
    "colorfulness": "Hasler-Suesstrunk M3, signed, 8-bit levels",
}
GRAY = "gray"
CHECK_ROWS = ("truth", "sepia", "shuffled")
INTERPOLATION = (
    "whole picture to size x size on uint8 RGB; cv2.INTER_AREA where both sides "
    "shrink, else cv2.INTER_CUBIC"
)
SAMPLES = 2000  # of the bootstrap
# Two pictures of one scene correlate above 0.9 in lightness, two scenes around 0.
_SAME_PICTURE = 0.5
_FLAT = 1.0  # L*; below this standard deviation a correlation says nothing
_SEPIA_PICTURES = 256
# Rounding and other batch sizes' orders of summation stay far below one level.
_SAME_LEVELS = 1.0


@dataclass
class Measurements:
    """Every metric of every picture in every row, before any mean is taken.

    Attributes:
        names: The pictures' names, sorted.
        rows: Dict of row to dict of metric to float64 array `(pictures,)`; `gray`
            first, then the models, then the rows of the self-check.
        models: Dict of row to dict of what it is (`path`, `kind`).
        protocol: How the figures came about, for the JSON.
        lightness_correlation: Dict of model's row to float64 array `(pictures,)`: of
            the prediction's L* with the truth's; NaN where the truth is flat. Only
            measured for the self-check.
        missing: Dict of metric that could not be measured to the reason.
    """

    names: list
    rows: dict
    models: dict
    protocol: dict
    lightness_correlation: dict = field(default_factory=dict)
    missing: dict = field(default_factory=dict)


def evaluate(
    models,
    data,
    *,
    size=256,
    limit=None,
    metrics=None,
    lpips_weights=None,
    batch_size=8,
    by_group=False,
    self_check=False,
    seed=0,
    progress=None,
):
    """Measures models on the pictures of a source.

    Args:
        models: List of what `kcolor.runtimes.resolve.load_predictor` takes, or of its
            results.
        data: What `kcolor.data.source.open_source` takes, or its result.
        size: Side in pixels that every picture is resized to.
        limit: Number of pictures to use, spread evenly over the sorted list; None: all.
        metrics: Iterable of names from `METRICS`. None: all but `lpips_squeeze`, and
            `lpips` only where its weights are found.
        lpips_weights: See `kcolor.metrics.lpips.find_weights`.
        batch_size: Pictures per step. The figures do not depend on it.
        by_group: Whether to add the figures of each subfolder.
        self_check: Whether to add the rows `truth`, `sepia` and `shuffled` and to fail
            unless they, and every model, are what they must be.
        seed: Seed of the bootstrap.
        progress: Function called with (pictures done, pictures in all), or None.

    Returns:
        Dict as `--json` writes it, with `protocol`, `rows`, `differences` and, if asked
        for, `groups`. A metric that could not be measured is None in every row.

    Raises:
        ValueError: If an argument is out of its range.
        DataError: If a model or picture cannot be used, LPIPS is asked for and its
            weights are not found, or the self-check fails.
    """
    measurements = measure(
        models,
        data,
        size=size,
        limit=limit,
        metrics=metrics,
        lpips_weights=lpips_weights,
        batch_size=batch_size,
        self_check=self_check,
        progress=progress,
    )
    result = summarize(measurements, by_group=by_group, seed=seed)
    if self_check:
        check(measurements, seed=seed)
    return result


def measure(
    models,
    data,
    *,
    size=256,
    limit=None,
    metrics=None,
    lpips_weights=None,
    batch_size=8,
    self_check=False,
    progress=None,
):
    """Measures every picture; `summarize` takes the means.

    Args:
        models: See `evaluate`.
        data: See `evaluate`.
        size: See `evaluate`.
        limit: See `evaluate`.
        metrics: See `evaluate`.
        lpips_weights: See `evaluate`.
        batch_size: See `evaluate`.
        self_check: Whether to measure what `check` needs.
        progress: See `evaluate`.

    Returns:
        `Measurements`.

    Raises:
        ValueError: If an argument is out of its range.
        DataError: If a model or picture cannot be used, LPIPS is asked for and its
            weights are not found, or a gray picture and its color partner differ.
    """
    start = time.monotonic()
    source = open_source(data) if _is_path(data) else data
    metrics, networks, missing = _choose_metrics(metrics, lpips_weights)
    _check_sizes(size, limit, batch_size, metrics, self_check)
    predictors = [load_predictor(m) if _is_path(m) else m for m in models]
    rows = dict(zip(_row_names(predictors), predictors, strict=True))
    indices = evenly_spaced(len(source), limit)
    if self_check and len(indices) < 2:
        raise ValueError(
            f"--self-check needs at least 2 pictures. Received: {len(indices)}"
        )
    reader = Reader(source, size)
    columns = [GRAY, *rows, *(CHECK_ROWS if self_check else ())]
    batch_size = min(batch_size, len(indices))
    step = _Step(reader, rows, columns, metrics, networks, self_check)
    if self_check:
        step.prepare_check(indices)

    collected = {column: {} for column in columns}
    correlations = {}
    done = 0
    for batch in step.batches(indices, batch_size):
        count, figures, correlation = step.run(batch, batch_size)
        for column, values in figures.items():
            for metric, value in values.items():
                collected[column].setdefault(metric, []).append(value[:count])
        for row, value in correlation.items():
            correlations.setdefault(row, []).append(value[:count])
        done += count
        if progress:
            progress(done, len(indices))
    names = [source.names[i] for i in indices]
    return Measurements(
        names=names,
        rows={
            column: {
                metric: np.concatenate(values[metric]).astype("float64")
                for metric in COLUMNS
                if metric in values
            }
            for column, values in collected.items()
        },
        models={
            row: {
                "path": predictor.name,
                "kind": predictor.kind,
                "sha256": _model_hash(predictor.name),
            }
            for row, predictor in rows.items()
        },
        protocol=_protocol(
            source, names, size, limit, metrics, networks, reader.paired, start
        ),
        lightness_correlation={
            row: np.concatenate(parts).astype("float64")
            for row, parts in correlations.items()
        },
        missing=missing,
    )


def summarize(measurements, *, by_group=False, seed=0, samples=SAMPLES):
    """Takes means, intervals and paired differences.

    Args:
        measurements: `Measurements`.
        by_group: Whether to add the figures of each subfolder.
        seed: Seed of the bootstrap.
        samples: Number of bootstrap samples.

    Returns:
        Dict, see `evaluate`. Infinite values stay `math.inf`; `to_json` writes them.
    """
    bootstrap = _Bootstrap(samples, seed)
    everything = np.arange(len(measurements.names))
    result = {
        "protocol": {
            **measurements.protocol,
            "missing": dict(measurements.missing),
            "models": measurements.models,
            "bootstrap": {
                "interval": "95%, percentiles over images",
                "samples": samples,
                "seed": seed,
            },
        },
        "rows": _rows(measurements, everything, bootstrap),
        "differences": _differences(measurements, bootstrap),
    }
    if by_group:
        rows = {
            row: values
            for row, values in measurements.rows.items()
            if row not in CHECK_ROWS
        }
        compared = replace(measurements, rows=rows)
        result["groups"] = [
            {"group": group, "rows": _rows(compared, members, bootstrap)}
            for group, members in groups(measurements.names).items()
        ]
    return result


def check(measurements, *, seed=0):
    """Fails unless the figures are possible for correctly paired pictures.

    The row `truth` is a second, independent read of each picture: a source that does
    not give the same picture twice is found by it. `shuffled` is another picture's
    truth: a row that is no closer to the truth than that was paired wrongly.

    Args:
        measurements: `Measurements` with the rows of the self-check.
        seed: Seed of the bootstrap.

    Raises:
        DataError: If a row is not what it must be; the message says which and how.
    """
    rows = measurements.rows
    failures = []

    perfect = {"psnr": math.inf, "ssim": 1.0, "colorfulness_difference": 0.0}
    perfect |= {"lpips": 0.0, "lpips_squeeze": 0.0, "ciede2000": 0.0}
    for metric, values in rows["truth"].items():
        wrong = ~np.isclose(values, perfect.get(metric, values), rtol=0, atol=1e-4)
        if wrong.any():
            name = measurements.names[int(np.argmax(wrong))]
            failures.append(
                f"row truth: {LABELS[metric]} is {values[wrong][0]:.4g} and not "
                f"{perfect[metric]:g} for {name}; the source gave another picture when "
                "it was read again"
            )
            break

    shown = [GRAY, *measurements.models, "sepia"]
    leads = np.stack([rows[row]["ssim"] - rows["shuffled"]["ssim"] for row in shown])
    lowest = _Bootstrap(SAMPLES, seed).intervals(leads.T)[:, 0]
    for row, low in zip(shown, lowest, strict=True):
        if not low > 0:
            failures.append(
                f"row {row}: SSIM {np.mean(rows[row]['ssim']):.3f} is no better than "
                f"that of other pictures ({np.mean(rows['shuffled']['ssim']):.3f}), so "
                "its pictures are not those of the truth"
            )
    for row, values in measurements.lightness_correlation.items():
        known = values[np.isfinite(values)]
        least = 0.98 if row == "sepia" else _SAME_PICTURE
        if known.size and np.mean(known) < least:
            failures.append(
                f"row {row}: its lightness correlates with the truth's at "
                f"{np.mean(known):.2f} only, so it shows other pictures"
            )

    if "colorfulness" in rows[GRAY]:
        if not measurements.protocol["paired"] and rows[GRAY]["colorfulness"].any():
            failures.append("row gray: is not gray")
        if not rows["sepia"]["colorfulness"].any():
            failures.append("row sepia: has no color")
    if failures:
        raise DataError("self-check failed: " + "; ".join(failures))


def render(models, data, names, *, size=256):
    """Shows what was measured: the pictures of every row.

    Args:
        models: See `evaluate`.
        data: See `evaluate`.
        names: List of names in the source.
        size: See `evaluate`.

    Returns:
        Dict of `gray`, each model's row and `truth` to uint8 RGB array
        `(len(names), size, size, 3)`.

    Raises:
        DataError: If a model or picture cannot be used.
    """
    source = open_source(data) if _is_path(data) else data
    predictors = [load_predictor(m) if _is_path(m) else m for m in models]
    rows = dict(zip(_row_names(predictors), predictors, strict=True))
    reader = Reader(source, size)
    step = _Step(reader, rows, [GRAY, *rows], [], {}, False)
    shown = [
        step.pictures([reader.pair(source.names.index(name))])[1] for name in names
    ]
    return {
        row: np.concatenate([pictures[row] for pictures in shown])
        for row in (GRAY, *rows, "truth")
    }


def groups(names):
    """Sorts pictures by their folder.

    Args:
        names: List of POSIX paths.

    Returns:
        Dict of folder, without what all folders have in common in front, to integer
        array of positions in `names`; sorted by folder.
    """
    folders = [PurePosixPath(name).parent.parts for name in names]
    common = len(os.path.commonprefix(folders)) if folders else 0
    # A lone folder keeps its own name.
    common = min(common, min(len(folder) for folder in folders) - 1)
    common = max(common, 0)
    members = {}
    for position, folder in enumerate(folders):
        members.setdefault("/".join(folder[common:]) or ".", []).append(position)
    return {group: np.array(members[group]) for group in sorted(members)}


def to_json(value):
    """Makes a result fit for strict JSON: infinite becomes "inf", NaN null."""
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, float | np.floating):
        if math.isnan(value):
            return None
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, np.integer):
        return int(value)
    return value


class Reader:
    """Reads resized pictures of a source, ahead of time and in order.

    Attributes:
        paired: Whether the source brings its own gray pictures.
    """

    def __init__(self, source, size):
        """Takes the source.

        Args:
            source: `kcolor.data.source.Source`.
            size: Side in pixels.
        """
        self._source = source
        self._size = size
        self.paired = source.paired

    def truth(self, index):
        """Reads one color picture.

        Args:
            index: Position in the source.

        Returns:
            uint8 RGB array `(size, size, 3)`.
        """
        return resize_square(self._source.read(index), self._size)

    def pair(self, index):
        """Reads one color picture and its gray input.

        Args:
            index: Position in the source.

        Returns:
            Tuple of uint8 RGB arrays `(size, size, 3)`: truth, and gray or None.

        Raises:
            DataError: If the two show different pictures.
        """
        color = self._source.read(index)
        truth = resize_square(color, self._size)
        if not self.paired:
            return truth, None
        gray = self._source.gray(index)
        name = self._source.names[index]
        aspects = [
            width / height for height, width in (color.shape[:2], gray.shape[:2])
        ]
        if abs(aspects[0] / aspects[1] - 1) > 0.02:
            raise DataError(
                f"{name}: gray and color have different shapes: {gray.shape[1]}x"
                f"{gray.shape[0]} and {color.shape[1]}x{color.shape[0]} pixels"
            )
        gray = resize_square(gray, self._size)
        correlation = _correlation(
            *(
                cv2.cvtColor(x, cv2.COLOR_RGB2LAB)[None, ..., 0] / 2.55
                for x in (truth, gray)
            )
        )[0]
        if correlation < _SAME_PICTURE:  # False for NaN
            raise DataError(
                f"{name}: gray and color do not show the same picture; their lightness "
                f"correlates at {correlation:.2f}"
            )
        return truth, gray

    def ahead(self, read, indices, depth=32):
        """Calls `read` on each index in threads.

        Args:
            read: Function of one index.
            indices: Iterable of positions.
            depth: How many results may wait, so that memory stays bounded.

        Yields:
            The results, in the order of `indices`.
        """
        with ThreadPoolExecutor(min(4, cores() + 1)) as pool:
            yield from read_ahead(pool, read, indices, depth)


class _Step:
    """What happens to one batch: colorize it in every row, measure every row."""

    def __init__(self, reader, rows, columns, metrics, networks, self_check):
        self._reader = reader
        self._rows = rows
        self._columns = columns
        self._self_check = self_check
        self._splitter = _build_splitter()
        self._joiner = _build_joiner()
        self._scorers = _build_scorers(len(columns), metrics, networks)
        self._sepia = None
        self._neighbors_checked = False
        self._partners = {}

    def prepare_check(self, indices):
        """Chooses the shuffled partners and the sepia's color."""
        half = len(indices) // 2
        partners = [*indices[half:], *indices[:half]]
        self._partners = dict(zip(indices, partners, strict=True))
        chosen = [indices[i] for i in evenly_spaced(len(indices), _SEPIA_PICTURES)]
        means = [
            self._split(truth[None])[1].mean(axis=(0, 1, 2))
            for truth in self._reader.ahead(self._reader.truth, chosen)
        ]
        self._sepia = np.mean(means, axis=0)

    def _read(self, index):
        element = self._reader.pair(index)
        if not self._self_check:
            return element
        again = self._reader.truth(index)
        return (*element, again, self._reader.truth(self._partners[index]))

    def batches(self, indices, batch_size):
        """Yields lists of at most `batch_size` elements."""
        batch = []
        for element in self._reader.ahead(self._read, indices, depth=4 * batch_size):
            batch.append(element)
            if len(batch) == batch_size:
                yield batch
                batch = []
        if batch:
            yield batch

    def pictures(self, batch):
        """Returns truth and a dict of row to pictures."""
        truth = np.stack([element[0] for element in batch])
        paired = self._reader.paired
        shown = np.stack([element[1] for element in batch]) if paired else truth
        lightness, ab = self._split(shown)
        gray = self._neutral(lightness, ab)
        pictures = {GRAY: shown if paired else gray, "truth": truth}
        for row, predictor in self._rows.items():
            pictures[row] = self._colorize(predictor, lightness, gray)
        if self._self_check:
            pictures["truth"] = np.stack([element[2] for element in batch])
            pictures["sepia"] = self._join(lightness, ab * 0 + self._sepia)
            pictures["shuffled"] = np.stack([element[3] for element in batch])
        return truth, pictures

    def run(self, batch, batch_size):
        """Measures one batch; a short one is filled up and its filling cut off."""
        count = len(batch)
        # One shape for all steps: another would be compiled anew.
        batch = [*batch, *[batch[-1]] * (batch_size - count)]
        truth, pictures = self.pictures(batch)
        if self._self_check and not self._neighbors_checked:
            self._check_neighbors(truth, pictures)
            self._neighbors_checked = True
        figures = {column: {} for column in self._columns}
        inputs = [truth, *(pictures[column] for column in self._columns)]
        for scorer in self._scorers:
            scores = scorer.predict_on_batch(inputs)
            for name, value in scores.items():
                metric, position = name.rsplit("/", 1)
                figures[self._columns[int(position)]][metric] = np.asarray(value)
        correlation = {}
        if self._self_check:
            true_lightness = self._split(truth)[0]
            for row in [*self._rows, "sepia"]:
                correlation[row] = _correlation(
                    true_lightness * LIGHTNESS_SCALE,
                    self._split(pictures[row])[0] * LIGHTNESS_SCALE,
                )
        return count, figures, correlation

    def _check_neighbors(self, truth, pictures):
        # Among copies of itself a picture must become what it became in its batch. A
        # network that mixes up its batch, or normalizes over it, fails here; nothing
        # else could see colors that lie on the right lightness.
        shown = pictures[GRAY] if self._reader.paired else truth
        for position in {0, len(truth) - 1}:
            copies = np.repeat(shown[[position]], len(truth), axis=0)
            lightness, ab = self._split(copies)
            gray = self._neutral(lightness, ab)
            for row, predictor in self._rows.items():
                alone = self._colorize(predictor, lightness, gray)[0].astype("float32")
                difference = np.abs(alone - pictures[row][position]).mean()
                if difference > _SAME_LEVELS:
                    raise DataError(
                        f"self-check failed: row {row}: what it makes of a picture "
                        "depends on the other pictures of its batch (by "
                        f"{difference:.1f} of 255 levels on average)"
                    )

    def _colorize(self, predictor, lightness, gray):
        if getattr(predictor, "takes_rgb", False):
            rgb = np.asarray(predictor.predict_rgb(gray))
        else:
            rgb = self._join(lightness, predictor.predict_ab(lightness))
        if rgb.shape != gray.shape or rgb.dtype != np.uint8:
            raise DataError(
                f"{predictor.name}: must answer uint8 of the shape {gray.shape}. "
                f"Received: {rgb.dtype} of {rgb.shape}"
            )
        return rgb

    def _neutral(self, lightness, ab):
        gray = self._join(lightness, np.zeros_like(ab))
        # Float rounding puts the channels of a few pixels one level apart.
        return np.repeat(gray[..., 1:2], 3, axis=-1)

    def _split(self, rgb):
        return [np.asarray(x) for x in self._splitter.predict_on_batch(rgb)]

    def _join(self, lightness, ab):
        ab = np.asarray(ab, "float32")
        return np.asarray(self._joiner.predict_on_batch([lightness, ab]))


def _build_splitter():
    rgb = keras.Input((None, None, 3), dtype="uint8", name="rgb")
    return _compile(keras.Model(rgb, list(split(rgb)), name="split"), fused=True)


def _build_joiner():
    lightness = keras.Input((None, None, 1), dtype="float32", name="lightness")
    ab = keras.Input((None, None, 2), dtype="float32", name="ab")
    model = keras.Model([lightness, ab], join(lightness, ab), name="join")
    return _compile(model, fused=True)


def _build_scorers(count, metrics, networks):
    # One model per way of compiling: XLA fuses the long elementwise formulas, which is
    # 2 to 3 times faster on a CPU, and is many times slower at convolutions there.
    images = [
        keras.Input((None, None, 3), dtype="uint8", name=f"image{i}")
        for i in range(count + 1)
    ]
    truth, predictions = images[0], images[1:]
    fused, plain = {}, {}
    for i, prediction in enumerate(predictions):
        if "psnr" in metrics:
            fused[f"psnr/{i}"] = psnr(truth, prediction)
        if "ciede2000" in metrics:
            fused[f"ciede2000/{i}"] = ciede2000(truth, prediction)
        if "colorfulness" in metrics:
            value = colorfulness(prediction)
            fused[f"colorfulness/{i}"] = value
            fused[f"colorfulness_difference/{i}"] = value - colorfulness(truth)
        if "ssim" in metrics:
            plain[f"ssim/{i}"] = ssim(truth, prediction)
    for metric, (file, backbone) in networks.items():
        features = lpips.build_features(file, backbone)
        distance = lpips.build_distance(file, backbone)
        of_truth = features(as_float(truth))
        for i, prediction in enumerate(predictions):
            of_prediction = features(as_float(prediction))
            plain[f"{metric}/{i}"] = distance([*of_truth, *of_prediction])
    return [
        _compile(keras.Model(images, outputs), fused=outputs is fused)
        for outputs in (fused, plain)
        if outputs
    ]


def _compile(model, fused):
    backend = keras.backend.backend()
    # JAX is slow without compilation; torch.compile needs a C++ compiler at run time.
    jit = {"tensorflow": fused, "jax": True}.get(backend, False)
    model.compile(jit_compile=jit)
    return model


def _choose_metrics(metrics, lpips_weights):
    chosen = list(DEFAULT_METRICS if metrics is None else metrics)
    unknown = sorted(set(chosen) - set(METRICS))
    if unknown or not chosen:
        raise ValueError(
            f"metrics must be some of {', '.join(METRICS)}. "
            f"Received: {', '.join(unknown) or 'none'}"
        )
    networks, missing = {}, {}
    for metric, backbone in (("lpips", "alex"), ("lpips_squeeze", "squeeze")):
        if metric not in chosen:
            continue
        file = lpips.find_weights(lpips_weights, backbone)
        if file is not None:
            networks[metric] = (file, backbone)
            continue
        how = (
            f"no LPIPS weights in --lpips-weights, ${lpips.ENVIRONMENT_VARIABLE} or "
            f"{lpips.usual_weights(backbone)}; scripts/make_lpips_weights.py writes "
            "the file"
        )
        if metrics is not None:
            raise DataError(f"{metric} cannot be measured: {how}")
        missing[metric] = how
    return [metric for metric in METRICS if metric in chosen], networks, missing


def _check_sizes(size, limit, batch_size, metrics, self_check):
    smallest = max(lpips.SMALLEST.values())
    if size < smallest:
        raise ValueError(f"size must be at least {smallest}. Received: {size}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1. Received: {limit}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1. Received: {batch_size}")
    if self_check and "ssim" not in metrics:
        raise ValueError("--self-check needs the metric ssim")


def _is_path(value):
    return value is None or isinstance(value, str | os.PathLike)


def _row_names(predictors):
    names = [str(predictor.name).rstrip("/") for predictor in predictors]
    short = [_short_name(name) for name in names]
    # The last part of a path says enough, unless two models share it.
    names = [
        short[i] if short.count(short[i]) == 1 else name for i, name in enumerate(names)
    ]
    taken = {GRAY, *CHECK_ROWS}
    for i, name in enumerate(names):
        numbers = itertools.count(len(taken))
        while names[i] in taken:
            names[i] = f"{name} ({next(numbers)})"
        taken.add(names[i])
    return names


def _short_name(name):
    parts = PurePosixPath(name).parts
    # A SavedModel's folder is often a bare version number.
    many = len(parts) > 1 and (parts[-1].isdigit() or parts[-1] == "model.keras")
    return "/".join(parts[-2:] if many else parts[-1:]) or name


def _model_hash(model):
    path = presets.find(model) if model in presets.names() else Path(model)
    path = path / "model.keras" if path.is_dir() else path
    # A SavedModel folder is no single file.
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _protocol(source, names, size, limit, metrics, networks, paired, start):
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
        "limit": limit,
        "source_sha256": list_hash(source),
        "list_sha256": hashlib.sha256("\n".join(names).encode()).hexdigest(),
        "size": size,
        "interpolation": INTERPOLATION,
        "paired": paired,
        "input": "the gray/ pictures" if paired else "the truth reduced to its L*",
        "metrics": {metric: PROTOCOL[metric] for metric in metrics},
        "lpips_sha256": {
            metric: hashlib.sha256(file.read_bytes()).hexdigest()
            for metric, (file, _) in networks.items()
        },
        **installed,
        "backend": keras.backend.backend(),
        "seconds": round(time.monotonic() - start, 2),
    }


def _correlation(one, other):
    # (batch, height, width) each; NaN where the first, or both, are flat.
    one, other = (np.asarray(x, "float32").reshape(len(x), -1) for x in (one, other))
    one, other = (x - x.mean(axis=1, keepdims=True) for x in (one, other))
    deviations = [np.sqrt((x * x).mean(axis=1)) for x in (one, other)]
    product = (one * other).mean(axis=1) / np.maximum(
        deviations[0] * deviations[1], 1e-9
    )
    return np.where(deviations[0] < _FLAT, np.nan, product)


class _Bootstrap:
    """95% percentile intervals of means over pictures."""

    def __init__(self, samples, seed):
        self._samples = samples
        self._seed = seed

    def intervals(self, columns):
        """Takes `(pictures, columns)`, gives `(columns, 2)`; infinite stays so."""
        count, width = columns.shape
        if count < 2:  # one picture says nothing about others
            return np.full((width, 2), math.nan)
        finite = np.isfinite(columns).all(axis=0)
        bounds = np.repeat(columns.mean(axis=0)[:, None], 2, axis=1)
        # The same draws for every column: differences between rows stay paired, and
        # the same pictures get the same interval wherever they are asked for.
        generator = np.random.default_rng(self._seed)
        means = np.empty((self._samples, int(finite.sum())))
        for i in range(self._samples):
            drawn = generator.integers(0, count, count)
            weights = np.bincount(drawn, minlength=count) / count
            means[i] = weights @ columns[:, finite]
        bounds[finite] = np.percentile(means, [2.5, 97.5], axis=0).T
        return bounds


def _table(measurements, members):
    # Yields (metrics, positions of the pictures that count for them). A picture whose
    # truth is gray itself has infinite PSNR in the gray row and would make that row's
    # mean infinite, so it is left out of every row's PSNR alike.
    metrics = list(measurements.rows[GRAY])
    if "psnr" in metrics:
        colored = np.isfinite(measurements.rows[GRAY]["psnr"][members])
        if not colored.all():
            yield ["psnr"], members[colored]
            metrics.remove("psnr")
    if metrics:
        yield metrics, members


def _rows(measurements, members, bootstrap):
    present = {*measurements.rows[GRAY], *measurements.missing}
    empty = {metric: None for metric in COLUMNS if metric in present}
    empty |= {f"{metric}_ci95": None for metric in empty}
    rows = {
        name: {"model": name, "images": len(members)} | empty
        for name in measurements.rows
    }
    for metrics, counted in _table(measurements, members):
        pairs = list(itertools.product(rows, metrics))
        columns = np.stack(
            [measurements.rows[row][metric][counted] for row, metric in pairs], axis=1
        )
        bounds = bootstrap.intervals(columns)
        for (row, metric), column, bound in zip(pairs, columns.T, bounds, strict=True):
            rows[row][metric] = float(column.mean()) if len(column) else math.nan
            rows[row][f"{metric}_ci95"] = [float(x) for x in bound]
            if len(counted) != len(members):
                rows[row][f"{metric}_images"] = len(counted)
    return list(rows.values())


def _differences(measurements, bootstrap):
    differences = []
    pairs = list(itertools.combinations([GRAY, *measurements.models], 2))
    everything = np.arange(len(measurements.names))
    for metrics, counted in _table(measurements, everything):
        triples = [
            (one, other, metric)
            for other, one in pairs
            for metric in metrics
            if metric in DIRECTIONS
        ]
        if not triples or not len(counted):
            continue
        columns = np.zeros((len(counted), len(triples)))
        for column, (one, other, metric) in zip(columns.T, triples, strict=True):
            first = measurements.rows[one][metric][counted]
            second = measurements.rows[other][metric][counted]
            # Both infinite is no difference.
            np.subtract(first, second, out=column, where=first != second)
        bounds = bootstrap.intervals(columns)
        for (one, other, metric), column, bound in zip(
            triples, columns.T, bounds, strict=True
        ):
            low, high = sorted(bound * DIRECTIONS[metric])
            better = one if low > 0 else other if high < 0 else None
            differences.append(
                {
                    "a": one,
                    "b": other,
                    "metric": metric,
                    "difference": float(column.mean()),
                    "ci95": [float(x) for x in bound],
                    "better": better,
                }
            )

    def order(item):
        return pairs.index((item["b"], item["a"])), METRICS.index(item["metric"])

    return sorted(differences, key=order)
