"""Tests that damaged films give a film or one clear line, and never hang or crash."""

import queue
import subprocess
import sys
import threading
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("av")
skimage_data = pytest.importorskip("skimage.data")

from film_clips import make_clip  # noqa: E402
from film_files import read_film, write_film  # noqa: E402

SECONDS = 20  # for one film, its reader included
_CHILD = """
import sys
from pathlib import Path
from kcolor.errors import DataError
from kcolor.inference.colorizer import Colorizer
from kcolor.inference.film.colorize import colorize_film
from kcolor.inference.film.settings import FilmSettings

colorizer = Colorizer("mobile", threads=1)
for line in sys.stdin:
    source, target = map(Path, line.rstrip().split("|"))
    try:
        report = colorize_film(colorizer, source, target)
        print(f"film {report.frames} {report.damaged}", flush=True)
    except (DataError, OSError, ValueError) as error:
        print("line", " ".join(str(error).splitlines()), flush=True)
    except Exception as error:
        print("crashed", repr(error), flush=True)
        break
"""


class Child:
    """A process that colorizes films one by one and can be given up."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put("")

    def ask(self, source, target):
        self.process.stdin.write(f"{source}|{target}\n")
        self.process.stdin.flush()
        try:
            return self.lines.get(timeout=SECONDS).strip() or "crashed"
        except queue.Empty:
            return "hung"

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.reader.join()
        self.process.stdout.close()


def damaged(data, rng):
    """Spoils a file in one of the ways that disks, cables and copies do."""
    data = bytearray(data)
    size = len(data)
    way = rng.integers(7)
    if way == 0:  # flipped bits all over
        for at in rng.integers(0, size, rng.integers(1, 60)):
            data[at] ^= 1 << rng.integers(8)
    elif way == 1:  # cut short
        del data[rng.integers(size) :]
    elif way == 2:  # lost sectors
        for at in rng.integers(0, size, 4):
            data[at : at + 512] = bytes(len(data[at : at + 512]))
    elif way == 3:  # foreign bytes in between
        at = rng.integers(size)
        data[at:at] = rng.bytes(rng.integers(1, 5000))
    elif way == 4:  # a hole
        at = rng.integers(size)
        del data[at : at + rng.integers(1, 5000)]
    elif way == 5:  # a spoiled beginning
        for at in rng.integers(0, min(size, 1500), rng.integers(1, 30)):
            data[at] = rng.integers(256)
    else:  # a spoiled end
        for at in size - 1 - rng.integers(0, min(size, 3000), rng.integers(1, 40)):
            data[at] = rng.integers(256)
    return bytes(data)


KINDS = [
    (".mp4", {"sound": True}),
    (".mkv", {"sound": True, "subtitles": True, "time_base": Fraction(1, 1000)}),
    (".avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p", "options": {}}),
    (".mpg", {"codec": "mpeg2video", "options": {}}),
    (".ts", {"options": {"crf": "20", "bf": "2"}}),
]


@pytest.mark.slow
def test_200_damaged_films_give_a_film_or_one_line(tmp_path):
    grays = make_clip(skimage_data.astronaut()).gray
    rng = np.random.default_rng(17)
    child = Child()
    told = []
    try:
        for suffix, how in KINDS:
            how = {"step": 40, "time_base": Fraction(1, 1000), **how}
            if suffix in (".avi", ".mpg"):
                how.update(step=1, time_base=Fraction(1, 25))
            whole = write_film(tmp_path / f"whole{suffix}", grays, **how).read_bytes()
            for number in range(40):
                source = tmp_path / f"{number}{suffix}"
                source.write_bytes(damaged(whole, rng))
                target = tmp_path / f"{number}{suffix}-color.mkv"
                answer = child.ask(source, target)
                told.append(f"{source.name}: {answer}")
                if answer.startswith(("hung", "crashed")):
                    child.end()
                    child = Child()
                elif answer.startswith("film"):
                    assert len(read_film(target).lumas) == int(answer.split()[1])
                else:
                    assert not target.exists()
                    assert str(source) in answer or str(target) in answer, answer
    finally:
        child.end()
    bad = [line for line in told if ": hung" in line or ": crashed" in line]
    assert not bad, bad
    films = [line for line in told if ": film" in line]
    assert len(films) > 60, told
