"""Tests for kcolor.report: tables, the CSV, and a page that needs nothing else."""

import csv
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from kcolor.evaluation import report
from kcolor.evaluation.measure import Measurements, summarize

NAMES = [f"cars/{i:02d}.jpg" for i in range(9)] + [f"<b>odd</b>/{i}.jpg" for i in "ab"]
MODELS = ["before", "after & <i>new</i>"]


@pytest.fixture
def measurements():
    generator = np.random.default_rng(0)
    rows = {}
    for i, row in enumerate(["gray", *MODELS]):
        rows[row] = {
            "psnr": generator.normal(24 + i, 2, 11),
            "ssim": generator.uniform(0.8, 1, 11),
            "ciede2000": generator.normal(10 - i, 1, 11),
            "colorfulness": generator.uniform(10, 40, 11),
        }
    return Measurements(
        names=NAMES,
        rows=rows,
        models={model: {"path": f"runs/{model}", "kind": "keras"} for model in MODELS},
        protocol={
            "images": 11,
            "size": 24,
            "paired": False,
            "metrics": {"psnr": "", "ssim": "", "ciede2000": "", "colorfulness": ""},
            "versions": {"keras": "3.15.1"},
        },
        missing={"lpips": "no weights; a script makes them"},
    )


def _pictures(names):
    generator = np.random.default_rng(len(names))
    shape = (len(names), 24, 24, 3)
    return {
        row: generator.integers(0, 256, shape, np.uint8)
        for row in ("gray", *MODELS, "truth")
    }


@pytest.fixture
def page(measurements, tmp_path):
    result = summarize(measurements, by_group=True)
    return report.write_report(
        tmp_path / "new" / "report", result, measurements, _pictures, before_after=True
    )


def test_markdown_has_a_line_for_each_row_and_says_what_is_missing(measurements):
    result = summarize(measurements)
    lines = report.markdown_table(result).splitlines()
    assert lines[0].startswith("| model | PSNR (dB) ↑ | SSIM ↑ | LPIPS ↓ | CIEDE2000 ↓")
    assert [line.split(" | ")[0] for line in lines[2:5]] == [
        "| gray",
        "| before",
        "| after & <i>new</i>",
    ]
    mean = np.mean(measurements.rows["before"]["psnr"])
    assert f"{mean:.2f} ± " in lines[3]
    assert all(line.split(" | ")[3] == "n/a" for line in lines[2:5])
    assert "LPIPS is n/a: no weights; a script makes them." in lines[-1]


def test_every_line_of_a_table_has_the_same_number_of_cells(measurements):
    measurements.models = {"a|b": {}, "c": {}}
    measurements.rows["a|b"] = measurements.rows.pop("before")
    measurements.rows["c"] = measurements.rows.pop(MODELS[1])
    table = report.markdown_rows(summarize(measurements)["rows"])
    assert len({line.count("|") for line in table.splitlines()}) == 1


def test_before_and_after_show_the_change(measurements):
    table = report.before_after_table(summarize(measurements)).splitlines()
    before, after, change = (line.split(" | ") for line in table[2:5])
    rows = measurements.rows
    difference = np.mean(rows[MODELS[1]]["psnr"] - rows["before"]["psnr"])
    assert (before[1], after[1], change[1]) == ("before", "after", "change")
    assert change[2].startswith(f"{difference:+.2f}")


def test_before_and_after_refuse_a_model_without_partner(measurements):
    del measurements.models["before"], measurements.rows["before"]
    with pytest.raises(ValueError, match="even number of models.*Received: 1"):
        report.before_after_table(summarize(measurements))


def test_sentences_name_the_better_one(measurements):
    rows = measurements.rows
    rows["before"]["psnr"] = rows["gray"]["psnr"] + 1
    rows["before"]["ciede2000"] = rows["gray"]["ciede2000"] + 1
    rows["before"]["ssim"] = rows["gray"]["ssim"].copy()
    sentences = report.statements(summarize(measurements))
    assert sentences[0].startswith(
        "PSNR: before is better than gray (before minus gray"
    )
    assert sentences[1].startswith("SSIM: before and gray are equal")
    assert sentences[2].startswith("CIEDE2000: gray is better than before")


def test_csv_holds_every_figure_of_every_row(measurements, tmp_path):
    report.write_csv(tmp_path / "all.csv", measurements)
    with open(tmp_path / "all.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 11 * 3
    for row, values in measurements.rows.items():
        written = [float(line["ssim"]) for line in lines if line["model"] == row]
        np.testing.assert_allclose(written, values["ssim"], rtol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 5, 11])
def test_sheets_show_each_picture_once_and_from_best_to_worst(measurements, count):
    measurements.names = NAMES[:count]
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
    figures = json.loads((page.parent / "results.json").read_text())
    assert figures["rows"][1]["psnr"] == pytest.approx(
        np.mean(measurements.rows["before"]["psnr"])
    )
    assert "± " in (page.parent / "table.md").read_text()
    assert len((page.parent / "per_image.csv").read_text().splitlines()) == 34
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
