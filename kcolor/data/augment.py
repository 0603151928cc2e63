"""What is done to one picture on its way to the network: NumPy and OpenCV only.

Every draw comes from a generator that the caller hands in, so equal seeds give equal
crops whatever runs them: tf.data, threads, or a test.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from kcolor.images.resize import resize_square


@contextmanager
def opencv_in_one_thread() -> Iterator[None]:
    """Keeps OpenCV from starting threads of its own inside each thread of a pipeline.

    On small pictures they cost up to 4 times the work. The number is the process's, so
    it is for the user of a pipeline to hold, for as long as batches are drawn.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def random_crop(
    picture: np.ndarray,
    size: int,
    rng: np.random.Generator,
    shortest: float = 0.5,
    longest: float = 1.0,
) -> np.ndarray:
    """Cuts a random square out of a picture: place, scale, aspect, angle and side.

    Args:
        picture: uint8 array of shape `(height, width, channels)`.
        size: Side of the result, in pixels.
        rng: `numpy.random.Generator`.
        shortest: Least side of the crop, as a share of the picture's shorter side.
        longest: Its greatest side.

    Returns:
        uint8 array of shape `(size, size, channels)`. The crop's aspect is 4:5 to 5:4;
        a third are turned by up to 10 degrees; half are mirrored.
    """
    height, width = picture.shape[:2]
    side = rng.uniform(shortest, longest) * min(height, width)
    stretch = np.exp(rng.uniform(-1, 1) * np.log(1.25) / 2)
    crop_height = min(side * stretch, height)
    crop_width = min(side / stretch, width)
    angle = rng.uniform(-10, 10) if rng.random() < 1 / 3 else 0.0
    top = rng.uniform(0, height - crop_height)
    left = rng.uniform(0, width - crop_width)
    center = np.array([left + crop_width / 2, top + crop_height / 2])
    scale = np.array([crop_width, crop_height]) / size
    # warpAffine samples single pixels; averaging first keeps a shrunk crop from
    # aliasing, which no photograph the network will meet does.
    shrink = max(1.0, scale.min())
    if shrink > 1.0:
        small = (max(1, round(width / shrink)), max(1, round(height / shrink)))
        picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
        factor = np.array(small) / (width, height)
        center, scale = center * factor, scale * factor
    radians = np.deg2rad(angle)
    turn = np.array(
        [[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]]
    )
    matrix = turn * scale
    if rng.random() < 0.5:
        matrix[:, 0] *= -1
    # Pixel centers: output (size - 1) / 2 looks at the crop's center.
    offset = center - 0.5 - matrix @ np.full(2, (size - 1) / 2)
    return cv2.warpAffine(
        picture,
        np.column_stack([matrix, offset]),
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def random_whole(
    picture: np.ndarray, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Squashes a picture to a square, all of it but for a random margin.

    So a network sees it that is asked at a fixed size, see `resize_square`; a crop of
    `random_crop` shows at most its shorter side, and things larger.

    Args:
        picture: uint8 array of shape `(height, width, channels)`.
        size: Side of the result, in pixels.
        rng: `numpy.random.Generator`.

    Returns:
        uint8 array of shape `(size, size, channels)`, of 85 to 100% of the picture's
        height and of its width; half are mirrored.
    """
    window = []
    for side in picture.shape[:2]:
        kept = max(1, round(side * rng.uniform(0.85, 1)))
        start = int(rng.integers(0, side - kept + 1))
        window.append(slice(start, start + kept))
    square = resize_square(picture[tuple(window)], size)
    return cv2.flip(square, 1) if rng.random() < 0.5 else square


def degrade_lightness(
    lightness: np.ndarray, rng: np.random.Generator, share: float
) -> np.ndarray:
    """Makes a picture look, by chance, as if photographed and scanned long ago.

    Args:
        lightness: float32 array `(H, W, 1)` in [-1, 1]; it is not changed.
        rng: `numpy.random.Generator`.
        share: Probability, in [0, 1], that the picture is changed.

    Returns:
        Array of the same kind: contrast times 0.5 to 1.2 about its middle and lifted
        or lowered by up to 0.15 (faded blacks, dull whites), blurred by 3x3 pixels,
        with grain of up to 20% of the range (sigma 25 of 255) that is up to some 3
        pixels wide; half of them then went through a JPEG of quality 15 to 75.
    """
    if rng.random() >= share:
        return lightness
    soft = cv2.GaussianBlur(lightness, (3, 3), 0)[..., None]
    old = lightness + rng.random() * (soft - lightness)
    old = old * rng.uniform(0.5, 1.2) + rng.uniform(-0.15, 0.15)
    old += _grain(old.shape, rng) * rng.uniform(0, 0.2)
    if rng.random() < 0.5:
        old = _through_jpeg(old, int(rng.integers(15, 76)))
    return np.clip(old, -1, 1).astype("float32")


def _grain(shape, rng):
    """Draws film grain of mean 0 and deviation 1; the coarser, the closer scanned."""
    grain = rng.standard_normal(shape, "float32")
    width = rng.uniform(0, 1.2)
    if width < 0.3:  # a blur this narrow changes nothing
        return grain
    grain = cv2.GaussianBlur(grain, (0, 0), width)[..., None]
    return grain / grain.std()


def _through_jpeg(image, quality):
    levels = np.clip(np.rint((image + 1) * 127.5), 0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))
    return decoded[..., None].astype(np.float32) / 127.5 - 1
