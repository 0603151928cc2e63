"""Tests for the curve of PSNR over the number of hints."""

import json
import xml.etree.ElementTree as ElementTree

import cv2
import numpy as np
import pytest
from memory_source import source_of

from kcolor.errors import DataError
from kcolor.evaluation.hint_curve import (
    GRAY_ROW,
    PROTOCOLS,
    draw_places,
    hint_curve,
    markdown_table,
    svg,
)
from kcolor.runtimes.network import Predictor


def picture(seed):
    """Areas of one color each, so that a hint tells something about its area."""
    rng = np.random.default_rng(seed)
    areas = rng.integers(40, 216, (4, 5, 3)).astype("uint8")
    return cv2.resize(areas, (150, 120), interpolation=cv2.INTER_NEAREST)


class Constant(Predictor):
    """Answers one color; if it takes hints, their mean color where there are any."""

    kind = "test"

    def __init__(self, name, takes_known=False):
        super().__init__(name)
        self.takes_known = takes_known

    def predict_ab(self, lightness, known=None):
        """Answers ab."""
        ab = np.full((*lightness.shape[:3], 2), 0.05, "float32")
        if known is not None:
            for answer, hints in zip(ab, known, strict=True):
                if hints[..., 2].any():
                    answer[:] = hints[hints[..., 2] > 0, :2].mean(axis=0)
        return ab


@pytest.fixture(scope="module")
def source():
    return source_of({f"{n}.png": (lambda n=n: picture(n)) for n in range(3)})


@pytest.fixture(scope="module")
def result(source):
    models = [Constant("a/plain"), Constant("b/hinted", takes_known=True)]
    return hint_curve(models, source, counts=(1, 40), size=64)


def test_rows_are_gray_and_each_model_by_spread_and_by_its_own_input(result):
    assert [row["model"] for row in result["rows"]] == [
        GRAY_ROW,
        "plain + spread",
        "hinted + spread",
        "hinted, hinted",
    ]
    for row in result["rows"]:
        assert row["hints"] == [0, 1, 40] and row["images"] == 3
        gain = row["psnr"][2] - row["psnr"][0]
        assert row["gain"][0] == 0 and row["gain"][2] == pytest.approx(gain, abs=2e-4)
    for row in result["rows"][:3]:
        assert row["gain"][2] > max(1, row["gain"][1])
    plain, hinted, own = (row["psnr"] for row in result["rows"][1:])
    assert plain == hinted and plain[0] == own[0] and plain[1] != own[1]


def test_more_of_the_truth_comes_near_the_truth(source):
    figures = hint_curve([], source, counts=(400,), size=64, protocol="icolorit")
    assert figures["rows"][0]["psnr"][1] > figures["rows"][0]["psnr"][0] + 5


def test_places_depend_on_name_and_seed_alone(source, result):
    again = hint_curve([], source, counts=(8,), size=64, limit=2)
    assert set(again["places"]) < set(result["places"])
    for name, places in again["places"].items():
        assert places == result["places"][name][:8] and len(places) == 8
    rules = PROTOCOLS["sig17"]
    assert np.any(draw_places("0.png", rules, 8, 64, 1) != again["places"]["0.png"])
    # The first n of a longer list are those of a shorter one.
    np.testing.assert_array_equal(
        draw_places("0.png", rules, 50, 64, 0)[:40], result["places"]["0.png"]
    )


def test_wrong_arguments_are_named(source):
    with pytest.raises(ValueError, match=r"sig17, icolorit. Received: 'sig18'"):
        hint_curve([], source, protocol="sig18")
    with pytest.raises(ValueError, match=r"counts must be .* Received: \[-1, 0\]"):
        hint_curve([], source, counts=(-1,))


def gray_picture(seed):
    return np.repeat(picture(seed)[..., :1], 3, axis=2)


def test_pictures_without_color_count_in_no_row(source):
    readers = {f"{n}.png": (lambda n=n: picture(n)) for n in range(3)}
    mixed = source_of({**readers, "9.png": lambda: gray_picture(9)})
    models = [Constant("a/plain")]
    options = {"counts": (1,), "size": 64}
    found = hint_curve(models, mixed, **options)
    expected = hint_curve(models, source, **options)
    for row, other in zip(found["rows"], expected["rows"], strict=True):
        assert row == {**other, "images": 4, "psnr_images": 3}
    json.dumps(found, allow_nan=False)
    table = markdown_table(found)
    assert " 1 picture has no color in the truth" in table
    assert "no color" not in markdown_table(expected)
    ElementTree.fromstring(svg(found))


def test_without_any_color_there_is_nothing_to_measure():
    grays = source_of({"9.png": lambda: gray_picture(9)}, path="grays")
    with pytest.raises(DataError, match="grays: no picture has color"):
        hint_curve([], grays, counts=(1,), size=64)


def test_an_exact_answer_is_infinite_in_the_table_and_off_the_axis(result):
    rows = [{**row, "psnr": list(row["psnr"])} for row in result["rows"]]
    rows[0]["psnr"][2] = rows[0]["gain"][2] = float("inf")
    exact = {**result, "rows": rows}
    assert "| ∞ (∞) |" in markdown_table(exact)
    drawing = ElementTree.fromstring(svg(exact))
    lines = [e for e in drawing.iter() if e.tag.endswith("polyline")]
    assert [len(line.get("points").split()) for line in lines] == [2, 3, 3, 3]


def test_table_and_drawing_hold_every_row(result):
    table = markdown_table(result)
    assert table.startswith("| hints | 0 | 1 | 40 |\n")
    assert table.count("| hinted, hinted |") == 1 and "protocol sig17" in table
    drawing = ElementTree.fromstring(svg(result))
    lines = [e for e in drawing.iter() if e.tag.endswith("polyline")]
    assert len(lines) == 4
    words = [element.text for element in drawing.iter() if element.text]
    assert "plain + spread" in words and "40" in words
