"""The lossless way: luma is kept bit for bit, or the log says why not."""

import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from kcolor.color import host
from kcolor.color.luma import chroma, split
from kcolor.images import decode, icc, jpeg
from kcolor.inference.colorizer import Colorizer
from kcolor.inference.hints import as_hints
from kcolor.inference.jobs import Settings, run_job
from kcolor.inference.plan import Job

HEIGHT, WIDTH = 69, 106
_SEVERAL = "not kept: the result is of several pictures"

needs_jpegtran = pytest.mark.skipif(
    shutil.which(jpeg.JPEGTRAN) is None, reason="jpegtran is not installed"
)


@pytest.fixture(scope="module")
def colorizer(any_size_tflite):
    return Colorizer(any_size_tflite, threads=1)


def _gray(height=HEIGHT, width=WIDTH):
    rng = np.random.default_rng(3)
    coarse = rng.integers(20, 236, (6, 9)).astype("uint8")
    fine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(fine + rng.normal(0, 3, fine.shape), 0, 255).astype("uint8")


def _save(path, pixels, mode=None, **options):
    image = Image.fromarray(pixels)
    image.convert(mode or image.mode).save(path, **{"quality": 90} | options)
    return path


def _run(colorizer, source, name="out.jpg", **settings):
    target = source.with_name(name)
    job = Job(source, target)
    return target, run_job(colorizer, job, Settings(lossless_luma=True, **settings))


def _luma(path):
    return decode.decode_luma(path.read_bytes())


@pytest.mark.parametrize("size", [(69, 106), (64, 96), (7, 9), (1, 1), (1031, 1100)])
@pytest.mark.parametrize("progressive", [False, True])
def test_luma_is_kept_and_colors_are_added(tmp_path, colorizer, size, progressive):
    source = _save(tmp_path / "a.jpg", _gray(*size), progressive=progressive)
    target, status = _run(colorizer, source)
    assert (status.status, status.luma) == ("written", "kept")
    np.testing.assert_array_equal(_luma(target), _luma(source))
    rgb = decode.load(target)
    assert rgb.shape == (*size, 3)
    assert np.ptp(rgb.astype(int), axis=2).mean() > 5


@pytest.mark.parametrize("size", [(69, 106), (1031, 1100)])
def test_colors_are_those_of_the_ordinary_way(tmp_path, colorizer, size):
    source = _save(tmp_path / "a.jpg", _gray(*size), quality=98)
    kept = decode.load(_run(colorizer, source)[0])
    usual = colorizer(decode.load(source))
    chroma_of = [
        cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)[..., 1:].astype(int)
        for rgb in (kept, usual)
    ]
    # Rounding and coding; and at half size, edges of colors in the noise.
    assert np.abs(chroma_of[0] - chroma_of[1]).mean() < 1.5


def test_what_belongs_to_the_photograph_comes_along(tmp_path, colorizer):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a cat"
    options = {"exif": exif, "dpi": (300, 300), "comment": b"scan 7"}
    gray = _gray(90, 200)
    source = _save(tmp_path / "a.jpg", gray, **options)
    target, status = _run(colorizer, source)
    assert status.luma == "kept"
    with Image.open(target) as image:
        assert dict(image.getexif()) == {0x0112: 6, 0x010E: "a cat"}
        assert image.info["dpi"] == (300, 300)
        assert image.info["comment"] == b"scan 7"
        assert image.size == (200, 90)
    upright = _save(tmp_path / "b.jpg", decode.load(source), quality=99)
    other = decode.load(_run(colorizer, upright, "other.jpg")[0])
    assert other.shape == (200, 90, 3)
    # Coded twice, along other rows.
    assert np.abs(decode.load(target).astype(int) - other).mean() < 3


def test_known_colors_are_kept_in_the_lossless_way(tmp_path, colorizer):
    source = _save(tmp_path / "a.jpg", _gray(), quality=98)
    hints = tuple(as_hints([(40, 30, "#a04020"), (80, 50, "#2060a0")]))
    target, status = _run(colorizer, source, hints=hints)
    assert status.luma == "kept"
    rgb = decode.load(target)
    usual = colorizer(decode.load(source), hints=hints)
    for x, y in ((40, 30), (80, 50)):
        ab = [
            host.split_on_host([p[y : y + 1, x : x + 1]])[0, 0, 0] for p in (rgb, usual)
        ]
        np.testing.assert_allclose(ab[0][1:], ab[1][1:], atol=0.08)


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"name": "out.png"}, "not both JPEG"),
        ({"compare": True}, "several pictures"),
    ],
)
def test_what_is_asked_for_may_need_the_ordinary_way(
    tmp_path, colorizer, change, reason
):
    source = _save(tmp_path / "a.jpg", _gray())
    target, status = _run(colorizer, source, **change)
    assert status.status == "written" and reason in status.luma
    assert status.luma.startswith("not kept: ")
    assert np.ptp(decode.load(target).astype(int), axis=2).mean() > 3


@pytest.mark.parametrize(
    "mode, profile, reason",
    [
        ("L", icc.build(1.8, gray=True), "profile is not sRGB"),
        ("CMYK", None, "4 components"),
        ("L", icc.build(None, gray=True), None),
    ],
)
def test_the_kind_of_photograph_decides(tmp_path, colorizer, mode, profile, reason):
    source = _save(tmp_path / "a.jpg", _gray(), mode, icc_profile=profile)
    target, status = _run(colorizer, source)
    if reason is None:
        assert status.luma == "kept"
        with Image.open(target) as image:
            # A profile of gray pixels would not fit to the result's.
            assert image.info["icc_profile"][16:20] == b"RGB "
    else:
        assert status.luma == f"not kept: {status.luma[10:]}" and reason in status.luma
    assert status.status == "written"
    assert np.ptp(decode.load(target).astype(int), axis=2).mean() > 3


@pytest.mark.parametrize(
    ("name", "mode", "settings", "luma"),
    [
        ("a.jpg", "L", {}, "kept"),
        ("a.jpg", "L", {"lossless_luma": False}, None),
        ("a.jpg", "L", {"quality": 60}, None),
        ("a.jpg", "L", {"compare": True}, _SEVERAL),
        ("a.jpg", "L", {"kind": "PNG"}, None),
        ("a.jpg", "RGB", {}, None),
        ("a.png", "L", {}, None),
    ],
)
def test_gray_jpegs_keep_their_luma_unless_something_else_is_asked_for(
    tmp_path, colorizer, caplog, name, mode, settings, luma
):
    source = _save(tmp_path / name, _gray(), mode)
    settings = Settings(**settings)
    suffix = ".png" if settings.kind == "PNG" else source.suffix
    job = Job(source, tmp_path / f"b{suffix}")
    status = run_job(colorizer, job, settings)
    assert (status.status, status.luma) == ("written", luma)
    assert not caplog.records
    if luma == "kept":
        np.testing.assert_array_equal(_luma(job.target), _luma(source))


@needs_jpegtran
def test_a_toned_scan_keeps_its_luma_and_loses_its_tone(tmp_path, colorizer):
    toned = cv2.cvtColor(_gray(), cv2.COLOR_GRAY2RGB) // np.array([1, 2, 3], "uint8")
    source = _save(tmp_path / "a.jpg", toned, subsampling=2)
    target, status = _run(colorizer, source)
    assert status.luma == "kept"
    np.testing.assert_array_equal(_luma(target), _luma(source))
    gray = _save(tmp_path / "g.jpg", _luma(source), quality=100)
    same = decode.load(_run(colorizer, gray, "same.jpg")[0])
    assert np.abs(decode.load(target).astype(int) - same).mean() < 4


@needs_jpegtran
@pytest.mark.parametrize("size", [(69, 106), (1031, 1100)])
def test_a_jpeg_in_color_gets_the_colors_of_the_ordinary_way(tmp_path, colorizer, size):
    # Green, of which luma and L* say different things.
    toned = cv2.cvtColor(_gray(*size), cv2.COLOR_GRAY2RGB)
    toned[..., ::2] //= 3
    source = _save(tmp_path / "a.jpg", toned, quality=98, subsampling=2)
    target, status = _run(colorizer, source)
    assert status.luma == "kept"
    usual = colorizer(decode.load(source))
    seen = [
        np.stack(split(rgb)[1:]).astype(int) for rgb in (decode.load(target), usual)
    ]
    assert np.abs(seen[0] - seen[1]).mean() < 1.5


@needs_jpegtran
def test_luma_of_which_scans_are_missing_is_not_kept(tmp_path, colorizer):
    # Readers smooth what such a file lacks, jpegtran leaves it rough.
    color = cv2.cvtColor(_gray(207, 318), cv2.COLOR_GRAY2RGB)
    source = _save(tmp_path / "a.jpg", color, progressive=True, quality=75)
    assert _run(colorizer, source)[1].luma == "kept"
    data = source.read_bytes()
    scans = [at for at in range(len(data)) if data.startswith(b"\xff\xda", at)]
    source.write_bytes(data[: scans[1]] + b"\xff\xd9")
    _, status = _run(colorizer, source)
    assert (status.status, status.luma) == ("written", "not kept: the JPEG is damaged")


def test_a_picture_is_taken_apart_as_jpeg_does():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (40, 50, 3)).astype("uint8")
    weights = [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5]]
    weights.append([0.5, -0.418688, -0.081312])
    exact = rgb @ np.array(weights).T + [0, 128, 128]
    error = np.dstack(split(rgb)) - exact
    # Rounding makes 0.289; OpenCV's own conversion 0.35.
    assert np.abs(error).max() < 0.6 and error.std() < 0.295


def test_chroma_fits_to_the_luma_it_is_seen_with():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (37, 53, 3)).astype("uint8")
    luma = rng.integers(0, 256, (37, 53)).astype("uint8")
    cb, cr = (plane.astype(float) - 128 for plane in chroma(rgb, luma))
    seen = luma[..., None] + np.stack(
        [1.402 * cr, -0.344136 * cb - 0.714136 * cr, 1.772 * cb], axis=-1
    )
    # Cb and Cr are whole numbers: a half of one is 0.9 levels of blue.
    assert seen.min() > -1.1 and seen.max() < 256.1
    own = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)
    fits = chroma(rgb, np.ascontiguousarray(own[..., 0]))
    for plane, channel in zip(fits, (own[..., 2], own[..., 1]), strict=True):
        assert np.abs(plane.astype(int) - channel).max() <= 2
