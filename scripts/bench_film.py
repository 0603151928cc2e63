"""Measures films: stages and speed, peak memory, and how still the colors hold.

scripts/bench film speed [--seconds 20] [--size 1280x720]
scripts/bench film steady [--photos DIR] [FILM...]
"""

import argparse
import io
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

from kcolor.color import host
from kcolor.color.constants import AB_SCALE
from kcolor.color.host import split_on_host
from kcolor.inference.colorizer import Colorizer
from kcolor.inference.film import steady
from kcolor.inference.film.chroma import Painter
from kcolor.inference.film.colorize import colorize_film
from kcolor.inference.film.encoding import Format
from kcolor.inference.film.motion import link
from kcolor.inference.film.reading import Film
from kcolor.inference.film.rows import colored_rows, read_small
from kcolor.inference.film.settings import FilmSettings

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from film_clips import make_clip  # noqa: E402

_CLEAN = "truth without flicker"
_KINDS = {
    "pan": {"pan": (2, 0.7)},
    "zoom": {"pan": (0, 0), "zoom": 1.01},
    "object": {"pan": (1, 0)},
    "grain": {"pan": (1.5, -0.5), "grain": 6},
    "exposure": {"pan": (-1.5, 0.5), "exposure": 0.05},
    "all": {"pan": (1, 0.5), "zoom": 1.004, "grain": 5, "exposure": 0.04},
}


def photos(path, count):
    """Colorful photographs of a folder or .tar, or those of scikit-image."""
    if path is None:
        from skimage import data

        return [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    found = []
    if Path(path).is_dir():
        blobs = (p.read_bytes() for p in sorted(Path(path).rglob("*")) if p.is_file())
    else:
        archive = tarfile.open(path)
        blobs = (archive.extractfile(m).read() for m in archive if m.isfile())
    for blob in blobs:
        try:
            photo = np.asarray(Image.open(io.BytesIO(blob)).convert("RGB"))
        except OSError:
            continue
        if np.abs(split_on_host([photo])[0, ..., 1:]).mean() > 8 / 110:
            found.append(photo)
        if len(found) == count:
            break
    return found


def make_film(path, seconds, size):
    """A gray film with grain and a cut every 4 seconds, 25 frames a second."""
    grays = []
    pictures = photos(None, 4)
    width, height = size
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 4, (height + 64, width + 64)).astype("float32")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        for number in range(seconds * 25):
            if number % 100 == 0:
                photo = pictures[number // 100 % len(pictures)]
                side = (int(width * 1.3), int(height * 1.3))
                gray = cv2.resize(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), side)
            at = number % 100 / 100
            x, y = int(at * 0.3 * width), int(at * 0.3 * height)
            dx, dy = rng.integers(0, 64, 2)
            shown = gray[y : y + height, x : x + width] * np.float32(0.86)
            shown += 16 + noise[dy : dy + height, dx : dx + width]
            frame = av.VideoFrame(width, height, "yuv420p")
            for at, plane in enumerate(frame.planes):
                rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
                rows[:, :] = 128
                if not at:
                    rows[:, :width] = np.clip(shown, 16, 235)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return grays


def stages(path, frames=60):
    """CPU milliseconds a frame that each stage takes by itself."""
    spent = {}

    def timed(name, function, items):
        begun = time.process_time()
        result = [function(*item) for item in items]
        spent[name] = (time.process_time() - begun) / frames * 1000
        return result

    colorizer = Colorizer("mobile", threads=1)
    cv2.setNumThreads(1)
    film = Film(path)
    reader = film.frames()
    held = [f for (f,) in timed("decode", lambda: (next(reader),), [()] * frames)]
    form = Format(film.facts, FilmSettings(), Path("x.mp4"))
    painter = Painter(film.facts, depth=form.depth, size=form.chroma_size)
    size = colorizer.view_size(film.facts.height, film.facts.width)
    colorizer.predict(painter.gray(held[0].luma, size))
    views = timed("shrink", lambda f: painter.gray(f.luma, size), [(f,) for f in held])
    abs_ = timed("network", lambda v: colorizer.predict(v)[1], [(v,) for v in views])
    pairs = list(zip(views, views[1:], strict=False))
    links = [None, *timed("flow", link, pairs)]
    small = [
        steady.Small(view, ab.astype("float16"), motion)
        for view, ab, motion in zip(views, abs_, links, strict=True)
    ]
    (done,) = timed("steady", lambda: list(steady.windows(small)), [()])
    settled = [one for window in done for one in window.frames]
    planes = timed(
        "merge",
        lambda f, s: painter(f.luma, host.lightness(s.gray), s.ab),
        zip(held, settled, strict=True),
    )
    encoder = form.open_encoder()

    def encode(frame, chroma):
        encoder.encode(form.frame(frame.luma, chroma, frame.pts))

    timed("encode", encode, zip(held, planes, strict=True))
    begun = time.process_time()
    encoder.encode(None)
    spent["encode"] += (time.process_time() - begun) / frames * 1000
    # Two readers: one is ahead.
    spent["decode"] *= 2
    return spent


def speed(options):
    """Stages, then the whole way, in a process of its own."""
    width, height = map(int, options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "film.mp4"
        make_film(source, options.seconds, (width, height))
        spent = stages(source)
        print(f"{options.size}, CPU ms a frame by stage (one thread each, alone):")
        for name, value in spent.items():
            print(f"  {name:8} {value:6.1f}")
        print(f"  {'sum':8} {sum(spent.values()):6.1f}")
        for mode in options.steady:
            target = Path(folder) / f"{mode}.mp4"
            code = [sys.executable, __file__, "one", str(source), str(target), mode]
            subprocess.run(code, check=True)


def one(options):
    """One film, end to end."""
    begun, cpu = time.monotonic(), time.process_time()
    settings = FilmSettings(steady=options.mode)
    colorizer = Colorizer("mobile", threads=1)
    report = colorize_film(colorizer, options.source, options.target, settings)
    wall = time.monotonic() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"--steady {options.mode}: {report.frames} frames, "
        f"{report.frames / wall:.1f} frames/s, "
        f"{(time.process_time() - cpu) / report.frames * 1000:.0f} ms CPU a frame, "
        f"peak {peak:.0f} MB"
    )


def show_rows(title, rows):
    print(
        f"{title:21} {'flicker':>8} {'CDC x1000':>10} {'warp x1000':>10} "
        f"{'PSNR':>6} {'chroma':>7}"
    )
    for name, row in rows.items():
        print(
            f"{name:21} {row['flicker']:8.3f} {row['cdc'] * 1000:10.2f} "
            f"{row['warp_error'] * 1000:10.3f} {row['psnr']:6.2f} {row['chroma']:7.2f}"
        )


def rows_of(colorizer, truth, grays, motion, strip=None, clean=None):
    """The rows of one clip, without a codec's share."""
    from kcolor.evaluation import film as measures

    rows = {**colored_rows(colorizer, grays), "truth": (truth, None)}
    if clean:
        # Exposure and grain change the lightness of an old film; its colors are meant
        # to hold still all the same.
        steady_truth = [
            host.recolor(gray, measures.ab_of(frame) / np.float32(AB_SCALE))
            for gray, frame in zip(grays, clean, strict=True)
        ]
        rows[_CLEAN] = steady_truth, None
    if strip:
        picks = np.linspace(2, len(truth) - 2, 6).astype(int)
        shown = ("frame by frame", "forward and backward", "truth")
        lines = [np.hstack([rows[name][0][at] for at in picks]) for name in shown]
        cv2.imwrite(strip, np.vstack(lines)[..., ::-1])
    return {
        name: measures.measure_film(frames, truth, motion, abs_)
        for name, (frames, abs_) in rows.items()
    }


def hold_still(options):
    """12 made clips, and real ones in color if there are."""
    from kcolor.evaluation import film as measures

    colorizer = Colorizer("mobile", threads=1)
    pictures = photos(options.photos, 24)
    if options.strips:  # OpenCV says nothing of a folder that is not there.
        Path(options.strips).mkdir(parents=True, exist_ok=True)
    made = {}
    for number in range(12):
        name = list(_KINDS)[number % 6]
        how = dict(_KINDS[name])
        if name in ("object", "all"):
            how["other"] = pictures[(number + 12) % len(pictures)]
        clip = make_clip(
            pictures[number % len(pictures)],
            size=(180, 320),
            count=32,
            seed=number,
            **how,
        )
        motion = measures.Motion(clip.ways, clip.visible)
        strip = options.strips and f"{options.strips}/{number}-{name}.png"
        made[f"{number} {name}"] = rows_of(
            colorizer, clip.frames, clip.gray, motion, strip, clip.clean
        )
    clips = {"12 made": list(made.values())}
    for path in options.films:
        truth = read_small(Film(Path(path)), options.frames, 320 * 180)
        grays = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in truth]
        strip = options.strips and f"{options.strips}/{Path(path).stem}.png"
        motion = measures.estimate_motion(truth)
        clips[Path(path).stem] = [rows_of(colorizer, truth, grays, motion, strip)]
    if options.each:
        for name, rows in made.items():
            show_rows(name, rows)
    for name, found in clips.items():
        rows = {}
        for row, first in found[0].items():
            rows[row] = {
                key: float(np.mean([one[row][key] for one in found])) for key in first
            }
        show_rows(name, rows)
        both, off = (rows[name] for name in ("forward and backward", "frame by frame"))
        print(
            "both beside frame by frame: "
            f"flicker {both['flicker'] / off['flicker']:.3f}, "
            f"PSNR {both['psnr'] - off['psnr']:+.2f}, "
            f"chroma {both['chroma'] / off['chroma']:.3f}; "
            + ", ".join(
                f"CDC beside {name} {both['cdc'] / rows[name]['cdc']:.2f}"
                for name in ("truth", _CLEAN)
                if name in rows
            )
            + "\n"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parts = parser.add_subparsers(required=True)
    part = parts.add_parser("speed")
    part.add_argument("--seconds", type=int, default=20)
    part.add_argument("--size", default="1280x720")
    part.add_argument("--steady", nargs="*", default=["off", "both"])
    part.set_defaults(run=speed)
    part = parts.add_parser("steady")
    part.add_argument("films", nargs="*")
    part.add_argument("--photos", help="Folder or .tar of photographs.")
    part.add_argument("--strips", help="Folder for pictures of frames.")
    part.add_argument("--frames", type=int, default=100, help="Of each real film.")
    part.add_argument("--each", action="store_true", help="Every clip by itself.")
    part.set_defaults(run=hold_still)
    part = parts.add_parser("one")
    part.add_argument("source", type=Path)
    part.add_argument("target", type=Path)
    part.add_argument("mode")
    part.set_defaults(run=one)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
