"""Formats x bits x orientation x profile x alpha x compression: right, or refused.

`picture_kinds` writes the files and says what is to be seen in them, without kcolor.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
from picture_kinds import all_kinds

from kcolor.errors import DataError
from kcolor.images import exif
from kcolor.images.decode import Photo, decode_rgb

KINDS = all_kinds()
RIGHT = [name for name, kind in KINDS.items() if kind.rgb is not None]
REFUSED = [name for name, kind in KINDS.items() if kind.rgb is None]


def _first_page(kind):
    with Photo(kind.data, "a file") as photo:
        page = next(photo.read())
    scale = 257 if page.pixels.dtype == np.uint16 else 1
    pixels = exif.upright(page.pixels, page.orientation) / scale
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    alpha = page.alpha
    if alpha is not None:
        alpha = exif.upright(alpha, page.orientation) / (255 * scale)
    return pixels, alpha


def _on_white(kind):
    if kind.alpha is None:
        return kind.rgb
    alpha = kind.alpha[..., None]
    return kind.rgb * alpha + 255 * (1 - alpha)


def test_there_are_many_kinds():
    assert len(RIGHT) > 200 and len(REFUSED) > 10


@pytest.mark.parametrize("name", RIGHT)
def test_colorize_sees_what_the_file_means(name):
    kind = KINDS[name]
    pixels, alpha = _first_page(kind)
    assert pixels.shape == kind.rgb.shape
    if kind.alpha is None:
        assert alpha is None or alpha.min() == 1
        visible = np.ones(kind.rgb.shape[:2], bool)
    else:
        np.testing.assert_allclose(alpha, kind.alpha, atol=0.51 / 255)
        visible = kind.alpha > 0
    difference = np.abs(pixels - kind.rgb)[visible]
    assert difference.max() <= kind.tolerance


@pytest.mark.parametrize("name", RIGHT)
def test_training_sees_what_the_file_means(name):
    kind = KINDS[name]
    rgb = decode_rgb(kind.data)
    assert rgb.shape == kind.rgb.shape and rgb.dtype == np.uint8
    # Once more rounded to 8 bits, and with alpha once more after that.
    slack = 0.5 if kind.alpha is None else 1.0
    assert np.abs(rgb - _on_white(kind)).max() <= kind.tolerance + slack


# Pillow comments on a big-endian BigTIFF before it gives up.
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_right_is_refused_by_one_line(name):
    kind = KINDS[name]
    with pytest.raises(DataError, match=f"a file: .*{kind.refused}") as colorize:
        _first_page(kind)
    with pytest.raises(ValueError, match=kind.refused) as training:
        decode_rgb(kind.data)
    assert "\n" not in str(colorize.value) + str(training.value)


def test_a_light_install_reads_the_same(tmp_path):
    # Without imagecodecs tifffile undoes fewer compressions by itself.
    names = [name for name in RIGHT if name.startswith("tiff")]
    for number, name in enumerate(names):
        (tmp_path / f"{number}.tif").write_bytes(KINDS[name].data)
    script = (
        "import sys; sys.modules['imagecodecs'] = None\n"
        "from pathlib import Path; import numpy as np\n"
        "from kcolor.images.decode import decode_rgb\n"
        f"for n in range({len(names)}):\n"
        f"    path = Path({str(tmp_path)!r}) / f'{{n}}.tif'\n"
        "    np.save(path.with_suffix('.npy'), decode_rgb(path.read_bytes()))\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ)
    for number, name in enumerate(names):
        seen = np.load(tmp_path / f"{number}.npy")
        np.testing.assert_array_equal(seen, decode_rgb(KINDS[name].data), name)
