"""Every kind of photo file: what is read, what is kept, what is refused."""

import io
import struct
import sys
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps
from PIL.PngImagePlugin import PngInfo

from kcolor.color import curves, host
from kcolor.errors import DataError
from kcolor.images import decode, encode, exif, formats, icc, opening, to_srgb
from kcolor.images.page import to_8_bits
from kcolor.inference.colorizer import Colorizer
from kcolor.inference.hints import parse_hint
from kcolor.inference.jobs import Settings, colorize_file, run_job
from kcolor.inference.plan import Job, plan

HEIGHT, WIDTH = 69, 106


@pytest.fixture(scope="module")
def colorizer(any_size_tflite):
    return Colorizer(any_size_tflite, threads=1)


def _gray(seed=0, dtype="uint8"):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 236, (6, 9)).astype("uint8")
    fine = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    return fine if dtype == "uint8" else fine.astype("uint16") * 257


def _colorize(colorizer, source, target, **settings):
    colorize_file(colorizer, Job(source, target), Settings(**settings))
    return target


def _lightness(rgb):
    return 50 * (host.lightness(np.ascontiguousarray(rgb)) + 1)


def _assert_colorized(rgb, gray, error=0.5):
    rgb = np.asarray(rgb)
    assert rgb.shape == (*gray.shape[:2], 3)
    scale = 257 if rgb.dtype == np.uint16 else 1
    assert np.ptp(rgb.astype(int), axis=2).mean() > 5 * scale
    assert np.abs(_lightness(rgb) - _lightness(gray)).mean() < error


def _save(path, image, **options):
    image.save(path, **options)
    return path


@pytest.mark.parametrize(
    "suffix, options, error",
    [
        ("jpg", {"quality": 95}, 0.5),
        ("jpg", {"quality": 95, "progressive": True}, 0.5),
        ("png", {}, 0.15),
        ("tif", {}, 0.15),
        ("tif", {"compression": "tiff_lzw"}, 0.15),
        ("webp", {"lossless": True}, 0.15),
        ("webp", {"quality": 95}, 2.0),
        ("bmp", {}, 0.15),
        ("gif", {}, 3.0),
        ("ppm", {}, 0.15),
    ],
)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_each_format_comes_out_as_itself(
    tmp_path, colorizer, suffix, options, error, mode
):
    image = Image.fromarray(_gray()).convert(mode)
    source = _save(tmp_path / f"a.{suffix}", image, **options)
    # A gray JPEG would keep its luma instead.
    target = tmp_path / f"b.{suffix}"
    _colorize(colorizer, source, target, lossless_luma=False)
    with Image.open(target) as result, Image.open(source) as before:
        assert result.format == before.format
        _assert_colorized(result.convert("RGB"), decode.load(source), error)


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA", "CMYK", "YCbCr"])
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
def test_each_kind_of_pixels_is_read(tmp_path, colorizer, mode, suffix):
    image = Image.fromarray(_gray()).convert("RGB").convert(mode)
    try:
        source = _save(tmp_path / f"a.{suffix}", image)
    except OSError:
        pytest.skip(f"no {suffix} holds {mode}")
    target = _colorize(colorizer, source, tmp_path / "b.png")
    with Image.open(target) as result, Image.open(source) as before:
        assert ("A" in result.getbands()) == ("A" in before.getbands())
        expected = np.asarray(before.convert("RGB"))
        if before.mode == "1":  # Black and white hold no color.
            np.testing.assert_array_equal(np.asarray(result), expected)
        else:
            _assert_colorized(result.convert("RGB"), expected, error=0.3)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_kept_and_the_network_sees_the_photo_upright(
    tmp_path, colorizer, suffix, orientation
):
    upright = Image.fromarray(_gray())
    turned = Image.fromarray(
        np.ascontiguousarray(exif.as_stored(np.asarray(upright), orientation))
    )
    tags = Image.Exif()
    tags[0x0112] = orientation
    source = _save(tmp_path / f"a.{suffix}", turned, exif=tags, quality=95)
    reference = _save(tmp_path / "r.png", upright)
    target = _colorize(colorizer, source, tmp_path / f"b.{suffix}", quality=98)
    expected = _colorize(colorizer, reference, tmp_path / "s.png")
    with Image.open(target) as result, Image.open(expected) as wanted:
        with Image.open(source) as before:
            assert result.size == before.size
        seen = np.asarray(ImageOps.exif_transpose(result).convert("RGB")).astype(int)
        wanted = np.asarray(wanted).astype(int)
    assert seen.shape == wanted.shape
    assert np.abs(seen - wanted).mean() < 3


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_a_turned_tiff_of_16_bits_stands_upright_everywhere(
    tmp_path, colorizer, suffix
):
    upright = np.dstack([_gray(dtype="uint16")] * 3)
    stored = np.ascontiguousarray(exif.as_stored(upright, 6))
    source = tmp_path / "a.tif"
    tag = (274, "H", 1, 6, False)
    tifffile.imwrite(source, stored, photometric="rgb", extratags=[tag])
    target = _colorize(colorizer, source, tmp_path / f"b.{suffix}")
    with Image.open(target) as result:
        seen = ImageOps.exif_transpose(result).convert("RGB")
        _assert_colorized(seen, _gray(), error=2.0)


def test_orientation_is_carried_out_where_the_format_has_no_tag(tmp_path, colorizer):
    tags = Image.Exif()
    tags[0x0112] = 6
    source = _save(tmp_path / "a.jpg", Image.fromarray(_gray()), exif=tags)
    target = _colorize(colorizer, source, tmp_path / "b.bmp")
    with Image.open(target) as result:
        assert result.size == (HEIGHT, WIDTH)


def test_orientation_is_carried_out_where_its_block_is_too_long(tmp_path, colorizer):
    tags = Image.Exif()
    tags[0x0112] = 6
    tags.get_ifd(0x8769)[0x9286] = bytes(70_000)  # The user's comment.
    image = Image.fromarray(_gray())
    source = _save(tmp_path / "a.webp", image, exif=tags, lossless=True)
    target = _colorize(colorizer, source, tmp_path / "b.jpg")
    with Image.open(target) as result:
        assert result.size == (HEIGHT, WIDTH) and 0x0112 not in result.getexif()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_agrees_with_pillow_and_back(orientation):
    pixels = np.random.default_rng(orientation).integers(0, 256, (4, 7, 3), "uint8")
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    turned = exif.upright(pixels, orientation)
    np.testing.assert_array_equal(turned, expected)
    np.testing.assert_array_equal(exif.as_stored(turned, orientation), pixels)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_stay_sixteen(tmp_path, colorizer, suffix, channels):
    gray = _gray(dtype="uint16")
    # Steps that 8 bits cannot hold.
    gray += np.random.default_rng(3).integers(0, 257, gray.shape).astype("uint16")
    pixels = gray if channels == 1 else np.repeat(gray[..., None], channels, axis=2)
    alpha = gray[::-1] // 2
    if channels == 4:
        pixels[..., 3] = alpha
    source = tmp_path / f"a.{suffix}"
    assert cv2.imwrite(str(source), pixels)
    target = _colorize(colorizer, source, tmp_path / f"b.{suffix}")
    result = cv2.imread(str(target), cv2.IMREAD_UNCHANGED)
    assert result.dtype == np.uint16
    _assert_colorized(result[..., 2::-1], gray, error=0.002)
    if channels == 4:
        np.testing.assert_array_equal(result[..., 3], alpha)


def test_sixteen_bits_are_rounded_for_a_format_of_eight(tmp_path, colorizer):
    source = tmp_path / "a.png"
    cv2.imwrite(str(source), _gray(dtype="uint16"))
    target = _colorize(colorizer, source, tmp_path / "b.bmp")
    with Image.open(target) as result:
        _assert_colorized(result, _gray(), error=0.15)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_alpha_is_kept(tmp_path, colorizer, suffix):
    alpha = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH)).astype("uint8")
    image = Image.fromarray(_gray()).convert("RGB")
    image.putalpha(Image.fromarray(alpha))
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    source = _save(tmp_path / f"a.{suffix}", image, **options)
    target = _colorize(colorizer, source, tmp_path / f"b.{suffix}")
    with Image.open(target) as result:
        np.testing.assert_array_equal(np.asarray(result.getchannel("A")), alpha)


def test_alpha_is_laid_on_white_where_the_format_has_none(tmp_path, colorizer):
    image = Image.fromarray(_gray()).convert("RGBA")
    alpha = np.zeros((HEIGHT, WIDTH), "uint8")
    alpha[:, WIDTH // 2 :] = 255
    image.putalpha(Image.fromarray(alpha))
    source = _save(tmp_path / "a.png", image)
    with Image.open(_colorize(colorizer, source, tmp_path / "b.bmp")) as result:
        pixels = np.asarray(result)
    assert (pixels[:, : WIDTH // 2] == 255).all()
    _assert_colorized(pixels[:, WIDTH // 2 :], _gray()[:, WIDTH // 2 :], error=0.15)


def _gamma_profile(space="RGB"):
    # Linear light, far from the sRGB curve: reading it wrongly is off by 20 L*.
    base = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = bytearray(base)
    for entry in range(struct.unpack_from(">I", data, 128)[0]):
        tag, start, _ = struct.unpack_from(">4sII", data, 132 + 12 * entry)
        if tag in (b"rTRC", b"gTRC", b"bTRC"):
            # A "curv" of no entries is the identity.
            data[start : start + 12] = b"curv\0\0\0\0\0\0\0\0"
            struct.pack_into(">I", data, 132 + 12 * entry + 8, 12)
    return bytes(data).replace(b"sRGB", b"lRGB").replace(b"s\0R\0G\0B", b"l\0R\0G\0B")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_a_profile_is_converted_to_srgb_and_the_result_tagged(
    tmp_path, colorizer, suffix
):
    linear = np.rint(255 * curves.linearize(_gray() / 255)).astype("uint8")
    image = Image.fromarray(linear).convert("RGB")
    options = {"quality": 98} if suffix != "webp" else {"lossless": True}
    source = _save(
        tmp_path / f"a.{suffix}", image, icc_profile=_gamma_profile(), **options
    )
    target = _colorize(colorizer, source, tmp_path / f"b.{suffix}")
    with Image.open(target) as result:
        _assert_colorized(result, _gray(), error=1.0)
        profile = ImageCms.ImageCmsProfile(io.BytesIO(result.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)


@pytest.mark.parametrize("color", [False, True])
def test_a_jpeg_in_color_without_any_is_read_as_gray(tmp_path, color):
    pixels = np.dstack([_gray()] * 3)
    # Large enough that JPEG's chroma, which is averaged, shows it.
    pixels[-16:, -16:, 0] += 9 * color
    source = _save(tmp_path / "a.jpg", Image.fromarray(pixels), quality=95)
    with decode.Photo(source) as photo, Image.open(source) as image:
        read = next(photo.read()).pixels
        expected = np.asarray(image)
    assert read.ndim == (3 if color else 2)
    np.testing.assert_array_equal(read if color else np.dstack([read] * 3), expected)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_a_profile_of_gray_pixels_does_not_end_up_on_a_color_picture(
    tmp_path, colorizer, suffix
):
    same_curve = icc.build(None, gray=True)
    image = Image.fromarray(_gray())
    source = _save(tmp_path / f"a.{suffix}", image, icc_profile=same_curve)
    target = _colorize(colorizer, source, tmp_path / f"b.{suffix}")
    with Image.open(target) as result:
        assert result.mode == "RGB"
        assert result.info["icc_profile"][16:20] == b"RGB "


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_the_profile_of_a_16_bit_file_is_converted_too(tmp_path, colorizer, suffix):
    gray = _gray(dtype="uint16")
    linear = np.rint(65535 * curves.linearize(gray / 65535)).astype("uint16")
    page = decode.Page(
        np.dstack([linear] * 3), metadata={"icc_profile": _gamma_profile()}
    )
    source = tmp_path / f"a.{suffix}"
    with source.open("w+b") as file:
        encode.write(file, [page], formats.of_name(source).name)
    target = _colorize(colorizer, source, tmp_path / f"b.{suffix}")
    result = cv2.imread(str(target), cv2.IMREAD_UNCHANGED)
    _assert_colorized(result[..., ::-1], gray, error=0.02)
    with Image.open(target) as tagged:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(tagged.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)


@pytest.mark.parametrize(
    "curve, expected",
    [
        (b"curv\0\0\0\0" + struct.pack(">I", 0), lambda x: x),
        (b"curv\0\0\0\0" + struct.pack(">IH", 1, 563), lambda x: x ** (563 / 256)),
        (
            b"curv\0\0\0\0" + struct.pack(">I3H", 3, 0, 10_000, 65_535),
            lambda x: np.interp(x, [0, 0.5, 1], [0, 10_000 / 65_535, 1]),
        ),
        (
            b"para\0\0\0\0\0\x03\0\0"
            + struct.pack(
                ">5i",
                *(round(65536 * v) for v in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92)),
                round(65536 * 0.04045),
            ),
            curves.linearize,
        ),
        (
            b"para\0\0\0\0\0\x02\0\0"
            + struct.pack(">4i", *(round(65536 * v) for v in (2.0, 1.1, -0.2, 0.1))),
            lambda x: np.clip(np.maximum(1.1 * x - 0.2, 0) ** 2 + 0.1, 0, 1),
        ),
    ],
)
def test_curves_of_profiles_are_read(curve, expected):
    x = np.arange(65536) / 65535
    np.testing.assert_allclose(icc._curve(curve), expected(x), atol=2e-4)


P3 = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)


@pytest.mark.parametrize(
    "profile", [icc.build(None, P3), icc.build(1.8), icc.build(1.0, P3)]
)
def test_16_bits_are_converted_as_littlecms_converts_8(profile):
    rgb = np.random.default_rng(0).integers(0, 256, (31, 45, 3)).astype("uint8")
    ours = to_srgb.convert_16(rgb.astype("uint16") * 257, profile) / 257
    theirs = ImageCms.profileToProfile(
        Image.fromarray(rgb),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
    )
    # LittleCMS rounds to 8 bits, in between as well.
    assert np.abs(ours - np.asarray(theirs)).max() < 1.5


def test_no_profile_upsets_its_reader():
    rng = np.random.default_rng(3)
    whole = _gamma_profile()
    pixels = rng.integers(0, 65536, (3, 4, 3)).astype("uint16")
    for _ in range(500):
        profile = bytearray(whole[: rng.integers(0, len(whole) + 1)])
        for _ in range(rng.integers(0, 8)):
            if profile:
                profile[rng.integers(len(profile))] = rng.integers(256)
        converted = to_srgb.convert_16(pixels, bytes(profile))
        assert converted.shape == pixels.shape and converted.dtype == np.uint16


def test_an_srgb_profile_changes_no_pixel_and_stays(tmp_path, colorizer):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(_gray()).convert("RGB")
    tagged = _save(tmp_path / "a.png", image, icc_profile=profile)
    plain = _save(tmp_path / "p.png", image)
    with (
        Image.open(_colorize(colorizer, tagged, tmp_path / "b.png")) as result,
        Image.open(_colorize(colorizer, plain, tmp_path / "q.png")) as untagged,
    ):
        np.testing.assert_array_equal(np.asarray(result), np.asarray(untagged))
        assert result.info["icc_profile"] == profile
        assert "icc_profile" not in untagged.info


def test_every_page_of_a_scan_is_colorized(tmp_path, colorizer):
    pages = [_gray(seed)[: HEIGHT - 9 * seed] for seed in range(3)]
    images = [Image.fromarray(page) for page in pages]
    source = _save(
        tmp_path / "a.tif",
        images[0],
        save_all=True,
        append_images=images[1:],
        dpi=(300, 300),
        description="a letter",
    )
    target = _colorize(colorizer, source, tmp_path / "b.tif")
    with Image.open(target) as result:
        assert result.n_frames == 3
        for number, page in enumerate(pages):
            result.seek(number)
            _assert_colorized(result, page, error=0.15)
        result.seek(0)
        assert result.info["dpi"] == (300, 300)
        assert result.tag_v2[270] == "a letter"


def test_a_page_has_nothing_of_the_one_before_it(tmp_path):
    source = tmp_path / "a.tif"
    with tifffile.TiffWriter(source) as writer:
        described = {"iccprofile": icc.srgb(), "resolution": (300, 300)}
        writer.write(_gray(), metadata=None, **described)
        writer.write(_gray(), metadata=None)
    with decode.Photo(source) as photo:
        first, second = photo.read()
    assert first.metadata["dpi"] == (300, 300) and first.metadata["icc_profile"]
    assert "icc_profile" not in second.metadata and "dpi" not in second.metadata


def test_texts_and_captions_of_a_tiff_stay_as_they_are(tmp_path, colorizer):
    caption = b"\x1c\x02\x78\0\x04who!"
    text = "Jürgen, Köln"
    source = tmp_path / "a.tif"
    with tifffile.TiffWriter(source, byteorder="<") as writer:
        data = text.encode() + b"\0"
        tags = [
            (270, "s", len(data), data, False),
            (315, "s", 4, b"Zo\xeb\0", False),
            (33723, "B", len(caption), caption, False),
        ]
        writer.write(_gray(), metadata=None, extratags=tags)
    target = _colorize(colorizer, source, tmp_path / "b.tif")
    with tifffile.TiffFile(target) as result:
        found = result.pages[0].tags
        assert found[270].value == text
        assert caption in bytes(found[34377].value)
    with Image.open(target) as result:
        assert result.tag_v2[315] == "Zoë"  # Pillow takes every text for Latin-1.
    as_jpeg = _colorize(colorizer, source, tmp_path / "b.jpg")
    assert text.encode() in as_jpeg.read_bytes()
    with Image.open(as_jpeg) as result:
        assert caption in dict(result.applist)["APP13"]
    again = _colorize(colorizer, as_jpeg, tmp_path / "c.tif").read_bytes()
    assert caption in again and text.encode() in again


def test_sixteen_bit_pages_stay_sixteen(tmp_path, colorizer):
    pages = [np.dstack([_gray(seed, "uint16")] * 3) for seed in range(2)]
    source = tmp_path / "a.tif"
    assert cv2.imwritemulti(str(source), pages)
    target = _colorize(colorizer, source, tmp_path / "b.tif")
    found, result = cv2.imreadmulti(str(target), flags=cv2.IMREAD_UNCHANGED)
    assert found and len(result) == 2
    for page, before in zip(result, pages, strict=True):
        assert page.dtype == np.uint16
        _assert_colorized(page[..., ::-1], before, error=0.002)


def test_pages_are_never_dropped_unsaid(tmp_path, colorizer):
    images = [Image.fromarray(_gray(seed)) for seed in range(2)]
    source = _save(
        tmp_path / "a.tif", images[0], save_all=True, append_images=images[1:]
    )
    with pytest.raises(DataError, match="2 pages"):
        _colorize(colorizer, source, tmp_path / "b.jpg")
    assert not (tmp_path / "b.jpg").exists()


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_an_animation_keeps_its_frames_and_times(tmp_path, colorizer, suffix):
    images = [Image.fromarray(_gray(seed)) for seed in range(3)]
    source = _save(
        tmp_path / f"a.{suffix}",
        images[0],
        save_all=True,
        append_images=images[1:],
        duration=70,
        loop=0,
    )
    target = _colorize(colorizer, source, tmp_path / f"b.{suffix}")
    with Image.open(target) as result:
        assert result.n_frames == 3
        for number in range(3):
            result.seek(number)
            result.load()
            assert result.info["duration"] == 70
            frame = np.asarray(result.convert("RGB")).astype(int)
            assert np.ptp(frame, axis=2).mean() > 5


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_frames_keep_times_of_their_own_and_how_often_they_are_shown(
    tmp_path, colorizer, suffix
):
    images = [Image.fromarray(_gray(seed)) for seed in range(3)]
    times = [100, 500, 1000]
    options = {"save_all": True, "append_images": images[1:], "duration": times}
    source = _save(tmp_path / "a.gif", images[0], **options)
    target = _colorize(colorizer, source, tmp_path / f"b.{suffix}")
    with Image.open(target) as result:
        found = []
        for number in range(result.n_frames):
            result.seek(number)
            result.load()
            found.append(result.info["duration"])
        assert found == times
        assert result.info.get("loop") == (None if suffix == "gif" else 1)


def test_an_animation_of_16_bits_keeps_every_frame(tmp_path, colorizer):
    frames = [_gray(seed, "uint16") for seed in range(2)]
    sequence = iter(range(3))
    chunks = [(b"acTL", struct.pack(">II", 2, 0))]
    for number, frame in enumerate(frames):
        control = next(sequence), WIDTH, HEIGHT, 0, 0, 1, 10, 0, 0
        chunks.append((b"fcTL", struct.pack(">IIIIIHHBB", *control)))
        pixels = _rows(np.dstack([frame] * 3))
        if number:
            chunks.append((b"fdAT", struct.pack(">I", next(sequence)) + pixels))
        else:
            chunks.append((b"IDAT", pixels))
    source = tmp_path / "a.png"
    source.write_bytes(_png(2, *chunks))
    target = _colorize(colorizer, source, tmp_path / "b.png")
    with Image.open(target) as result:
        assert result.n_frames == 2
        for number, frame in enumerate(frames):
            result.seek(number)
            _assert_colorized(result.convert("RGB"), to_8_bits(frame), error=0.3)


def _png(color_type, *chunks):
    # A 16-bit PNG of these chunks.
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, color_type, 0, 0, 0)
    whole = [(b"IHDR", header), *chunks, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in whole)


def _chunk(kind, body):
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + checksum


def _rows(pixels):
    # Compressed rows of a PNG, none of them filtered.
    return zlib.compress(b"".join(b"\0" + r.astype(">u2").tobytes() for r in pixels))


def test_a_default_image_stays_outside_the_animation(tmp_path, colorizer):
    images = [Image.fromarray(_gray(seed)) for seed in range(3)]
    options = {"save_all": True, "append_images": images[1:], "default_image": True}
    source = _save(tmp_path / "a.png", images[0], duration=70, **options)
    target = _colorize(colorizer, source, tmp_path / "b.png")
    with Image.open(target) as result:
        assert result.n_frames == 3
    assert b"acTL" + struct.pack(">I", 2) in target.read_bytes()


LINEAR = (b"gAMA", struct.pack(">I", 100_000))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_one_clear_color_stays_clear_where_colors_are_converted(
    tmp_path, colorizer, mode
):
    gray = _gray()
    gray[:10] = 7
    clear = 7 if mode == "L" else (7, 7, 7)
    data = io.BytesIO()
    Image.fromarray(gray).convert(mode).save(data, "PNG", transparency=clear)
    whole = data.getvalue()
    source = tmp_path / "a.png"
    source.write_bytes(whole[:33] + _chunk(*LINEAR) + whole[33:])
    target = _colorize(colorizer, source, tmp_path / "b.png")
    with Image.open(target) as result:
        alpha = np.asarray(result.getchannel("A"))
    assert (alpha[:10] == 0).all() and (alpha[10:] == 255).all()


def test_gray_of_16_bits_is_converted_with_alpha_as_without():
    gray = _gray(dtype="uint16")
    both = np.dstack([gray, np.full_like(gray, 65535)])
    pages = []
    for color_type, pixels in ((0, gray), (4, both)):
        data = _png(color_type, LINEAR, (b"IDAT", _rows(pixels)))
        with decode.Photo(data) as photo:
            pages += photo.read()
    np.testing.assert_array_equal(pages[0].pixels, pages[1].pixels)
    assert pages[0].pixels.mean() > gray.mean() + 5000
    assert (pages[1].alpha == 65535).all()


def test_hints_are_for_one_picture(tmp_path, colorizer):
    images = [Image.fromarray(_gray(seed)) for seed in range(2)]
    options = {"save_all": True, "append_images": images[1:]}
    source = _save(tmp_path / "a.tif", images[0], **options)
    hints = [parse_hint("50%,50%,#d02020")]
    with pytest.raises(DataError, match="a.tif: hints are for one picture, and it has"):
        _colorize(colorizer, source, tmp_path / "b.tif", hints=hints)
    assert not (tmp_path / "b.tif").exists()


def _camera_exif():
    tags = Image.Exif()
    tags[0x010F] = "Some maker"
    tags.get_ifd(0x8769)[0x9003] = "1911:10:12 13:14:15"
    tags.get_ifd(0x8769)[0xA001] = 65535
    tags.get_ifd(0x8825)[1] = "N"
    return tags


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_metadata_is_kept(tmp_path, colorizer, suffix):
    options = {"exif": _camera_exif(), "dpi": (254, 254)}
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>who and where</x:xmpmeta>"
    if suffix == "png":
        options["pnginfo"] = info = PngInfo()
        info.add_text("Title", "a title")
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    else:
        options["xmp"] = xmp
    if suffix == "jpg":
        caption = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x08\x1c\x02\x78\0\x03abc"
        segment = b"\xff\xed" + struct.pack(">H", len(caption) + 2) + caption
        options |= {"comment": b"a comment", "extra": segment}
    source = _save(tmp_path / f"a.{suffix}", Image.fromarray(_gray()), **options)
    target = _colorize(colorizer, source, tmp_path / f"b.{suffix}")
    with Image.open(target) as result:
        tags = result.getexif()
        assert tags[0x010F] == "Some maker"
        assert tags.get_ifd(0x8769)[0x9003] == "1911:10:12 13:14:15"
        # The pixels are sRGB now, and the block says so.
        assert tags.get_ifd(0x8769)[0xA001] == 1
        assert tags.get_ifd(0x8825)[1] == "N"
        kept = result.info["xmp"] if suffix != "png" else result.text
        assert "who and where" in str(kept)
        if suffix == "jpg":
            assert result.info["comment"] == b"a comment"
            assert caption in dict(result.applist).values()
        if suffix == "png":
            assert result.text["Title"] == "a title"
        if suffix != "webp":
            assert result.info["dpi"] == pytest.approx((254, 254), rel=1e-3)


@pytest.mark.parametrize("before, after", [("tif", "jpg"), ("jpg", "tif")])
def test_who_and_when_outlive_a_change_of_format(tmp_path, colorizer, before, after):
    tags = Image.Exif()
    tags[270], tags[306], tags[315] = "a letter", "1911:10:12 13:14:15", "Ada"
    source = _save(tmp_path / f"a.{before}", Image.fromarray(_gray()), exif=tags)
    with Image.open(_colorize(colorizer, source, tmp_path / f"b.{after}")) as result:
        found = result.getexif()
        assert (found[270], found[306], found[315]) == (tags[270], tags[306], "Ada")


def test_a_black_and_white_thumbnail_does_not_survive():
    body = b"MM\0*" + struct.pack(">IH", 8, 1)
    body += struct.pack(">HHII", 0x0112, 3, 1, 6 << 16)
    second = len(body) + 4
    thumbnail = b"\xff\xd8 thumbnail \xff\xd9"
    start = second + 2 + 24 + 4
    body += struct.pack(">I", second) + struct.pack(">H", 2)
    body += struct.pack(">HHII", 0x0201, 4, 1, start)
    body += struct.pack(">HHII", 0x0202, 4, 1, len(thumbnail)) + bytes(4)
    block = b"Exif\0\0" + body + thumbnail
    clean = exif.cleaned(block)
    assert b"thumbnail" not in clean and len(clean) == len(block) - len(thumbnail)
    assert exif.orientation(clean) == 6
    assert exif.orientation(exif.cleaned(block, orientation=1)) == 1


def test_no_exif_block_upsets_its_reader():
    rng = np.random.default_rng(9)
    whole = _camera_exif().tobytes()
    for _ in range(3000):
        block = bytearray(whole[: rng.integers(0, len(whole) + 1)])
        for _ in range(rng.integers(0, 6)):
            if block:
                block[rng.integers(len(block))] = rng.integers(256)
        assert 1 <= exif.orientation(bytes(block)) <= 8
        assert len(exif.cleaned(bytes(block), 1)) <= len(block)


def _head(width, height, kind):
    buffer = io.BytesIO()
    Image.new("L", (3, 2)).save(buffer, kind)
    data = bytearray(buffer.getvalue())
    if kind == "PNG":
        import zlib

        struct.pack_into(">II", data, 16, width, height)
        struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    elif kind == "JPEG":
        at = data.index(b"\xff\xc0")
        struct.pack_into(">HH", data, at + 5, height, width)
    elif kind == "GIF":
        struct.pack_into("<HH", data, 6, width, height)
    elif kind == "BMP":
        struct.pack_into("<ii", data, 18, width, height)
    return bytes(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP"])
def test_a_pixel_bomb_is_refused_unread(tmp_path, kind):
    with pytest.raises(DataError, match="over the limit"):
        decode.Photo(_head(60_000, 60_000, kind), "bomb")
    if kind in ("PNG", "BMP"):
        with pytest.raises(DataError, match="an edge may have"):
            decode.Photo(_head(70_000, 9, kind), "bomb")


def test_many_frames_are_limited_together(tmp_path):
    frames = [Image.fromarray(_gray(seed)) for seed in range(5)]
    source = _save(
        tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:]
    )
    with decode.Photo(source, max_megapixels=0.03) as opened:
        with pytest.raises(DataError, match="5 pages have over 0.03 megapixels"):
            list(opened.read())


@pytest.mark.parametrize("first", [b"VP8X", b"VP8L", b"VP8 "])
def test_a_webp_is_measured_before_it_is_opened(first):
    body = {
        b"VP8X": bytes(4) + b"\xff\x3f\0" * 2,
        b"VP8L": b"\x2f\xff\xff\xff\x0f" + bytes(5),
        b"VP8 ": bytes(6) + b"\xff\x3f\xff\x3f",
    }[first]
    data = b"RIFF" + bytes(4) + b"WEBP" + first + bytes(4) + body
    with pytest.raises(DataError, match="16384 x 16384|16383 x 16383"):
        decode.Photo(data, "bomb")


def test_a_webp_of_each_kind_is_measured_right():
    for options in ({"lossless": True}, {"quality": 80}, {"exif": b"Exif\0\0MM\0*"}):
        buffer = io.BytesIO()
        Image.fromarray(_gray()).convert("RGB").save(buffer, "WEBP", **options)
        assert opening.webp_size(buffer.getvalue()[:64]) == (WIDTH, HEIGHT)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "bmp", "gif"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_truncated_file_is_refused_and_leaves_nothing(
    tmp_path, colorizer, suffix, share
):
    whole = _save(tmp_path / f"whole.{suffix}", Image.fromarray(_gray()))
    data = whole.read_bytes()
    source = tmp_path / f"cut.{suffix}"
    source.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match="cut"):
        _colorize(colorizer, source, tmp_path / f"b.{suffix}")
    assert not [
        p for p in tmp_path.iterdir() if p.name not in (source.name, whole.name)
    ]


@pytest.mark.parametrize("width, height", [(1, 1), (1, 97), (3000, 2), (50_000, 7)])
def test_the_strangest_sizes_work(tmp_path, colorizer, width, height):
    gray = np.random.default_rng(0).integers(0, 256, (height, width)).astype("uint8")
    source = _save(tmp_path / "a.png", Image.fromarray(gray))
    with Image.open(_colorize(colorizer, source, tmp_path / "b.png")) as result:
        assert result.size == (width, height)
        assert np.abs(_lightness(np.asarray(result)) - _lightness(gray)).mean() < 0.5


def test_float_pixels_are_refused_by_name(tmp_path):
    source = _save(tmp_path / "a.tif", Image.fromarray(_gray() / np.float32(255)))
    with pytest.raises(DataError, match="not supported"):
        decode.load(source)


def test_heic_is_read_where_its_package_is_installed():
    heif = pytest.importorskip("pillow_heif", reason="the extra [heic] brings it")
    gray = Image.fromarray(_gray()).convert("RGB")
    file = io.BytesIO()
    heif.from_pillow(gray).save(file, quality=95)
    rgb = decode.decode_rgb(file.getvalue())
    assert np.abs(rgb.astype(int) - np.asarray(gray)).mean() < 2
    with decode.Photo(file.getvalue(), "a.heic") as opened:
        assert next(opened.read()).pixels.shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(
    "error", [AttributeError, KeyError, TypeError, AssertionError, ValueError]
)
@pytest.mark.parametrize("place", ["metadata.read", "pixels._to_array", "icc.is_srgb"])
def test_faults_of_our_own_are_not_called_damage(tmp_path, monkeypatch, place, error):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = _save(tmp_path / "a.png", Image.fromarray(_gray()), icc_profile=profile)

    def faulty(*_):
        raise error("a fault of ours")

    monkeypatch.setattr(f"kcolor.images.{place}", faulty)
    with pytest.raises(error, match="a fault of ours"):
        decode.load(source)


def test_a_heic_that_cannot_be_read_stops_no_album(tmp_path, colorizer, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    _save(tmp_path / "b.jpg", Image.fromarray(_gray()))
    album = plan([tmp_path], tmp_path / "out")
    failed, written = (run_job(colorizer, job, Settings()) for job in album)
    assert failed.error == (
        f"{tmp_path / 'a.heic'}: HEIC needs pillow-heif, which is not installed. "
        "Install it with: pip install pillow-heif"
    )
    assert written.error is None and (tmp_path / "out" / "b.jpg").exists()


def test_a_profile_that_cannot_be_kept_in_mind_is_refused(tmp_path):
    source = _save(
        tmp_path / "a.tif", Image.fromarray(_gray()), icc_profile=bytes(17 << 20)
    )
    with pytest.raises(DataError, match="profile has over 16 MB"):
        decode.load(source)
