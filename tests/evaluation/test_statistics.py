"""Tests for kcolor.evaluation.statistics: intervals, paired differences, groups."""

import math

import numpy as np
import pytest

from kcolor.evaluation.measurements import Measurements
from kcolor.evaluation.statistics import groups, summarize


def _measurements(**rows):
    count = len(next(iter(rows.values())))
    return Measurements(
        names=[f"{i:04d}.png" for i in range(count)],
        rows={row: {"psnr": np.asarray(values, float)} for row, values in rows.items()},
        models={row: {} for row in rows if row != "gray"},
        protocol={"images": count, "size": 64, "paired": False},
    )


def test_interval_of_many_values_is_the_normal_one():
    values = np.random.default_rng(0).normal(25, 3, 500)
    (row,) = summarize(_measurements(gray=values))["rows"]
    low, high = row["psnr_ci95"]
    half = 1.96 * values.std() / math.sqrt(500)
    assert row["psnr"] == pytest.approx(values.mean())
    np.testing.assert_allclose([low, high], values.mean() + [-half, half], atol=0.04)


def test_paired_difference_is_clear_where_the_means_are_not():
    generator = np.random.default_rng(1)
    hard = generator.normal(25, 4, 200)
    better = hard + generator.normal(0.2, 0.3, 200)
    same = hard + generator.normal(0, 0.3, 200)
    result = summarize(_measurements(gray=hard, better=better, same=same))
    rows = {row["model"]: row for row in result["rows"]}
    assert rows["gray"]["psnr_ci95"][1] > rows["better"]["psnr_ci95"][0]
    winners = {(d["a"], d["b"]): d["better"] for d in result["differences"]}
    assert winners[("better", "gray")] == "better"
    assert winners[("same", "gray")] is None
    assert winners[("same", "better")] == "better"


def test_less_is_better_for_ciede2000():
    values = np.random.default_rng(2).normal(10, 1, 50)
    measurements = _measurements(gray=values, model=values - 1)
    for row in measurements.rows.values():
        row["ciede2000"] = row.pop("psnr")
    (difference,) = summarize(measurements)["differences"]
    assert difference["better"] == "model"
    assert difference["difference"] == pytest.approx(-1)


def test_truth_without_color_counts_in_no_rows_psnr():
    measurements = _measurements(gray=[20, math.inf, 30], model=[22, 99, 32])
    rows = summarize(measurements)["rows"]
    assert [row["psnr"] for row in rows] == [25, 27]
    assert [row["psnr_images"] for row in rows] == [2, 2]
    assert [row["images"] for row in rows] == [3, 3]


def test_groups_are_folders_and_add_up():
    values = np.random.default_rng(3).normal(25, 3, 7)
    measurements = _measurements(gray=values, model=values + 1)
    measurements.names = [f"{'abc'[i % 3]}/{i}.png" for i in range(7)]
    result = summarize(measurements, by_group=True)
    assert [g["group"] for g in result["groups"]] == ["a", "b", "c"]
    total = sum(
        group["rows"][1]["images"] * group["rows"][1]["psnr"]
        for group in result["groups"]
    )
    assert total / 7 == pytest.approx(result["rows"][1]["psnr"])


@pytest.mark.parametrize(
    "names, expected",
    [
        (["test/a/1.jpg", "test/b/2.jpg"], {"a": [0], "b": [1]}),
        (["a/x/1.jpg", "a/x/2.jpg"], {"x": [0, 1]}),
        (["1.jpg", "a/2.jpg"], {".": [0], "a": [1]}),
        (["a/1.jpg", "a/b/2.jpg"], {"a": [0], "a/b": [1]}),
    ],
)
def test_groups_lose_what_all_share(names, expected):
    found = {g: list(members) for g, members in groups(names).items()}
    assert found == expected
