"""Measures the page in Chromium: first visit, first picture, 12 megapixels; and Python.

    scripts/bench page [--photo FILE] [--json FILE]

All figures come from one run, so compare them with each other. Memory is what the
largest of the browser's processes, the one that draws the page, held at its peak.
"""

import argparse
import base64
import json
import os
import re
import shutil
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import expect, sync_playwright
from process_memory import peak_mb

from kcolor.images import decode
from kcolor.inference.colorizer import Colorizer
from kcolor.serve.page_server import PageServer
from kcolor.serve.site import Site

SIZE = 3000, 4000
OPEN = """async (content) => {
    const {call} = await import('./calls.js');
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    const opened = await call('open', new Blob([bytes]));
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
        small, large = (Path(folder) / name for name in ("small.jpg", "large.jpg"))
        _write(arguments.photo, small, (800, 1200))
        _write(arguments.photo, large, SIZE)
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


def _write(source, target, size):
    if source is None:
        noise = np.random.default_rng(0).uniform(0, 255, (60, 80)).astype("float32")
        gray = np.clip(noise, 0, 255).astype("uint8")
    else:
        gray = cv2.imread(str(source), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(
        str(target), cv2.resize(gray, size[::-1], interpolation=cv2.INTER_CUBIC)
    )


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
        page = browser.new_page()
        started = time.perf_counter()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.set_input_files("#file", small)
        expect(page.locator("#status")).to_contain_text("in color", timeout=60_000)
        figures = {"cold start to first picture": time.perf_counter() - started}
        content = base64.b64encode(large.read_bytes()).decode()
        runs = [page.evaluate(OPEN, content) for _ in range(3)]
        for name in runs[0]:
            figures[name] = min(run[name] for run in runs)
        figures["peak MB"] = _peak_of_children()
        browser.close()
        server.shutdown()
    return {name: round(value, 2) for name, value in figures.items()}


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
    seconds["peak MB"] = peak_mb()
    return {name: round(float(value), 2) for name, value in seconds.items()}


if __name__ == "__main__":
    main()
