"""What film grain takes away: chroma and error of ab on clean and on grainy pictures.

    scripts/bench grain mobile other.tflite --data test-0000.tar

Gaussian grain of 8-bit deviation sigma is added to the gray picture, at 256 pixels of
its short side. Chroma is the mean length of ab that the network answers, in its units
of CIE L*a*b*; the error is the mean distance of ab from the color picture's.
"""

import argparse

import cv2
import numpy as np

from kcolor.color.constants import AB_SCALE
from kcolor.color.host import recolor, split_on_host
from kcolor.data.source import open_source
from kcolor.inference.colorizer import Colorizer

SHORT_SIDE = 256
LEAST_SIDE = 200


def gray_and_ab(source, index):
    """Returns a gray picture, uint8 `(H, W)`, and its color picture's ab."""
    rgb = source.read(index, SHORT_SIDE)
    gray = recolor(rgb, np.zeros((1, 1, 2), "float32"))[..., 0]
    return gray, split_on_host([rgb])[0, ..., 1:] * AB_SCALE


def measure(colorizer, pictures, sigma):
    """Returns the mean chroma and the mean error of ab over pictures."""
    chroma, error = [], []
    for number, (gray, truth) in enumerate(pictures):
        grain = np.random.default_rng(number).normal(0, sigma, gray.shape)
        grainy = np.clip(np.rint(gray + grain), 0, 255).astype("uint8")
        _, ab = colorizer.predict(grainy)
        ab = ab * AB_SCALE
        size = ab.shape[1::-1]
        there = cv2.resize(truth, size, interpolation=cv2.INTER_AREA)
        chroma.append(np.hypot(ab[..., 0], ab[..., 1]).mean())
        error.append(np.hypot(*np.moveaxis(ab - there, -1, 0)).mean())
    return np.mean(chroma), np.mean(error)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--data", required=True, metavar="SRC")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--sigma", type=float, nargs="+", default=[5, 10, 20])
    options = parser.parse_args()
    source = open_source(options.data)
    pictures = []
    for index in np.random.default_rng(0).permutation(len(source)):
        gray, ab = gray_and_ab(source, index)
        # Enlarged, a small picture's grain would be as coarse as no film's.
        if min(gray.shape) >= LEAST_SIDE and len(pictures) < options.images:
            pictures.append((gray, ab))
    print(f"{'model':24} sigma  chroma    kept  error of ab")
    for model in options.models:
        colorizer = Colorizer(model)
        clean = None
        for sigma in [0, *options.sigma]:
            chroma, error = measure(colorizer, pictures, sigma)
            clean = clean or chroma
            kept = chroma / clean
            print(f"{model:24} {sigma:5g} {chroma:7.2f} {kept:7.1%} {error:12.2f}")


if __name__ == "__main__":
    main()
