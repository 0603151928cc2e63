"""Tests for the page, in Debian's Chromium, against Python on the same files."""

import base64
import io
import os
import signal
import zipfile
from pathlib import Path

import numpy as np
import pytest
from page_visits import as_file, color_in_page, content_of, upload, wait_for
from photographs import photograph
from PIL import Image

from kcolor.color import grain
from kcolor.inference.colorizer import Colorizer
from kcolor.inference.jobs import colorize_bytes

# Slow, though each is not: Chromium has hung here, see CONTRIBUTING.md.
pytestmark = [pytest.mark.browser, pytest.mark.slow]
HINTS = [
    {"points": [[40, 50]], "color": "#a03020", "radius": 0},
    {"points": [[300, 160], [340, 190], [320, 220]], "color": "#2050a0", "radius": 6},
]


@pytest.fixture(scope="module")
def colorizer(preset):
    return Colorizer(preset)


either_network = pytest.mark.parametrize("preset", ["mobile", "hinted"], indirect=True)


def assert_within_a_level(one, other):
    assert one.shape == other.shape
    difference = np.abs(one.astype(int) - other)
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.001


def downloaded(download):
    return Image.open(io.BytesIO(content_of(download)))


@pytest.mark.parametrize("shape", [(301, 452), (520, 203), (90, 700), (1000, 1303)])
def test_gray_photographs_are_colored_as_python_does(visit, colorizer, shape):
    content = as_file(photograph(*shape)[..., 1])
    with visit() as (page, _):
        found = color_in_page(page, content, saturation=1.3)
    expected = colorize_bytes(content, colorizer, saturation=1.3, format="png")
    assert_within_a_level(found[..., :3], np.asarray(Image.open(io.BytesIO(expected))))


def test_grain_takes_no_more_than_in_python(visit, colorizer):
    noise = np.random.default_rng(0).normal(0, 10, (301, 452))
    noisy = np.clip(photograph(301, 452)[..., 1] + noise, 0, 255).astype("uint8")
    lightness, _ = colorizer.predict(noisy)
    assert grain.factor(lightness) > 1.05
    with visit() as (page, _):
        found = color_in_page(page, as_file(noisy))
    assert_within_a_level(found[..., :3], colorizer(noisy))


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_toned_photographs_are_colored_as_python_does(visit, colorizer, kind):
    content = as_file(photograph(243, 325), kind)
    with visit() as (page, _):
        found = color_in_page(page, content)
    expected = colorize_bytes(content, colorizer, format="png")
    assert_within_a_level(found[..., :3], np.asarray(Image.open(io.BytesIO(expected))))


@either_network
@pytest.mark.parametrize("hints", [HINTS, HINTS[:1]])
def test_hints_are_enforced_as_python_does(visit, colorizer, hints):
    gray = photograph(301, 452)[..., 1]
    with visit() as (page, _):
        found = color_in_page(page, as_file(gray), 1.2, hints)
    expected = colorizer(np.asarray(gray), saturation=1.2, hints=hints)
    assert_within_a_level(found[..., :3], expected)


def test_two_colors_on_one_spot_are_settled_as_in_python(visit, colorizer):
    gray = photograph(301, 452)[..., 1]
    hints = [*HINTS, {"points": [[41, 50]], "color": "#3060a0", "radius": 0}]
    with visit() as (page, _):
        found = color_in_page(page, as_file(gray), 1.2, hints)
    assert_within_a_level(found[..., :3], colorizer(gray, saturation=1.2, hints=hints))


@pytest.mark.parametrize("preset", ["hinted"], indirect=True)
def test_a_network_that_takes_hints_colors_without_them(visit, colorizer):
    gray = photograph(301, 452)[..., 1]
    with visit() as (page, _):
        found = color_in_page(page, as_file(gray), 1.2)
    assert_within_a_level(found[..., :3], colorizer(np.asarray(gray), saturation=1.2))


def test_a_person_colors_hints_and_downloads(visit):
    gray = photograph(240, 320)[..., 1]
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "harvest", 1
    content = as_file(gray, "jpeg", exif=exif, xmp=b"<x:xmpmeta/>", quality=95)
    with visit() as (page, _):
        upload(page, ("harvest.jpg", content))
        wait_for(page, "harvest.jpg: 320 × 240 pixels, in color.")
        page.locator("#hinting").check()
        page.locator("#stage").press("ArrowRight")
        page.locator("#stage").press("Enter")
        wait_for(page, "Color #a03020 set.")
        box = page.locator("#sheet").bounding_box()
        page.mouse.click(box["x"] + box["width"] * 0.3, box["y"] + 20)
        wait_for(page, "2 in all")
        page.locator("#undo").click()
        wait_for(page, "1 colors left")
        with page.expect_download() as download:
            page.locator("#jpeg").click()
        assert download.value.suggested_filename == "harvest-color.jpg"
        result = downloaded(download)
    assert result.size == (320, 240)
    assert result.getexif()[0x010E] == "harvest"
    assert b"xmpmeta" in result.info["xmp"]
    lab = np.asarray(result.convert("LAB")).astype(int)
    wanted = np.asarray(Image.new("RGB", (1, 1), "#a03020").convert("LAB")).astype(int)
    at = int(240 * 0.5), int(320 * 0.52)
    chroma = (lab[at][1:] + 128) % 256, (wanted[0, 0, 1:] + 128) % 256
    # A JPEG has half of the picture's resolution of color.
    assert np.abs(chroma[0] - chroma[1]).max() < 40


def test_a_turned_photograph_is_upright_and_says_so_once(visit):
    exif = Image.Exif()
    exif[0x0112] = 6
    content = as_file(photograph(120, 200)[..., 1], "jpeg", exif=exif)
    with visit() as (page, _):
        upload(page, ("turned.jpg", content))
        wait_for(page, "120 × 200 pixels")
        with page.expect_download() as download:
            page.locator("#jpeg").click()
        result = downloaded(download)
    assert result.size == (120, 200)
    assert result.getexif()[0x0112] == 1


def test_several_photographs_come_as_a_zip(visit):
    gray = photograph(100, 140)[..., 1]
    files = [("a.png", as_file(gray)), ("a.png", as_file(gray.T)), ("x.png", b"no")]
    with visit() as (page, _):
        upload(page, *files)
        wait_for(page, "in color")
        with page.expect_download() as download:
            page.locator("#zip").click()
        packed = zipfile.ZipFile(io.BytesIO(content_of(download)))
        wait_for(page, "x.png: This is not a photograph", "#error")
    assert packed.testzip() is None
    assert packed.namelist() == ["a-color.jpg", "a-color-2.jpg"]
    sizes = [Image.open(io.BytesIO(packed.read(n))).size for n in packed.namelist()]
    assert sizes == [(140, 100), (100, 140)]


# Both in one turn of the page, before the worker has answered anything.
MEANWHILE = {
    "album": "document.querySelectorAll('#album button')[2].click()",
    "paste": """
        const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
        const pasted = new DataTransfer();
        pasted.items.add(new File([bytes], "d.png"));
        dispatchEvent(new ClipboardEvent("paste", { clipboardData: pasted }));
    """,
}


@pytest.mark.parametrize("way", MEANWHILE)
def test_what_is_chosen_while_a_zip_is_made_leaves_it_as_it_is(visit, way):
    sizes = {"a": (100, 140), "b": (90, 130), "c": (80, 120)}
    files = [(f"{n}.png", as_file(photograph(*s)[..., 1])) for n, s in sizes.items()]
    other = base64.b64encode(as_file(photograph(70, 110)[..., 1])).decode()
    press = "document.querySelector('#zip').click();"
    with visit() as (page, _):
        upload(page, *files)
        wait_for(page, "a.png: 140 × 100 pixels, in color.")
        with page.expect_download() as download:
            page.evaluate(f"(content) => {{ {press} {MEANWHILE[way]} }}", other)
        packed = zipfile.ZipFile(io.BytesIO(content_of(download)))
        wait_for(page, "3 of 3 photographs are in kcolor.zip.")
        last = page.locator("#album button").last
        last.click()
        wait_for(page, "110 × 70" if way == "paste" else "120 × 80")
    found = {n: Image.open(io.BytesIO(packed.read(n))).size for n in packed.namelist()}
    assert found == {f"{n}-color.jpg": size[::-1] for n, size in sizes.items()}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"II*\0" + bytes(60), "Browsers do not read TIFF"),
        (b"\0\0\0\x18ftypheic" + bytes(60), "does not read HEIC"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "damaged"),
        (b"%PDF-1.4", "PDF"),
        (b"hello", "not a photograph"),
    ],
)
def test_what_cannot_be_read_gets_a_clear_word(visit, content, said):
    with visit() as (page, _):
        upload(page, ("file.bin", content))
        wait_for(page, said, "#error")


def test_too_many_pixels_are_refused_before_they_are_decoded(visit):
    header = as_file(np.zeros((1, 1), "uint8"))
    large = (50_000).to_bytes(4, "big")
    content = header[:16] + large + large + header[24:]
    with visit() as (page, _):
        upload(page, ("large.png", content))
        wait_for(page, "2500 megapixels", "#error")


def test_after_the_first_visit_it_works_offline(visit):
    with visit() as (page, _):
        page.evaluate("() => navigator.serviceWorker.ready.then(() => true)")
        page.context.set_offline(True)
        page.reload()
        upload(page, ("a.png", as_file(photograph(100, 140)[..., 1])))
        wait_for(page, "in color")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 768, 1280])
def test_it_fits_and_has_no_serious_fault_of_access(visit, width, scheme, tmp_path):
    viewport = {"width": width, "height": 800}
    with visit(viewport=viewport, color_scheme=scheme, bypass_csp=True) as (page, _):
        gray = photograph(300, 400)[..., 1]
        upload(page, ("one.png", as_file(gray)), ("two.png", as_file(gray)))
        wait_for(page, "in color")
        wide = page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= width
        folder = Path(os.environ.get("KCOLOR_SCREENSHOTS", tmp_path))
        page.screenshot(path=folder / f"page-{width}-{scheme}.png", full_page=True)
        axe = os.environ.get("KCOLOR_AXE")
        if not axe:
            pytest.skip("KCOLOR_AXE names no axe.min.js (scripts/vendor_web makes it)")
        page.evaluate(Path(axe).read_text(encoding="utf-8"))
        found = page.evaluate("() => axe.run()")["violations"]
    grave = [one["id"] for one in found if one["impact"] in ("serious", "critical")]
    assert not grave


@pytest.mark.parametrize("hangs", ["page", "browser"])
def test_a_browser_that_hangs_holds_up_no_test(visit, browser, hangs):
    from playwright.sync_api import Error

    with pytest.raises(Error, match="closed"), visit(limit=5) as (page, _):
        if hangs == "browser":
            browser.send(signal.SIGSTOP)
        # The page waits for a promise that nobody keeps.
        page.evaluate("() => new Promise(() => {})")
    with visit() as (page, _):
        wait_for(page, "Ready.")


def test_a_browser_that_ended_is_started_again(visit, browser):
    browser.running().close()
    with visit() as (page, _):
        wait_for(page, "Ready.")
