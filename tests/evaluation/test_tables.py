"""Tests for kcolor.evaluation.tables: tables, sentences, the CSV, strict JSON."""

import csv
import json
import math

import numpy as np
import pytest

from kcolor.evaluation import tables
from kcolor.evaluation.statistics import summarize

AFTER = "after & <i>new</i>"


def test_markdown_has_a_line_for_each_row_and_names_the_protocol(measurements):
    result = summarize(measurements)
    lines = tables.markdown_table(result).splitlines()
    assert lines[0].startswith("| model | PSNR (dB) ↑ | SSIM ↑ | CIEDE2000 ↓ | col")
    assert [line.split(" | ")[0] for line in lines[2:5]] == [
        "| gray",
        "| before",
        "| after & <i>new</i>",
    ]
    mean = np.mean(measurements.rows["before"]["psnr"])
    assert f"{mean:.2f} ± " in lines[3]
    assert "11 pictures, protocol square24;" in lines[-1]


def test_every_line_of_a_table_has_the_same_number_of_cells(measurements):
    measurements.models = {"a|b": {}, "c": {}}
    measurements.rows["a|b"] = measurements.rows.pop("before")
    measurements.rows["c"] = measurements.rows.pop(AFTER)
    table = tables.markdown_rows(summarize(measurements)["rows"])
    assert len({line.count("|") for line in table.splitlines()}) == 1


def test_before_and_after_show_the_change(measurements):
    table = tables.before_after_table(summarize(measurements)).splitlines()
    before, after, change = (line.split(" | ") for line in table[2:5])
    rows = measurements.rows
    difference = np.mean(rows[AFTER]["psnr"] - rows["before"]["psnr"])
    assert (before[1], after[1], change[1]) == ("before", "after", "change")
    assert change[2].startswith(f"{difference:+.2f}")


def test_before_and_after_refuse_a_model_without_partner(measurements):
    del measurements.models["before"], measurements.rows["before"]
    with pytest.raises(ValueError, match="even number of models.*Received: 1"):
        tables.before_after_table(summarize(measurements))


def test_sentences_name_the_better_one(measurements):
    rows = measurements.rows
    rows["before"]["psnr"] = rows["gray"]["psnr"] + 1
    rows["before"]["ciede2000"] = rows["gray"]["ciede2000"] + 1
    rows["before"]["ssim"] = rows["gray"]["ssim"].copy()
    sentences = tables.statements(summarize(measurements))
    assert sentences[0].startswith(
        "PSNR: before is better than gray (before minus gray"
    )
    assert sentences[1].startswith("SSIM: before and gray are equal")
    assert sentences[2].startswith("CIEDE2000: gray is better than before")


def test_csv_holds_every_figure_of_every_row(measurements, tmp_path):
    tables.write_csv(tmp_path / "all.csv", measurements)
    with open(tmp_path / "all.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 11 * 3
    for row, values in measurements.rows.items():
        written = [float(line["ssim"]) for line in lines if line["model"] == row]
        np.testing.assert_allclose(written, values["ssim"], rtol=1e-5)


def test_result_is_strict_json(measurements):
    measurements.rows["gray"]["psnr"][:] = math.inf
    text = json.dumps(tables.to_json(summarize(measurements)), allow_nan=False)
    rows = json.loads(text)["rows"]
    assert rows[0]["psnr"] is None  # no picture counts
    assert tables.to_json(math.inf) == "inf"
