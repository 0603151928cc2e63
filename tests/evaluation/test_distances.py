"""Tests for kcolor.evaluation.distances and features: FID and KID of whole rows."""

import numpy as np
import pytest
from scenes import Tinted, scene

from kcolor.errors import DataError
from kcolor.evaluation import Options, evaluate, measure
from kcolor.evaluation.distances import Distances
from kcolor.evaluation.features import load_features
from kcolor.evaluation.manifest import write_manifest
from kcolor.metrics.distribution import frechet_distance, kernel_distance, moments

SIZE = 48


class Means:
    """Features of a picture: the mean of each channel."""

    name, sha256, count = "means", "0" * 64, 3

    def __init__(self):
        self.calls = 0

    def __call__(self, images):
        self.calls += 1
        return np.stack([image.mean(axis=(0, 1)) for image in images]).astype("float32")


@pytest.fixture
def manifest(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    measured = measure([], folder, Options(size=SIZE, metrics=["ssim"]))
    write_manifest(tmp_path / "m.json", measured.manifest)
    return tmp_path / "m.json", measured.manifest


def _batches(shift):
    truth = np.stack([scene(seed, 40, 50) for seed in range(6)])
    moved = np.clip(truth.astype("int16") + shift, 0, 255).astype("uint8")
    for part in (slice(0, 4), slice(2, 6)):
        yield truth[part], {"gray": moved[part], "same": truth[part]}


def test_distances_are_those_of_all_pictures_that_count():
    features = Means()
    distances = Distances(features, ["gray", "same"], 8)
    everything = []
    for truth, pictures in _batches(5):
        distances.add(truth, pictures, 3)
        everything.append((truth[:3], pictures["gray"][:3]))
    true, gray = (features(np.concatenate(x)) for x in zip(*everything, strict=True))
    figures = distances.figures(["fid", "kid"])
    expected = frechet_distance(moments(gray), moments(true))
    assert figures["gray"]["fid"] == pytest.approx(expected)
    assert figures["gray"]["kid"] == pytest.approx(kernel_distance(gray, true))
    assert figures["same"]["fid"] == pytest.approx(0, abs=1e-6)
    assert figures["gray"]["fid_images"] == figures["gray"]["kid_images"] == 6
    assert figures["gray"]["features"] == "means"
    assert figures["gray"]["features_sha256"] == "0" * 64


def test_too_few_pictures_are_refused_unless_forced():
    with pytest.raises(ValueError, match="at least 4 pictures, .* Received: 3"):
        Distances(Means(), ["gray"], 3)
    Distances(Means(), ["gray"], 3, force=True)
    with pytest.raises(ValueError, match="Received: 1"):
        Distances(Means(), ["gray"], 1, force=True)


def test_true_features_of_a_manifest_are_computed_once(manifest, tmp_path):
    _, content = manifest
    found = []
    for expected_calls in (4, 2):
        features = Means()
        distances = Distances(features, ["gray"], 6, manifest=content)
        for truth, pictures in _batches(9):
            distances.add(truth, pictures, 3)
        found.append(distances.figures(["fid", "kid"]))
        assert features.calls == expected_calls
    assert found[0] == found[1]
    assert len(list((tmp_path / "cache").rglob("true-features-*.npz"))) == 1


def test_features_of_another_network_or_a_torn_file_are_not_taken(manifest, tmp_path):
    _, content = manifest

    def calls(features):
        distances = Distances(features, ["gray"], 6, manifest=content)
        for truth, pictures in _batches(9):
            distances.add(truth, pictures, 3)
        distances.figures(["fid"])
        return features.calls

    other = Means()
    other.sha256 = "1" * 64
    assert (calls(Means()), calls(other), calls(Means())) == (4, 4, 2)
    for file in (tmp_path / "cache").rglob("*.npz"):
        file.write_bytes(file.read_bytes()[:200])
    assert calls(Means()) == 4


def test_row_names_fid_and_kid_of_the_bundled_features(folder, manifest):
    file, _ = manifest
    options = {"metrics": ["ssim", "fid", "kid"], "manifest": file}
    found = evaluate(
        [Tinted()], folder, fid_features="alexnet", force=True, batch_size=3, **options
    )
    gray, tinted = found["rows"]
    assert gray["fid"] > 0 and gray["fid_images"] == 7
    assert tinted["fid"] != gray["fid"]
    assert tinted["features"] == load_features("alexnet").name
    assert tinted["features_sha256"] == load_features("alexnet").sha256


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (("vgg",), ValueError, "must be one of inception, alexnet"),
        (("alexnet", "file.h5"), ValueError, "take no file"),
        (("inception", "gone.h5"), DataError, "gone.h5: no such file"),
    ],
)
def test_features_that_cannot_be_had_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        load_features(*arguments)


@pytest.mark.slow
def test_inception_takes_the_file_of_its_parameters_and_no_other(tmp_path):
    import keras

    keras.utils.set_random_seed(0)
    network = keras.applications.InceptionV3(
        include_top=False, weights=None, input_shape=(299, 299, 3), pooling="avg"
    )
    network.save_weights(tmp_path / "i.weights.h5")
    features = load_features("inception", tmp_path / "i.weights.h5")
    images = [scene(0, 40, 60), scene(1, 299, 299)]
    found = features(images)
    assert found.shape == (2, features.count) == (2, 2048)
    expected = network(images[1][None].astype("float32") / 127.5 - 1)
    np.testing.assert_allclose(found[1], expected[0], rtol=1e-3, atol=1e-5)
    assert features.sha256 != load_features("alexnet").sha256
    (tmp_path / "torn.weights.h5").write_bytes(b"not HDF5")
    with pytest.raises(DataError, match="torn.weights.h5: not InceptionV3's param"):
        load_features("inception", tmp_path / "torn.weights.h5")


def test_only_figures_of_sets_are_refused(folder):
    with pytest.raises(ValueError, match="beside fid and kid"):
        evaluate([], folder, metrics=["fid"])
