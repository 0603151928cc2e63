"""What is wrong with a source before a network learns from it or is measured on it.

One pass reads every picture once and keeps under 1 kB of it: its size, a digest of its
pixels and a thumbnail. All comparisons run on the thumbnails. What a reader would get
wrong: a near duplicate is the same frame under another size, compression or flip, or a
burst frame that is hardly told from it. A crop, or the scene a step aside, is none.
"""

import hashlib
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np

from kcolor.errors import DataError

_SHORT_SIDE = 256  # The default `--size`: a smaller picture is enlarged to fill it.

# Every threshold was measured on 16,148 distinct photographs of 128 to 256 pixels and
# on copies of 2,500 of them. Colors are in Lab units.
# Gray: 99% of the pixels have at most this chroma. The photographs had 6.5 and more,
# gray JPEGs 0.1 and less; scanned gray has a cast.
_GRAY_CHROMA = 4.0
# Toned: ab is a smooth function of L* but for this root mean square; photographs were
# 0.93 and more off. The share of the chroma spares pale photographs, and the range of
# L* a plain sky. Aged paper with stains is missed, as are tones of strong contrast.
_TONE_DEVIATION = 0.75
_TONE_DEVIATION_SHARE = 0.15
_TONE_LIGHTNESS_RANGE = 30.0
# Near: correlation of the fine structure, and root mean square difference of 8 x 8
# means in levels of 255. Copies at 30% by aliasing bilinear resize and quality 30 had
# 0.79 and more, and 10 and less, but for 1 in 1,000; properly resized ones 0.92 and 7.
# Photographs of different scenes that were as near as 10 had 0.62 and less.
_NEAR_STRUCTURE = 0.75
_NEAR_LEVELS = 10.0
# A plain sky's structure is noise (1.2 levels and less; photographs 4.8 and more).
_LEAST_STRUCTURE = 2.0

_SHOWN = 10  # findings of a kind in the report's lines
_THUMB = 16
_LUMA = np.array([0.299, 0.587, 0.114], "float32")  # BT.601, as gray JPEGs are made
_ROWS = 256  # of the correlation matrix at a time: 50 MB for 50,000 pictures


class _Picture(NamedTuple):
    name: str
    width: int
    height: int
    digest: bytes
    thumbnail: np.ndarray
    gray: bool
    toned: bool


def check(source, against=None, workers=2, progress=None):
    """Checks every picture of a source, and whether another source holds it too.

    Args:
        source: `Source`. Of a pair both pictures must be readable; the color picture
            is the one that is measured and compared.
        against: `Source` that must share no picture with `source`, such as the test
            pictures, or None.
        workers: Threads that read pictures.
        progress: Function called with the counts of pictures done and in total, or
            None.

    Returns:
        Dict that JSON can hold; every list of names is sorted:

        - `pictures`, `readable`: counts.
        - `unreadable`: list of `{"name", "reason"}`.
        - `sizes`: None if nothing is readable, else `width`, `height`, `short_side`:
          each `{"min", "median", "max"}` in pixels; and `short_side_under_256`: count.
        - `gray`: names of pictures whose chroma is practically zero.
        - `toned`: names of pictures whose color follows from lightness alone, such as
          sepia and cyanotype.
        - `exact_duplicates`: groups (lists) of names with equal pixels.
        - `near_duplicates`: groups of names that show one frame, resized, recompressed,
          mirrored or turned gray, with whatever equals one of them in pixels.
        - `against`: None, or `pictures`, `readable` and `unreadable` as above.
        - `leakage`: None, or `{"exact": groups, "near": groups}` of pictures that both
          sources hold, each group `{"source": names, "against": names}`.
    """
    total = len(source) + (len(against) if against else 0)
    pictures, unreadable = _read(source, workers, progress, 0, total)
    report = {
        "pictures": len(source),
        "readable": len(pictures),
        "unreadable": unreadable,
        "sizes": _sizes(pictures),
        "gray": [p.name for p in pictures if p.gray],
        "toned": [p.name for p in pictures if p.toned],
    }
    others = []
    report["against"] = report["leakage"] = None
    if against:
        others, unreadable = _read(against, workers, progress, len(source), total)
        report["against"] = {
            "pictures": len(against),
            "readable": len(others),
            "unreadable": unreadable,
        }

    equal = defaultdict(list)
    for position, picture in enumerate(pictures + others):
        equal[picture.digest].append(position)
    distinct = list(equal.values())
    names = [p.name for p in pictures + others]

    def split(positions):
        ours = sorted(names[i] for i in positions if i < len(pictures))
        theirs = sorted(names[i] for i in positions if i >= len(pictures))
        return ours, theirs

    exact = [split(positions) for positions in distinct]
    near = [
        [exact[i] for i in group]
        for group in _near_groups(
            [(pictures + others)[positions[0]] for positions in distinct],
            sum(positions[0] < len(pictures) for positions in distinct),
        )
    ]
    merged = [(sum((o for o, _ in g), []), sum((t for _, t in g), [])) for g in near]
    report["exact_duplicates"] = sorted(ours for ours, _ in exact if len(ours) > 1)
    report["near_duplicates"] = sorted(
        sorted(ours)
        for group, (ours, _) in zip(near, merged, strict=True)
        if sum(bool(o) for o, _ in group) > 1
    )
    if against:
        report["leakage"] = {"exact": _leaks(exact), "near": _leaks(merged)}
    return report


def report_lines(report):
    """Puts a report of `check` into words.

    Args:
        report: Dict that `check` returned.

    Returns:
        List of lines. Each kind of finding has its count and its first names.
    """
    lines = [f"{report['pictures']} pictures, {report['readable']} readable"]
    if report["sizes"]:
        for side in ("width", "height", "short_side"):
            low, median, high = report["sizes"][side].values()
            name = side.replace("_", " ")
            lines.append(f"{name}: {low} to {high}, median {median:g}")
        small = report["sizes"][f"short_side_under_{_SHORT_SIDE}"]
        lines.append(f"short side under {_SHORT_SIDE}: {small}")

    def add(title, findings):
        lines.append(f"{title}: {len(findings)}")
        lines.extend(f"    {finding}" for finding in findings[:_SHOWN])
        if len(findings) > _SHOWN:
            lines.append(f"    ... {len(findings) - _SHOWN} more, all in --json")

    def add_unreadable(title, findings):
        add(title, [f"{f['name']}: {f['reason']}" for f in findings])

    add_unreadable("unreadable", report["unreadable"])
    add("gray", report["gray"])
    add("toned", report["toned"])
    for kind in ("exact", "near"):
        groups = report[f"{kind}_duplicates"]
        add(f"groups of {kind} duplicates", [" = ".join(names) for names in groups])
    if report["against"]:
        counts = report["against"]
        lines.append(
            f"against {counts['pictures']} pictures, {counts['readable']} readable"
        )
        add_unreadable("unreadable there", counts["unreadable"])
        for kind, groups in report["leakage"].items():
            found = [
                " | ".join(" = ".join(side) for side in g.values()) for g in groups
            ]
            add(f"groups of {kind} duplicates in both", found)
    return lines


def _leaks(groups):
    both = sorted((sorted(o), sorted(t)) for o, t in groups if o and t)
    return [{"source": ours, "against": theirs} for ours, theirs in both]


def _read(source, workers, progress, done, total):
    """Returns the readable pictures and a list of those that are not."""
    pictures, unreadable = [], []

    def collect(future):
        found = future.result()
        (pictures if isinstance(found, _Picture) else unreadable).append(found)
        if progress:
            progress(done + len(pictures) + len(unreadable), total)

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # or every worker would start as many of its own
    try:
        with ThreadPoolExecutor(workers) as pool:
            pending = deque()
            for index in range(len(source)):
                pending.append(pool.submit(_inspect, source, index))
                # Bounded, so that an early end is quick.
                if len(pending) > 2 * workers:
                    collect(pending.popleft())
            while pending:
                collect(pending.popleft())
    finally:
        cv2.setNumThreads(threads)
    return pictures, unreadable


def _inspect(source, index):
    name = source.names[index]
    try:
        source.gray(index)
        rgb = source.read(index)
    except DataError as error:
        return {"name": name, "reason": str(error).rpartition(f"{name}: ")[2]}
    height, width = rgb.shape[:2]
    digest = hashlib.blake2b(f"{height} {width}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(rgb))
    middle = cv2.resize(rgb, (64, 64), interpolation=cv2.INTER_AREA).astype("float32")
    small = cv2.resize(middle, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA)
    gray = _is_gray(middle)
    return _Picture(
        name,
        width,
        height,
        digest.digest(),
        np.rint(small).astype("uint8"),
        gray,
        not gray and _is_toned(small),
    )


def _lab(rgb):
    return cv2.cvtColor(rgb / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3)


def _is_gray(rgb):
    _, a, b = _lab(rgb).T
    return bool(np.percentile(np.hypot(a, b), 99) <= _GRAY_CHROMA)


def _is_toned(rgb):
    lab = _lab(rgb)
    lightness, ab = lab[:, 0], lab[:, 1:]
    low, high = np.percentile(lightness, (5, 95))
    if high - low < _TONE_LIGHTNESS_RANGE:
        return False
    powers = np.vander(lightness / 50 - 1, 6)
    # NumPy's solver would start a thread per core inside each worker.
    _, curve = cv2.solve(powers, ab.astype(powers.dtype), flags=cv2.DECOMP_SVD)
    deviation = np.sqrt(np.mean(np.sum((ab - powers @ curve) ** 2, axis=1)))
    chroma = np.mean(np.hypot(*ab.T))
    limit = min(_TONE_DEVIATION, _TONE_DEVIATION_SHARE * chroma)
    return bool(deviation <= limit)


def _sizes(pictures):
    if not pictures:
        return None
    width = np.array([p.width for p in pictures])
    height = np.array([p.height for p in pictures])
    short = np.minimum(width, height)

    def spread(values):
        return {
            "min": int(values.min()),
            "median": float(np.median(values)),
            "max": int(values.max()),
        }

    return {
        "width": spread(width),
        "height": spread(height),
        "short_side": spread(short),
        f"short_side_under_{_SHORT_SIDE}": int((short < _SHORT_SIDE).sum()),
    }


def _near_groups(pictures, count):
    """Groups positions of near pictures, of which each pair holds one below `count`."""
    parent = list(range(len(pictures)))

    def root(i):
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    for i, j in _near_pairs(pictures, count):
        parent[root(j)] = root(i)
    groups = defaultdict(list)
    for i in range(len(pictures)):
        groups[root(i)].append(i)
    return [group for group in groups.values() if len(group) > 1]


def _near_pairs(pictures, count):
    if not count:
        return
    rgb = np.stack([p.thumbnail for p in pictures]).astype("float32")
    gray = np.array([p.gray for p in pictures])
    luma = rgb @ _LUMA
    coarse_rgb, coarse_luma = _halved(rgb), _halved(luma)
    structure = np.stack([y - cv2.GaussianBlur(y, (0, 0), 1.5) for y in luma])
    structure -= structure.mean(axis=(1, 2), keepdims=True)
    deviation = structure.std(axis=(1, 2), keepdims=True)
    structure *= (deviation >= _LEAST_STRUCTURE) / np.maximum(deviation, 1) / _THUMB
    mirrored = structure[:, :, ::-1].reshape(len(rgb), -1)
    structure = structure.reshape(len(rgb), -1)

    def distance(means, i, j, flip):
        other = means[j][:, :, ::-1] if flip else means[j]
        square = np.square(means[i] - other).reshape(len(i), -1)
        return np.sqrt(square.mean(axis=1))

    for start in range(0, count, _ROWS):
        rows = structure[start : min(start + _ROWS, count)]
        for flip, columns in enumerate((structure, mirrored)):
            i, j = np.nonzero(rows @ columns[start:].T >= _NEAR_STRUCTURE)
            i, j = i[i < j] + start, j[i < j] + start
            near = distance(coarse_luma, i, j, flip) <= _NEAR_LEVELS
            colored = ~gray[i] & ~gray[j]
            near &= ~colored | (distance(coarse_rgb, i, j, flip) <= _NEAR_LEVELS)
            yield from zip(i[near].tolist(), j[near].tolist(), strict=True)


def _halved(thumbnails):
    half = _THUMB // 2
    shape = (len(thumbnails), half, 2, half, 2, *thumbnails.shape[3:])
    return thumbnails.reshape(shape).mean(axis=(2, 4))
