#!/usr/bin/env python
"""Draws docs/hints.jpg: scikit-image's astronaut, and the same with colors by hand.

    scripts/make_hints_picture.py [MODEL]

The photograph (NASA) is in the public domain, as scikit-image's own docstring says;
docs/hints-astronaut.json holds what a person says about it.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from kcolor import Colorizer
from kcolor.images.sheets import contact_sheet

SIDE = 288
DOCS = Path(__file__).resolve().parents[1] / "docs"


def main():
    colorizer = Colorizer(sys.argv[1] if len(sys.argv) > 1 else "mobile")
    truth = data.astronaut()
    gray = np.repeat(colorizer(truth, saturation=0)[..., :1], 3, axis=-1)
    hinted = colorizer(truth, hints=DOCS / "hints-astronaut.json")
    columns = {
        "black and white": gray,
        "kcolor": colorizer(truth),
        "with hints": hinted,
        "truth": truth,
    }
    sheet = contact_sheet({label: [small(rgb)] for label, rgb in columns.items()})
    path = DOCS / "hints.jpg"
    cv2.imwrite(str(path), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(path, sheet.shape[1::-1], path.stat().st_size)


def small(rgb):
    return cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    main()
