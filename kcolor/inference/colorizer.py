"""`Colorizer`: an array in, an array in color out, at the same size.

The network runs once, on a small view of about 256 x 256 pixels that keeps the
photograph's aspect; its ab is enlarged and merged with the photograph's own lightness.
"""

import functools
import os
from pathlib import Path

import cv2
import numpy as np

from kcolor import presets
from kcolor.color import host as merge
from kcolor.color.constants import STRIDE
from kcolor.errors import DataError
from kcolor.images import exif, resize
from kcolor.parallel import cores
from kcolor.runtimes.litert import Network

UPSAMPLINGS = ("guided", "bilinear")
RENDER_SIZE = 256
# A view is at most this many times longer than `render_size`: the network's time and
# memory stay bounded on a strip of 50,000 x 10 pixels.
_LONGEST = 4


class Colorizer:
    """Colorizes photographs with one network; may be shared by threads.

    Example:
        >>> colorizer = Colorizer("mobile", saturation=1.2)
        >>> color = colorizer(gray)  # uint8 (H, W) or (H, W, 3) -> uint8 (H, W, 3)
    """

    def __init__(
        self,
        model="mobile",
        *,
        saturation=1.0,
        blend=1.0,
        upsampling="guided",
        render_size=None,
        threads=None,
    ):
        """Opens the network.

        Args:
            model: A preset's name, or the path of a `.tflite` network or of a folder
                that holds one.
            saturation: Factor of a* and b*; 0 gives gray, 1 what the network says.
            blend: Share of the colorized picture, in `[0, 1]`; the rest is the input.
            upsampling: `"guided"`: colors follow the edges of the photograph.
                `"bilinear"`: they are enlarged as they are.
            render_size: Side of the square whose area the network's view has. None:
                256, or what the file is fixed to. The aspect is always kept.
            threads: Threads for one photograph. None: as many as there are cores.

        Raises:
            DataError: If the model cannot be found or read.
            ValueError: If a value is out of its range.
        """
        if not 0 <= saturation <= 10:
            raise ValueError(
                f"saturation must be from 0 to 10. Received: saturation={saturation}"
            )
        if not 0 <= blend <= 1:
            raise ValueError(f"blend must be from 0 to 1. Received: blend={blend}")
        if upsampling not in UPSAMPLINGS:
            raise ValueError(
                f"upsampling must be one of {', '.join(UPSAMPLINGS)}. "
                f"Received: upsampling={upsampling!r}"
            )
        self.saturation = saturation
        self.blend = blend
        self.upsampling = upsampling
        self.threads = threads or cores()
        self.network = Network(find_model(model), self.threads)
        self.render_size = self._check_render_size(render_size)

    def __call__(self, image, saturation=None):
        """Colorizes one picture.

        Args:
            image: uint8 or uint16 array of shape `(height, width)`, gray, or
                `(height, width, 1 or 3 or 4)`, gray, RGB or RGBA; gamma-encoded
                sRGB, upright. Any tint is reduced to its lightness, alpha ignored.
            saturation: Factor of a* and b*; None: the colorizer's own.

        Returns:
            RGB array of shape `(height, width, 3)`, of `image`'s dtype.

        Raises:
            ValueError: If `image` is not such an array.
        """
        pixels = _as_pixels(image)
        return self.merge(pixels, *self.predict(pixels), saturation=saturation)

    def predict(self, pixels, orientation=1):
        """Runs the network on the small view of a picture.

        Args:
            pixels: uint8 or uint16 array of shape `(height, width)` or
                `(height, width, 3)`.
            orientation: EXIF orientation of `pixels`; the network sees them upright.

        Returns:
            Tuple of float32 arrays of the small view's size, turned as `pixels` are:
            lightness `(h, w)`, L* / 50 - 1, and ab `(h, w, 2)`, a* and b* / 110.
        """
        swaps = exif.swaps_sides(orientation)
        stored = pixels.shape[1::-1] if swaps else pixels.shape[:2]
        (height, width), padded = self._frame(*stored)
        small = resize.shrink(pixels, *((width, height) if swaps else (height, width)))
        view = exif.upright(merge.lightness(small), orientation)
        top, left = (padded[0] - height) // 2, (padded[1] - width) // 2
        # What lies around the view is its mirror image: nothing is squashed, and the
        # network sees no edge that is not in the photograph.
        canvas = cv2.copyMakeBorder(
            np.ascontiguousarray(view),
            top,
            padded[0] - height - top,
            left,
            padded[1] - width - left,
            cv2.BORDER_REFLECT_101,
        )
        ab = self.network(canvas)[top : top + height, left : left + width]
        return tuple(
            np.ascontiguousarray(exif.as_stored(plane, orientation))
            for plane in (view, ab)
        )

    def merge(self, pixels, view, ab, *, saturation=None, out=None):
        """Merges what `predict` gave with the picture at its full size.

        Args:
            pixels: The array that `predict` had, or the same picture at another size.
            view: Lightness of the small view, as from `predict`.
            ab: Colors of the small view, as from `predict`.
            saturation: Factor of a* and b*; None: the colorizer's own.
            out: Array that takes the result, or None; may be `pixels` itself.

        Returns:
            RGB array of shape `(height, width, 3)`, of `pixels`' dtype.
        """
        return merge.recolor(
            pixels,
            ab,
            saturation=self.saturation if saturation is None else saturation,
            guide=view if self.upsampling == "guided" else None,
            out=out,
            blend=self.blend,
            threads=self.threads,
        )

    def view_size(self, height, width):
        """Says how large the network sees a picture.

        Args:
            height: Height of the picture.
            width: Width of the picture.

        Returns:
            Tuple `(height, width)` of the same aspect: of `render_size`'s area, or,
            if the network's size is fixed, the largest that fits in it.
        """
        return self._frame(height, width)[0]

    def _frame(self, height, width):
        # Size of the view, and of the canvas that the network runs at.
        if self.network.sizes is None:
            scale = self.render_size / (height * width) ** 0.5
            scale = min(scale, _LONGEST * self.render_size / max(height, width))
            view = max(1, round(height * scale)), max(1, round(width * scale))
            return view, tuple(-(-side // STRIDE) * STRIDE for side in view)
        frames = []
        for canvas in self.network.sizes:
            scale = min(canvas[0] / height, canvas[1] / width)
            view = max(1, round(height * scale)), max(1, round(width * scale))
            frames.append((view, canvas))
        # The canvas that the picture fills best.
        return max(frames, key=lambda f: f[0][0] * f[0][1] / (f[1][0] * f[1][1]))

    def _check_render_size(self, size):
        fixed = self.network.sizes
        if fixed:
            if size is not None and (size, size) not in fixed:
                known = ", ".join(f"{height}x{width}" for height, width in fixed)
                raise ValueError(
                    f"{self.network.path.name} is fixed to {known}; a file exported "
                    "with --size any takes other sizes. "
                    f"Received: render_size={size}"
                )
            return size
        if size is None:
            return RENDER_SIZE
        if not STRIDE <= size <= 2048:
            raise ValueError(
                f"render_size must be from {STRIDE} to 2048. "
                f"Received: render_size={size}"
            )
        return size


def colorize(image, model="mobile", saturation=1.0):
    """Colorizes one picture; for many, keep a `Colorizer`.

    Args:
        image: Path of a photograph, or an array as `Colorizer` takes it, or anything
            NumPy turns into one, such as a PIL image in mode L, RGB or RGBA.
        model: A preset's name, or the path of a `.tflite` network.
        saturation: Factor of a* and b*.

    Returns:
        uint8 RGB array of shape `(height, width, 3)`.

    Raises:
        DataError: If the photograph or the model cannot be read.
        ValueError: If `image` is not a picture.
    """
    if isinstance(image, str | os.PathLike):
        from kcolor.images import decode as photo

        image = photo.load(image)
    image = _as_pixels(image)
    if image.dtype == np.uint16:
        image = (image / 257 + 0.5).astype("uint8")
    return shared(str(model))(image, saturation=saturation)


@functools.lru_cache(maxsize=4)
def shared(model: str) -> Colorizer:
    """Opens a network once for all calls that name it."""
    return Colorizer(model)


def find_model(model):
    """Finds the `.tflite` file that a MODEL argument means.

    Args:
        model: A preset's name, or the path of a `.tflite` network or of a folder that
            holds exactly one.

    Returns:
        Path of the file.

    Raises:
        DataError: If there is none, or it is of a kind that needs an export first.
    """
    path = Path(model)
    if path.is_dir():
        found = sorted(path.glob("*.tflite"))
        if len(found) == 1:
            return found[0]
        reason = "no .tflite file" if not found else f"{len(found)} .tflite files"
        raise DataError(f"{path}: {reason} in this folder. {_export_hint(path)}")
    if path.suffix == ".tflite":
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        return path
    if path.exists():
        raise DataError(f"{path}: colorize runs .tflite files. {_export_hint(path)}")
    if path.suffix or len(path.parts) > 1:
        raise DataError(f"{path}: no such file")
    return presets.find(str(model))


def _export_hint(path):
    return (
        f"Make one with: kcolor export {path} -o NAME.tflite --format tflite "
        "--io network --size any"
    )


def _as_pixels(image):
    pixels = np.asarray(image)
    if pixels.ndim == 3 and pixels.shape[2] in (1, 4):
        pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels[..., :3]
    good = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    if not good or pixels.dtype not in (np.uint8, np.uint16) or 0 in pixels.shape:
        raise ValueError(
            "image must be a uint8 or uint16 array of shape (height, width) or "
            "(height, width, 1, 3 or 4), not empty. "
            f"Received: shape={pixels.shape}, dtype={pixels.dtype}"
        )
    return np.ascontiguousarray(pixels)
