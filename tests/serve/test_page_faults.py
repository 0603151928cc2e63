"""Tests for the page where something goes wrong: nothing is lost, and it says what."""

import base64
import http.server
import io
import re
import subprocess
import sys
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from page_visits import as_file, color_in_page, content_of, upload, wait_for
from photographs import photograph
from PIL import Image, ImageOps

pytestmark = [pytest.mark.browser, pytest.mark.slow]
GOOD = as_file(photograph(100, 140)[..., 1])
TIFF = b"II*\0" + bytes(60)


def show(page, *names):
    upload(page, *((name, GOOD) for name in names))
    wait_for(page, f"{names[0]}: 140 × 100 pixels, in color.")


def test_a_file_that_cannot_be_read_leaves_the_one_before_open(visit):
    with visit() as (page, _):
        show(page, "a.png")
        page.locator("#hinting").check()
        page.locator("#sheet").click()
        wait_for(page, "1 in all")
        upload(page, ("x.tif", TIFF), ("y.tif", TIFF))
        wait_for(page, "y.tif: Browsers do not read TIFF", "#error")
        wait_for(page, "a.png: 140 × 100 pixels, in color.")
        assert page.locator("#jpeg").is_enabled()
        page.locator("#undo").click()
        wait_for(page, "0 colors left")


def test_a_photograph_chosen_meanwhile_stays_chosen(visit):
    press = "document.querySelectorAll('#album button')[0].click()"
    with visit() as (page, _):
        show(page, "a.png", "b.png")
        page.locator("#album button").nth(1).click()
        wait_for(page, "b.png: 140 × 100 pixels, in color.")
        bad = base64.b64encode(TIFF).decode()
        page.evaluate(
            f"""(content) => {{
            const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
            const pasted = new DataTransfer();
            for (const name of ["x.tif", "y.tif"]) {{
              pasted.items.add(new File([bytes], name));
            }}
            dispatchEvent(new ClipboardEvent("paste", {{ clipboardData: pasted }}));
            {press};
            }}""",
            bad,
        )
        wait_for(page, "a.png: 140 × 100 pixels, in color.")
        assert page.locator("#album [aria-current=true]").inner_text() == "a.png"


def test_a_network_that_did_not_come_is_fetched_again(visit):
    with visit(service_workers="block") as (page, noted):
        page.route("**/network.tflite", lambda route: route.fulfill(status=503))
        page.reload()
        wait_for(
            page, "network could not be loaded: network.tflite: status 503", "#error"
        )
        upload(page, ("a.png", GOOD))
        wait_for(page, "a.png is still in the list")
        page.unroute("**/network.tflite")
        page.locator("#album button").click()
        wait_for(page, "a.png: 140 × 100 pixels, in color.")
        noted.errors.clear()


def test_a_part_that_did_not_come_is_said_and_nothing_waits_for_it(visit):
    with visit(service_workers="block") as (page, noted):
        page.route("**/worker.js", lambda route: route.fulfill(status=503))
        page.reload()
        wait_for(page, "a part of the page is missing; reload it", "#error")
        upload(page, ("a.png", GOOD))
        wait_for(page, "a.png: a part of the page is missing", "#error")
        noted.errors.clear()


def test_a_turned_webp_is_upright_and_says_so(visit):
    gray = photograph(60, 90)[..., 1]
    with visit() as (page, _):
        for orientation in range(1, 9):
            exif = Image.Exif()
            exif[0x0112] = orientation
            content = as_file(gray, "webp", lossless=True, exif=exif)
            found = color_in_page(page, content)
            stored = Image.open(io.BytesIO(content))
            upright = np.asarray(ImageOps.exif_transpose(stored).convert("L"))
            assert found.shape[:2] == upright.shape
            luma = np.asarray(Image.fromarray(found).convert("L"))
            assert np.abs(luma.astype(int) - upright).mean() < 2
        upload(page, ("turned.webp", content))
        wait_for(page, "60 × 90 pixels, in color.")
        with page.expect_download() as download:
            page.locator("#jpeg").click()
        result = Image.open(io.BytesIO(content_of(download)))
    assert result.size == (60, 90) and result.getexif()[0x0112] == 1


def test_exif_says_srgb_and_a_damaged_one_is_left_out(visit):
    gray = photograph(60, 90)[..., 1]
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 65535
    with visit() as (page, _):
        upload(page, ("camera.jpg", as_file(gray, "jpeg", exif=exif)))
        wait_for(page, "camera.jpg: 90 × 60 pixels, in color.")
        with page.expect_download() as download:
            page.locator("#jpeg").click()
        result = Image.open(io.BytesIO(content_of(download)))
        short = as_file(gray, "jpeg", exif=b"Exif\0\0II*\0\x08\0")
        upload(page, ("short.jpg", short))
        wait_for(page, "short.jpg: 90 × 60 pixels, in color.")
    assert result.getexif().get_ifd(0x8769)[0xA001] == 1


def test_a_stroke_ends_with_its_photograph(visit):
    with visit() as (page, _):
        show(page, "a.png")
        page.locator("#hinting").check()
        page.locator("#sheet").hover()
        page.mouse.down()
        upload(page, ("b.png", as_file(photograph(90, 60)[..., 1])))
        wait_for(page, "b.png: 60 × 90 pixels, in color.")
        page.mouse.up()
        page.locator("#hinting").uncheck()
        assert page.locator("#undo").is_disabled()


def test_by_keyboard_one_photograph_is_chosen_after_the_other(visit):
    with visit() as (page, _):
        show(page, "a.png", "b.png", "c.png")
        page.locator("#album button").first.focus()
        for name in ("b.png", "c.png"):
            page.keyboard.press("Tab")
            page.keyboard.press("Enter")
            wait_for(page, f"{name}: 140 × 100 pixels, in color.")
            assert page.evaluate("() => document.activeElement.textContent") == name


def test_a_finger_that_scrolls_the_page_moves_no_line(visit):
    phone = {"has_touch": True, "viewport": {"width": 390, "height": 700}}
    event = """(page) => {
        const sheet = document.querySelector('#sheet');
        const area = sheet.getBoundingClientRect();
        const send = (kind, id, x, y) => sheet.dispatchEvent(new PointerEvent(kind, {
            pointerId: id, pointerType: 'touch', isPrimary: id === 1, bubbles: true,
            clientX: area.left + x * area.width, clientY: area.top + y * area.height,
        }));
        sheet.setPointerCapture = () => {};
        const split = () => Number(document.querySelector('#split').value);
        const steps = [];
        send('pointerdown', 1, 0.6, 0.5); steps.push(split());
        send('pointercancel', 1, 0.6, 0.6); steps.push(split());
        document.querySelector('#zoom-in').click();
        send('pointerdown', 1, 0.6, 0.5); send('pointerup', 1, 0.6, 0.5);
        steps.push(split());
        document.querySelector('#hinting').click();
        send('pointerdown', 1, 0.4, 0.5); send('pointerdown', 2, 0.6, 0.5);
        send('pointermove', 1, 0.3, 0.5); send('pointerup', 1, 0.3, 0.5);
        send('pointermove', 2, 0.7, 0.5); send('pointerup', 2, 0.7, 0.5);
        steps.push(document.querySelector('#undo').disabled);
        return steps;
    }"""
    with visit(**phone) as (page, _):
        show(page, "a.png")
        assert page.evaluate(event) == [60, 0, 0, True]


def test_hints_are_not_lost_without_a_question(visit):
    asked = []
    with visit() as (page, _):
        page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
        show(page, "a.png")
        page.reload()
        wait_for(page, "Ready.")
        assert asked == []
        show(page, "a.png")
        page.locator("#hinting").check()
        page.locator("#sheet").click()
        wait_for(page, "1 in all")
        page.reload()
        wait_for(page, "Ready.")
    assert asked == ["beforeunload"]


@contextmanager
def a_server_that_ends():
    """Gives a page's port; afterwards the process is gone, its connections too."""
    command = [sys.executable, "-m", "kcolor", "serve", "--page-only", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield int(re.search(r":(\d+)/", process.stderr.readline())[1])
        finally:
            process.terminate()


@contextmanager
def another_server(port):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), _Other)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Other(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802 (the base class' name)
        if self.path != "/":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>other</title><p id=status>another program")

    def log_message(self, *_):
        pass


def test_another_program_at_the_same_address_is_shown(visit):
    with visit() as (page, noted):
        with a_server_that_ends() as port:
            address = f"http://127.0.0.1:{port}/"
            page.goto(address)
            wait_for(page, "Ready.")
            page.evaluate("() => navigator.serviceWorker.ready.then(() => true)")
            page.goto(f"{address}vendor/NOTICE")  # none of its pages, and its own
        page.goto(f"{address}index.html")  # from what the browser keeps
        wait_for(page, "Ready.")
        with another_server(port):
            page.goto(address)
            wait_for(page, "another program")
        noted.errors.clear()
        noted.requests.clear()
