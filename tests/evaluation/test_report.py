"""Tests for kcolor.evaluation.report: a page that needs nothing else."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from kcolor.evaluation import report
from kcolor.evaluation.statistics import summarize


def _pictures(names):
    generator = np.random.default_rng(len(names))
    shape = (len(names), 24, 24, 3)
    return {
        row: generator.integers(0, 256, shape, np.uint8)
        for row in ("gray", "before", "after & <i>new</i>", "truth")
    }


@pytest.fixture
def page(measurements, tmp_path):
    result = summarize(measurements, by_group=True)
    return report.write_report(
        tmp_path / "new" / "report", result, measurements, _pictures, before_after=True
    )


@pytest.mark.parametrize("count", [1, 2, 5, 11])
def test_sheets_show_each_picture_once_and_from_best_to_worst(measurements, count):
    measurements.names = measurements.names[:count]
    for values in measurements.rows.values():
        for metric in values:
            values[metric] = values[metric][:count]
    metric, row, sheets = report.choose_pictures(measurements)
    assert (metric, row) == ("ciede2000", "before")
    shown = [name for names in sheets.values() for name in names]
    assert len(set(shown)) == len(shown) >= min(count, 3)
    values = measurements.rows[row][metric]
    of = dict(zip(measurements.names, values, strict=True))
    assert of[sheets["best"][0]] == values.min()
    if count > 1:
        assert of[sheets["worst"][0]] == values.max()


def test_page_loads_nothing_from_elsewhere(page):
    text = page.read_text()
    for address in re.findall(r"""(?:src|href)=["']([^"']*)""", text):
        assert address.startswith("data:")
    assert "<script" not in text
    assert "url(" not in text and "@import" not in text


def test_page_shows_names_as_text(page):
    text = page.read_text()
    assert "<i>new</i>" not in text and "<b>odd</b>" not in text
    assert "after &amp; &lt;i&gt;new&lt;/i&gt;" in text


def test_report_holds_the_table_the_figures_and_the_pictures(page, measurements):
    text = page.read_text()
    assert text.count("<svg") == 4
    assert text.count("<img") == 3 * 3 * 4  # sheets, pictures, columns
    for heading in ("Before and after", "Which is better", "Groups", "Protocol"):
        assert f"<h2>{heading}</h2>" in text
    assert "3.15.1" in text
    figures = json.loads((page.parent / "results-square24.json").read_text())
    assert figures["rows"][1]["psnr"] == pytest.approx(
        np.mean(measurements.rows["before"]["psnr"])
    )
    assert "± " in (page.parent / "table-square24.md").read_text()
    assert len((page.parent / "per_image-square24.csv").read_text().splitlines()) == 34
    assert len(list(page.parent.iterdir())) == 4


_FRAME = """<iframe id="f" src="{page}" style="width:{width}px;height:900px"></iframe>
<pre id="o"></pre><script>onload = () => {{
const e = f.contentDocument.documentElement;
const out = [...e.querySelectorAll("body *")].filter(x => !x.closest(".scroll")
  && x.getBoundingClientRect().right > e.clientWidth + 1);
o.textContent = "scroll=" + e.scrollWidth + " client=" + e.clientWidth
  + " outside=" + out.length;
}}</script>"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_page_fits_phone_and_desktop(page, width, tmp_path):
    frame = tmp_path / "frame.html"
    frame.write_text(_FRAME.format(page=page.as_uri(), width=width))
    browser = subprocess.run(
        [
            *("chromium", "--headless=new", "--no-sandbox", "--disable-gpu"),
            *("--hide-scrollbars", "--allow-file-access-from-files", "--dump-dom"),
            *("--virtual-time-budget=3000", "--enable-logging=stderr"),
            f"--user-data-dir={tmp_path / 'profile'}",
            frame.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = re.search(r"scroll=(\d+) client=(\d+) outside=(\d+)<", browser.stdout)
    scroll, client, outside = map(int, found.groups())
    assert scroll == client == width
    assert outside == 0
    assert "CONSOLE" not in browser.stderr
