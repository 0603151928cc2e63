"""Known colors by hand: points, strokes and mask pictures, from text to the small view.

A hint gives hue and chroma; the picture keeps its lightness, and where that lightness
cannot show the color, chroma is lost. Coordinates refer to the picture as it is seen,
turned upright, x to the right and y downwards, from its upper left corner. Pixel 0 is
the first; percent are of the picture's width and height.

A file of hints is JSON in UTF-8:

    {"hints": [
        {"x": 120, "y": 80, "color": "#a03020"},
        {"x": "41.5%", "y": "20%", "color": "#a03020", "radius": 12},
        {"points": [[300, 40], [340, 90]], "color": "#2050a0", "radius": "1%"},
        {"x": 10, "y": 20, "color": "#808080", "frame": 48}
    ]}

A number is in pixels, text that ends in `%` in percent. `radius` is half the width of
the dot or stroke, in percent of the picture's shorter side, and 0 (one pixel of what
the network sees) where it is left out. `frame` says which picture of a film is meant,
counted from 0, and means nothing for a photograph. No other names are allowed.

Or it is a PNG of the picture's own size: its opaque pixels are known colors.
"""

import io
import itertools
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kcolor.color import host
from kcolor.errors import DataError

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_FORM = "X,Y,#RRGGBB, such as 120,80,#a03020 in pixels or 40%,20%,#a03020"
_NAMES = {"x", "y", "points", "color", "radius", "frame"}
# An opaque pixel is one of which more shows than does not.
_OPAQUE = 128
# Pixels or percent; no picture has an edge of more than 65,500.
_MOST = 1_000_000


@dataclass(frozen=True)
class Length:
    """A coordinate or a radius: a number of pixels, or percent of a side."""

    value: float
    percent: bool = False

    def of(self, side: int) -> float:
        """Returns it in pixels of a side that is so many pixels long."""
        return self.value * side / 100 if self.percent else self.value

    def __str__(self):
        return f"{self.value:g}%" if self.percent else f"{self.value:g}"


@dataclass(frozen=True)
class Hint:
    """One known color: a dot, or a stroke through several points.

    Attributes:
        points: Tuple of `(x, y)`, each a `Length`.
        color: `(red, green, blue)`, each from 0 to 255, gamma-encoded sRGB.
        radius: Half the width of dot or stroke; percent are of the shorter side.
        frame: Picture of a film, from 0; None: not said. Photographs ignore it.
    """

    points: tuple[tuple[Length, Length], ...]
    color: tuple[int, int, int]
    radius: Length = Length(0.0)
    frame: int | None = None


@dataclass(frozen=True, eq=False)
class HintPicture:
    """Known colors as a picture.

    Attributes:
        rgb: uint8 array of shape `(height, width, 3)`, gamma-encoded sRGB.
        known: Boolean array of shape `(height, width)`: where `rgb` is meant.
        name: What messages call it.
    """

    rgb: np.ndarray
    known: np.ndarray
    name: str = "the hints' picture"


def parse_hint(text: str) -> Hint:
    """Reads a hint as the command line takes it.

    Args:
        text: `X,Y,#RRGGBB`; X and Y are pixels, or percent with `%` behind them.

    Returns:
        The `Hint`.

    Raises:
        ValueError: If it is not of this form.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3:
        raise ValueError(f"a hint must be {_FORM}. Received: {text!r}")
    x, y, color = parts
    return _hint({"x": x, "y": y, "color": color}, f"hint {text!r}")


def read_hints(path: Path | str) -> list[Hint | HintPicture]:
    """Reads a file of hints: JSON, or a PNG whose opaque pixels are known colors.

    Args:
        path: The file; its content says which of the two it is.

    Returns:
        List of `Hint`s, or of one `HintPicture`.

    Raises:
        DataError: If it cannot be read, or holds something that is no hint.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    if data.startswith(b"\x89PNG"):
        return [_read_picture(data, str(path))]
    try:
        return _read_text(data, path)
    except RecursionError as error:
        raise DataError(f"{path}: nested too deeply to be hints") from error


def as_hints(hints: Any) -> list[Hint | HintPicture]:
    """Brings whatever a caller calls hints to one form.

    Args:
        hints: Path of a file, or an iterable of `Hint`s, `HintPicture`s, texts as
            `parse_hint` takes them, dicts as they stand in a file, and tuples
            `(x, y, color)`, the color being `"#RRGGBB"` or `(red, green, blue)`.
            None: no hints.

    Returns:
        List of `Hint`s and `HintPicture`s.

    Raises:
        DataError: If a file cannot be read.
        ValueError: If something is no hint.
    """
    if hints is None:
        return []
    if isinstance(hints, str | os.PathLike):
        return read_hints(Path(hints))
    if not isinstance(hints, Iterable) or isinstance(hints, Mapping):
        raise ValueError(
            f"hints must be a path or a list of hints. Received: {hints!r}"
        )
    return [_as_hint(hint, at) for at, hint in enumerate(hints, start=1)]


def draw_hints(
    hints: Sequence[Hint | HintPicture], size: tuple[int, int], view: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws hints on the small view of a picture.

    Args:
        hints: As from `as_hints`; of two that overlap, the later one counts.
        size: `(height, width)` of the picture, upright.
        view: `(height, width)` of its small view.

    Returns:
        Tuple of known colors, float32 `view + (3,)`, a* and b* / 110 and a mask; the
        points that hints name, integers `(N, 2)`, x and y in the picture; and their a*
        and b* / 110, float32 `(N, 2)`.

    Raises:
        ValueError: If a point lies outside, or a picture has another size.
    """
    known = np.zeros((*view, 3), "float32")
    points: list[tuple[int, int]] = []
    colors: list[np.ndarray] = []
    for hint in hints:
        if isinstance(hint, HintPicture):
            _draw_picture(hint, size, known)
            continue
        ab = host.split_on_host([np.array([[hint.color]], "uint8")])[0, 0, 0, 1:]
        places = [_place(point, size) for point in hint.points]
        _draw_line(places, hint.radius.of(min(size)), size, ab, known)
        points += places
        colors += [ab] * len(places)
    # Of two at one pixel, the later one counts here, too.
    last = dict(zip(points, colors, strict=True))
    return (
        known,
        np.array(list(last), "intp").reshape(-1, 2),
        np.array(list(last.values()), "float32").reshape(-1, 2),
    )


def _draw_line(places, radius, size, ab, known):
    view = np.array(known.shape[1::-1])
    scale = view / size[::-1]
    at = [(np.array(place) + 0.5) * scale - 0.5 for place in places]
    thickness = max(1, round(2 * radius * float(scale.mean())))
    # A dot of one pixel is the nearest one; all else is what lies within half the
    # thickness of a line. The page in the browser draws by the same rule.
    segments = list(itertools.pairwise(at)) or [(at[0], at[0])] * (thickness > 1)
    for start, end in segments:
        _draw_segment(start, end, thickness / 2, ab, known)
    for point in at:
        x, y = np.clip(np.rint(point), 0, view - 1).astype(int)
        known[y, x] = [*ab, 1]


def _draw_segment(start, end, reach, ab, known):
    low = np.maximum(np.floor(np.minimum(start, end) - reach), 0).astype(int)
    high = np.ceil(np.maximum(start, end) + reach).astype(int) + 1
    part = known[low[1] : max(high[1], 0), low[0] : max(high[0], 0)]
    rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
    x, y = columns + low[0] - start[0], rows + low[1] - start[1]
    along = end - start
    share = (x * along[0] + y * along[1]) / max(float(along @ along), 1e-12)
    share = np.clip(share, 0, 1)
    far = np.square(x - share * along[0]) + np.square(y - share * along[1])
    part[far <= reach**2] = [*ab, 1]


def _draw_picture(hint, size, known):
    if hint.known.shape != tuple(size):
        raise ValueError(
            f"{hint.name}: must have the photograph's size, {size[1]}x{size[0]}. "
            f"Received: {hint.known.shape[1]}x{hint.known.shape[0]}"
        )
    rows, columns = np.nonzero(hint.known)
    if not len(rows):
        return
    height, width = known.shape[:2]
    # By centers, so that a picture smaller than its view falls into the middle.
    cells = (2 * rows + 1) * height // (2 * size[0]) * width
    cells += (2 * columns + 1) * width // (2 * size[1])
    ab = host.split_on_host([hint.rgb[rows, columns][None]])[0, 0, :, 1:]
    count = np.bincount(cells, minlength=height * width)
    there = np.flatnonzero(count)
    flat = known.reshape(-1, 3)
    for channel in range(2):
        total = np.bincount(cells, ab[:, channel], height * width)
        flat[there, channel] = total[there] / count[there]
    flat[there, 2] = 1


def _place(point, size):
    height, width = size
    place = []
    for name, length, side in zip("xy", point, (width, height), strict=True):
        at = length.of(side)
        # 100% is the far edge of the last pixel.
        last = side if length.percent else math.nextafter(side, 0)
        if not 0 <= at <= last:
            raise ValueError(
                f"{name} of a hint must lie inside the photograph, which is "
                f"{width}x{height}. Received: {name}={length}"
            )
        place.append(min(int(at), side - 1))
    return tuple(place)


def _as_hint(hint, at):
    if isinstance(hint, Hint | HintPicture):
        return hint
    if isinstance(hint, str):
        return parse_hint(hint)
    if isinstance(hint, Sequence) and len(hint) == 3:
        hint = {"x": hint[0], "y": hint[1], "color": hint[2]}
    return _hint(hint, f"hint {at}")


def _hint(entry, name):
    if not isinstance(entry, Mapping) or not set(entry) <= _NAMES:
        known = ", ".join(sorted(_NAMES))
        raise ValueError(f"{name} may have {known} alone. Received: {entry!r}")
    points = entry.get("points")
    if points is None:
        points = [[entry.get("x"), entry.get("y")]]
    elif "x" in entry or "y" in entry:
        raise ValueError(f"{name} has x, y and points; one of them is too much")
    good = (
        isinstance(points, Sequence) and len(points) > 0 and not isinstance(points, str)
    )
    if not good or not all(
        isinstance(point, Sequence) and len(point) == 2 and not isinstance(point, str)
        for point in points
    ):
        raise ValueError(f"{name}: points must be [[x, y], ...]. Received: {points!r}")
    frame = entry.get("frame")
    if frame is not None and (type(frame) is not int or frame < 0):
        raise ValueError(
            f"{name}: frame must be a whole number from 0 on. Received: {frame!r}"
        )
    return Hint(
        tuple((_length(x, name, "x"), _length(y, name, "y")) for x, y in points),
        _color(entry.get("color"), name),
        _length(entry.get("radius", 0), name, "radius"),
        frame,
    )


def _length(value, name, what):
    if isinstance(value, Length):
        return value
    text = str(value).strip()
    percent = text.endswith("%")
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0 or isinstance(value, bool):
        raise ValueError(
            f"{name}: {what} must be a number of pixels, or percent such as '40%'. "
            f"Received: {value!r}"
        )
    if number > _MOST:
        raise ValueError(
            f"{name}: {what} must be at most {_MOST:,}. Received: {value!r}"
        )
    return Length(number, percent)


def _color(value, name):
    if isinstance(value, str) and _COLOR.fullmatch(value):
        return tuple(bytes.fromhex(value[1:]))
    levels = list(value) if isinstance(value, Sequence | np.ndarray) else []
    if len(levels) == 3 and all(
        isinstance(level, int | np.integer) and 0 <= level <= 255 for level in levels
    ):
        return tuple(int(level) for level in levels)
    raise ValueError(f"{name}: color must be #RRGGBB. Received: {value!r}")


def _read_text(data, path):
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except ValueError as error:
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else error
        raise DataError(f"{path}: neither JSON nor PNG ({reason})") from error
    entries = content.get("hints") if isinstance(content, dict) else None
    if not isinstance(entries, list) or set(content) != {"hints"}:
        raise DataError(f'{path}: must be {{"hints": [...]}} and nothing beside it')
    try:
        return [_hint(entry, f"hint {at}") for at, entry in enumerate(entries, start=1)]
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error


def _read_picture(data, name):
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if not image.has_transparency_data:
                raise DataError(
                    f"{name}: has no transparency; opaque pixels are the known colors, "
                    "the others must be transparent"
                )
            rgba = np.asarray(image.convert("RGBA"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{name}: not a readable PNG ({error})") from error
    return HintPicture(
        np.ascontiguousarray(rgba[..., :3]), rgba[..., 3] >= _OPAQUE, name
    )
