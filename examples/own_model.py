"""Measures a network of your own with `kcolor evaluate`.

    python examples/own_model.py --data test/

A network is whatever Keras saves that takes lightness, float32 `(B, H, W, 1)`, which
is L* / 50 - 1, and answers ab, float32 `(B, H, W, 2)`, which is a* / 110 and b* / 110.
This one has seen nothing, so the row `gray` should beat it; put yours in its place.
"""

import argparse
import subprocess
import sys

import keras


def build_network():
    lightness = keras.Input((None, None, 1), name="lightness")
    x = keras.layers.Conv2D(16, 5, padding="same", activation="relu")(lightness)
    ab = keras.layers.Conv2D(2, 1, activation="tanh", name="ab")(x)
    return keras.Model(lightness, ab)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of color photographs")
    parser.add_argument("--output", default="own.keras")
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    build_network().save(options.output)
    command = ["evaluate", options.output, "--data", options.data, "--self-check"]
    subprocess.run([sys.executable, "-m", "kcolor", *command], check=True)


if __name__ == "__main__":
    main()
