"""A browser for the page's tests, and the page on a free port of this machine."""

import os
import shutil
import signal
import threading
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from kcolor import presets

CHROMIUM = shutil.which("chromium")
# By an argument that it does not know, Chromium's processes are found again.
_MARK = f"--of-kcolor-tests={os.getpid()}."
# The network's runtime says through console.error what it does.
_SAID = ("INFO: ", "WARNING: [npu_registry")


@pytest.fixture(scope="module")
def preset(request):
    """The file that the page's network is made of; `hinted` takes known colors."""
    if getattr(request, "param", "mobile") == "hinted":
        return request.getfixturevalue("hinted_tflite")
    return presets.find("mobile").to_run()


@pytest.fixture(scope="module")
def address(preset):
    from kcolor.serve.page_server import PageServer
    from kcolor.serve.site import Site

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(presets.Preset, "to_run", lambda _: preset)
        site = Site()
    with PageServer(("127.0.0.1", 0), site) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser():
    """Gives the browser; a new one if the last was killed."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("no chromium here")
    with playwright.sync_playwright() as started:
        opened = []

        def running():
            if not opened or not opened[-1].is_connected():
                arguments = ["--no-sandbox", _MARK]
                opened.append(
                    started.chromium.launch(executable_path=CHROMIUM, args=arguments)
                )
            return opened[-1]

        yield running
        with killed_after(60):
            for browser in opened:
                browser.close()


@contextmanager
def killed_after(seconds):
    """Kills Chromium if what is done with it takes longer.

    Playwright closes, and waits for what a page computes, without a limit; a Chromium
    that hangs would hold up all tests. With it gone, Playwright raises.
    """
    timer = threading.Timer(seconds, _kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _kill():
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if _MARK.encode() in (process / "cmdline").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:
            continue  # It has ended, or is somebody else's.


@pytest.fixture
def visit(browser, address):
    """Opens pages and, at the end, looks at what went wrong in them."""
    opened = []

    @contextmanager
    def open_page(limit=180, **options):
        noted = SimpleNamespace(errors=[], requests=[])
        with killed_after(limit):
            context = browser().new_context(accept_downloads=True, **options)
            page = context.new_page()
            context.on("request", lambda request: noted.requests.append(request.url))
            page.on("pageerror", lambda error: noted.errors.append(str(error)))
            page.on("console", lambda said: note(said, noted.errors))
            page.goto(address)
            try:
                yield page, noted
            finally:
                context.close()
        opened.append(noted)

    def note(said, errors):
        if said.type == "error" and not said.text.startswith(_SAID):
            errors.append(said.text)

    yield open_page
    for noted in opened:
        assert not noted.errors
        elsewhere = [url for url in noted.requests if not url.startswith(_own(address))]
        assert not elsewhere


def _own(address):
    return (address, f"blob:{address}", "data:")
