"""How well a colorized film holds still, and how near it is to the truth.

Gray film holds stiller than any other, so the measures of steadiness stand beside the
rows gray, frame by frame and truth, and beside PSNR and chroma, or mean nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from kcolor.color.constants import AB_SCALE
from kcolor.color.host import split_on_host

_BINS = 256
_DISTANCES = (1, 2, 4)
# Occlusion as Lai et al. 2018 (and Ruder et al. 2016 before them) define it.
_MISS_SHARE, _MISS = 0.01, 0.5
_EDGE_SHARE, _EDGE = 0.01, 0.002


@dataclass(frozen=True)
class Motion:
    """Where each pixel of each frame was in the frame before.

    Attributes:
        ways: float32 arrays `(h, w, 2)`, offsets (x, y) in pixels; that of the first
            frame is not looked at.
        visible: bool arrays `(h, w)`: whether the pixel was in the frame before.
    """

    ways: Sequence[np.ndarray]
    visible: Sequence[np.ndarray]


def estimate_motion(frames: Sequence[np.ndarray]) -> Motion:
    """Measures the motion of a film by the lightness of its true frames.

    Args:
        frames: uint8 arrays `(h, w, 3)`, RGB.

    Returns:
        `Motion`, from OpenCV's DIS flow; where the ways forward and back disagree, or
        the flow has an edge, a pixel counts as hidden.
    """
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grays = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    shape = grays[0].shape
    ways, visible = [np.zeros((*shape, 2), np.float32)], [np.zeros(shape, bool)]
    for before, gray in zip(grays, grays[1:], strict=False):
        way = flow.calc(gray, before, None)
        around = _carried(flow.calc(before, gray, None), way)
        size = (way**2).sum(axis=-1) + (around**2).sum(axis=-1)
        miss = ((way + around) ** 2).sum(axis=-1)
        edges = sum(
            (np.gradient(way[..., axis])[side] ** 2)
            for axis in (0, 1)
            for side in (0, 1)
        )
        seen = miss <= _MISS_SHARE * size + _MISS
        seen &= edges <= _EDGE_SHARE * (way**2).sum(axis=-1) + _EDGE
        ways.append(way)
        visible.append(seen & _inside(way))
    return Motion(ways, visible)


def color_consistency(frames: Sequence[np.ndarray]) -> float:
    """Measures CDC, the color distribution consistency.

    Args:
        frames: uint8 arrays `(h, w, 3)`, RGB, at least 2.

    Returns:
        Mean Jensen-Shannon divergence (natural logarithm) between the histograms of
        frames 1, 2 and 4 apart, as far as there are such; 0 is a standstill.

    Source: Liu et al., "Temporally Consistent Video Colorization with Deep Feature
    Propagation and Self-regularization Learning" (TCVC), 2021, section 4.
    """
    histograms = np.stack([_histograms(frame) for frame in frames])
    means = []
    for distance in _DISTANCES:
        if distance < len(frames):
            pairs = _divergence(histograms[:-distance], histograms[distance:])
            means.append(pairs.mean())
    return float(np.mean(means))


def _histograms(frame):
    counts = [
        np.bincount(frame[..., channel].ravel(), minlength=_BINS)
        for channel in range(3)
    ]
    return np.stack(counts) / frame[..., 0].size


def _divergence(p, q):
    middle = (p + q) / 2
    return (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2


def _relative_entropy(p, q):
    some = p > 0
    ratio = np.divide(p, q, out=np.ones_like(p), where=some)
    return (p * np.log(ratio)).sum(axis=-1)


def warp_error(frames: Sequence[np.ndarray], motion: Motion) -> float:
    """Measures how much a frame differs from the one before, moved along the motion.

    Args:
        frames: uint8 arrays `(h, w, 3)`, RGB.
        motion: The motion, of the same size.

    Returns:
        Mean squared difference of RGB in [0, 1] over the pixels that are visible in
        both, averaged over frames.

    Source: Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018.
    """
    errors = []
    for at in range(1, len(frames)):
        seen = motion.visible[at]
        if seen.any():
            here = frames[at].astype(np.float32) / 255
            moved = _carried(frames[at - 1].astype(np.float32) / 255, motion.ways[at])
            errors.append(float(((here - moved) ** 2)[seen].mean()))
    return float(np.mean(errors)) if errors else float("nan")


def flicker(abs_: Sequence[np.ndarray], motion: Motion) -> float:
    """Measures the change of color along the motion.

    Args:
        abs_: float arrays `(h, w, 2)`, a* and b*.
        motion: The motion, of the same size.

    Returns:
        Mean absolute change of a* and b* from a frame to the next, over all pixels that
        are visible in both, so that a cut, of which a few pixels seem to be, counts for
        little; lightness plays no part, so grain does not either.
    """
    change, pixels = 0.0, 0
    for at in range(1, len(abs_)):
        seen = motion.visible[at]
        moved = _carried(abs_[at - 1].astype(np.float32), motion.ways[at])
        change += float(np.abs(abs_[at] - moved)[seen].mean(axis=-1).sum())
        pixels += int(seen.sum())
    return change / pixels if pixels else float("nan")


def ab_of(frame: np.ndarray) -> np.ndarray:
    """Gives a* and b* of a picture.

    Args:
        frame: uint8 array `(h, w, 3)`, RGB.

    Returns:
        float32 array `(h, w, 2)`.
    """
    return split_on_host([frame])[0, ..., 1:] * np.float32(AB_SCALE)


def measure_film(
    frames: Sequence[np.ndarray],
    truth: Sequence[np.ndarray],
    motion: Motion,
    abs_: Sequence[np.ndarray] | None = None,
) -> dict[str, float]:
    """Measures one row of the table.

    Args:
        frames: uint8 arrays `(h, w, 3)`, RGB, what is measured.
        truth: The true frames.
        motion: The motion of the truth.
        abs_: float arrays `(h, w, 2)`, a* and b* of `frames` before they were rounded,
            for the flicker: 8 bits alone flicker by about 0.15. None: as rounded.

    Returns:
        Dict of `flicker`, `cdc`, `warp_error`, `psnr` (dB; infinite for the truth),
        `psnr_frames` and `chroma` (mean of the length of ab). `psnr` is the mean over
        the `psnr_frames` frames whose truth has color, and NaN if none has: of the
        others, as of a fade-in's black ones, gray is the truth, and its PSNR infinite.

    Raises:
        ValueError: If there are not as many frames as true ones.
    """
    if len(frames) != len(truth):
        raise ValueError(
            "a film needs as many frames as its truth. "
            f"Received: {len(frames)} and {len(truth)}"
        )
    rounded = [ab_of(frame) for frame in frames]
    errors = [
        np.mean((frame.astype(np.float32) - true) ** 2)
        for frame, true in zip(frames, truth, strict=True)
        if np.ptp(true, axis=-1).any()
    ]
    with np.errstate(divide="ignore"):
        decibels = 10 * np.log10(255**2 / np.array(errors))
    return {
        "flicker": flicker(rounded if abs_ is None else abs_, motion),
        "cdc": color_consistency(frames),
        "warp_error": warp_error(frames, motion),
        "psnr": float(decibels.mean()) if errors else float("nan"),
        "psnr_frames": len(errors),
        "chroma": float(np.mean([np.hypot(*cv2.split(ab)).mean() for ab in rounded])),
    }


def mean_over_films(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Sums up what `measure_film` found in several films.

    Args:
        rows: The same row of each film.

    Returns:
        Dict of the means; that of `psnr` is over films that have frames for it, NaN if
        none has. `psnr_frames` is the sum.
    """
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    psnr = [row["psnr"] for row in rows if row["psnr_frames"]]
    means["psnr"] = float(np.mean(psnr)) if psnr else float("nan")
    means["psnr_frames"] = sum(row["psnr_frames"] for row in rows)
    return means


def _carried(picture, way):
    height, width = way.shape[:2]
    y, x = np.indices((height, width), np.float32)
    return cv2.remap(
        picture,
        x + way[..., 0],
        y + way[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _inside(way):
    height, width = way.shape[:2]
    y, x = np.indices((height, width), np.float32)
    x, y = x + way[..., 0], y + way[..., 1]
    return (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
