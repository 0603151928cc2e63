"""What training sees: every kind of file, upright, 8 bits, on white."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from kcolor.images.decode import decode_rgb


@pytest.fixture(scope="module")
def rgb():
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), "uint8")
    return cv2.resize(noise, (160, 120), interpolation=cv2.INTER_CUBIC)


def encode(image, kind, **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_files_come_out_as_they_went_in(kind, rgb):
    options = {"lossless": True} if kind == "WEBP" else {}
    np.testing.assert_array_equal(decode_rgb(encode(rgb, kind, **options)), rgb)


@pytest.mark.parametrize(
    "data, tolerance",
    [
        (lambda rgb: encode(rgb, "JPEG", quality=95), 3),
        (lambda rgb: encode(Image.fromarray(rgb).convert("CMYK"), "JPEG"), 6),
        (lambda rgb: encode(Image.fromarray(rgb).quantize(256), "PNG"), 14),
        (lambda rgb: encode(rgb, "GIF"), 12),
        (lambda rgb: cv2.imencode(".png", rgb[..., ::-1].astype("u2") * 257)[1], 0),
        (lambda rgb: cv2.imencode(".tiff", rgb[..., ::-1].astype("u2") * 257)[1], 1),
    ],
    ids=["jpeg", "cmyk", "palette", "gif", "png16", "tiff16"],
)
def test_other_files_come_out_alike(data, tolerance, rgb):
    result = decode_rgb(bytes(data(rgb)))
    assert result.dtype == np.uint8
    assert np.abs(result.astype(int) - rgb).mean() <= tolerance


@pytest.mark.parametrize("bits", [8, 16])
def test_gray_files_become_three_equal_channels(bits, rgb):
    gray = rgb[..., 0].astype(f"u{bits // 8}") * (257 if bits == 16 else 1)
    result = decode_rgb(cv2.imencode(".png", gray)[1].tobytes())
    np.testing.assert_array_equal(result, rgb[..., :1].repeat(3, axis=-1))


@pytest.mark.parametrize("kind", ["RGBA", "LA", "palette", "WEBP", "WEBP lossless"])
def test_transparent_becomes_white(kind, rgb):
    alpha = np.full(rgb.shape[:2], 255, np.uint8)
    alpha[:60] = 0
    image = Image.fromarray(rgb)
    image.putalpha(Image.fromarray(alpha))
    if kind.startswith("WEBP"):
        data = encode(image, "WEBP", lossless="lossless" in kind)
    elif kind == "palette":
        data = encode(image.quantize(200, method=Image.Quantize.FASTOCTREE), "PNG")
    else:
        data = encode(image.convert(kind), "PNG")
    result = decode_rgb(data)
    assert (result[:60] == 255).all()
    assert np.abs(result[60:].astype(int) - rgb[60:]).mean() < 60
    assert result[60:].std() > 20


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("short_side", [None, 40])
def test_pictures_are_upright(kind, short_side, rgb):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise
    result = decode_rgb(encode(rgb, kind, exif=exif), short_side)
    turned = np.rot90(rgb, -1)
    if short_side:
        turned = cv2.resize(turned, (40, 53), interpolation=cv2.INTER_AREA)
    assert result.shape == turned.shape
    assert np.abs(result.astype(int) - turned).mean() < 8


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("short_side", [15, 30, 59, 60, 100, 119, 120, 500])
def test_reduced_pictures_keep_short_side_and_look(kind, short_side, rgb):
    result = decode_rgb(encode(rgb, kind), short_side)
    side = min(short_side, 120)
    expected = cv2.resize(
        rgb, (round(side * 160 / 120), side), interpolation=cv2.INTER_AREA
    )
    assert result.shape == expected.shape
    assert np.abs(result.astype(int) - expected).mean() < 6


@pytest.mark.parametrize("behind", [b"trailing", b"\xff\xda a phone's film"])
def test_whole_jpeg_with_bytes_after_its_end_is_read(rgb, behind):
    assert decode_rgb(encode(rgb, "JPEG") + behind).shape == rgb.shape


def test_half_a_jpeg_with_bytes_after_it_is_refused(rgb):
    data = encode(rgb, "JPEG")
    with pytest.raises(ValueError, match="truncated"):
        decode_rgb(data[: len(data) // 2] + b"\xff\xda a phone's film")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_half_a_file_is_refused(kind, rgb):
    data = encode(rgb, kind)
    with pytest.raises(ValueError, match="truncated|damaged"):
        decode_rgb(data[: len(data) // 2])


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"RIFF"])
@pytest.mark.parametrize("short_side", [None, 32])
def test_bytes_that_are_no_picture_are_refused(data, short_side):
    with pytest.raises(ValueError, match="empty|not a readable|damaged"):
        decode_rgb(data, short_side)


def test_smallest_picture_is_read():
    pixel = np.uint8([[[1, 2, 3]]])
    np.testing.assert_array_equal(decode_rgb(encode(pixel, "PNG"), 256), pixel)
