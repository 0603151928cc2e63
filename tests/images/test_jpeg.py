"""Scans of JPEG files: taken apart, and put together to a file in color."""

import io
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from kcolor.color.luma import split
from kcolor.errors import DataError
from kcolor.images import decode, encode, jpeg

HEIGHT, WIDTH = 69, 106

needs_jpegtran = pytest.mark.skipif(
    shutil.which(jpeg.JPEGTRAN) is None, reason="jpegtran is not installed"
)


def _gray(height=HEIGHT, width=WIDTH, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 9)).astype("uint8")
    fine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(fine + rng.normal(0, 5, fine.shape), 0, 255).astype("uint8")


def _saved(pixels, mode=None, **options):
    held = io.BytesIO()
    image = Image.fromarray(pixels)
    image.convert(mode or image.mode).save(held, "JPEG", **{"quality": 88} | options)
    return held.getvalue()


def _colored(luma, sampling):
    planes = []
    for seed in (1, 2):
        size = -(-HEIGHT // sampling[0]), -(-WIDTH // sampling[1])
        chroma = _saved(_gray(*size, seed=seed), progressive=luma.is_progressive)
        planes.append(jpeg.parse(chroma))
    return jpeg.join(luma, planes, sampling), planes


def _scans(found):
    return [bytes(part[2]) for part in found.parts if part[0] == 0xDA]


GRAY_KINDS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "own Huffman tables": {"optimize": True},
    "restarts": {"restart_marker_blocks": 5},
    "progressive with restarts": {"progressive": True, "restart_marker_rows": 1},
    "coarse": {"quality": 4},
}


@pytest.mark.parametrize("options", GRAY_KINDS.values(), ids=GRAY_KINDS)
@pytest.mark.parametrize("sampling", [(1, 1), (2, 2), (1, 2), (2, 1)])
def test_a_gray_file_s_scans_are_the_luma_of_a_color_file(options, sampling):
    data = _saved(_gray(), **options)
    luma = jpeg.luma_of(data)
    result, _ = _colored(luma, sampling)
    found = jpeg.luma_of(result)
    assert _scans(found) == _scans(jpeg.parse(data))
    assert (found.table, found.sampling) == (luma.table, sampling)
    np.testing.assert_array_equal(decode.decode_luma(result), decode.decode_luma(data))


@pytest.mark.parametrize("options", GRAY_KINDS.values(), ids=GRAY_KINDS)
def test_luma_alone_is_a_gray_file(options):
    data = _saved(_gray(), **options)
    color, _ = _colored(jpeg.luma_of(data), (2, 2))
    alone = jpeg.alone(jpeg.luma_of(color))
    with Image.open(io.BytesIO(alone)) as image:
        assert image.mode == "L"
    np.testing.assert_array_equal(decode.decode_luma(alone), decode.decode_luma(data))


def test_a_second_scan_of_luma_is_refused():
    # Of a gray file libjpeg reads the first one, of a file in color the last.
    data = _saved(_gray())
    scan = data[data.index(b"\xff\xda") : -2]
    twice = data[:-2] + scan + data[-2:]
    np.testing.assert_array_equal(decode.decode_luma(twice), decode.decode_luma(data))
    with pytest.raises(DataError, match="damaged"):
        jpeg.luma_of(twice)


@pytest.mark.parametrize("quality", [30, 95, 100, None])
@pytest.mark.parametrize("progressive", [False, True])
def test_chroma_is_rounded_as_in_a_file_in_color(quality, progressive):
    rgb = np.dstack([_gray(seed=seed) for seed in range(3)])
    planes = [encode.code_chroma(p, quality, progressive) for p in split(rgb)[1:]]
    luma = jpeg.luma_of(_saved(_gray(), quality=quality or 95, progressive=progressive))
    joined = jpeg.join(luma, planes, (1, 1))
    seen = []
    for data in (joined, encode.code_jpeg(rgb, quality)):
        with Image.open(io.BytesIO(data)) as image:
            table = image.quantization[1]
            image.draft("YCbCr", image.size)
            seen.append((table, np.asarray(image)[..., 1:].astype(int)))
    assert seen[0][0] == seen[1][0]
    # A level that is rounded the other way in 2% of the pixels, before coding.
    assert np.abs(seen[0][1] - seen[1][1]).mean() < 0.6


@pytest.mark.parametrize("sampling", [(1, 1), (2, 2), (1, 2), (2, 1)])
@pytest.mark.parametrize("progressive", [False, True])
def test_chroma_comes_out_as_it_was_coded(sampling, progressive):
    luma = jpeg.luma_of(_saved(_gray(), progressive=progressive))
    result, planes = _colored(luma, sampling)
    scans = _scans(jpeg.parse(result))
    for plane in planes:
        own = _scans(plane)
        assert all(scan in scans for scan in own)
    if sampling == (1, 1):
        with Image.open(io.BytesIO(result)) as image:
            image.draft("YCbCr", image.size)
            seen = np.asarray(image)
        for at, seed in enumerate((1, 2), 1):
            own = decode.decode_luma(_saved(_gray(seed=seed), progressive=progressive))
            np.testing.assert_array_equal(seen[..., at], own)


@needs_jpegtran
@pytest.mark.parametrize("progressive, is_read", [(False, True), (True, False)])
def test_jpegtran_is_not_trusted_to_miss_scans(progressive, is_read):
    color = np.dstack([_gray(seed=seed) for seed in range(3)])
    data = _saved(color, progressive=progressive)
    luma = jpeg.luma_of(data)
    assert luma.is_read == is_read
    alone = decode.decode_luma(jpeg.alone(luma))
    np.testing.assert_array_equal(alone, decode.decode_luma(data))


@needs_jpegtran
@pytest.mark.parametrize(
    "subsampling, sampling", [(0, (1, 1)), (1, (1, 2)), (2, (2, 2))]
)
@pytest.mark.parametrize("options", GRAY_KINDS.values(), ids=GRAY_KINDS)
def test_a_color_file_s_luma_is_separated(subsampling, sampling, options):
    color = np.dstack([_gray(seed=seed) for seed in range(3)])
    data = _saved(color, subsampling=subsampling, **options)
    luma = jpeg.luma_of(data)
    assert luma.sampling == sampling
    result, _ = _colored(luma, sampling)
    np.testing.assert_array_equal(decode.decode_luma(result), decode.decode_luma(data))


def test_luma_that_is_separate_already_needs_no_program(monkeypatch):
    first, _ = _colored(jpeg.luma_of(_saved(_gray())), (2, 2))
    monkeypatch.setattr(jpeg, "JPEGTRAN", "no-such-program")
    luma = jpeg.luma_of(first)
    again, _ = _colored(luma, (2, 2))
    assert again == first


def test_without_the_program_it_is_named(monkeypatch):
    monkeypatch.setattr(jpeg, "JPEGTRAN", "no-such-program")
    with pytest.raises(DataError, match="no-such-program .*apt install"):
        jpeg.luma_of(_saved(np.dstack([_gray()] * 3)))


def _as_rgb(color):
    # Components named as Adobe's RGB files name them, and no JFIF header.
    data = bytearray(_saved(color, subsampling=0))
    for marker, step in ((b"\xff\xc0", 3), (b"\xff\xda", 2)):
        at = data.index(marker) + (10 if marker == b"\xff\xc0" else 5)
        for number, name in enumerate(b"RGB"):
            data[at + step * number] = name
    return bytes(data[:2] + data[20:])


@pytest.mark.parametrize(
    "data, reason",
    [
        (_saved(_gray(), "CMYK"), "4 components"),
        (_as_rgb(np.dstack([_gray()] * 3)), "red, green and blue"),
        (
            _saved(_gray()).replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc1\0\x0b\x0c"),
            "12 bits",
        ),
        (_saved(_gray()).replace(b"\xff\xc0", b"\xff\xc9"), "arithmetically"),
        (_saved(_gray())[:-40], "truncated"),
        (_saved(_gray())[:300], "damaged"),
        (b"\xff\xd8\xff\xd9", "damaged"),
        (_saved(_gray()).replace(b"\xff\xdb", b"\xff\xb1"), "rare kind"),
    ],
)
def test_what_cannot_be_copied_says_why(data, reason):
    with pytest.raises(DataError, match=reason):
        jpeg.luma_of(data)
