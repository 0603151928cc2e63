"""kcolor: photographs in black and white come out in color.

Importing this package imports nothing heavy. `colorize`, `colorize_bytes` and
`Colorizer` load the light path (NumPy, OpenCV, Pillow, LiteRT); training, evaluation
and export live in their own modules and need the extras that the README names.
"""

from importlib import import_module

__version__ = "0.2.0"
__all__ = ["Colorizer", "DataError", "colorize", "colorize_bytes", "__version__"]

_LAZY = {
    "Colorizer": "kcolor.inference.colorizer",
    "colorize": "kcolor.inference.colorizer",
    "colorize_bytes": "kcolor.inference.jobs",
    "DataError": "kcolor.errors",
}


def __getattr__(name):
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
