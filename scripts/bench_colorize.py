"""Measures `kcolor colorize`: stages, memory, start-up, bulk; beside floor and rival.

    scripts/bench colorize [--model FILE] [--photo FILE] [--folder DIR] [--json FILE]
                           [--former CHECKOUT]

All figures of a run come from the same machine in the same minute, best of several
repetitions: compare them with each other, not with those of another run. `cpu` is
processor time, of child processes too, which suffers less from what else the machine is
doing. With `--former`, a checkout of another release does the same in turns with this
one, and `times` is the median of the pairs: former / this.
"""

import argparse
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from kcolor.color.constants import AB_SCALE
from kcolor.images import decode, encode, formats
from kcolor.inference.colorizer import Colorizer
from kcolor.parallel import cores

MEGAPIXELS = 12.0
REPETITIONS = 7
PAIRS = 5


def main():
    arguments = _arguments()
    if arguments.only_stages:
        print(json.dumps(_stages(arguments.photo, arguments.model)))
        return
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        large = large_photo(arguments.photo, folder / "large.jpg")
        figures = {"machine": {"cores": cores(), "load": os.getloadavg()[0]}}
        figures["command"] = _command(large, folder, arguments.model)
        figures["startup"] = _startup(folder, arguments.model)
        if arguments.folder:
            figures["bulk"] = _bulk(arguments, folder)
        figures["stages"] = _stages(large, arguments.model)
        if arguments.former:
            figures["pairs"] = _pairs(large, folder, arguments)
    _show(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="mobile")
    parser.add_argument("--photo", type=Path, help="enlarged to 12 megapixels")
    parser.add_argument("--folder", type=Path, help="photographs for the bulk figures")
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--former", type=Path, help="a checkout of another release")
    parser.add_argument("--only-stages", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def large_photo(source, target, megapixels=MEGAPIXELS):
    """Writes a photograph, enlarged and with grain, as a JPEG; returns its path."""
    if source is None:
        from skimage import data

        pixels = cv2.cvtColor(data.coffee(), cv2.COLOR_RGB2GRAY)
    else:
        pixels = decode.load(source)
    height, width = pixels.shape[:2]
    scale = (megapixels * 1e6 / (height * width)) ** 0.5
    size = round(width * scale), round(height * scale)
    pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)
    # Enlarging leaves it smoother than a camera's file; grain makes up for that.
    grain = np.random.default_rng(0).normal(0, 4, pixels.shape[:2]).astype("float32")
    grain = grain if pixels.ndim == 2 else grain[..., None]
    pixels = np.clip(pixels + grain, 0, 255).astype("uint8")
    Image.fromarray(pixels).convert("RGB").save(target, quality=90)
    return target


def _cpu():
    both = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return sum(sum(resource.getrusage(who)[:2]) for who in both)


def _best(work, repetitions=REPETITIONS):
    # Best wall and processor time in ms, and the result.
    walls, cpus = [], []
    for _ in range(repetitions):
        wall, cpu = time.perf_counter(), _cpu()
        result = work()
        walls.append(time.perf_counter() - wall)
        cpus.append(_cpu() - cpu)
    return {"wall_ms": 1e3 * min(walls), "cpu_ms": 1e3 * min(cpus)}, result


def _stages(path, model):
    _keep_freed_memory()
    data = path.read_bytes()
    colorizer = Colorizer(model)
    stages = {}

    def read():
        with decode.Photo(data, path.name) as opened:
            return next(opened.read())

    def write():
        encode.write(io.BytesIO(), [page], "JPEG")

    def codec_decode():
        image = Image.open(io.BytesIO(data))
        image.load()
        return image

    def codec_encode(subsampling=0):
        image.save(io.BytesIO(), "JPEG", quality=95, subsampling=subsampling)

    stages["decode"], page = _best(read)
    stages["view + network"], (view, ab) = _best(lambda: colorizer.predict(page.pixels))
    stages["merge"], color = _best(lambda: colorizer.merge(page.pixels, view, ab))
    page.pixels = color
    stages["encode"], _ = _best(write)
    stages["all stages"] = _sum(stages.values())
    stages["codec only: decode"], _ = _best(codec_decode)
    image = Image.fromarray(color)
    stages["codec only: encode"], _ = _best(codec_encode)
    floor = _sum([stages["codec only: decode"], stages["codec only: encode"]])
    stages["codec only"] = floor
    stages["times codec only"] = _times(stages["all stages"], floor)
    stages |= _halved(colorizer, read, stages, lambda: codec_encode(2))
    stages |= _lossless(path, colorizer, floor)
    rival = _scikit_image(data, view, ab)
    if rival:
        stages["scikit-image Lab pipeline"] = rival
    return stages


def _keep_freed_memory():
    # As the command does; those of former releases do not.
    try:
        from kcolor.process import keep_freed_memory

        keep_freed_memory(shared=True)
    except (ImportError, TypeError):
        return


def _halved(colorizer, read, stages, codec_encode):
    # As the command writes a large JPEG, beside codecs that write the same kind.
    try:
        from kcolor.inference.halved import write_halved
    except ImportError:
        return {}  # A former release.
    # Read each time: it uses a page up.
    whole, _ = _best(lambda: write_halved(colorizer, read(), io.BytesIO()))
    encoded, _ = _best(codec_encode)
    floor = _sum([stages["codec only: decode"], encoded])
    return {
        "all stages, chroma halved": whole,
        "codec only, chroma halved": floor,
        "chroma halved, times codec only": _times(whole, floor),
    }


def _lossless(path, colorizer, floor):
    # The luma of a gray JPEG, and of one in color where jpegtran is there.
    try:
        from kcolor.inference.jobs import Settings
        from kcolor.inference.luma import keep_luma
    except ImportError:
        return {}  # A former release.
    rows = {}
    gray = io.BytesIO()
    Image.open(path).convert("L").save(gray, "JPEG", quality=90)
    for kind, data in (("gray", gray.getvalue()), ("color", path.read_bytes())):

        def work(data=data):
            with decode.Photo(data, "photo") as photo:
                keep_luma(colorizer, photo, io.BytesIO(), "JPEG", Settings())

        name = f"lossless luma, {kind} JPEG"
        rows[name], _ = _best(work)
        rows[f"{name}, times codec only"] = _times(rows[name], floor)
    return rows


def _times(row, floor):
    return {key: row[key] / floor[key] for key in floor}


def _sum(rows):
    rows = list(rows)
    return {key: sum(row[key] for row in rows) for key in rows[0]}


def _scikit_image(data, view, ab):
    # The same job by the usual means: Lab in float64, ab resized, Lab back.
    try:
        from skimage.color import lab2rgb, rgb2lab
        from skimage.transform import resize
    except ImportError:
        return None

    def work():
        rgb = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        lab = rgb2lab(rgb)
        lab[..., 1:] = resize(ab * AB_SCALE, rgb.shape[:2], order=1)
        color = np.rint(255 * lab2rgb(lab)).astype("uint8")
        Image.fromarray(color).save(io.BytesIO(), "JPEG", quality=95, subsampling=0)

    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Colors outside the gamut are clipped.
        return _best(work, 1)[0]


# Starts a command from a small process: Linux counts what the parent holds at that
# moment into the child's peak. Linux counts kilobytes, macOS bytes.
_LAUNCHER = """
import json, os, subprocess, sys, time
started = time.perf_counter()
null = subprocess.DEVNULL
process = subprocess.Popen(sys.argv[1:], stdout=null, stderr=null)
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps({
    "ok": status == 0,
    "wall_ms": 1e3 * (time.perf_counter() - started),
    "cpu_ms": 1e3 * (usage.ru_utime + usage.ru_stime),
    "peak_mb": usage.ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20),
}))
"""


def run(*command, checkout=None):
    """Measures wall and processor time and peak memory of one Python process."""
    launched = [sys.executable, "-c", _LAUNCHER, sys.executable, *map(str, command)]
    done = subprocess.run(
        launched, capture_output=True, text=True, check=True, env=_environment(checkout)
    )
    return json.loads(done.stdout)


def _environment(checkout):
    if checkout is None:
        return None
    # Safe path: a module in the working directory would count before it.
    return os.environ | {"PYTHONPATH": str(checkout.resolve()), "PYTHONSAFEPATH": "1"}


def _pairs(large, folder, arguments):
    # What both releases can do, in turns; by name the rows of each.
    here = Path(__file__).parent.parent
    found = {}
    for _ in range(PAIRS):
        for release, checkout in (("former", arguments.former), ("this", here)):
            for name, row in _round(large, folder, arguments, checkout).items():
                found.setdefault(name, {}).setdefault(release, []).append(row)
    return {
        name: {
            release: {k: statistics.median(row[k] for row in rows) for k in rows[0]}
            for release, rows in releases.items()
        }
        | {
            "times": {
                key: statistics.median(
                    former[key] / this[key]
                    for former, this in zip(
                        releases["former"], releases["this"], strict=True
                    )
                )
                for key in releases["this"][0]
                if key != "ok"
            }
        }
        for name, releases in found.items()
        if len(releases) == 2
    }


def _round(large, folder, arguments, checkout):
    options = ["--only-stages", "--photo", large, "--model", arguments.model]
    stages = subprocess.run(
        [sys.executable, __file__, *map(str, options)],
        capture_output=True,
        text=True,
        check=True,
        env=_environment(checkout),
    )
    rows = json.loads(stages.stdout.splitlines()[-1])
    rows = {name: row for name, row in rows.items() if "codec only" not in name}
    one = colorize(large, folder / "pair.jpg", arguments.model)
    rows["kcolor colorize, 12 megapixels"] = run(*one, checkout=checkout)
    if arguments.folder:
        many = colorize(folder / "album", folder / "pair", arguments.model)
        rows["kcolor colorize, the folder"] = run(*many, checkout=checkout)
    return rows


def _best_run(*command, repetitions=5):
    runs = [run(*command) for _ in range(repetitions)]
    if not all(run.pop("ok") for run in runs):
        raise SystemExit(f"failed: {' '.join(map(str, command))}")
    best = {key: min(run[key] for run in runs) for key in ("wall_ms", "cpu_ms")}
    return best | {"peak_mb": max(run["peak_mb"] for run in runs)}


def colorize(source, target, model, *more):
    return ("-m", "kcolor", "colorize", source, "-o", target, "--model", model,
            "--overwrite", *more)  # fmt: skip


def _command(large, folder, model):
    gray = folder / "gray.jpg"
    Image.open(large).convert("L").save(gray, quality=90)
    codec = (
        "from PIL import Image; import sys; "
        "Image.open(sys.argv[1]).save(sys.argv[2], quality=95, subsampling=0)"
    )
    return {
        "codec only, as a process": _best_run("-c", codec, large, folder / "d.jpg"),
        "RGB JPEG to JPEG": _best_run(*colorize(large, folder / "a.jpg", model)),
        "gray JPEG to JPEG": _best_run(*colorize(gray, folder / "b.jpg", model)),
    }


def _startup(folder, model):
    small = folder / "small.jpg"
    with Image.open(folder / "large.jpg") as image:
        image.resize((256, 256)).save(small, quality=90)
    figures = {
        "python -c pass": _best_run("-c", "pass"),
        "kcolor --help": _best_run("-m", "kcolor", "--help"),
        "256-pixel JPEG to JPEG": _best_run(*colorize(small, folder / "c.jpg", model)),
    }
    if run("-c", "import tensorflow")["ok"]:
        figures["import tensorflow"] = _best_run(
            "-c", "import tensorflow", repetitions=3
        )
    return figures


def _bulk(arguments, folder):
    found = sorted(
        path
        for path in arguments.folder.rglob("*")
        if formats.of_name(path) and path.is_file()
    )[: arguments.limit]
    album = folder / "album"
    for number, path in enumerate(found):
        copy = album / f"{number:05d}{path.suffix}"
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    folder_run = run(*colorize(album, folder / "out", arguments.model))
    sample = sorted(album.iterdir())[:: max(1, len(found) // 20)][:20]
    single = [
        run(*colorize(path, folder / f"single-{path.name}", arguments.model))
        for path in sample
    ]
    rate = 1e3 * len(found) / folder_run["wall_ms"]
    each = 1e3 * len(single) / sum(run["wall_ms"] for run in single)
    return {
        "images": len(found),
        "images/s as a folder": rate,
        "images/s, a process each (20 measured)": each,
        "peak_mb": folder_run["peak_mb"],
    }


def _show(figures):
    machine = figures["machine"]
    print(f"{machine['cores']} cores, load {machine['load']:.1f}")
    for part in ("stages", "command", "startup"):
        print(f"\n{part:40s} {'wall':>9s} {'cpu':>9s} {'peak':>8s}")
        for name, row in figures[part].items():
            if name.endswith("times codec only"):
                print(f"{name:40s} {row['wall_ms']:9.2f} {row['cpu_ms']:9.2f}")
                continue
            peak = f"{row['peak_mb']:5.0f} MB" if "peak_mb" in row else ""
            times = f"{row['wall_ms']:6.0f} ms {row['cpu_ms']:6.0f} ms"
            print(f"{name:40s} {times} {peak:>8s}")
    if "pairs" in figures:
        print(
            f"\n{'former / this, in pairs':40s} {'wall':>9s} {'cpu':>9s} {'peak':>8s}"
        )
    for name, row in figures.get("pairs", {}).items():
        times = row["times"]
        peak = f"{times['peak_mb']:8.2f}" if "peak_mb" in times else ""
        print(f"{name:40s} {times['wall_ms']:9.2f} {times['cpu_ms']:9.2f} {peak}")
    for name, value in figures.get("bulk", {}).items():
        print(f"{name:40s} {value:9.1f}")


if __name__ == "__main__":
    main()
