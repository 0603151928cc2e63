"""Tests for kcolor.evaluation.self_check: each fault it is there to find."""

import math

import numpy as np
import pytest
from scenes import Reshuffled, Reversed, Rgb, Tinted, scene

from kcolor.data.source import open_source
from kcolor.errors import DataError
from kcolor.evaluation import check, evaluate
from kcolor.evaluation.measurements import Measurements

SIZE = 48
PIXELS = ["psnr", "ssim", "ciede2000", "colorfulness", "chroma_excess"]


def test_self_check_passes_and_its_rows_are_what_they_must_be(folder):
    result = evaluate(
        [Tinted()], folder, size=SIZE, metrics=PIXELS, batch_size=3, self_check=True
    )
    rows = {row["model"]: row for row in result["rows"]}
    assert list(rows) == ["gray", "tinted", "truth", "sepia", "shuffled"]
    assert rows["truth"]["psnr"] == math.inf
    assert rows["truth"]["ssim"] == pytest.approx(1, abs=1e-6)
    assert rows["truth"]["ciede2000"] == pytest.approx(0, abs=1e-4)
    assert rows["shuffled"]["ssim"] < rows["gray"]["ssim"] - 0.3
    assert rows["shuffled"]["psnr"] < rows["gray"]["psnr"] - 3


def test_self_check_finds_a_reshuffled_source(folder):
    source = Reshuffled(open_source(folder))
    with pytest.raises(
        DataError, match="row truth: .* another picture when it was read"
    ):
        evaluate([], source, size=SIZE, metrics=["ssim"], self_check=True)


def test_self_check_finds_a_mixed_up_batch(folder):
    with pytest.raises(DataError, match="row mixed: .* other pictures of its batch"):
        evaluate(
            [Reversed("mixed")], folder, size=SIZE, metrics=["ssim"], self_check=True
        )


def test_self_check_finds_a_network_that_shows_other_pictures(folder):
    class Elsewhere(Rgb):
        def predict_rgb(self, rgb):
            return np.stack([scene(99, SIZE, SIZE)] * len(rgb))

    with pytest.raises(DataError, match="row elsewhere: .*not those of the truth"):
        evaluate(
            [Elsewhere("elsewhere")],
            folder,
            size=SIZE,
            metrics=["ssim"],
            self_check=True,
        )


def test_check_needs_no_more_than_its_rows():
    shuffled = np.full(20, 0.2)
    similarity = {
        "gray": shuffled + 0.5,
        "truth": np.ones(20),
        "sepia": shuffled + 0.4,
        "shuffled": shuffled,
    }
    measurements = Measurements(
        names=[f"{i}.png" for i in range(20)],
        rows={row: {"ssim": values} for row, values in similarity.items()},
        models={},
        protocol={"paired": False},
    )
    check(measurements)
    measurements.rows["gray"]["ssim"] = shuffled - 0.01
    with pytest.raises(DataError, match="row gray: SSIM 0.190 is no better"):
        check(measurements)
