"""Clips made from photographs, whose motion and occlusion are known exactly."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Clip:
    """Frames in color, and for each where its pixels were in the frame before.

    Attributes:
        frames: uint8 arrays `(h, w, 3)`, the truth, with grain and flicker.
        clean: uint8 arrays `(h, w, 3)`, the truth without them.
        gray: uint8 arrays `(h, w)`, what there is to colorize.
        ways: float32 arrays `(h, w, 2)`, offsets (x, y) to the frame before.
        visible: bool arrays `(h, w)`, whether the pixel was in the frame before.
    """

    frames: list
    clean: list
    gray: list
    ways: list
    visible: list


def make_clip(
    photo,
    *,
    size=(96, 160),
    count=24,
    pan=(1.0, 0.5),
    zoom=1.0,
    other=None,
    grain=0.0,
    exposure=0.0,
    seed=0,
):
    """Makes a clip.

    Args:
        photo: uint8 array `(h, w, 3)` that the camera moves over.
        size: `(height, width)` of the frames.
        count: Number of frames.
        pan: Pixels `(x, y)` by which the camera moves in a frame.
        zoom: Factor by which it comes nearer in a frame.
        other: uint8 array `(h, w, 3)`: a disk cut out of it crosses the picture.
        grain: Deviation of the noise, in levels.
        exposure: Deviation of each frame's brightness, as a part of it.
        seed: Of grain and exposure.
    """
    rng = np.random.default_rng(seed)
    height, width = size
    y, x = np.indices(size, "float32")
    grid = np.stack([x, y], axis=-1)
    center = np.array([width - 1, height - 1], "float32") / 2
    middle = (np.array(photo.shape[1::-1]) - 1) / 2
    # The whole way has to fit in the photograph.
    reach = np.abs(pan) * (count - 1) + np.array([width, height])
    scale = 0.95 * min(np.array(photo.shape[1::-1]) / reach)
    # Light has no levels: only what the camera has caught of it is rounded.
    photo = cv2.GaussianBlur(photo.astype("float32"), (0, 0), max(0.01, 0.4 * scale))
    radius = 0.22 * height
    step = np.array([(width + radius) / count, 0.15], "float32")
    frames, clean, gray, ways, visible, covers = [], [], [], [], [], []

    def camera(t):
        # Frame to photograph: scale and offset.
        factor = scale / zoom**t
        offset = middle + np.asarray(pan) * scale * (t - (count - 1) / 2)
        return factor, offset - factor * center

    def disk(t):
        return np.array([-radius / 2, 0.45 * height], "float32") + step * t

    for t in range(count):
        factor, offset = camera(t)
        at = (grid * factor + offset).astype("float32")
        frame = cv2.remap(
            photo,
            at[..., 0],
            at[..., 1],
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT,
        )
        cover = np.zeros(size, bool)
        if other is not None:
            own = grid - disk(t)
            cover = np.hypot(own[..., 0], own[..., 1]) < radius
            texture = own * 2 + np.array(other.shape[1::-1], "float32") / 2
            shown = cv2.remap(
                other,
                texture[..., 0],
                texture[..., 1],
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REFLECT,
            )
            frame[cover] = shown[cover]
        clean.append(np.clip(frame + 0.5, 0, 255).astype("uint8"))
        shot = frame * np.float32(1 + exposure * rng.normal())
        shot += grain * rng.normal(size=(*size, 1))
        frame = np.clip(shot + 0.5, 0, 255).astype("uint8")
        frames.append(frame)
        covers.append(cover)
        gray.append(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
        if t == 0:
            ways.append(np.zeros((*size, 2), "float32"))
            visible.append(np.zeros(size, bool))
            continue
        before, start = camera(t - 1)
        was = ((at - start) / before).astype("float32")
        was[cover] = (grid - step)[cover]
        inside = (was >= 0).all(axis=-1)
        inside &= (was <= [width - 1, height - 1]).all(axis=-1)
        nearest = np.rint(np.clip(was, 0, [width - 1, height - 1])).astype(int)
        hidden = covers[t - 1][nearest[..., 1], nearest[..., 0]] != cover
        ways.append((was - grid).astype("float32"))
        visible.append(inside & ~hidden)
    return Clip(frames, clean, gray, ways, visible)
