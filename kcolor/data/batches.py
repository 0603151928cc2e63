"""From a source to batches: decode and crop per picture, color per batch.

What a reader would get wrong: the order and every random draw depend on the seed and on
the count of pictures drawn so far alone, so a run can go on at any step as if it had
never stopped. Nothing here keeps a random state.

On the TensorFlow backend batches come from tf.data; on the others from a pool of
threads. Both run the same functions in the same order and give the same batches.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import cv2
import keras
import numpy as np

from kcolor.color.host import split_on_host
from kcolor.data.augment import degrade_lightness, random_crop, random_whole
from kcolor.data.hints import simulate_hints
from kcolor.data.source import PictureSource
from kcolor.images.resize import resize_square
from kcolor.parallel import read_ahead

if TYPE_CHECKING:
    import tensorflow as tf

# Lightness `(B, H, W, 1)` and true lightness and ab `(B, H, W, 3)`, both float32.
Batch = tuple[np.ndarray, np.ndarray]
# The same with `lightness` and `known`, `(B, H, W, 3)`, in a dict.
HintedBatch = tuple[dict[str, np.ndarray], np.ndarray]

_THREADS = 4
# Parts that weights are counted in.
_MILLION = 1_000_000
# Streams of random draws that must not repeat each other.
_ORDER, _CROP, _DEGRADE, _HINTS = range(4)


def training_batches(
    source: PictureSource,
    size: int,
    batch_size: int,
    seed: int = 0,
    start: int = 0,
    degrade: float = 0.0,
    crop: tuple[float, float] = (0.5, 1.0),
    hints: float | None = None,
    part: tuple[int, int] = (0, 1),
    whole: float = 0.0,
) -> "Iterable[Batch | HintedBatch] | tf.data.Dataset":
    """Builds the endless stream of training batches.

    Each pass visits every picture as often as its weight says, in a new order. A
    picture is cropped, flipped and turned a little at random.

    Args:
        source: Source of color photographs; a paired source's gray picture is the
            input of its color picture.
        size: Side of the square crops, in pixels.
        batch_size: Pictures per batch.
        seed: Seed of order and augmentation.
        start: How many pictures a former run has drawn; the stream goes on there.
        degrade: Share of the inputs, in [0, 1], whose lightness alone is made to look
            like an old photograph's, see `degrade_lightness`.
        crop: Least and greatest side of a crop, as shares of the picture's shorter
            side.
        hints: Share of the pictures, in [0, 1], that come with known colors, see
            `kcolor.data.hints.simulate_hints`; None: the network does not take any.
        part: Which of how many equal parts of each batch is read, for processes that
            train together: together their parts are the batch that one would get.
        whole: Share of the pictures, in [0, 1], that are squashed to the square whole
            instead of cropped, see `random_whole`.

    Returns:
        `tf.data.Dataset`, or an iterator on other backends, of `(lightness, target)`:
        float32 `(B, size, size, 1)` and `(B, size, size, 3)`, the target being the
        true lightness and ab, in `kcolor.color.graph.split`'s units. With `hints` the
        first is a dict of `lightness` and `known`, `(B, size, size, 3)`. B is the
        length of a part.
    """
    length = batch_size // part[1]
    own = slice(part[0] * length, (part[0] + 1) * length)
    paired = source.paired
    short_side = reading_size(size, crop)

    def order():
        epoch, position = divmod(start, pass_length(source))
        drawn = start
        while True:
            rng = np.random.default_rng((seed, _ORDER, epoch))
            for index in _one_pass(source.weights, rng)[position:]:
                yield int(index), drawn
                drawn += 1
            epoch, position = epoch + 1, 0

    def orders():
        pictures = order()
        while True:
            yield np.array(list(itertools.islice(pictures, batch_size)))[own]

    def at_random(change, pictures, share, stream, numbers):
        # A generator for each picture: its draws depend on no other of the batch.
        rngs = [
            np.random.default_rng((seed, stream, n)) for n in numbers[:, 1].tolist()
        ]
        pairs = zip(pictures, rngs, strict=True)
        return [change(picture, rng, share) for picture, rng in pairs]

    def load(index, drawn):
        def cut(picture):
            # A generator of its own for each of a pair gives both the same crop.
            rng = np.random.default_rng((seed, _CROP, drawn))
            # Without whole pictures there is no draw: seeds keep their crops.
            if whole and rng.random() < whole:
                return random_whole(picture, size, rng)
            return random_crop(picture, size, rng, *crop)

        rgb, gray = source.pair(index, short_side)
        if gray is None:
            return cut(rgb), None
        if gray.shape != rgb.shape:
            gray = cv2.resize(gray, rgb.shape[1::-1], interpolation=cv2.INTER_AREA)
        return cut(rgb), cut(gray)

    def make_batch(numbers):
        pairs = [load(index, drawn) for index, drawn in numbers.tolist()]
        target = split_on_host([rgb for rgb, _ in pairs])
        lightness = target[..., :1]
        if paired:
            lightness = split_on_host([gray for _, gray in pairs])[..., :1]
        if degrade:
            lightness = np.stack(
                at_random(degrade_lightness, lightness, degrade, _DEGRADE, numbers)
            )
        lightness = np.ascontiguousarray(lightness)
        if hints is None:
            return lightness, target
        drawn = at_random(simulate_hints, target, hints, _HINTS, numbers)
        target, known = map(np.stack, zip(*drawn, strict=True))
        return lightness, known, target

    if keras.backend.backend() == "tensorflow":
        channels = (1, 3) if hints is None else (1, 3, 3)
        return _tensorflow_batches(orders, make_batch, (length, size, size), channels)
    return _host_batches(orders, make_batch)


def reading_size(size: int, crop: tuple[float, float]) -> int:
    """Computes the short side at which pictures are read: no crop is then enlarged.

    Args:
        size: Side of the crops, in pixels.
        crop: As in `training_batches`.

    Returns:
        Short side in pixels.
    """
    return math.ceil(size / crop[0])


def pass_length(source: PictureSource) -> int:
    """Counts the pictures that one pass of `training_batches` draws.

    Args:
        source: The source.

    Returns:
        Sum of the weights, rounded down; at least 1.
    """
    return max(1, int(_millionths(source.weights).sum()) // _MILLION)


def evaluation_batches(
    source: PictureSource, size: int, batch_size: int
) -> Iterable[Batch]:
    """Builds one pass over a source in its own order, whole pictures, nothing random.

    Args:
        source: The source.
        size: Side that pictures are resized to, see `resize_square`.
        batch_size: Pictures per batch; the last batch may be short.

    Returns:
        Batches `(lightness, target)` as `training_batches` gives, as NumPy arrays. Each
        `for` loop over them reads the source anew.
    """
    return _WholePictures(source, size, batch_size)


class _WholePictures:
    def __init__(self, source, size, batch_size):
        self._source, self._size, self._batch_size = source, size, batch_size

    def __iter__(self) -> Iterator[Batch]:
        indices = range(len(self._source))
        with ThreadPoolExecutor(_THREADS) as pool:
            pictures = read_ahead(pool, self._load, indices, 2 * self._batch_size)
            while chunk := list(itertools.islice(pictures, self._batch_size)):
                target = split_on_host([rgb for rgb, _ in chunk])
                seen = target
                if self._source.paired:
                    seen = split_on_host([gray for _, gray in chunk])
                yield np.ascontiguousarray(seen[..., :1]), target

    def _load(self, index):
        rgb, gray = self._source.pair(index)
        rgb = resize_square(rgb, self._size)
        return rgb, None if gray is None else resize_square(gray, self._size)


def _one_pass(weights, rng):
    """Draws each picture floor(weight) times, and the rest of its weight by chance."""
    order = rng.permutation(len(weights))
    if weights.count(1.0) == len(weights):
        return rng.permutation(order)
    # Of weights in a random order, a picture is drawn wherever their sum passes a
    # whole number: once per whole weight, and the length of a pass never varies.
    total = np.cumsum(_millionths(weights)[order]) // _MILLION
    drawn = np.repeat(order, np.diff(total, prepend=0))
    return rng.permutation(drawn if len(drawn) else order[:1])


def _millionths(weights):
    # Whole numbers, since sums of a million fractions depend on their order.
    return np.rint(np.array(weights) * _MILLION).astype(np.int64)


def _as_input(*parts):
    # What Keras takes of (lightness, target) or (lightness, known, target).
    lightness, *known, target = parts
    return {"lightness": lightness, "known": known[0]} if known else lightness, target


def _tensorflow_batches(orders, make_batch, shape, channels):
    import tensorflow as tf

    # A batch is one element from the start: an element a picture would cost tf.data as
    # much as cropping it.
    def make_tensors(numbers):
        dtypes = [tf.float32] * len(channels)
        batch = tf.numpy_function(make_batch, [numbers], dtypes)
        for part, depth in zip(batch, channels, strict=True):
            part.set_shape((*shape, depth))
        return _as_input(*batch)

    numbers = tf.TensorSpec((shape[0], 2), tf.int64)
    dataset = tf.data.Dataset.from_generator(orders, output_signature=numbers)
    dataset = dataset.map(make_tensors, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.prefetch(4)


def _host_batches(orders, make_batch):
    with ThreadPoolExecutor(_THREADS) as pool:
        for batch in read_ahead(pool, make_batch, orders(), 2 * _THREADS):
            yield _as_input(*batch)
