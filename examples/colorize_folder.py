"""Colorizes the photographs of a folder, from Python.

    python examples/colorize_folder.py album album-color

`kcolor colorize album -o album-color` does more: it keeps metadata, 16 bits and pages,
uses all cores, and goes on after a kill. This is the least a program of your own needs.
"""

import argparse
from pathlib import Path

from PIL import Image

import kcolor


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for path in sorted(options.folder.iterdir()):
        try:
            # Turned upright, 8 bits; the network is loaded by the first call alone.
            color = kcolor.colorize(path)
        except kcolor.DataError as error:  # names the file, and says what is wrong
            print(f"left out: {error}")
            continue
        Image.fromarray(color).save(options.output / f"{path.stem}.png")
        print(options.output / f"{path.stem}.png")


if __name__ == "__main__":
    main()
