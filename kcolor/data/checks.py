"""What is wrong with a source before a network learns from it or is measured on it.

One pass reads every picture once and keeps 1 kB of it: size, digest of the pixels and a
thumbnail. All comparisons run on the thumbnails. What a reader would get wrong: a near
duplicate is the same frame under another size, compression or flip, or a burst frame
that is hardly told from it. A crop, or the scene from a step aside, is none.
"""

import hashlib
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import cv2
import numpy as np

from kcolor.data.augment import opencv_in_one_thread
from kcolor.data.duplicates import THUMBNAIL, Picture, group_alike
from kcolor.data.source import Source
from kcolor.errors import DataError
from kcolor.parallel import read_ahead

_SHORT_SIDE = 256  # The default `--size`: a smaller picture is enlarged to fill it.

# Every threshold was measured on 16,148 distinct photographs of 128 to 256 pixels and
# on copies of 2,500 of them. Chroma and the curve's deviation are in Lab units.
# Gray: 99% of the pixels have at most this chroma. The photographs had 6.5 and more,
# gray JPEGs 0.1 and less; scanned gray has a cast.
_GRAY_CHROMA = 4.0
# Toned: the colors of a 16 x 16 thumbnail lie on one side of a plane through the gray
# axis (levels of 255), or on a curve over L*. Toned photographs, of which there were
# about 20, leave the plane by 0.3 to 1.2, as their JPEG allows, bluish glaciers by 0.85
# and more; blue ridges leave a curve by 0.93. Clipped sepia, stains, and small pictures
# of low quality are missed. The share spares pale photographs, the loose limit gray
# ones with one red thing, the range of L* plain skies.
_TONE_PLANE = 0.75
_TONE_CURVE = 0.75
_TONE_SHARE = 0.1
_TONE_LOOSE_CURVE = 6.0
_TONE_LIGHTNESS_RANGE = 20.0
_TONE_OTHER_SIDE = -1.0

_SHOWN = 10  # findings of a kind in the report's lines


def check(
    source: Source,
    against: Source | None = None,
    workers: int = 2,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, Any]:
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
        - `toned`: names of pictures of one hue throughout, such as sepia and cyanotype;
          what is only nearly so is left out.
        - `exact_duplicates`: groups (lists) of names with equal pixels.
        - `near_duplicates`: groups of names that show one frame, resized, recompressed,
          mirrored or turned gray, with whatever equals one of them in pixels.
        - `against`: None, or `pictures`, `readable` and `unreadable` as above.
        - `leakage`: None, or `{"exact": groups, "near": groups}` of pictures that both
          sources hold, each group `{"source": names, "against": names}`.
    """
    total = len(source) + (0 if against is None else len(against))
    pictures, unreadable = _read(source, workers, progress, 0, total)
    report: dict[str, Any] = {
        "pictures": len(source),
        "readable": len(pictures),
        "unreadable": unreadable,
        "sizes": _sizes(pictures),
        "gray": [p.name for p in pictures if p.gray],
        "toned": [p.name for p in pictures if p.toned],
    }
    others: list[Picture] = []
    counts = None
    if against is not None:
        others, unreadable = _read(against, workers, progress, len(source), total)
        counts = {
            "pictures": len(against),
            "readable": len(others),
            "unreadable": unreadable,
        }
    equal, near = group_alike(pictures, others)
    report["exact_duplicates"] = sorted(ours for ours, _ in equal if len(ours) > 1)
    here = [[names for names in group if names[0]] for group in near]
    report["near_duplicates"] = sorted(_merged(g)[0] for g in here if len(g) > 1)
    report["against"] = counts
    report["leakage"] = counts and {
        "exact": _in_both(equal),
        "near": _in_both(_merged(group) for group in near),
    }
    return report


def report_lines(report: dict[str, Any]) -> list[str]:
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


def _read(source, workers, progress, done, total):
    """Returns the readable pictures and a list of those that are not."""
    pictures: list[Picture] = []
    unreadable: list[dict[str, str]] = []
    with opencv_in_one_thread(), ThreadPoolExecutor(workers) as pool:
        inspect = partial(_inspect, source)
        for found in read_ahead(pool, inspect, range(len(source)), 2 * workers):
            (pictures if isinstance(found, Picture) else unreadable).append(found)
            if progress:
                progress(done + len(pictures) + len(unreadable), total)
    return pictures, unreadable


def _inspect(source, index):
    name = source.names[index]
    try:
        source.gray(index)
        rgb = source.read(index)
    except DataError as error:
        return {"name": name, "reason": str(error).rpartition(f"{name}: ")[2]}
    height, width = rgb.shape[:2]
    digest = hashlib.sha256(f"{height} {width}".encode())
    digest.update(np.ascontiguousarray(rgb).data)
    middle = cv2.resize(rgb, (64, 64), interpolation=cv2.INTER_AREA).astype("float32")
    small = cv2.resize(middle, (THUMBNAIL,) * 2, interpolation=cv2.INTER_AREA)
    gray = _is_gray(middle)
    return Picture(
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
    lightness, ab = lab[:, 0], lab[:, 1:].astype("float64")
    low, high = np.percentile(lightness, (5, 95))
    if high - low < _TONE_LIGHTNESS_RANGE:
        return False

    # In gamma-encoded opponents a mean over pixels stays in the plane; in ab it bends.
    r, g, b = rgb.reshape(-1, 3).T
    opponents = np.stack([r - g, (r + g) / 2 - b])
    squares, axes = np.linalg.eigh(opponents @ opponents.T / len(r))
    across, along = np.sqrt(np.maximum(squares, 0))
    hue = axes[:, 1] @ opponents
    if np.percentile(hue * np.sign(hue.mean()), 2) < _TONE_OTHER_SIDE:
        return False

    powers = np.vander(lightness / 50 - 1, 6).astype("float64")
    # NumPy's solver would start a thread per core inside each worker.
    _, curve = cv2.solve(powers, ab, flags=cv2.DECOMP_SVD)
    deviation = np.sqrt(np.mean(np.sum((ab - powers @ curve) ** 2, axis=1)))
    in_plane = across <= min(_TONE_PLANE, _TONE_SHARE * along)
    on_curve = deviation <= min(_TONE_CURVE, _TONE_SHARE * np.hypot(*ab.T).mean())
    return bool(on_curve or (in_plane and deviation <= _TONE_LOOSE_CURVE))


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


def _merged(group):
    return tuple(sorted(itertools.chain(*side)) for side in zip(*group, strict=True))


def _in_both(groups):
    both = sorted(group for group in groups if all(group))
    return [{"source": ours, "against": theirs} for ours, theirs in both]
