"""What a request to `/colorize` asks for, out of a form or an address.

Everything comes from strangers: unknown names, repeated ones and values out of range
are refused with the name in the message. Nothing is ever taken for a path.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import MultiDict, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from kcolor.images import formats
from kcolor.inference.hints import Hint, as_hints

_NAMES = ("saturation", "format", "quality", "hints")
_MOST_HINTS = 1000
# All hints together; a thousand take two seconds.
_MOST_POINTS = 2000
_MOST_TEXT = 1 << 20


@dataclass(frozen=True)
class Parameters:
    """One photograph and what is to become of it.

    Attributes:
        image: Bytes of the photo file.
        saturation: Factor of a* and b*, from 0 to 10.
        format: As `--format` takes it; None: the photograph's own.
        quality: 1 to 100, or None: the format's default.
        hints: Known colors, as `kcolor.inference.hints.as_hints` gives them.
    """

    image: bytes
    saturation: float = 1.0
    format: str | None = None
    quality: int | None = None
    hints: tuple[Any, ...] = ()


async def read_form(request: Request) -> Parameters:
    """Reads a multipart form: the file `image`, the other parameters as text.

    Args:
        request: Its body is read.

    Returns:
        The `Parameters`.

    Raises:
        HTTPException: 400 for a form that is none, 422 for its content, or for
            parameters in the address, too.
    """
    async with request.form(
        max_files=2, max_fields=len(_NAMES), max_part_size=_MOST_TEXT
    ) as form:
        values: list[tuple[str, str]] = []
        image = None
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                content = await value.read()
                if name == "image" and image is None:
                    image = content
                elif name == "hints" and len(content) <= _MOST_TEXT:
                    values.append((name, _text(content, name)))
                else:
                    raise _refusal(f"{name}: one too many, or unknown")
            elif name == "image":
                raise _refusal("image: must be a file, with a filename")
            else:
                values.append((name, value))
    if request.query_params:
        raise _refusal("with a form, all parameters must be in it; none after '?'")
    if image is None:
        raise _refusal("image: is missing")
    return _read(MultiDict(values), image)


def read_query(query: Any, image: bytes) -> Parameters:
    """Reads parameters behind the address' `?`; the body is the photograph.

    Args:
        query: The address' parameters, a multi-dict.
        image: Bytes of the body.

    Returns:
        The `Parameters`.

    Raises:
        HTTPException: 422 for a parameter that is wrong.
    """
    return _read(query, image)


def _read(values, image):
    found = values.multi_items()
    for name, _ in found:
        if name not in _NAMES:
            known = ", ".join(_NAMES)
            raise _refusal(f"{name[:40]!r}: unknown; there are {known}")
        if len(values.getlist(name)) > 1:
            raise _refusal(f"{name}: is there twice")
    if not image:
        raise _refusal("the photograph is empty")
    given = dict(found)
    return Parameters(
        image=image,
        saturation=_number(given, "saturation", float, 0, 10, 1.0),
        format=_format(given.get("format")),
        quality=_number(given, "quality", int, 1, 100, None),
        hints=_hints(given.get("hints")),
    )


def _number(given: Mapping[str, str], name, kind, least, most, default):
    text = given.get(name)
    if text is None:
        return default
    try:
        value = kind(text)
    except ValueError:
        value = None
    # NaN is in no range.
    if value is None or not least <= value <= most:
        raise _refusal(f"{name}: must be from {least} to {most}")
    return value


def _format(text):
    if text is None:
        return None
    if text.lower() not in formats.CHOICES:
        raise _refusal(f"format: must be one of {', '.join(formats.CHOICES)}")
    return text.lower()


def _hints(text):
    if text is None:
        return ()
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refusal("hints: must be JSON") from error
    if isinstance(content, dict) and set(content) == {"hints"}:
        content = content["hints"]
    if not isinstance(content, list) or len(content) > _MOST_HINTS:
        raise _refusal(f"hints: must be a list of at most {_MOST_HINTS}")
    # Objects only: a text could be taken for something else one day.
    if not all(isinstance(hint, dict) for hint in content):
        raise _refusal("hints: each must be an object, such as in a file of hints")
    try:
        hints = tuple(as_hints(content))
    except RecursionError as error:
        raise _refusal("hints: nested too deeply") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise _refusal(f"hints: {error}") from error
    strokes = [hint.points for hint in hints if isinstance(hint, Hint)]
    if sum(map(len, strokes)) > _MOST_POINTS:
        raise _refusal(f"hints: of at most {_MOST_POINTS} points in all")
    return hints


def _text(content, name):
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refusal(f"{name}: must be UTF-8") from error


def _refusal(detail):
    return HTTPException(422, detail)
