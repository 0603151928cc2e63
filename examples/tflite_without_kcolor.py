"""Colorizes a photograph with an exported file: NumPy, Pillow and LiteRT, no kcolor.

    kcolor export mobile -o any.tflite --format tflite --size any
    python examples/tflite_without_kcolor.py any.tflite photo.jpg photo-color.png

The file takes and gives uint8 RGB; files of a fixed size work too. An app does the same
in Kotlin or Swift: see export/mobile.
"""

import argparse

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("photograph")
    parser.add_argument("output")
    options = parser.parse_args()
    interpreter = Interpreter(options.model)
    with Image.open(options.photograph) as image:
        photograph = ImageOps.exif_transpose(image).convert("RGB")
    entry = interpreter.get_input_details()[0]
    height, width = entry["shape_signature"][1:3]
    if height > 0:  # -1: any size
        photograph = photograph.resize((int(width), int(height)))
    rgb = np.asarray(photograph)[None]
    interpreter.resize_tensor_input(entry["index"], rgb.shape)
    interpreter.allocate_tensors()
    color = interpreter.get_signature_runner()(image=rgb)["colorized"][0]
    Image.fromarray(color).save(options.output)


if __name__ == "__main__":
    main()
