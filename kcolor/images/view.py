"""What a network sees of a photograph: the one rule that every door follows.

The whole photograph is fitted, unsquashed, into the one of a few canvases whose aspect
is nearest to its own, and its mirror image fills what is left around it. The command
line does it here, in NumPy and OpenCV; `kcolor.export.graphs` does the same inside a
file, from the same shapes and the same whole numbers.

What a reader would get wrong: sizes are computed in whole numbers only. A float rounds
differently in different runtimes, and a view that is one row higher is another view.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from kcolor.color.constants import nearest_multiple

SIZE = 256  # Side of the square canvas; the others have about its area.
# Height and width of the wide canvases in sides of the square; each is turned, too.
# Measured with `mobile` on 850 test photographs by aspect: within 0.03 dB of a canvas
# made for each photograph; the square alone costs 0.1 to 0.5 dB.
_LANDSCAPES = ((7 / 8, 9 / 8), (3 / 4, 11 / 8))

Size = tuple[int, int]


class Box(NamedTuple):
    """Where on a canvas the photograph lies; the rest is its mirror image.

    Attributes:
        top: First row.
        left: First column.
        height: Rows.
        width: Columns.
    """

    top: Any
    left: Any
    height: Any
    width: Any


def canvases(size: int = SIZE) -> list[Size]:
    """Lists the shapes that a network runs at.

    Args:
        size: Side of the square canvas; it is rounded to a multiple of 32.

    Returns:
        List of `(height, width)`, multiples of 32, from portrait to landscape; for 256:
        352x192, 288x224, 256x256, 224x288, 192x352.
    """
    shapes = {(1.0, 1.0), *_LANDSCAPES, *(shape[::-1] for shape in _LANDSCAPES)}
    return sorted(
        {
            (nearest_multiple(size * high), nearest_multiple(size * wide))
            for high, wide in shapes
        },
        key=_aspect,
    )


def limits(shapes: Sequence[Size]) -> list[float]:
    """Gives the aspects at which one canvas takes over from the next.

    Args:
        shapes: Canvases `(height, width)`, sorted from portrait to landscape.

    Returns:
        Increasing list of width / height, one fewer than there are canvases: between
        two, the one that a photograph fills better is the one nearer in ratio.
    """
    aspects = [_aspect(shape) for shape in shapes]
    return [(a * b) ** 0.5 for a, b in zip(aspects, aspects[1:], strict=False)]


def choose(height: int, width: int, shapes: Sequence[Size]) -> Size:
    """Chooses the canvas that a photograph fills best.

    Args:
        height: Height of the photograph.
        width: Width of the photograph.
        shapes: Canvases `(height, width)`, in any order.

    Returns:
        One of `shapes`.
    """
    ordered = sorted(shapes, key=_aspect)
    return ordered[sum(width > limit * height for limit in limits(ordered))]


def fit(canvas: Any, height: Any, width: Any, clip: Callable | None = None) -> Box:
    """Fits a photograph of any size into a canvas.

    Args:
        canvas: `(height, width)` of the canvas.
        height: Height of the photograph; an int, or an int32 tensor in a graph.
        width: Width of the photograph, likewise.
        clip: Function of value, least and greatest for tensors; None for ints.

    Returns:
        The largest `Box` of the photograph's aspect, centered.
    """
    clip = clip or _clip
    # height * scale and width * scale with the scale of the tighter side, rounded.
    rows = clip((2 * height * canvas[1] + width) // (2 * width), 1, canvas[0])
    columns = clip((2 * width * canvas[0] + height) // (2 * height), 1, canvas[1])
    return Box((canvas[0] - rows) // 2, (canvas[1] - columns) // 2, rows, columns)


def shrink(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes a picture to a view: averages where it shrinks, bilinear where it grows.

    Each side on its own, so that a strip of 50,000 x 10 is averaged along one side and
    enlarged along the other.

    Args:
        pixels: uint8 or uint16 array of shape `(H, W)` or `(H, W, 3)`.
        height: Height of the result.
        width: Width of the result.

    Returns:
        uint16 array `(height, width)` or `(height, width, 3)`. 16 bits for 8-bit
        pictures, too: a view that is rounded to 8 bits shows steps that a network sees.
    """
    extent = np.array(pixels.shape[:2], "float64")
    # Halving is twenty times faster than an average over fractions of pixels; that does
    # the rest, from at least twice the size. An odd last row is left out, but its place
    # still counts: without it the whole picture would shift by up to half a pixel.
    while pixels.shape[0] >= 8 * height and pixels.shape[1] >= 8 * width:
        rows, columns = pixels.shape[0] // 2, pixels.shape[1] // 2
        even = pixels[: 2 * rows, : 2 * columns]
        pixels = cv2.resize(even, (columns, rows), interpolation=cv2.INTER_LINEAR)
        extent /= 2
    to_16_bit = 257.0 if pixels.dtype == np.uint8 else 1.0
    # Whole rows are averaged four times as fast as columns are.
    small = cv2.transpose(_average(pixels, height, extent[0]))
    small = cv2.transpose(_average(small, width, extent[1]))
    return (small * np.float32(to_16_bit) + np.float32(0.5)).astype("uint16")


def surround(view: np.ndarray, canvas: Size) -> np.ndarray:
    """Puts a view in the middle of a canvas and its mirror image around it.

    The network so sees no edge that is not in the photograph.

    Args:
        view: Array of shape `(height, width, ...)`, no larger than the canvas.
        canvas: `(height, width)`.

    Returns:
        Array of the same kind, of the canvas' height and width.
    """
    height, width = view.shape[:2]
    top, left = (canvas[0] - height) // 2, (canvas[1] - width) // 2
    return cv2.copyMakeBorder(
        np.ascontiguousarray(view),
        top,
        canvas[0] - height - top,
        left,
        canvas[1] - width - left,
        cv2.BORDER_REFLECT_101,
    )


def cut(planes: np.ndarray, box: Box) -> np.ndarray:
    """Cuts the photograph's own part out of what lies on a canvas.

    Args:
        planes: Array of shape `(height, width, ...)`.
        box: Where the photograph lies.

    Returns:
        View of `planes`, `(box.height, box.width, ...)`.
    """
    return planes[box.top : box.top + box.height, box.left : box.left + box.width]


def _average(pixels: np.ndarray, count: int, extent: float) -> np.ndarray:
    # Brings the first axis to `count`; `extent` is its length before any row was left
    # out. float32.
    length = len(pixels)
    scale = extent / count
    if scale >= 1:
        low = np.arange(count)[:, None] * scale
        at = np.floor(low) + np.arange(int(np.ceil(scale)) + 1)
        weights = np.minimum(at + 1, low + scale) - np.maximum(at, low)
        weights = np.where(at < length, np.maximum(weights, 0), 0)
        weights /= weights.sum(axis=1, keepdims=True)
    else:
        center = np.clip((np.arange(count)[:, None] + 0.5) * scale - 0.5, 0, length - 1)
        at = np.floor(center) + np.arange(2)
        weights = 1 - np.abs(at - center)
    at = np.minimum(at, length - 1).astype("intp")
    weights = weights.astype("float32")
    weights = weights.reshape(*weights.shape, *(1,) * (pixels.ndim - 1))
    result = pixels.take(at[:, 0], axis=0) * weights[:, 0]
    for tap in range(1, at.shape[1]):
        result += pixels.take(at[:, tap], axis=0) * weights[:, tap]
    return result


def _clip(value: int, least: int, greatest: int) -> int:
    return min(max(value, least), greatest)


def _aspect(shape: Size) -> float:
    return shape[1] / shape[0]
