#!/usr/bin/env python
"""Draws docs/examples.jpg of scikit-image's own photographs, with the bundled model.

    scripts/make_readme_picture.py [MODEL]

Astronaut (NASA) and rocket (SpaceX) are in the public domain, chelsea (Stefan van der
Walt) and coffee (Rachel Michetti) are CC0, as scikit-image's own docstrings say.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import skimage

from kcolor import Colorizer
from kcolor.images.sheets import contact_sheet

SIDE = 224
NAMES = ("chelsea.png", "astronaut.png", "coffee.png", "rocket.jpg")


def main():
    colorizer = Colorizer(sys.argv[1] if len(sys.argv) > 1 else "mobile")
    folder = Path(skimage.__file__).parent / "data"
    rows = []
    for name in NAMES:
        truth = cv2.imread(str(folder / name))[..., ::-1]
        shorter = min(truth.shape[:2])
        top, left = ((side - shorter) // 2 for side in truth.shape[:2])
        truth = truth[top : top + shorter, left : left + shorter]
        truth = cv2.resize(truth, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        gray = np.repeat(colorizer(truth, saturation=0)[..., :1], 3, axis=-1)
        rows.append((gray, colorizer(truth), truth))
    # Two photographs beside each other: a README is wide, not tall.
    half = len(rows) // 2
    sheet = np.concatenate([labeled(rows[:half]), labeled(rows[half:])], axis=1)
    path = Path(__file__).resolve().parents[1] / "docs" / "examples.jpg"
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(path, sheet.shape[1::-1], path.stat().st_size)


def labeled(rows):
    columns = zip(*rows, strict=True)
    labels = ("black and white", "kcolor", "truth")
    return contact_sheet(dict(zip(labels, columns, strict=True)))


if __name__ == "__main__":
    main()
