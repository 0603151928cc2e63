"""TIFF files as they are written: read back by tifffile and by Pillow."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from kcolor.errors import DataError
from kcolor.images import encode, write_tiff
from kcolor.images.decode import Photo
from kcolor.images.page import Page


def _page(dtype="uint8", alpha=False, seed=0, **options):
    rng = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    pixels = rng.integers(0, top, (23, 37, 3), dtype, endpoint=True)
    plane = rng.integers(0, top, (23, 37), dtype, endpoint=True) if alpha else None
    return Page(pixels, plane, **options)


def _written(*pages):
    file = io.BytesIO()
    write_tiff.write(file, pages)
    return file.getvalue()


def _camera_exif():
    block = Image.Exif()
    block[271], block[306] = "Some maker", "1911:10:12 13:14:15"
    details = block.get_ifd(0x8769)
    details[0x9003] = "1911:10:12 13:14:15"
    details[0x829A] = (1, 125)
    details[0x927C] = b"a maker's own notes, with offsets"
    details[0xA001] = 65535
    place = block.get_ifd(0x8825)
    place[1], place[2] = "N", (52.0, 31.0, 12.5)
    place[3], place[4] = "E", (13.0, 24.0, 36.25)
    return block.tobytes()


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("alpha", [False, True])
def test_pixels_come_back_as_they_were(dtype, alpha):
    page = _page(dtype, alpha)
    with tifffile.TiffFile(io.BytesIO(_written(page))) as file:
        found = file.pages[0]
        pixels = found.asarray()
        assert found.tags[338].value == (2,) if alpha else 338 not in found.tags
    np.testing.assert_array_equal(pixels[..., :3], page.pixels)
    if alpha:
        np.testing.assert_array_equal(pixels[..., 3], page.alpha)


def test_pages_are_taken_one_at_a_time():
    taken = []

    def pages():
        for seed in range(3):
            taken.append(seed)
            yield _page("uint16" if seed else "uint8", seed=seed)

    file = io.BytesIO()
    write_tiff.write(file, pages())
    file.seek(0)
    with tifffile.TiffFile(file) as found:
        assert len(found.pages) == len(taken) == 3
        for seed, page in enumerate(found.pages):
            expected = _page("uint16" if seed else "uint8", seed=seed)
            np.testing.assert_array_equal(page.asarray(), expected.pixels)


def test_what_describes_a_page_is_kept():
    metadata = {
        "dpi": (300.0, 299.5),
        "tags": {270: "a letter, größer".encode(), 315: b"Ada"},
        "xmp": b"<x:xmpmeta/>",
        "icc_profile": bytes(range(200)),
    }
    data = _written(_page(orientation=6, metadata=metadata))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tags = file.pages[0].tags
        assert tags[270].value == "a letter, größer" and tags[315].value == "Ada"
        assert tags[274].value == 6 and tags[296].value == 2
        assert tags[282].value == (300, 1) and tags[283].value == (599, 2)
        assert tags[34675].value == metadata["icc_profile"]
        assert bytes(tags[700].value) == metadata["xmp"]
        assert 305 not in tags


def test_when_and_where_outlive_a_change_of_format():
    pages = [_page(metadata={"exif": _camera_exif()}) for _ in range(2)]
    data = _written(*pages)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        for page in file.pages:
            assert page.tags[306].value == "1911:10:12 13:14:15"
            details, place = page.tags[34665].value, page.tags[34853].value
            assert details["DateTimeOriginal"] == "1911:10:12 13:14:15"
            assert details["ExposureTime"] == (1, 125)
            assert "MakerNote" not in details
            assert place["GPSLatitudeRef"] == "N"
            degrees, minutes, seconds = np.reshape(place["GPSLongitude"], (3, 2))
            assert degrees[0] / degrees[1] == 13 and minutes[0] / minutes[1] == 24
            assert seconds[0] / seconds[1] == 36.25
        np.testing.assert_array_equal(file.pages[1].asarray(), pages[1].pixels)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_when_and_where_come_back_out_of_a_tiff(kind):
    data = _written(_page(metadata={"exif": _camera_exif()}))
    with Photo(data, "a.tif") as photo:
        page = next(photo.read())
    file = io.BytesIO()
    encode.write(file, [page], kind)
    file.seek(0)
    with Image.open(file) as result:
        tags = result.getexif()
        assert tags[271] == "Some maker"
        assert tags.get_ifd(0x8769)[0x9003] == "1911:10:12 13:14:15"
        # The pixels are sRGB now, and the block says so.
        assert tags.get_ifd(0x8769)[0xA001] == 1
        assert tags.get_ifd(0x8825)[4] == (13.0, 24.0, 36.25)


def test_broken_exif_stops_no_picture():
    rng = np.random.default_rng(4)
    whole = _camera_exif()
    for _ in range(150):
        block = bytearray(whole)
        for _ in range(rng.integers(1, 6)):
            block[rng.integers(len(block))] = rng.integers(256)
        page = _page(metadata={"exif": bytes(block)})
        with tifffile.TiffFile(io.BytesIO(_written(page))) as file:
            np.testing.assert_array_equal(file.pages[0].asarray(), page.pixels)


def test_a_file_that_would_pass_4_gb_is_refused(monkeypatch):
    pages = [_page(seed=seed) for seed in range(3)]
    room = len(_written(*pages)) + 10
    monkeypatch.setattr(write_tiff, "_LIMIT", room)
    assert len(_written(*pages)) == room - 10
    with pytest.raises(DataError, match="4 GB"):
        _written(*pages, _page(seed=3))
