"""`Colorizer` and `kcolor.colorize`: arrays in, arrays in color out."""

import cv2
import numpy as np
import pytest
from PIL import Image

import kcolor
from kcolor.color import host
from kcolor.errors import DataError
from kcolor.inference.colorizer import Colorizer


def _gray(height=150, width=211, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 11)).astype("uint8")
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def test_python_function_colorizes_what_it_is_given(tmp_path, any_size_tflite):
    gray = _gray()
    Image.fromarray(gray).save(tmp_path / "a.png")
    rgba = Image.fromarray(gray).convert("RGBA")
    expected = kcolor.colorize(gray, model=any_size_tflite)
    assert expected.dtype == np.uint8 and expected.shape == (*gray.shape, 3)
    assert np.ptp(expected.astype(int), axis=2).mean() > 5
    for image in (
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        gray[..., None],
        rgba,
        np.asarray(rgba),
        gray.astype("uint16") * 257,
    ):
        result = kcolor.colorize(image, model=any_size_tflite)
        assert np.abs(result.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("mode", ["P", "CMYK", "YCbCr", "HSV", "1"])
def test_pictures_of_pillow_are_taken_for_what_they_show(any_size_tflite, mode):
    image = Image.fromarray(_gray()).convert("RGB").convert(mode)
    expected = kcolor.colorize(np.asarray(image.convert("RGB")), any_size_tflite)
    np.testing.assert_array_equal(kcolor.colorize(image, any_size_tflite), expected)


def test_saturation_scales_chroma(any_size_tflite):
    gray = _gray()
    chroma = [
        np.ptp(
            kcolor.colorize(gray, any_size_tflite, saturation=s).astype(int), 2
        ).mean()
        for s in (0, 0.5, 1.0)
    ]
    assert chroma[0] < 0.01
    assert chroma[1] == pytest.approx(chroma[2] / 2, rel=0.15)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 5), "float32"),
        np.zeros((4, 5, 2), "uint8"),
        np.zeros((0, 5), "uint8"),
        np.zeros((2, 4, 5, 3), "uint8"),
    ],
)
def test_what_is_no_picture_is_refused(any_size_tflite, bad):
    with pytest.raises(ValueError, match=r"image must be .* Received: shape="):
        kcolor.colorize(bad, model=any_size_tflite)


@pytest.mark.parametrize(
    "options, says",
    [
        ({"saturation": -1}, "saturation must be"),
        ({"blend": 1.5}, "blend must be"),
        ({"upsampling": "magic"}, "upsampling must be"),
        ({"render_size": 7}, "render_size must be"),
    ],
)
def test_values_out_of_range_are_refused(any_size_tflite, options, says):
    with pytest.raises(ValueError, match=says):
        Colorizer(any_size_tflite, **options)


@pytest.mark.parametrize("saturation", [-1, 11, float("nan")])
def test_a_saturation_out_of_range_is_refused_at_each_picture(
    any_size_tflite, saturation
):
    with pytest.raises(ValueError, match="saturation must be from 0 to 10"):
        kcolor.colorize(_gray(), any_size_tflite, saturation=saturation)
    with pytest.raises(ValueError, match="saturation must be from 0 to 10"):
        Colorizer(any_size_tflite).session(_gray())([], saturation)


@pytest.mark.parametrize(
    "height, width, view",
    [
        (256, 256, (256, 256)),
        (3000, 4000, (216, 288)),
        (1000, 1500, (192, 288)),
        (1080, 1920, (192, 341)),
        (10, 50_000, (1, 352)),
        (50_000, 1, (352, 1)),
        (60, 40, (288, 192)),
    ],
)
def test_the_view_keeps_the_aspect(any_size_tflite, height, width, view):
    assert Colorizer(any_size_tflite).view_size(height, width) == view


def test_a_larger_render_size_gives_a_larger_view(any_size_tflite):
    assert Colorizer(any_size_tflite, render_size=512).view_size(900, 900) == (512, 512)
    assert Colorizer(any_size_tflite, render_size=100).view_size(900, 900) == (96, 96)


def test_a_fixed_network_sees_the_photo_whole_and_unsquashed(fixed_size_tflite):
    fixed = Colorizer(fixed_size_tflite)
    assert fixed.view_size(300, 600) == (128, 256)
    seen = []
    predict = fixed.network.predict_ab
    fixed.network.predict_ab = lambda x: seen.append(x[0, ..., 0]) or predict(x)
    view, ab = fixed.predict(_gray(300, 600))
    assert view.shape == (128, 256) and ab.shape == (128, 256, 2)
    canvas = seen[0]
    assert canvas.shape == (256, 256)
    np.testing.assert_array_equal(canvas[64:192], view)
    # Around it is its mirror image.
    np.testing.assert_array_equal(canvas[:64], view[64:0:-1])


def test_a_render_size_that_a_fixed_file_lacks_is_refused(fixed_size_tflite):
    fixed = Colorizer(fixed_size_tflite, render_size=256)
    assert fixed.view_size(9, 9) == (256, 256)
    with pytest.raises(ValueError, match="fixed to 256x256"):
        Colorizer(fixed_size_tflite, render_size=512)


def test_of_several_sizes_the_one_that_the_photo_fills_is_taken(several_sizes_tflite):
    several = Colorizer(several_sizes_tflite)
    assert sorted(several.network.sizes) == [(224, 320), (256, 256), (320, 224)]
    for size, view in [
        ((300, 300), (256, 256)),
        ((300, 450), (213, 320)),
        ((2000, 1000), (320, 160)),
    ]:
        assert several.view_size(*size) == view
        color = several(_gray(*size))
        assert color.shape == (*size, 3)
        assert np.ptp(color.astype(int), axis=2).mean() > 5


def test_files_of_any_one_and_several_sizes_agree(
    any_size_tflite, fixed_size_tflite, several_sizes_tflite
):
    gray = _gray(400, 400)
    expected = Colorizer(any_size_tflite)(gray).astype(int)
    for path in (fixed_size_tflite, several_sizes_tflite):
        assert np.abs(Colorizer(path)(gray) - expected).max() <= 1


@pytest.mark.parametrize("upsampling", ["guided", "bilinear"])
def test_the_same_photo_at_twice_the_size_gets_the_same_colors(
    any_size_tflite, upsampling
):
    colorizer = Colorizer(any_size_tflite, upsampling=upsampling)
    gray = _gray(420, 610)
    double = cv2.resize(gray, (1220, 840), interpolation=cv2.INTER_CUBIC)
    small = colorizer(gray).astype(int)
    large = cv2.resize(colorizer(double), (610, 420), interpolation=cv2.INTER_AREA)
    assert np.abs(small - large).mean() < 1.0


def test_rotating_the_photo_rotates_what_the_network_sees(any_size_tflite):
    colorizer = Colorizer(any_size_tflite)
    gray = _gray()
    view, ab = colorizer.predict(np.ascontiguousarray(np.rot90(gray, -1)), 8)
    upright_view, upright_ab = colorizer.predict(gray)
    np.testing.assert_allclose(np.rot90(view), upright_view, atol=0.02)
    np.testing.assert_allclose(np.rot90(ab), upright_ab, atol=0.05)


def test_merging_into_the_input_saves_a_copy_and_changes_nothing(any_size_tflite):
    colorizer = Colorizer(any_size_tflite)
    rgb = np.repeat(_gray()[..., None], 3, axis=2)
    view, ab = colorizer.predict(rgb)
    expected = colorizer.merge(rgb, view, ab)
    assert colorizer.merge(rgb, view, ab, out=rgb) is rgb
    np.testing.assert_array_equal(rgb, expected)


def test_an_rgb_file_is_refused_by_name(tmp_path):
    tf = pytest.importorskip("tensorflow")

    @tf.function(input_signature=[tf.TensorSpec((1, 32, 32, 3), tf.uint8, "image")])
    def invert(image):
        return {"colorized": tf.cast(255.0 - tf.cast(image, tf.float32), tf.uint8)}

    module_ = tf.Module()
    module_.invert = invert
    tf.saved_model.save(module_, str(tmp_path / "saved"), signatures=invert)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved"))
    path = tmp_path / "rgb.tflite"
    path.write_bytes(converter.convert())
    with pytest.raises(DataError, match="--io rgb.*--io network"):
        Colorizer(path)


def test_a_network_says_which_sizes_would_do(any_size_tflite, fixed_size_tflite):
    from kcolor.runtimes.resolve import load_predictor

    with pytest.raises(DataError, match="multiples of 32; 32 would do. Received: 40"):
        load_predictor(any_size_tflite).predict_ab(np.zeros((1, 40, 64, 1), "float32"))
    with pytest.raises(DataError, match="takes 256x256. Received: 64x64"):
        load_predictor(fixed_size_tflite).predict_ab(
            np.zeros((1, 64, 64, 1), "float32")
        )


def test_lightness_of_a_view_is_that_of_the_photo(any_size_tflite):
    gray = _gray(512, 768)
    view, _ = Colorizer(any_size_tflite).predict(gray)
    exact = cv2.resize(gray, view.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(view - host.lightness(exact)).mean() * 50 < 1.0
