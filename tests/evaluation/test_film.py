"""Tests for the measures of films: known values, and what they must tell apart."""

import numpy as np
import pytest

from kcolor.evaluation import film

skimage_data = pytest.importorskip("skimage.data")

from film_clips import make_clip  # noqa: E402


@pytest.fixture(scope="module")
def clip():
    return make_clip(skimage_data.astronaut(), count=8, other=skimage_data.coffee())


@pytest.fixture(scope="module")
def motion(clip):
    return film.Motion(clip.ways, clip.visible)


def test_consistency_is_0_for_a_standstill_and_log_2_for_strangers():
    rng = np.random.default_rng(0)
    low = rng.integers(0, 128, (5, 7, 3), "uint8")
    high = low + 128
    assert film.color_consistency([low] * 6) == 0
    # 1, 2 and 4 apart: all strangers, none, none.
    alternating = [low, high, low, high, low, high]
    assert film.color_consistency(alternating) == pytest.approx(np.log(2) / 3)


def test_consistency_matches_a_divergence_by_hand():
    first = np.zeros((1, 4, 3), "uint8")
    second = first.copy()
    second[0, :2] = 9
    expected = 0.5 * np.log(1 / 0.75) + 0.5 * (
        0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)
    )
    assert film.color_consistency([first, second]) == pytest.approx(expected)


def test_truth_along_its_motion_hardly_changes(clip, motion):
    still = film.warp_error(clip.frames, motion)
    standing = film.Motion([way * 0 for way in clip.ways], clip.visible)
    assert still < 0.2 * film.warp_error(clip.frames, standing)


def test_flicker_measures_color_alone_and_only_where_it_is_seen(clip, motion):
    flat = [np.full((96, 160, 2), value, "float32") for value in (3, 5) * 4]
    assert film.flicker(flat, motion) == pytest.approx(2)
    unseen = [np.zeros_like(seen) for seen in clip.visible]
    assert np.isnan(film.flicker(flat, film.Motion(clip.ways, unseen)))
    # What changes lies where the frame before saw nothing.
    changing = [
        np.where(seen[..., None], (4.0, 1.0), (50.0 * (at % 2), 0))
        for at, seen in enumerate(clip.visible)
    ]
    standing = film.Motion([way * 0 for way in clip.ways], clip.visible)
    everywhere = film.Motion(standing.ways, [seen | True for seen in clip.visible])
    assert film.flicker(changing, standing) < 0.5 * film.flicker(changing, everywhere)


def test_a_cut_of_which_a_few_pixels_seem_to_be_seen_does_not_count_as_flicker(clip):
    abs_ = [np.full((96, 160, 2), value, "float32") for value in (3, 4, 5, 90, 91)]
    seen = [np.ones((96, 160), bool) for _ in abs_]
    seen[3][:-1] = False
    ways = [np.zeros((96, 160, 2), "float32") for _ in abs_]
    assert film.flicker(abs_, film.Motion(ways, seen)) == pytest.approx(1.29, abs=0.01)


def test_estimated_motion_is_near_the_true_one(clip, motion):
    estimated = film.estimate_motion(clip.frames)
    errors = [
        np.abs(way - true)[seen & also].mean()
        for way, true, seen, also in list(
            zip(estimated.ways, clip.ways, estimated.visible, clip.visible, strict=True)
        )[1:]
    ]
    assert np.mean(errors) < 0.3
    assert 0.5 < np.mean(estimated.visible[1:]) < 1


def test_rows_tell_gray_flickering_and_true_apart(clip, motion):
    rng = np.random.default_rng(1)
    gray = [np.repeat(one[..., None], 3, axis=2) for one in clip.gray]
    shaken = [
        np.clip(one + rng.normal(0, 12, (1, 1, 3)), 0, 255).astype("uint8")
        for one in clip.frames
    ]
    rows = {
        name: film.measure_film(frames, clip.frames, motion)
        for name, frames in (("gray", gray), ("shaken", shaken), ("truth", clip.frames))
    }
    assert rows["gray"]["chroma"] < 0.1 < rows["truth"]["chroma"]
    assert rows["truth"]["psnr"] == float("inf")
    for name in ("flicker", "cdc", "warp_error"):
        assert rows["shaken"][name] > 2 * rows["truth"][name]
    assert rows["gray"]["flicker"] < rows["truth"]["flicker"]


def test_frames_without_color_in_the_truth_count_in_no_rows_psnr(clip, motion):
    # A fade-in's first frames: black, and gray.
    truth = [np.zeros_like(clip.frames[0]), clip.frames[1] * 0 + 90, *clip.frames[2:]]
    gray = [truth[0], truth[1], *(np.repeat(g[..., None], 3, 2) for g in clip.gray[2:])]
    wrong = [np.clip(one.astype(int) + 9, 0, 255).astype("uint8") for one in truth]
    for frames in (gray, wrong):
        row = film.measure_film(frames, truth, motion)
        colored = [
            10 * np.log10(255**2 / np.mean((one.astype(float) - true) ** 2))
            for one, true in zip(frames[2:], truth[2:], strict=True)
        ]
        assert row["psnr"] == pytest.approx(np.mean(colored), abs=1e-3)
        assert row["psnr_frames"] == len(truth) - 2


def test_a_film_without_color_counts_in_no_rows_mean_psnr(clip, motion):
    gray = [np.repeat(one[..., None], 3, axis=2) for one in clip.gray]
    without = film.measure_film(gray, gray, motion)
    assert np.isnan(without["psnr"]) and without["psnr_frames"] == 0
    row = film.measure_film(gray, clip.frames, motion)
    mean = film.mean_over_films([without, row])
    assert mean["psnr"] == row["psnr"] and mean["psnr_frames"] == len(gray)
    assert mean["chroma"] == (without["chroma"] + row["chroma"]) / 2
    assert np.isnan(film.mean_over_films([without])["psnr"])


def test_films_of_different_lengths_are_refused(clip, motion):
    with pytest.raises(ValueError, match="as many frames"):
        film.measure_film(clip.frames[:-1], clip.frames, motion)
