"""Tests for kcolor.data.batches: pairing, determinism, geometry, degradation."""

import itertools

import numpy as np
import pytest
from memory_source import source_of
from PIL import Image

from kcolor.color.graph import join, split
from kcolor.data import batches
from kcolor.data.augment import degrade_lightness, random_crop, random_whole
from kcolor.data.batches import evaluation_batches, training_batches
from kcolor.data.source import open_source
from kcolor.images.resize import resize_square


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Eleven pictures of one color each, so that a pixel tells which it came from."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(11):
        rgb = np.full((40 + i, 60, 3), (20 * i, 255 - 20 * i, 100), "uint8")
        Image.fromarray(rgb).save(folder / f"{i:02d}.png")
    return open_source(folder)


def numbers(target):
    rgb = np.asarray(join(target[..., :1], target[..., 1:]))
    return rgb[:, 0, 0, 0] // 20


def take(batches, count):
    batches = itertools.islice(batches, count)
    return [(np.asarray(one), np.asarray(two)) for one, two in batches]


def test_each_pass_visits_every_picture_once_in_a_new_order(source):
    batches = take(training_batches(source, 32, 11, seed=3), 2)
    orders = [list(numbers(target)) for _, target in batches]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(11))
    assert orders[0] != orders[1]


def test_weights_say_how_often_a_pass_draws_a_picture():
    rng = np.random.default_rng(0)
    weights = [0.3] * 10 + [1.0] * 5 + [2.5] * 4
    passes = [batches._one_pass(weights, rng) for _ in range(400)]
    assert {len(drawn) for drawn in passes} == {3 + 5 + 10}
    counts = np.stack([np.bincount(drawn, minlength=19) for drawn in passes])
    np.testing.assert_allclose(counts.mean(axis=0), weights, atol=0.1)
    assert set(counts[:, 10:15].ravel()) == {1}
    assert set(counts[:, 15:].ravel()) == {2, 3}


def test_a_pass_is_as_long_as_its_weights_say_however_many_there_are(source):
    weights = [0.3] * 1_000_000
    source.weights = weights
    drawn = batches._one_pass(weights, np.random.default_rng(0))
    assert len(drawn) == batches.pass_length(source) == 300_000


def test_a_source_of_little_weight_still_gives_a_pass(source):
    source.weights = [0.01] * len(source)
    assert batches.pass_length(source) == 1
    assert len(take(training_batches(source, 32, 4), 2)) == 2


def test_input_and_target_are_the_same_crop(source):
    for lightness, target in take(training_batches(source, 32, 4), 3):
        np.testing.assert_array_equal(lightness, target[..., :1])


@pytest.mark.parametrize("whole", [0.0, 1.0])
def test_paired_input_is_cropped_as_its_color_picture(tmp_path, whole):
    rng = np.random.default_rng(0)
    for side in ("color", "gray"):
        (tmp_path / side).mkdir()
    for i in range(3):
        rgb = rng.integers(0, 256, (50, 70, 3), "uint8")
        Image.fromarray(rgb).save(tmp_path / "color" / f"{i}.png")
        Image.fromarray(255 - rgb).save(tmp_path / "gray" / f"{i}.png")
    drawn = training_batches(open_source(tmp_path), 32, 3, whole=whole)
    ((lightness, target),) = take(drawn, 1)
    truth = np.asarray(join(target[..., :1], target[..., 1:]))
    expected, _ = split(255 - truth)
    # The crop's interpolation rounds the two pictures apart by at most a level or two.
    assert np.abs(lightness - expected).mean() < 0.01


def test_equal_seeds_give_equal_batches_and_others_do_not(source):
    first, second, other = (
        take(training_batches(source, 32, 4, seed=s, degrade=0.5), 5) for s in (1, 1, 2)
    )
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])
    assert any(
        not np.array_equal(a[1], b[1]) for a, b in zip(first, other, strict=True)
    )


def test_stream_goes_on_where_a_former_run_stopped(source):
    whole = take(training_batches(source, 32, 4, degrade=0.5), 6)
    rest = take(training_batches(source, 32, 4, start=12, degrade=0.5), 3)
    for one, two in zip(whole[3:], rest, strict=True):
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])


def test_threads_give_the_same_batches_as_tf_data(source, monkeypatch):
    first = take(training_batches(source, 32, 4, degrade=0.5), 4)
    monkeypatch.setattr(batches.keras.backend, "backend", lambda: "torch")
    second = take(training_batches(source, 32, 4, degrade=0.5), 4)
    for one, two in zip(first, second, strict=True):
        # Graph and eager may round a power differently in the last bit.
        np.testing.assert_allclose(one[0], two[0], atol=1e-5)
        np.testing.assert_allclose(one[1], two[1], atol=1e-5)


def test_evaluation_keeps_order_and_the_last_short_batch(source):
    batches = list(evaluation_batches(source, 32, 4))
    assert [len(target) for _, target in batches] == [4, 4, 3]
    found = np.concatenate([numbers(target) for _, target in batches])
    np.testing.assert_array_equal(found, range(11))


@pytest.mark.parametrize("paired", [False, True])
def test_evaluation_is_split_as_the_networks_color_math_does(paired):
    # Of the size asked for, so that nothing is resized.
    pictures = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32, 3), "uint8")
    rgb, gray = (
        {f"{i}.png": lambda picture=picture: picture for i, picture in enumerate(part)}
        for part in pictures
    )
    pairs = source_of(rgb, gray if paired else None)
    found = list(evaluation_batches(pairs, 32, 2))
    lightness, target = (np.concatenate(part) for part in zip(*found, strict=True))
    true = np.concatenate([np.asarray(part) for part in split(pictures[0])], axis=-1)
    np.testing.assert_allclose(target, true, atol=2e-6)
    seen = np.asarray(split(pictures[int(paired)])[0])
    np.testing.assert_allclose(lightness, seen, atol=2e-6)
    assert lightness.shape == (3, 32, 32, 1)


@pytest.mark.parametrize("shape", [(64, 64), (33, 91), (200, 40), (1, 1), (2, 300)])
def test_crop_has_the_asked_size_whatever_the_picture(shape):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*shape, 3), "uint8")
    for _ in range(20):
        assert random_crop(image, 32, rng).shape == (32, 32, 3)


def test_crop_shows_the_picture_and_not_its_surroundings():
    # A picture whose red is its row and green its column: a crop of 100% down to 50%
    # must show neighbors as neighbors and only values that are there.
    row, column = np.mgrid[0:120, 0:160]
    image = np.stack([row, column, row * 0 + 7], -1).astype("uint8")
    for seed in range(30):
        crop = random_crop(image, 64, np.random.default_rng(seed)).astype(int)
        assert np.all(crop[..., 2] == 7)
        assert crop[..., 0].max() <= 119 and crop[..., 1].max() <= 159
        span = crop[..., 0].max() - crop[..., 0].min()
        assert 40 <= span <= 120


@pytest.mark.parametrize("shortest, longest", [(0.2, 0.3), (0.5, 1.0), (1.0, 1.0)])
def test_crops_have_the_asked_scale(shortest, longest):
    # Columns count up, so a crop's range of values is its width.
    ramp = np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (200, 1, 3))
    rng = np.random.default_rng(0)
    widths = [
        np.ptp(random_crop(ramp, 64, rng, shortest, longest)[32, :, 0].astype(int))
        for _ in range(100)
    ]
    stretch = np.sqrt(1.25)
    assert min(widths) >= 200 * shortest / stretch * 0.95 - 3  # turned, a bit less
    assert max(widths) <= min(200, 200 * longest * stretch) + 1
    assert np.median(widths) == pytest.approx(100 * (shortest + longest), rel=0.15)


def test_about_half_of_the_crops_are_mirrored():
    image = np.zeros((40, 40, 3), "uint8")
    image[:, :20] = 200
    mirrored = [
        random_crop(image, 32, np.random.default_rng(s))[16, 0, 0] < 100
        for s in range(200)
    ]
    assert 0.3 < np.mean(mirrored) < 0.7


@pytest.mark.parametrize("shape", [(120, 160), (160, 60), (1, 1), (2, 300)])
def test_whole_picture_is_squashed_but_for_a_margin(shape):
    # Red counts rows, green columns: both must reach 85% of their range and more.
    row, column = np.mgrid[0 : shape[0], 0 : shape[1]]
    share = [255 * axis / max(1, axis.max()) for axis in (row, column)]
    image = np.stack([*share, 0 * row], -1).astype("uint8")
    mirrored = []
    for seed in range(60):
        square = random_whole(image, 32, np.random.default_rng(seed)).astype(int)
        assert square.shape == (32, 32, 3)
        if min(shape) >= 60:
            assert np.all(np.ptp(square[..., :2], axis=(0, 1)) >= 0.85 * 255 - 12)
            mirrored.append(square[16, 0, 1] > square[16, -1, 1])
    if mirrored:
        assert 0.25 < np.mean(mirrored) < 0.75


def test_a_share_of_the_pictures_is_whole():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (48, 96, 3), "uint8")
    source = source_of({f"{i}.png": lambda: rgb for i in range(24)})

    def drawn(whole):
        ((_, target),) = take(training_batches(source, 32, 24, whole=whole), 1)
        return target

    every, half, none = drawn(1.0), drawn(0.5), drawn(0.0)
    same = [np.array_equal(a, b) for a, b in zip(half, every, strict=True)]
    assert 6 <= sum(same) <= 18
    assert not any(np.array_equal(a, b) for a, b in zip(none, every, strict=True))


def test_resize_keeps_whole_picture_and_mean():
    image = np.random.default_rng(0).integers(0, 256, (90, 50, 3), "uint8")
    small = resize_square(image, 10)
    assert small.shape == (10, 10, 3)
    np.testing.assert_allclose(small.mean(), image.mean(), atol=0.5)


def test_degraded_lightness_stays_in_range_and_leaves_the_rest_alone():
    pictures = np.random.default_rng(0).uniform(-1, 1, (64, 16, 24, 1))
    pictures = pictures.astype("float32")
    before = pictures.copy()
    rng = np.random.default_rng(5)
    old = np.stack([degrade_lightness(picture, rng, 0.5) for picture in pictures])
    assert old.dtype == "float32"
    np.testing.assert_array_equal(pictures, before)
    assert np.min(old) >= -1 and np.max(old) <= 1
    changed = np.any(old != pictures, axis=(1, 2, 3))
    assert 0.25 < changed.mean() < 0.75
    untouched = degrade_lightness(pictures[0], rng, 0.0)
    np.testing.assert_array_equal(untouched, pictures[0])


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_parts_of_a_batch_are_together_the_batch_of_one_process(
    source, monkeypatch, backend
):
    monkeypatch.setattr(batches.keras.backend, "backend", lambda: backend)
    options = dict(seed=3, degrade=0.7, hints=0.5)
    whole, *parts = (
        list(itertools.islice(training_batches(source, 32, 6, **options, part=part), 3))
        for part in ((0, 1), (0, 3), (1, 3), (2, 3))
    )
    for step, (inputs, target) in enumerate(whole):
        shares = [part[step] for part in parts]
        joined = np.concatenate([np.asarray(share[1]) for share in shares])
        np.testing.assert_array_equal(joined, target)
        for name in ("lightness", "known"):
            joined = np.concatenate([np.asarray(share[0][name]) for share in shares])
            np.testing.assert_array_equal(joined, inputs[name])


def test_hints_show_the_truth_and_change_nothing_else(source):
    plain = take(training_batches(source, 32, 4, seed=3), 2)
    hinted = itertools.islice(training_batches(source, 32, 4, seed=3, hints=1.0), 2)
    for (lightness, target), (inputs, same) in zip(plain, hinted, strict=True):
        np.testing.assert_array_equal(inputs["lightness"], lightness)
        np.testing.assert_array_equal(same, target)
        known = np.asarray(inputs["known"])
        assert known.shape == (4, 32, 32, 3)
        at = known[..., 2] > 0
        assert at.any(axis=(1, 2)).all() and not known[~at].any()
        # Pictures of one color each.
        np.testing.assert_allclose(known[at][:, :2], target[at][:, 1:], atol=1e-5)


def test_hints_depend_on_the_seed_and_on_the_count_drawn(source, monkeypatch):
    def known(count, **options):
        batches = training_batches(source, 32, 4, hints=0.5, **options)
        return [np.asarray(x["known"]) for x, _ in itertools.islice(batches, count)]

    all_three = known(3, seed=3)
    for expected, later in zip(all_three[1:], known(2, seed=3, start=4), strict=True):
        np.testing.assert_array_equal(later, expected)
    assert np.any(known(1, seed=4)[0] != all_three[0])
    monkeypatch.setattr(batches.keras.backend, "backend", lambda: "torch")
    for expected, elsewhere in zip(all_three, known(3, seed=3), strict=True):
        np.testing.assert_array_equal(elsewhere, expected)
