"""`Colorizer`: an array in, an array in color out, at the same size.

The network runs once, on the small view that `kcolor.images.view` defines; its ab is
enlarged and merged with the photograph's own lightness.
"""

import functools
import os
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kcolor.color import grain, host
from kcolor.color.constants import STRIDE
from kcolor.errors import DataError
from kcolor.images import exif, view
from kcolor.images.page import to_8_bits
from kcolor.parallel import cores
from kcolor.runtimes.network import Predictor
from kcolor.runtimes.resolve import load_predictor

if TYPE_CHECKING:
    from kcolor.inference.session import Session

UPSAMPLINGS = ("guided", "bilinear")


class Colorizer:
    """Colorizes photographs with one network; may be shared by threads.

    Example:
        >>> colorizer = Colorizer("mobile", saturation=1.2)
        >>> color = colorizer(gray)  # uint8 (H, W) or (H, W, 3) -> uint8 (H, W, 3)
    """

    def __init__(
        self,
        model: Predictor | Path | str = "mobile",
        *,
        saturation: float = 1.0,
        blend: float = 1.0,
        upsampling: str = "guided",
        render_size: int | None = None,
        threads: int | None = None,
    ) -> None:
        """Opens the network.

        Args:
            model: What `kcolor.runtimes.resolve.resolve` takes, or an open network. A
                `.tflite` file needs neither TensorFlow nor Keras; others need their own
                runtime.
            saturation: Factor of a* and b*; 0 gives gray, 1 what `predict` says.
            blend: Share of the colorized picture, in `[0, 1]`; the rest is the input.
            upsampling: `"guided"`: colors follow the edges of the photograph.
                `"bilinear"`: they are enlarged as they are, as exported files do.
            render_size: Side of the square whose area the network's view has, rounded
                to a multiple of 32. None: 256, or what the file is fixed to. The aspect
                is always kept.
            threads: Threads for one photograph. None: as many as there are cores.

        Raises:
            DataError: If the model cannot be found or read, or answers RGB only.
            ValueError: If a value is out of its range.
        """
        _check_saturation(saturation)
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
        if isinstance(model, str | Path):
            model = load_predictor(model, self.threads)
        self.network = model
        if self.network.takes_rgb:
            raise DataError(
                f"{self.network.name}: takes RGB (it was exported with --io rgb); "
                "colorizing at full size needs a network, which kcolor export writes "
                "with --io network"
            )
        self.canvases = self._canvases(render_size)

    def __call__(
        self,
        image: np.ndarray,
        saturation: float | None = None,
        hints: Any = None,
    ) -> np.ndarray:
        """Colorizes one picture.

        Args:
            image: uint8 or uint16 array of shape `(height, width)`, gray, or
                `(height, width, 1 or 3 or 4)`, gray, RGB or RGBA; gamma-encoded
                sRGB, upright. Any tint is reduced to its lightness, alpha ignored.
            saturation: Factor of a* and b*; None: the colorizer's own.
            hints: Known colors, see `kcolor.inference.hints.as_hints`. To try several
                on one picture, keep a `session`.

        Returns:
            RGB array of shape `(height, width, 3)`, of `image`'s dtype.

        Raises:
            DataError: If a file of hints cannot be read.
            ValueError: If `image` is not such an array, `saturation` is out of its
                range, or a hint is none.
        """
        pixels = _as_pixels(image)
        if hints is not None:
            return self.session(pixels)(hints, saturation)
        return self.merge(pixels, *self.predict(pixels), saturation=saturation)

    def session(
        self,
        image: np.ndarray,
        orientation: int = 1,
        size: tuple[int, int] | None = None,
    ) -> "Session":
        """Keeps one picture, to colorize it with one set of hints after another.

        Args:
            image: As for a call.
            orientation: EXIF orientation of `image`; hints refer to it upright.
            size: `(height, width)` of the photograph whose pixels hints name, if
                `image` is a smaller copy; None: its own.

        Returns:
            `kcolor.inference.session.Session`.

        Raises:
            ValueError: If `image` is no picture.
        """
        from kcolor.inference.session import Session

        return Session(self, _as_pixels(image), orientation, size)

    def predict(
        self,
        pixels: np.ndarray,
        orientation: int = 1,
        known: np.ndarray | None = None,
        lightness: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Runs the network on the small view of a picture.

        Args:
            pixels: uint8 or uint16 array of shape `(height, width)` or
                `(height, width, 3)`.
            orientation: EXIF orientation of `pixels`; the network sees them upright.
            known: Known colors of the upright view, float32 `view_size(...) + (3,)`, a*
                and b* / 110 and a mask, for a network that takes them; None: nothing.
            lightness: What an earlier call with `pixels` gave, so that they need not be
                made small again; or None.

        Returns:
            Tuple of float32 arrays of the small view's size, turned as `pixels` are:
            lightness `(h, w)`, L* / 50 - 1, and ab `(h, w, 2)`, a* and b* / 110: the
            network's answer, strengthened where there is grain (`kcolor.color.grain`).
        """
        height, width = pixels.shape[:2]
        if exif.swaps_sides(orientation):
            height, width = width, height
        canvas = view.choose(height, width, self.canvases)
        box = view.fit(canvas, height, width)
        if lightness is None:
            sides = (box.height, box.width)
            if exif.swaps_sides(orientation):
                sides = sides[::-1]
            lightness = host.lightness(view.shrink(pixels, *sides))
        seen = view.surround(exif.upright(lightness, orientation), canvas)
        hints = [] if known is None else [view.surround(known, canvas)[None]]
        ab = view.cut(self.network.predict_ab(seen[None, ..., None], *hints)[0], box)
        ab = ab * np.float32(grain.factor(seen))
        return lightness, np.ascontiguousarray(exif.as_stored(ab, orientation))

    def merge(
        self,
        pixels: np.ndarray,
        lightness: np.ndarray,
        ab: np.ndarray,
        *,
        saturation: float | None = None,
        out: np.ndarray | None = None,
        known: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> np.ndarray:
        """Merges what `predict` gave with the picture at its full size.

        Args:
            pixels: The array that `predict` had, or the same picture at another size.
            lightness: That of the small view, as from `predict`.
            ab: Colors of the small view, as from `predict`.
            saturation: Factor of a* and b*; None: the colorizer's own.
            out: Array that takes the result, or None; may be `pixels` itself.
            known: Points that keep their colors exactly, see `host.recolor`; or None.

        Returns:
            RGB array of shape `(height, width, 3)`, of `pixels`' dtype.
        """
        saturation = self.saturation if saturation is None else saturation
        _check_saturation(saturation)
        return host.recolor(
            pixels,
            ab,
            saturation=saturation,
            guide=lightness if self.upsampling == "guided" else None,
            out=out,
            blend=self.blend,
            threads=self.threads,
            known=known,
        )

    def view_size(self, height: int, width: int) -> tuple[int, int]:
        """Says how large the network sees a picture.

        Args:
            height: Height of the picture.
            width: Width of the picture.

        Returns:
            Tuple `(height, width)` of the same aspect, the largest that fits in the
            canvas which the picture fills best.
        """
        box = view.fit(view.choose(height, width, self.canvases), height, width)
        return box.height, box.width

    def _canvases(self, size: int | None) -> list[view.Size]:
        fixed = self.network.sizes
        if fixed:
            if size is not None and (size, size) not in fixed:
                known = ", ".join(f"{height}x{width}" for height, width in fixed)
                raise ValueError(
                    f"{self.network.name} is fixed to {known}; a file exported "
                    "with --size any takes other sizes. "
                    f"Received: render_size={size}"
                )
            return fixed
        if size is not None and not STRIDE <= size <= 2048:
            raise ValueError(
                f"render_size must be from {STRIDE} to 2048. "
                f"Received: render_size={size}"
            )
        return view.canvases(size or view.SIZE)


def opened(colorizer: Colorizer | Future[Colorizer]) -> Colorizer:
    """Waits for a colorizer, if it is still being opened."""
    return colorizer.result() if isinstance(colorizer, Future) else colorizer


def colorize(
    image: Any,
    model: Path | str = "mobile",
    saturation: float = 1.0,
    hints: Any = None,
) -> np.ndarray:
    """Colorizes one picture; for many, keep a `Colorizer`.

    Args:
        image: Path of a photograph, or an array as `Colorizer` takes it, or anything
            NumPy turns into one, such as a PIL image in mode L, RGB or RGBA.
        model: See `Colorizer`.
        saturation: Factor of a* and b*.
        hints: Known colors, such as `[(120, 80, "#a03020")]`, or the path of a file of
            them; see `kcolor.inference.hints`.

    Returns:
        uint8 RGB array of shape `(height, width, 3)`.

    Raises:
        DataError: If the photograph, the model or the hints cannot be read.
        ValueError: If `image` is not a picture, or a hint is none.
    """
    if isinstance(image, str | os.PathLike):
        from kcolor.images import decode

        image = decode.load(Path(image))
    pixels = _as_pixels(image)
    if pixels.dtype == np.uint16:
        pixels = to_8_bits(pixels)
    return shared(model)(pixels, saturation=saturation, hints=hints)


@functools.lru_cache(maxsize=4)
def shared(model: Path | str) -> Colorizer:
    """Opens a network once for all calls that name it."""
    return Colorizer(model)


def _check_saturation(saturation: float) -> None:
    if not 0 <= saturation <= 10:
        raise ValueError(
            f"saturation must be from 0 to 10. Received: saturation={saturation}"
        )


def _as_pixels(image: Any) -> np.ndarray:
    if getattr(image, "mode", None) in ("1", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB"):
        # Of Pillow: numbers in these are no brightness, or no red, green and blue.
        image = image.convert("RGB")
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
