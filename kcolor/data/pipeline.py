"""From a source to batches: decode and crop per picture, color per batch.

What a reader would get wrong: the order and every random draw depend on the seed and on
the count of pictures drawn so far alone, so a run can go on at any step as if it had
never stopped. Nothing here keeps a random state.

On the TensorFlow backend batches come from tf.data; on the others from a pool of
threads. Both run the same functions in the same order and give the same batches.
"""

import functools
import itertools
import math
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import cv2
import keras
import numpy as np

from kcolor.data.augment import degrade_lightness, random_crop, resize_square
from kcolor.preprocessing import split

_THREADS = 4
# Streams of random draws that must not repeat each other.
_ORDER, _CROP, _DEGRADE = range(3)


def training_batches(
    source, size, batch_size, seed=0, start=0, degrade=0.0, crop=(0.5, 1.0)
):
    """Builds the endless stream of training batches.

    Each pass visits every picture as often as its weight says, in a new order. A
    picture is cropped, flipped and turned a little at random.

    Args:
        source: `Source` of color photographs; a paired source's gray picture is the
            input of its color picture.
        size: Side of the square crops, in pixels.
        batch_size: Pictures per batch.
        seed: Seed of order and augmentation.
        start: How many pictures a former run has drawn; the stream goes on there.
        degrade: Share of the inputs, in [0, 1], whose lightness alone is made to look
            like an old photograph's, see `degrade_lightness`.
        crop: Least and greatest side of a crop, as shares of the picture's shorter
            side.

    Returns:
        `tf.data.Dataset`, or an iterator on other backends, of `(lightness, target)`:
        float32 `(B, size, size, 1)` and `(B, size, size, 3)`, the target being the
        true lightness and ab, in `kcolor.preprocessing.split`'s units.
    """
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

    def load(index, drawn):
        def cut(picture):
            # A generator of its own for each of a pair gives both the same crop.
            rng = np.random.default_rng((seed, _CROP, int(drawn)))
            return random_crop(picture, size, rng, *crop)

        rgb, gray = source.pair(int(index), short_side)
        if not paired:
            rgb = cut(rgb)
            return rgb, rgb
        if gray.shape != rgb.shape:
            gray = cv2.resize(gray, rgb.shape[1::-1], interpolation=cv2.INTER_AREA)
        return cut(rgb), cut(gray)

    def degrade_batch(lightness, drawn):
        rng = np.random.default_rng((seed, _DEGRADE, int(drawn[0])))
        return degrade_lightness(lightness, rng, degrade)

    return _batches(order, load, size, batch_size, paired, degrade and degrade_batch)


def reading_size(size, crop):
    """Returns the short side at which pictures are read: no crop is then enlarged."""
    return math.ceil(size / crop[0])


def pass_length(source):
    """Returns how many pictures one pass of `training_batches` draws."""
    weights = np.array(source.weights)
    # The sum of 0.1 ten times is less than 1.
    return max(1, int(np.floor(weights.sum() + 1e-6)))


def evaluation_batches(source, size, batch_size):
    """Builds one pass over a source in its own order, whole pictures, nothing random.

    Args:
        source: `Source`.
        size: Side that pictures are resized to, see `resize_square`.
        batch_size: Pictures per batch; the last batch may be short.

    Returns:
        List of batches `(lightness, target)` as `training_batches` gives, as NumPy
        arrays, computed when asked for.
    """
    paired = source.paired

    def load(index):
        rgb, gray = source.pair(index)
        rgb = resize_square(rgb, size)
        return rgb, resize_square(gray, size) if paired else rgb

    class Pass:
        def __iter__(self):
            with ThreadPoolExecutor(_THREADS) as pool:
                pictures = _ahead(pool, load, range(len(source)), 2 * batch_size)
                while chunk := list(itertools.islice(pictures, batch_size)):
                    rgb, gray = (np.stack(part) for part in zip(*chunk, strict=True))
                    lightness, target = _to_lab(rgb, gray, paired)
                    yield np.asarray(lightness), np.asarray(target)

    return Pass()


def _one_pass(weights, rng):
    """Draws each picture floor(weight) times, and the rest of its weight by chance."""
    order = rng.permutation(len(weights))
    # Of weights in a random order, a picture is drawn wherever their sum passes a
    # whole number: once per whole weight, and the length of a pass never varies.
    total = np.floor(np.cumsum(np.array(weights)[order]) + 1e-6).astype(int)
    drawn = np.repeat(order, np.diff(total, prepend=0))
    return rng.permutation(drawn if len(drawn) else order[:1])


def _batches(order, load, size, batch_size, paired, degrade):
    if keras.backend.backend() == "tensorflow":
        return _tensorflow_batches(order, load, size, batch_size, paired, degrade)
    return _host_batches(order, load, batch_size, paired, degrade)


@functools.cache
def _compiled_to_lab():
    """Returns `_to_lab` as one compiled loop, 4 times as fast as its dozens of ops."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(_to_lab, jit_compile=True)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(_to_lab, static_argnums=2)
    return _to_lab


def _to_lab(rgb, gray, paired):
    lightness, ab = split(rgb)
    target = keras.ops.concatenate([lightness, ab], axis=-1)
    return split(gray)[0] if paired else lightness, target


def _tensorflow_batches(order, load, size, batch_size, paired, degrade):
    import tensorflow as tf

    def load_tensor(index, drawn):
        rgb, gray = tf.numpy_function(load, [index, drawn], [tf.uint8, tf.uint8])
        rgb.set_shape((size, size, 3))
        gray.set_shape((size, size, 3))
        return rgb, gray, drawn

    to_lab = _compiled_to_lab()

    def finish(rgb, gray, drawn):
        lightness, target = to_lab(rgb, gray, paired)
        if degrade:
            shape = lightness.shape
            lightness = tf.numpy_function(degrade, [lightness, drawn], tf.float32)
            lightness.set_shape(shape)
        return lightness, target

    signature = (tf.TensorSpec((), tf.int64), tf.TensorSpec((), tf.int64))
    dataset = tf.data.Dataset.from_generator(order, output_signature=signature)
    dataset = dataset.map(load_tensor, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.batch(batch_size, drop_remainder=True)
    dataset = dataset.map(finish, num_parallel_calls=2)
    return dataset.prefetch(4)


def _host_batches(order, load, batch_size, paired, degrade):
    to_lab = _compiled_to_lab()
    with ThreadPoolExecutor(_THREADS) as pool:

        def load_one(item):
            return *load(*item), item[1]

        pictures = _ahead(pool, load_one, order(), 3 * batch_size)
        while True:
            chunk = itertools.islice(pictures, batch_size)
            rgb, gray, drawn = (np.stack(part) for part in zip(*chunk, strict=True))
            lightness, target = to_lab(rgb, gray, paired)
            if degrade:
                lightness = degrade(np.asarray(lightness), drawn)
            yield lightness, target


def _ahead(pool, function, items, count):
    """Maps in order with `count` items under way, never more."""
    pending = deque()
    for item in items:
        pending.append(pool.submit(function, item))
        if len(pending) > count:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
