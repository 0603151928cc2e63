"""Damaged files of every format: a picture or one clear line, soon and in bounds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("skimage", reason="its photographs are what is damaged")

# Runs in a process of its own, so that a crash, a C library's chatter on standard error
# and the peak of memory are seen.
SCRIPT = r"""
import io, json, random, signal, struct, sys, tempfile, zlib
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image
from skimage import data

from kcolor.errors import DataError
from kcolor.images import icc
from kcolor.images.decode import decode_rgb
from kcolor.inference.jobs import Settings, colorize_file
from kcolor.inference.plan import Job
from kcolor.process import silent_libraries
from kcolor.inference.colorizer import Colorizer

model, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
lossless = sys.argv[4:] == ["lossless"]
rng = random.Random(seed)


def pillow(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def opencv(suffix, pixels):
    return cv2.imencode(suffix, pixels)[1].tobytes()


def tiff(pixels, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="rgb", metadata=None, **options)
    return buffer.getvalue()


def chunked(png):
    extra = b""
    for name, *values in ((b"gAMA", 55556), (b"cHRM", 31270, 32900, 68000, 32000,
                                             26500, 69000, 15000, 6000)):
        body = name + struct.pack(f">{len(values)}I", *values)
        extra += struct.pack(">I", len(body) - 4) + body
        extra += struct.pack(">I", zlib.crc32(body))
    return png[:33] + extra + png[33:]


cat = Image.fromarray(data.chelsea()[40:236:2, 60:320:2])
gray, cmyk, few = cat.convert("L"), cat.convert("CMYK"), cat.quantize(40)
clear = cat.convert("RGBA")
clear.putalpha(gray)
deep = np.asarray(cat).astype("uint16") * 257
planes = np.ascontiguousarray(np.moveaxis(deep, 2, 0))
exif = Image.Exif()
exif[0x0112], exif[0x010E] = 6, "a cat"
profile = icc.build(1.8)
frames = {"save_all": True, "append_images": [gray.rotate(9), gray.rotate(20)]}
whole = [
    (".jpg", pillow(cat, "JPEG", exif=exif)),
    (".jpg", pillow(gray, "JPEG", progressive=True)),
    (".jpg", pillow(cmyk, "JPEG")),
    (".jpg", pillow(cat, "JPEG", icc_profile=profile)),
    (".png", pillow(clear, "PNG", icc_profile=profile)),
    (".png", pillow(cat, "PNG", exif=exif)),
    (".png", pillow(few, "PNG", transparency=3)),
    (".png", pillow(clear, "PNG")),
    (".png", pillow(gray, "PNG", **frames)),
    (".png", opencv(".png", deep)),
    (".png", opencv(".png", deep[..., 0])),
    (".tif", pillow(cat, "TIFF")),
    (".tif", pillow(gray, "TIFF", compression="tiff_lzw", **frames)),
    (".tif", pillow(cat, "TIFF", compression="tiff_adobe_deflate")),
    (".tif", pillow(cat, "TIFF", compression="jpeg")),
    (".tif", pillow(gray.convert("1"), "TIFF", compression="group4")),
    (".tif", opencv(".tif", deep)),
    (".tif", tiff(deep, iccprofile=profile)),
    (".tif", tiff(planes, planarconfig="separate", tile=(32, 32), predictor=2,
                  compression="adobe_deflate")),
    (".png", chunked(pillow(cat, "PNG"))),
    (".webp", pillow(cat, "WEBP", exif=exif.tobytes())),
    (".webp", pillow(clear, "WEBP", lossless=True)),
    (".webp", pillow(gray, "WEBP", duration=50, **frames)),
    (".bmp", pillow(cat, "BMP")),
    (".bmp", pillow(few, "BMP")),
    (".gif", pillow(few, "GIF")),
    (".gif", pillow(gray, "GIF", duration=50, **frames)),
    (".ppm", pillow(cat, "PPM")),
    (".ppm", b"P2\n3 2\n255\n1 2 3\n4 5 6\n"),
]
if lossless:
    whole = [
        (".jpg", pillow(gray, "JPEG")),
        (".jpg", pillow(gray, "JPEG", progressive=True, exif=exif)),
        (".jpg", pillow(gray, "JPEG", restart_marker_rows=2)),
        (".jpg", pillow(cat, "JPEG", subsampling=0)),
        (".jpg", pillow(cat, "JPEG", subsampling=1, restart_marker_blocks=3)),
        (".jpg", pillow(cat, "JPEG", subsampling=2, progressive=True)),
        (".jpg", pillow(cat.resize((33, 47)), "JPEG", optimize=True)),
        (".jpg", pillow(cat, "JPEG", quality=100, icc_profile=profile)),
    ]
settings = Settings(lossless_luma=lossless or None)


def luma_of(path):
    # By another reader than the one that is tested.
    with Image.open(path) as image:
        image.draft("L", image.size)
        return np.asarray(image)


def damaged(content):
    content = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
        size = len(content)
        # Headers are short, and the more interesting part.
        at = rng.randrange(min(size, rng.choice([40, 400, 2000, size])))
        what = rng.randrange(7)
        if what == 0:
            content[at] = rng.randrange(256)
        elif what == 1:
            content[at] ^= 1 << rng.randrange(8)
        elif what == 2:
            content[at : at + 4] = rng.choice(
                [b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\0\0\x27\x10",
                 b"\x10\x27\0\0", b"\0\1\0\0"]
            )
        elif what == 3:
            del content[at + 1 :]
        elif what == 4:
            del content[at : at + rng.randrange(1, 60)]
        elif what == 5:
            content[at:at] = content[at : at + rng.randrange(1, 200)]
        else:
            content[at : at + 16] = rng.randbytes(16)
        content = content or bytearray(b"\0")
    return bytes(content)


class TooSlow(BaseException):
    pass


def too_slow(*_):
    raise TooSlow


signal.signal(signal.SIGALRM, too_slow)
colorizer = Colorizer(model, threads=1)
found = {"pictures": 0, "refused": 0, "bad": [], "slowest": 0.0, "kept": 0}
with silent_libraries(), tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    for number in range(count):
        suffix, content = whole[number % len(whole)]
        source, target = folder / f"a{suffix}", folder / f"b{suffix}"
        source.write_bytes(damaged(content))
        signal.setitimer(signal.ITIMER_REAL, 10)
        try:
            luma = colorize_file(colorizer, Job(source, target), settings)
            with Image.open(target) as image:
                image.load()
            if luma == "kept":
                found["kept"] += 1
                if not np.array_equal(luma_of(source), luma_of(target)):
                    found["bad"].append([number, "another luma"])
            target.unlink()
            found["pictures"] += 1
        except DataError as error:
            message = str(error)
            good = str(source) in message and "\n" not in message
            good = good and not target.exists()
            found["refused"] += 1
            if not good:
                found["bad"].append([number, message])
        except BaseException as error:
            import traceback

            where = traceback.format_exc().splitlines()
            found["bad"].append([number, repr(error)[:200], where[-6:]])
        try:
            rgb = decode_rgb(source.read_bytes(), short_side=64)
            assert rgb.ndim == 3 and rgb.dtype == np.uint8, (rgb.shape, rgb.dtype)
        except ValueError as error:
            if "\n" in str(error):
                found["bad"].append([number, str(error)])
        except BaseException as error:
            found["bad"].append([number, "training", repr(error)[:200]])
        left = 10 - signal.setitimer(signal.ITIMER_REAL, 0)[0]
        found["slowest"] = max(found["slowest"], left)
        for rest in folder.iterdir():
            if rest.name not in (source.name,):
                found["bad"].append([number, f"left behind: {rest.name}"])
                rest.unlink()
        source.unlink()
# Not getrusage: what it gives starts at the size of the process that forked this one.
status = Path("/proc/self/status")
status = status.read_text().split() if status.exists() else ["VmHWM:", "0"]
found["peak_mb"] = int(status[status.index("VmHWM:") + 1]) / 1024
print(json.dumps(found))
"""


def _fuzz(model, count, seed, *more):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(model), str(count), str(seed), *more],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["bad"] == []
    assert found["pictures"] + found["refused"] == count
    # Both happen: the damage is neither too small nor too great to be a test.
    assert min(found["pictures"], found["refused"]) > count / 10
    assert found["slowest"] < 10 and found["peak_mb"] < 1000
    said = done.stderr.splitlines()
    if more:  # Who asks is told of each that cannot be kept.
        said = [line for line in said if ": luma is not kept: " not in line]
    assert said == []
    return found


def test_damaged_files_end_in_a_picture_or_one_line(any_size_tflite):
    _fuzz(any_size_tflite, 240, seed=1)


@pytest.mark.parametrize("count", [96, pytest.param(2000, marks=pytest.mark.slow)])
def test_damaged_jpegs_keep_their_luma_or_go_the_ordinary_way(any_size_tflite, count):
    found = _fuzz(any_size_tflite, count, 3, "lossless")
    # Progressive ones need jpegtran, which not every machine has.
    assert found["kept"] > count / 20


@pytest.mark.slow
def test_thousands_of_damaged_files_end_in_a_picture_or_one_line(any_size_tflite):
    _fuzz(any_size_tflite, 3600, seed=2)
