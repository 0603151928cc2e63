"""Pictures and networks that tests measure, with answers known beforehand."""

import cv2
import numpy as np

from kcolor.color.graph import join, split
from kcolor.runtimes.network import Predictor


class Tinted(Predictor):
    """Predicts an ab that depends on the lightness of each pixel, and on no other."""

    kind = "stand-in"

    def __init__(self, name="tinted", strength=0.1):
        super().__init__(name)
        self.strength = strength

    def predict_ab(self, lightness, known=None):
        one, other = np.sin(3 * lightness), np.cos(2 * lightness)
        ab = np.concatenate([one, other], axis=-1)
        return (self.strength * ab).astype("float32")


class Reversed(Tinted):
    """Hands back its batch in another order."""

    def predict_ab(self, lightness, known=None):
        return super().predict_ab(lightness)[::-1]


class Rgb(Tinted):
    """Answers RGB, as a file exported with RGB in and out does."""

    takes_rgb = True

    def predict_rgb(self, rgb):
        lightness, _ = (np.asarray(x) for x in split(rgb))
        return np.asarray(join(lightness, self.predict_ab(lightness)))


class Reshuffled:
    """A source that gives its pictures in another order at each pass."""

    def __init__(self, source):
        self.path, self.names, self.paired = source.path, source.names, False
        self._source, self._generator = source, np.random.default_rng(0)

    def __len__(self):
        return len(self.names)

    def read(self, index):
        return self.decode(index, self.content(index)[0])

    def content(self, index):
        return self._source.content(int(self._generator.integers(len(self))))

    def decode(self, index, stored):
        return self._source.decode(index, stored)


def scene(seed, height, width):
    """Draws smooth blobs, brighter and darker more than colored, as photographs are."""
    generator = np.random.default_rng(seed)
    coarse = generator.uniform(30, 225, (4, 5, 1)) + generator.normal(0, 15, (4, 5, 3))
    coarse = coarse.astype("float32")
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    image += generator.normal(0, 3, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def write_picture(path, rgb):
    """Writes uint8 RGB in the format of the suffix; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
