"""Tests for known colors by hand: reading them, drawing them, keeping them."""

import json

import cv2
import numpy as np
import pytest

from kcolor.color.host import split_on_host
from kcolor.errors import DataError
from kcolor.inference.hints import (
    Hint,
    HintPicture,
    Length,
    as_hints,
    draw_hints,
    parse_hint,
    read_hints,
)

SIZE, VIEW = (300, 450), (100, 150)


def ab_of(color):
    rgb = np.array([[tuple(bytes.fromhex(color.removeprefix("#")))]], "uint8")
    return split_on_host([rgb])[0, 0, 0, 1:]


def written(tmp_path, content):
    path = tmp_path / "hints.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_hint_is_read_in_pixels_and_in_percent():
    hint = parse_hint("120, 40.5%,#a03020")
    assert hint.points == ((Length(120), Length(40.5, percent=True)),)
    assert hint.color == (160, 48, 32)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1,2", "a hint must be X,Y,#RRGGBB"),
        ("1,2,red", "color must be #RRGGBB. Received: 'red'"),
        ("1,2,#12345", "color must be #RRGGBB"),
        ("a,2,#102030", "x must be a number of pixels, or percent"),
        ("1,-2,#102030", "y must be a number of pixels, or percent"),
        ("nan,2,#102030", "x must be a number"),
    ],
)
def test_a_wrong_hint_is_refused_with_its_text(text, reason):
    with pytest.raises(ValueError, match=text) as caught:
        parse_hint(text)
    assert reason in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_holds_points_and_strokes(tmp_path):
    path = written(
        tmp_path,
        {
            "hints": [
                {"x": 12, "y": "50%", "color": "#a03020", "radius": "2%"},
                {"points": [[1, 2], [3, 4]], "color": "#2050A0", "frame": 7},
            ]
        },
    )
    point, stroke = read_hints(path)
    assert point == Hint(
        ((Length(12), Length(50, True)),), (160, 48, 32), Length(2, True)
    )
    assert stroke.points == ((Length(1), Length(2)), (Length(3), Length(4)))
    assert stroke.color == (32, 80, 160) and stroke.frame == 7


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "neither JSON nor PNG"),
        ([], 'must be {"hints": [...]}'),
        ({"hints": [], "more": 1}, "nothing beside it"),
        ({"hints": [3]}, "hint 1 may have"),
        ({"hints": [{"x": 1, "y": 2, "colour": "#102030"}]}, "'colour'"),
        ({"hints": [{"x": 1, "color": "#102030"}]}, "hint 1: y must be a number"),
        ({"hints": [{"x": 1, "y": 2}]}, "color must be #RRGGBB. Received: None"),
        ({"hints": [{"points": [], "color": "#102030"}]}, "points must be"),
        ({"hints": [{"points": [[1]], "color": "#102030"}]}, "points must be"),
        ({"hints": [{"points": [[1, 2]], "x": 1, "color": "#102030"}]}, "too much"),
        ({"hints": [{"x": 1, "y": 2, "color": "#102030", "frame": -1}]}, "frame"),
        ({"hints": [{"x": 1, "y": 2, "color": "#102030", "radius": "a"}]}, "radius"),
        (
            '{"hints": [{"x": 1, "y": 2, "color": "#102030", "radius": 1e308}]}',
            "1e+308",
        ),
        (
            '{"hints": [{"x": 1, "y": 2, "color": "#102030", "radius": "1e300%"}]}',
            "1e300%",
        ),
        ("[" * 200_000, "nested too deeply"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line_that_names_it(tmp_path, content, reason):
    path = written(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read_hints(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and reason in message
    assert "\n" not in message


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(DataError, match="none.json: No such file"):
        read_hints(tmp_path / "none.json")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(DataError, match="broken.png: not a readable PNG"):
        read_hints(broken)
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(DataError, match="binary.json: neither JSON nor PNG"):
        read_hints(binary)


def test_opaque_pixels_of_a_png_are_known(tmp_path):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (*SIZE, 4), dtype="uint8")
    picture[..., 3] = 0
    picture[30:33, 60:63, 3] = 255
    path = tmp_path / "known.png"
    cv2.imwrite(str(path), picture[..., [2, 1, 0, 3]])
    known, points, _ = draw_hints(read_hints(path), SIZE, VIEW)
    assert known[..., 2].sum() == 1 and known[10, 20, 2] == 1 and not len(points)
    mean = split_on_host([picture[30:33, 60:63, :3]])[0, ..., 1:].mean(axis=(0, 1))
    np.testing.assert_allclose(known[10, 20, :2], mean, atol=1e-5)
    with pytest.raises(ValueError, match="known.png: must have .* 452x300.*450x300"):
        draw_hints(read_hints(path), (300, 452), VIEW)


def test_a_png_without_transparency_is_refused(tmp_path):
    path = tmp_path / "known.png"
    cv2.imwrite(str(path), np.full((5, 7, 3), 90, "uint8"))
    with pytest.raises(DataError, match="known.png: has no transparency"):
        read_hints(path)


def test_hints_may_be_tuples_texts_dicts_and_a_path(tmp_path):
    entry = {"x": 3, "y": "5%", "color": "#102030"}
    expected = as_hints(["3,5%,#102030"])
    assert as_hints([(3, "5%", "#102030")]) == expected
    assert as_hints([(np.int64(3), "5%", (16, 32, 48))]) == expected
    assert as_hints([entry]) == as_hints(written(tmp_path, {"hints": [entry]}))
    assert as_hints(expected) == expected == as_hints(iter(expected))
    assert as_hints(None) == []
    for wrong in (5, {"x": 3}):
        with pytest.raises(ValueError, match="hints must be a path or a list"):
            as_hints(wrong)
    with pytest.raises(ValueError, match="hint 2 may have"):
        as_hints([entry, (1, 2)])


def test_a_point_lands_on_its_pixel_of_the_view():
    known, points, colors = draw_hints(as_hints([(301, 151, "#a03020")]), SIZE, VIEW)
    assert known[..., 2].sum() == 1
    np.testing.assert_allclose(known[50, 100], [*ab_of("#a03020"), 1])
    np.testing.assert_array_equal(points, [[301, 151]])
    np.testing.assert_allclose(colors, [ab_of("#a03020")])


def test_percent_reach_from_the_first_pixel_to_the_last():
    hints = as_hints([("0%", "0%", "#a03020"), ("100%", "100%", "#a03020")])
    known, points, _ = draw_hints(hints, SIZE, VIEW)
    np.testing.assert_array_equal(points, [[0, 0], [449, 299]])
    assert known[0, 0, 2] == known[-1, -1, 2] == 1


@pytest.mark.parametrize(
    ("x", "y", "received"),
    [(450, 0, "x=450"), (0, 300, "y=300"), ("100.1%", 0, "x=100.1%")],
)
def test_a_point_outside_is_refused_with_its_place(x, y, received):
    with pytest.raises(ValueError, match=rf"450x300\. Received: {received}"):
        draw_hints(as_hints([(x, y, "#a03020")]), SIZE, VIEW)


def test_a_radius_makes_a_dot_and_a_stroke_is_drawn_through_its_points():
    dot = {"x": 225, "y": 150, "color": "#a03020", "radius": "10%"}
    known, _, _ = draw_hints(as_hints([dot]), SIZE, VIEW)
    assert known[..., 2].sum() == pytest.approx(np.pi * 10**2, rel=0.1)
    stroke = {"points": [[30, 30], [330, 30], [330, 240]], "color": "#a03020"}
    known, points, _ = draw_hints(as_hints([stroke]), SIZE, VIEW)
    assert known[10, 10:111, 2].all() and known[10:81, 110, 2].all()
    assert known[..., 2].sum() == 101 + 70 and len(points) == 3


def test_of_two_hints_at_one_place_the_later_counts():
    hints = as_hints([(9, 9, "#a03020"), (9, 9, "#2050a0")])
    known, points, colors = draw_hints(hints, SIZE, VIEW)
    np.testing.assert_allclose(known[3, 3, :2], ab_of("#2050a0"))
    assert len(points) == 1
    np.testing.assert_allclose(colors[0], ab_of("#2050a0"))


def test_a_picture_smaller_than_its_view_is_drawn_in_place():
    known = np.zeros((4, 6), bool)
    known[1, 2] = True
    picture = HintPicture(np.full((4, 6, 3), (160, 48, 32), "uint8"), known)
    drawn, _, _ = draw_hints([picture], (4, 6), (40, 60))
    rows, columns = np.nonzero(drawn[..., 2])
    assert 10 <= rows.min() and rows.max() < 20
    assert 20 <= columns.min() and columns.max() < 30
