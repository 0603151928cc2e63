"""A browser for the page's tests, and the page on a free port of this machine."""

import os
import shutil
import signal
import threading
from contextlib import contextmanager, suppress
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
    pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("no chromium here")
    chromium = Chromium()
    yield chromium
    with chromium.killed_after(60):
        chromium.close()


class Chromium:
    """A browser that can be killed at any moment, and its successors.

    Playwright starts, closes and waits for what a page computes without a limit, and
    either its driver or Chromium can hang. With both gone it raises at once.
    """

    def __init__(self):
        self._playwright = self._browser = None

    def running(self):
        """Returns the browser, started if it does not run."""
        if self._browser is not None and not self._browser.is_connected():
            self._forget()
        if self._browser is None:
            from playwright.sync_api import sync_playwright

            arguments = ["--no-sandbox", _MARK]
            with _on_one_core():
                self._playwright = sync_playwright().start()
                self._browser = self._playwright.chromium.launch(
                    executable_path=CHROMIUM, args=arguments
                )
        return self._browser

    def close(self):
        """Ends Chromium and its driver."""
        if self._browser is not None:
            self._browser.close()
        self._forget()

    @contextmanager
    def killed_after(self, seconds):
        """Kills Chromium and its driver if what is done with them takes longer."""
        killed = threading.Event()

        def kill():
            killed.set()
            self.send(signal.SIGKILL)

        timer = threading.Timer(seconds, kill)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            if killed.is_set():
                self._forget()

    def _forget(self):
        with suppress(Exception):
            self._playwright.stop()
        self._playwright = self._browser = None

    def send(self, number):
        """Sends a signal to Chromium and to its driver."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
                command = (process / "cmdline").read_bytes()
                is_driver = int(parent) == os.getpid() and b"playwright" in command
                if is_driver or _MARK.encode() in command:
                    os.kill(int(process.name), number)
            except OSError:
                continue  # It has ended, or is somebody else's.


@contextmanager
def _on_one_core():
    # What is started here stays there: when it runs wild, this process' watch still has
    # another core. It has happened, with all of them taken for an hour.
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@pytest.fixture
def visit(browser, address):
    """Opens pages and, at the end, looks at what went wrong in them."""
    opened = []

    @contextmanager
    def open_page(limit=180, **options):
        noted = SimpleNamespace(errors=[], requests=[])
        with browser.killed_after(limit):
            context = browser.running().new_context(accept_downloads=True, **options)
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
