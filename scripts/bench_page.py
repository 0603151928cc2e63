"""Measures the page in Chromium: first visit, first picture, 12 megapixels; and Python.

    scripts/bench page [--photo FILE] [--json FILE]

All figures come from one run, so compare them with each other. Memory is what the
largest of the browser's processes, the one that draws the page, held at its peak, and
what `kcolor colorize` held on the same photograph.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np
from bench_colorize import colorize, large_photo, run
from playwright.sync_api import sync_playwright

from kcolor.images import decode
from kcolor.inference.colorizer import Colorizer
from kcolor.serve.page_server import PageServer
from kcolor.serve.site import Site

IN_COLOR = "() => document.querySelector('#status').textContent.includes('in color')"
# A file that the page does not take by itself.
CHOOSE = """() => {
    const input = document.createElement('input');
    [input.type, input.id] = ['file', 'measured'];
    document.body.append(input);
}"""
OPEN = """async () => {
    const {call} = await import('./calls.js');
    const opened = await call('open', document.querySelector('#measured').files[0]);
    const hints = [{points: [[900, 900]], color: '#a03020', radius: 30}];
    const started = performance.now();
    await call('show', {saturation: 1, hints});
    const hinted = (performance.now() - started) / 1000;
    const written = await call('write', {saturation: 1, hints: []}, 'jpeg');
    return {...opened.seconds, ...written.seconds, hinted};
}"""


def main():
    arguments = _arguments()
    figures = {"load": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as folder:
        small = large_photo(arguments.photo, Path(folder, "small.jpg"), megapixels=1)
        large = large_photo(arguments.photo, Path(folder, "large.jpg"))
        site = Site()
        figures["first visit, bytes"] = _bytes(site)
        figures["page, s"] = _page(site, small, large)
        figures["python, s"] = _python(large)
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photo", type=Path, help="enlarged to 12 megapixels")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _bytes(site):
    # What the page loads; notices and the like are left out.
    names = [
        name for name in site.names() if not re.search("LICENSE|NOTICE|lock", name)
    ]
    return {
        "raw": sum(len(site.read(name)) for name in names),
        "gzip": sum(len(site.packed(name)) for name in names),
    }


def _page(site, small, large):
    with PageServer(("127.0.0.1", 0), site) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        figures = {"kcolor serve to first picture": _command(browser, small)}
        page = browser.new_context().new_page()
        started = time.perf_counter()
        _first_picture(page, f"http://127.0.0.1:{server.server_port}/", small)
        figures["cold start to first picture"] = time.perf_counter() - started
        page.evaluate(CHOOSE)
        page.set_input_files("#measured", large)
        runs = [page.evaluate(OPEN) for _ in range(3)]
        for name in runs[0]:
            figures[name] = min(run[name] for run in runs)
        figures["first hint"] = runs[0]["hinted"]
        figures["peak MB"] = _peak_of_children()
        browser.close()
        server.shutdown()
    return {name: round(value, 2) for name, value in figures.items()}


def _command(browser, small):
    # Seconds from the command, with the browser's window already open.
    page = browser.new_context().new_page()
    started = time.perf_counter()
    command = [sys.executable, "-m", "kcolor", "serve", "--page-only", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        address = re.search(r"http://\S+", process.stderr.readline())[0]
        _first_picture(page, address, small)
        seconds = time.perf_counter() - started
        process.terminate()
    page.context.close()
    return seconds


def _first_picture(page, address, small):
    page.goto(address)
    page.set_input_files("#file", small)
    page.wait_for_function(IN_COLOR, timeout=60_000)


def _peak_of_children():
    found = [0.0]
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if b"--type=renderer" in command:
            found.append(int(re.search(r"VmHWM:\s+(\d+)", text)[1]) / 1024)
    return max(found)


def _python(large):
    seconds = {"load": time.perf_counter()}
    colorizer = Colorizer("mobile")
    seconds["load"] = time.perf_counter() - seconds["load"]
    runs = []
    for _ in range(3):
        times = [time.perf_counter()]
        pixels = decode.load(large)
        times.append(time.perf_counter())
        predicted = colorizer.predict(pixels)
        times.append(time.perf_counter())
        merged = colorizer.merge(pixels, *predicted)
        times.append(time.perf_counter())
        cv2.imencode(".jpg", merged, [cv2.IMWRITE_JPEG_QUALITY, 95])
        times.append(time.perf_counter())
        runs.append(np.diff(times))
    best = np.min(runs, axis=0)
    seconds |= dict(zip(("decode", "network", "merge", "encode"), best, strict=True))
    command = run(*colorize(large, large.with_name("color.jpg"), "mobile"))
    seconds["peak MB"] = command["peak_mb"]
    return {name: round(float(value), 2) for name, value in seconds.items()}


if __name__ == "__main__":
    main()
