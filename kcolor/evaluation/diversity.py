"""How models that sample differ from answer to answer, and whether that is worth it.

Noise is diverse, too, and the best of many guesses gets better by chance alone. So each
model stands beside a control: its own mean, spread by as much as its samples are, with
blotches of random color that know nothing of the picture.
"""

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kcolor.color.constants import AB_SCALE
from kcolor.data.lists import as_bytes
from kcolor.data.source import Source, open_source
from kcolor.errors import DataError
from kcolor.evaluation.compilation import compiled
from kcolor.evaluation.protocol import Options
from kcolor.evaluation.reader import Reader
from kcolor.evaluation.rows import Painter, load_rows
from kcolor.evaluation.scorers import find_networks
from kcolor.metrics import lpips
from kcolor.metrics.psnr import psnr
from kcolor.parallel import evenly_spaced
from kcolor.runtimes.network import Predictor

# Blotches along the shorter side; about as many as a photograph has large things.
_BLOTCHES = 8


def diversity(
    models: Iterable[Predictor | Path | str],
    data: Source | Path | str | None,
    samples: int,
    options: Options | None = None,
    *,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, Any]:
    """Measures the answers that models give to one picture with different seeds.

    Args:
        models: What `kcolor.runtimes.resolve.load_predictor` takes, or its results.
            Those that do not sample are left out.
        data: What `kcolor.data.source.open_source` takes, or its result.
        samples: Answers to each picture, at least 2.
        options: Protocol, manifest, limit and the file of LPIPS. None: as `Options()`
            says.
        seed: Seed of all answers; a picture's depend on it and on its name alone.
        progress: Function called with (pictures done, pictures in all), or None.

    Returns:
        Dict with `protocol` and `rows`: of each model, and of its control `MODEL,
        noise`, the means over pictures of `lpips_pairs` (LPIPS of all pairs of
        answers), `psnr_mean` and `lpips_mean` (of the answers), `psnr_best` and
        `lpips_best` (of the best one by that metric), and `spread`, the root mean
        square of a* and b* about the answers' mean, in units of ab.

    Raises:
        ValueError: If there are fewer than 2 samples, or the protocol has no size.
        DataError: If no model samples, or something cannot be used.
    """
    if samples < 2:
        raise ValueError(f"samples must be at least 2. Received: {samples}")
    options = options or Options()
    frame, manifest = options.open()
    if frame.size is None:
        raise ValueError("samples are compared at one size; original has many")
    rows = load_rows(models)
    sampling = {row: model for row, model in rows.items() if model.takes_seed}
    if not sampling:
        raise DataError(
            f"{', '.join(rows)}: gives one answer only; --samples needs a model that "
            "samples"
        )
    source = data if isinstance(data, Source) else open_source(data)
    if manifest:
        manifest.check(source)
    reader, painter = Reader(source, frame, manifest), Painter(sampling)
    compare = _Compare(find_networks(replace(options, metrics=["lpips"]))["lpips"])
    indices = evenly_spaced(len(source), options.limit)
    figures: dict[str, list[dict[str, float]]] = {}
    for done, (index, pair) in enumerate(
        zip(indices, reader.ahead(reader.pair, indices), strict=True), start=1
    ):
        seeds = _seeds(source.names[index], samples + 1, seed)
        lightness, _ = painter.split(np.repeat(pair.shown[None], samples, axis=0))
        for row, model in sampling.items():
            answers = model.sample_ab(lightness, seeds[:-1])
            noise = _matched_noise(answers, seeds[-1])
            for name, ab in ((row, answers), (f"{row}, noise", noise)):
                figure = compare(pair.truth, painter.tint(lightness, ab))
                figures.setdefault(name, []).append(figure | {"spread": _spread(ab)})
        if progress:
            progress(done, len(indices))
    return {
        "protocol": {
            "name": frame.name,
            "samples": samples,
            "seed": seed,
            "images": len(indices),
            "control": f"the answers' mean and {_BLOTCHES} blotches of noise along the "
            "shorter side, of the answers' spread on each picture",
        },
        "rows": [
            {"model": name, "images": len(indices)}
            | {key: float(np.mean([each[key] for each in found])) for key in found[0]}
            for name, found in figures.items()
        ],
    }


def markdown_table(result: Mapping[str, Any]) -> str:
    """Writes what `diversity` returns as Markdown, with a newline at its end."""
    lines = [
        "| model | LPIPS of pairs | spread | PSNR, mean | PSNR, best | LPIPS, mean | "
        "LPIPS, best |",
        "| --- |" + " ---: |" * 6,
    ]
    for row in result["rows"]:
        lines.append(
            f"| {row['model'].replace('|', '/')} | {row['lpips_pairs']:.3f} | "
            f"{row['spread']:.2f} | {row['psnr_mean']:.2f} | "
            f"{row['psnr_best']:.2f} | {row['lpips_mean']:.3f} | "
            f"{row['lpips_best']:.3f} |"
        )
    rules = result["protocol"]
    text = (
        f"{rules['samples']} answers to each of {rules['images']} pictures, protocol "
        f"{rules['name']}, seed {rules['seed']}; spread in units of ab. Rows `noise`: "
        f"{rules['control']}."
    )
    return "\n".join([*lines, "", text, ""])


class _Compare:
    # PSNR and LPIPS of all answers with the truth, and LPIPS of all pairs.
    def __init__(self, weights: Path) -> None:
        self._features = compiled(lpips.build_features(weights), elementwise=False)
        self._distance = compiled(lpips.build_distance(weights), elementwise=False)

    def __call__(self, truth: np.ndarray, answers: np.ndarray) -> dict[str, float]:
        stacked = np.concatenate([truth[None], answers])
        maps = self._features.predict_on_batch(stacked.astype("float32") / 255)
        with_truth, *pairs = [self._from(maps, first) for first in range(len(answers))]
        truths = np.repeat(truth[None], len(answers), axis=0)
        likeness = np.asarray(psnr(truths, answers))
        return {
            "lpips_pairs": float(np.mean(np.concatenate(pairs))),
            "psnr_mean": float(likeness.mean()),
            "psnr_best": float(likeness.max()),
            "lpips_mean": float(with_truth.mean()),
            "lpips_best": float(with_truth.min()),
        }

    def _from(self, maps, first):
        # The distances of one picture from all that follow it.
        count = len(maps[0]) - first - 1
        one = [np.repeat(layer[first : first + 1], count, axis=0) for layer in maps]
        others = [layer[first + 1 :] for layer in maps]
        return np.asarray(self._distance.predict_on_batch([*one, *others]))


def _seeds(name: str, count: int, seed: int) -> list[int]:
    sequence = np.random.SeedSequence((seed, zlib.crc32(as_bytes(name))))
    return sequence.generate_state(count).tolist()


def _matched_noise(answers: np.ndarray, seed: int) -> np.ndarray:
    count, height, width, _ = answers.shape
    cell = min(height, width) / _BLOTCHES
    coarse = (count, round(height / cell), round(width / cell), 2)
    grids = np.random.default_rng(seed).normal(size=coarse).astype("float32")
    blotches = np.stack(
        [cv2.resize(x, (width, height), interpolation=cv2.INTER_CUBIC) for x in grids]
    )
    blotches -= blotches.mean(axis=0)
    return answers.mean(axis=0) + blotches * (_spread(answers) / _spread(blotches))


def _spread(ab: np.ndarray) -> float:
    return AB_SCALE * float(np.sqrt(np.mean((ab - ab.mean(axis=0)) ** 2)))
