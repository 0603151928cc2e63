"""Measures what an archive costs on one core: core time, bytes, memory of a process.

    scripts/bench bulk FOLDER [--megapixels 12] [--kind jpeg] [--gray] [--count 40]
                            [--json FILE]

Photographs of the folder are enlarged, with grain, and colored by one process that is
kept on one core (Linux). What all runs pay once, such as the start of Python, is taken
off: a run of a quarter of the photographs is subtracted from one of all.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

from bench_colorize import colorize, large_photo, run
from PIL import Image

from kcolor.images import formats


def main():
    arguments = _arguments()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as place:
        few, many = Path(place, "few"), Path(place, "many")
        _fill(few, many, arguments)
        runs = {
            folder: run(*colorize(folder, f"{folder}-out", "mobile", "--jobs", "1"))
            for folder in (few, many)
        }
        figures = _figures(few, many, runs)
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megapixels", type=float, default=12.0)
    parser.add_argument("--kind", choices=("jpeg", "tiff"), default="jpeg")
    parser.add_argument("--gray", action="store_true", help="as files without colors")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _fill(few, many, arguments):
    found = sorted(
        path
        for path in arguments.folder.rglob("*")
        if formats.of_name(path) and path.is_file()
    )
    if len(found) < arguments.count:
        raise SystemExit(f"{arguments.folder}: {len(found)} photographs are too few")
    few.mkdir()
    many.mkdir()
    for number in range(arguments.count):
        source = found[number * len(found) // arguments.count]
        path = large_photo(source, many / f"{number:04}.jpg", arguments.megapixels)
        with Image.open(path) as image:
            pixels = image.convert("L" if arguments.gray else "RGB")
        if arguments.kind == "tiff":
            path.unlink()
            path = path.with_suffix(".tif")
            pixels.save(path, compression="tiff_lzw")
        elif arguments.gray:
            pixels.save(path, quality=90)
        if number % 4 == 0:
            (few / path.name).symlink_to(path)


def _figures(few, many, runs):
    if not all(one["ok"] for one in runs.values()):
        raise SystemExit("kcolor colorize failed")
    counts = {folder: len(list(folder.iterdir())) for folder in (few, many)}
    seconds = (runs[many]["cpu_ms"] - runs[few]["cpu_ms"]) / 1000
    each = seconds / (counts[many] - counts[few])
    start = runs[few]["cpu_ms"] / 1000 - each * counts[few]
    return {
        "photographs": counts[many],
        "core seconds each": round(each, 3),
        "start, core seconds": round(start, 2),
        "MB read each": _megabytes(many) / counts[many],
        "MB written each": _megabytes(Path(f"{many}-out")) / counts[many],
        "peak MB": runs[many]["peak_mb"],
        "core hours of a million": each * 1e6 / 3600,
    }


def _megabytes(folder):
    return sum(path.stat().st_size for path in folder.iterdir()) / 1e6


if __name__ == "__main__":
    main()
