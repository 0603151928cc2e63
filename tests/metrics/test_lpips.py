"""Tests for kcolor.metrics.lpips: published figures, gradients, sizes, errors."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image
from safetensors.numpy import save_file

from kcolor.errors import DataError
from kcolor.metrics import lpips
from kcolor.metrics.lpips import LPIPS, build_features, build_lpips, find_weights
from kcolor.models.weights import read_safetensors

SHARED = Path(__file__).parents[2].parent / "shared" / "weights"
ALEX = lpips.usual_weights("alex")
SQUEEZE = SHARED / "lpips_squeeze.safetensors"
needs_squeeze = pytest.mark.skipif(
    not SQUEEZE.is_file(), reason="SqueezeNet's weights in ../shared are not here"
)
needs_examples = pytest.mark.skipif(
    not (SHARED / "ex_ref.png").is_file(),
    reason="the publication's pictures in ../shared are not here",
)
FILES = {"alex": ALEX, "squeeze": SQUEEZE}
BACKBONES = ["alex", pytest.param("squeeze", marks=needs_squeeze)]


def _example(name):
    image = Image.open(SHARED / f"ex_{name}.png").convert("RGB")
    return np.asarray(image, "float32")[None] / 255


@needs_examples
@pytest.mark.parametrize(
    "backbone, expected",
    [
        ("alex", (0.722, 0.138)),
        pytest.param("squeeze", (0.711, 0.148), marks=needs_squeeze),
    ],
)
def test_published_example_pairs_are_reproduced(backbone, expected):
    model = build_lpips(FILES[backbone], backbone)
    distances = [
        float(ops.squeeze(model([_example("ref"), _example(other)])))
        for other in ("p0", "p1")
    ]
    np.testing.assert_allclose(distances, expected, atol=1e-3)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_distance_is_zero_for_equal_images_of_any_size(backbone):
    model = build_lpips(FILES[backbone], backbone)
    smallest = lpips.SMALLEST[backbone]
    for shape in ((3, smallest, smallest + 1, 3), (2, 64, 47, 3), (1, 65, 90, 3)):
        image = np.random.default_rng(0).random(shape, "float32")
        other = np.random.default_rng(1).random(shape, "float32")
        distance = np.asarray(model([image, image]))
        np.testing.assert_array_equal(distance, np.zeros(shape[0]))
        assert np.all(np.asarray(model([image, other])) > 0.01)


def test_each_image_is_measured_by_itself():
    model = build_lpips(ALEX)
    images = np.random.default_rng(2).random((2, 3, 40, 56, 3), "float32")
    together = np.asarray(model([images[0], images[1]]))
    alone = [
        float(model([images[:, i : i + 1][0], images[:, i : i + 1][1]])[0])
        for i in range(3)
    ]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_fewer_layers_add_up_to_less_and_skip_the_rest():
    images = list(np.random.default_rng(3).random((2, 2, 40, 56, 3), "float32"))
    distances = []
    for layers in (1, 3, 5):
        model = build_lpips(ALEX, layers=layers)
        distances.append(np.asarray(model(images)))
    assert np.all(distances[0] < distances[1])
    assert np.all(distances[1] < distances[2])
    short = build_features(ALEX, layers=3)
    assert [layer.name for layer in short.layers if "features" in layer.name][-1] == (
        "features_6"
    )


def test_mixed_precision_policy_does_not_reach_the_network():
    images = list(np.random.default_rng(4).random((2, 2, 40, 56, 3), "float32"))
    expected = np.asarray(build_lpips(ALEX)(images))
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = build_lpips(ALEX)
        result = model(images)
    finally:
        keras.config.set_dtype_policy(policy)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    np.testing.assert_array_equal(np.asarray(result), expected)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="uses TensorFlow's gradient tape"
)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_gradient_reaches_every_pixel_and_stays_finite_at_black(backbone):
    import tensorflow as tf

    model = build_lpips(FILES[backbone], backbone)
    assert not model.trainable_weights
    truth = tf.constant(np.random.default_rng(5).random((2, 40, 56, 3), "float32"))
    for start in (tf.zeros_like(truth), truth[:, ::-1]):
        prediction = tf.identity(start)
        with tf.GradientTape() as tape:
            tape.watch(prediction)
            loss = tf.reduce_sum(model([truth, prediction]))
        gradient = tape.gradient(loss, prediction).numpy()
        assert np.all(np.isfinite(gradient))
    # The last rows and columns lie outside SqueezeNet's unpadded first convolution.
    assert np.mean(gradient != 0) > 0.9


def test_metric_streams_the_mean_over_images_of_unequal_batches():
    images = np.random.default_rng(6).integers(0, 256, (2, 3, 40, 56, 3), np.uint8)
    expected = build_lpips(ALEX)(list(images.astype("float32") / 255))
    metric = LPIPS(ALEX)
    metric.update_state(images[0, :2], images[1, :2])
    metric.update_state(images[0, 2:], images[1, 2:])
    assert float(metric.result()) == pytest.approx(
        np.mean(np.asarray(expected)), abs=1e-5
    )
    assert LPIPS.from_config(metric.get_config()).backbone == "alex"


def test_unknown_backbone_or_layer_count_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must be one of alex, squeeze"):
        build_lpips(tmp_path / "any", "vgg")
    with pytest.raises(ValueError, match="must be 1 to 5 for alex"):
        build_lpips(tmp_path / "any", layers=6)


@pytest.mark.parametrize("tensor", ["lin0.weight", "classifier.weight"])
def test_file_of_another_network_is_named(tmp_path, tensor):
    file = tmp_path / "other.safetensors"
    save_file({tensor: np.zeros((1, 64, 1, 1), "float32")}, file)
    with pytest.raises(DataError, match="other.safetensors"):
        build_lpips(file)


def test_file_that_lacks_a_layer_is_named_with_it(tmp_path):
    tensors = read_safetensors(ALEX)
    del tensors["features.6.weight"], tensors["features.6.bias"]
    file = tmp_path / "short.safetensors"
    save_file(tensors, file)
    with pytest.raises(DataError, match="short.safetensors.*lacks features_6"):
        build_lpips(file)
    assert build_lpips(file, layers=2).output_shape == (None,)


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    # A user who has set nothing up.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(lpips.ENVIRONMENT_VARIABLE, raising=False)


@pytest.mark.usefixtures("fresh")
def test_alexnets_weights_come_with_the_package_and_their_notice():
    assert find_weights() == Path(lpips.__file__).parent / "weights" / ALEX.name
    notice = (ALEX.parent / "NOTICE").read_text()
    assert "Copyright (c) 2018, Richard Zhang" in notice
    assert "Copyright (c) Soumith Chintala 2016" in notice


@pytest.mark.usefixtures("fresh")
def test_weights_are_looked_for_in_the_agreed_order(tmp_path, monkeypatch):
    assert find_weights(backbone="squeeze") is None
    cached = tmp_path / "cache" / "kcolor" / "lpips_squeeze.safetensors"
    cached.parent.mkdir(parents=True)
    cached.touch()
    assert find_weights(backbone="squeeze") == cached

    folder = tmp_path / "folder"
    folder.mkdir()
    for backbone in lpips.BACKBONES:
        (folder / f"lpips_{backbone}.safetensors").touch()
    monkeypatch.setenv(lpips.ENVIRONMENT_VARIABLE, str(folder))
    assert find_weights() == folder / "lpips_alex.safetensors"
    assert find_weights(backbone="squeeze") == folder / "lpips_squeeze.safetensors"

    given = tmp_path / "lpips_alex.safetensors"
    given.touch()
    assert find_weights(given) == given
    beside = find_weights(folder / "lpips_alex.safetensors", "squeeze")
    assert beside == folder / "lpips_squeeze.safetensors"


def test_weights_that_are_named_but_missing_are_an_error(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="nowhere.safetensors"):
        find_weights(tmp_path / "nowhere.safetensors")
    monkeypatch.setenv(lpips.ENVIRONMENT_VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(DataError, match="gone"):
        find_weights()
