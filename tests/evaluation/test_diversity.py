"""Tests for kcolor.evaluation.diversity: models that sample, beside matched noise."""

import itertools
import json

import numpy as np
import pytest
from click.testing import CliRunner
from scenes import Tinted

from kcolor.cli.main import main
from kcolor.color.graph import join, split
from kcolor.data.source import open_source
from kcolor.errors import DataError
from kcolor.evaluation import Options
from kcolor.evaluation.diversity import diversity
from kcolor.images.resize import resize_square
from kcolor.metrics.lpips import build_lpips, usual_weights
from kcolor.metrics.psnr import psnr

SIZE = 48


class Sampler(Tinted):
    """Its color of each picture, moved by what the picture's seed says."""

    takes_seed = True
    width = 0.15

    def sample_ab(self, lightness, seeds):
        moves = [np.random.default_rng(seed).normal(size=2) for seed in seeds]
        moves = self.width * np.array(moves, "float32")[:, None, None]
        return self.predict_ab(lightness) + moves


class Certain(Sampler):
    width = 0


def _options(**options):
    return Options(protocol=f"square{SIZE}", **options)


@pytest.fixture(scope="module")
def result(folder):
    return diversity([Tinted(), Sampler("sampler")], folder, 4, _options(limit=3))


def test_only_models_that_sample_get_rows_each_beside_its_noise(result):
    assert [row["model"] for row in result["rows"]] == ["sampler", "sampler, noise"]
    assert all(row["images"] == 3 for row in result["rows"])


def test_control_is_spread_as_the_samples_are_and_knows_no_more(result):
    sampler, noise = result["rows"]
    assert noise["spread"] == pytest.approx(sampler["spread"], rel=1e-4)
    # 0.15 * 110, over 4 answers about their own mean.
    assert sampler["spread"] == pytest.approx(16.5 * (3 / 4) ** 0.5, rel=0.3)
    assert noise["lpips_pairs"] > 0.01


def test_figures_are_those_of_all_pairs_and_of_the_best(folder):
    source = open_source(folder)
    seen = []

    class Recorded(Sampler):
        def sample_ab(self, lightness, seeds):
            seen.append(super().sample_ab(lightness, seeds))
            return seen[-1]

    row, _ = diversity([Recorded()], source, 3, _options(limit=1))["rows"]
    truth = resize_square(source.read(len(source) // 2), SIZE)[None]
    lightness, _ = (np.asarray(x) for x in split(truth))
    answers = [np.asarray(join(lightness, ab[None])) for ab in seen[0]]
    model = build_lpips(usual_weights())

    def lpips(*pair):
        return float(model([x.astype("float32") / 255 for x in pair])[0])

    pairs = [lpips(*pair) for pair in itertools.combinations(answers, 2)]
    assert row["lpips_pairs"] == pytest.approx(np.mean(pairs), abs=1e-4)
    with_truth = [lpips(truth, answer) for answer in answers]
    assert row["lpips_best"] == pytest.approx(min(with_truth), abs=1e-4)
    assert row["lpips_mean"] == pytest.approx(np.mean(with_truth), abs=1e-4)
    likeness = [float(psnr(truth, answer)[0]) for answer in answers]
    assert row["psnr_best"] == pytest.approx(max(likeness), abs=1e-2)
    assert row["psnr_mean"] == pytest.approx(np.mean(likeness), abs=1e-2)


def test_model_whose_samples_are_all_alike_has_no_diversity(folder):
    certain, noise = diversity([Certain()], folder, 2, _options(limit=1))["rows"]
    for row in (certain, noise):
        assert row["lpips_pairs"] == pytest.approx(0, abs=1e-6)
        assert row["psnr_best"] == pytest.approx(row["psnr_mean"])


def test_pictures_keep_their_answers_whatever_else_is_measured(folder):
    source = open_source(folder)
    alone = diversity([Sampler()], source.subset([2]), 2, _options(), seed=5)
    again = diversity([Sampler()], source.subset([2]), 2, _options(), seed=5)
    other = diversity([Sampler()], source.subset([2]), 2, _options(), seed=6)
    assert alone["rows"] == again["rows"]
    assert alone["rows"] != other["rows"]


@pytest.mark.parametrize(
    "models, samples, protocol, error, message",
    [
        ([Tinted("a"), Tinted("b")], 3, None, DataError, "a, b: gives one answer only"),
        ([Sampler()], 1, None, ValueError, "at least 2. Received: 1"),
        ([Sampler()], 2, "original", ValueError, "one size; original has many"),
    ],
)
def test_what_cannot_be_sampled_is_refused(
    folder, models, samples, protocol, error, message
):
    with pytest.raises(error, match=message):
        diversity(models, folder, samples, Options(protocol=protocol))


def test_command_adds_the_samples(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("kcolor.runtimes.resolve.load_predictor", Sampler)
    arguments = ["evaluate", "m", "--data", str(folder), "--size", str(SIZE)]
    arguments += ["--metrics", "ssim", "--limit", "1", "--samples", "2"]
    result = CliRunner().invoke(main, [*arguments, "--json", str(tmp_path / "r.json")])
    assert result.exit_code == 0, result.output
    assert "| m, noise | " in result.output
    written = json.loads((tmp_path / "r.json").read_text())
    assert written["samples"]["protocol"]["samples"] == 2
    assert len(written["samples"]["rows"]) == 2
