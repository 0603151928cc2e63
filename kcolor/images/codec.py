"""Calls into codecs: whatever one raises about a file's bytes becomes one line.

Only the calls themselves belong inside `decoding`. What our own code does wrong with
their results must surface with its traceback, and not as a damaged file.
"""

import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

from kcolor.errors import DataError

# They comment on damage; what cannot be read is said in our own words. Who sets up
# logging still gets theirs.
for _library in ("PIL", "tifffile"):
    logging.getLogger(_library).addHandler(logging.NullHandler())

# What Pillow, tifffile, OpenCV, zlib and the parsers under them raise on bytes that
# are no picture.
CODEC_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    ZeroDivisionError,
    RuntimeError,
    EOFError,
    AssertionError,
    struct.error,
    zlib.error,
    cv2.error,
)


@contextmanager
def decoding() -> Iterator[None]:
    """Turns what a codec raises in this block into a `DataError` without a name.

    Raises:
        DataError: With the codec's own reason on one line; who knows the file's name
            puts it in front.
    """
    from PIL.Image import DecompressionBombError

    try:
        yield
    except MemoryError as error:
        raise DataError("not enough memory to read it") from error
    except (*CODEC_ERRORS, DecompressionBombError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        # It is how Pillow says that it knows no such file.
        unknown = isinstance(error, SyntaxError)
        what = "damaged, or of a kind that is not supported" if unknown else "damaged"
        raise DataError(f"{what} ({reason})") from error
