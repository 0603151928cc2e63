"""From a source to batches: decode and crop per picture, color per batch.

What a reader would get wrong: the order and every random draw depend on the seed and on
the count of pictures drawn so far alone, so a run can go on at any step as if it had
never stopped. Nothing here keeps a random state.
"""

import cv2
import numpy as np
import tensorflow as tf

from kcolor.preprocessing import split


def training_dataset(source, size, batch_size, seed=0, start=0, degrade=0.0):
    """Builds the endless stream of training batches.

    Each pass visits every picture once in a new order. A picture is cropped, flipped
    and turned a little at random.

    Args:
        source: `Source` of color photographs; a paired source's gray picture is the
            input of its color picture.
        size: Side of the square crops, in pixels.
        batch_size: Pictures per batch.
        seed: Seed of order and augmentation.
        start: How many pictures a former run has drawn; the stream goes on there.
        degrade: Share of the inputs, in [0, 1], whose lightness alone is made to look
            like an old photograph's (contrast, fading, blur, grain).

    Returns:
        `tf.data.Dataset` of `(lightness, target)`: float32 `(B, size, size, 1)` and
        `(B, size, size, 3)`, the target being the true lightness and ab, in
        `kcolor.preprocessing.split`'s units.
    """

    def order():
        count = len(source)
        epoch, position = divmod(start, count)
        drawn = start
        while True:
            indices = np.random.default_rng((seed, epoch)).permutation(count)
            for index in indices[position:]:
                yield int(index), drawn
                drawn += 1
            epoch, position = epoch + 1, 0

    def load(index, drawn):
        def crop(picture):
            # A generator of its own for each of a pair gives both the same crop.
            rng = np.random.default_rng((seed, 1, int(drawn)))
            return random_crop(picture, size, rng)

        rgb = source.read(int(index))
        gray = source.gray(int(index))
        if gray is None:
            rgb = crop(rgb)
            return rgb, rgb
        if gray.shape != rgb.shape:
            gray = cv2.resize(gray, rgb.shape[1::-1], interpolation=cv2.INTER_AREA)
        return crop(rgb), crop(gray)

    def load_tensor(index, drawn):
        rgb, gray = tf.numpy_function(load, [index, drawn], [tf.uint8, tf.uint8])
        rgb.set_shape((size, size, 3))
        gray.set_shape((size, size, 3))
        return rgb, gray, drawn

    paired = source.gray(0) is not None

    def to_lab(rgb, gray, drawn):
        lightness, ab = split(rgb)
        target = tf.concat([lightness, ab], axis=-1)
        if paired:
            lightness, _ = split(gray)
        if degrade:
            lightness = degrade_lightness(
                lightness, tf.stack([tf.constant(seed, tf.int64), drawn[0]]), degrade
            )
        return lightness, target

    signature = (tf.TensorSpec((), tf.int64), tf.TensorSpec((), tf.int64))
    dataset = tf.data.Dataset.from_generator(order, output_signature=signature)
    dataset = dataset.map(load_tensor, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.batch(batch_size, drop_remainder=True)
    dataset = dataset.map(to_lab, num_parallel_calls=2)
    return dataset.prefetch(4)


def evaluation_dataset(source, size, batch_size):
    """Builds one pass over a source in its own order, whole pictures, nothing random.

    Args:
        source: `Source`.
        size: Side that pictures are resized to, see `resize_square`.
        batch_size: Pictures per batch; the last batch may be short.

    Returns:
        `tf.data.Dataset` of `(lightness, target)` as `training_dataset` gives.
    """

    def load(index):
        rgb = source.read(int(index))
        gray = source.gray(int(index))
        rgb = resize_square(rgb, size)
        return rgb, rgb if gray is None else resize_square(gray, size)

    def load_tensor(index):
        rgb, gray = tf.numpy_function(load, [index], [tf.uint8, tf.uint8])
        rgb.set_shape((size, size, 3))
        gray.set_shape((size, size, 3))
        return rgb, gray

    def to_lab(rgb, gray):
        lightness, ab = split(rgb)
        return split(gray)[0], tf.concat([lightness, ab], axis=-1)

    dataset = tf.data.Dataset.range(len(source))
    dataset = dataset.map(load_tensor, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(batch_size).map(to_lab).prefetch(2)


def resize_square(rgb, size):
    """Resizes a whole picture to a square; its aspect is not kept.

    Args:
        rgb: uint8 array of shape `(height, width, 3)`.
        size: Side of the result.

    Returns:
        uint8 array of shape `(size, size, 3)`; averaged over areas where both sides
        shrink, bicubic otherwise.
    """
    shrinks = min(rgb.shape[:2]) >= size
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(rgb, (size, size), interpolation=interpolation)


def random_crop(picture, size, rng):
    """Cuts a random square out of a picture: place, scale, aspect, angle and side.

    Args:
        picture: uint8 array of shape `(height, width, channels)`.
        size: Side of the result, in pixels.
        rng: `numpy.random.Generator`.

    Returns:
        uint8 array of shape `(size, size, channels)`. The crop's shorter side is 50% to
        100% of the picture's, its aspect 4:5 to 5:4; a third are turned by up to 10
        degrees; half are mirrored.
    """
    height, width = picture.shape[:2]
    side = rng.uniform(0.5, 1.0) * min(height, width)
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


def degrade_lightness(lightness, seed, share):
    """Makes some of a batch look as if photographed and scanned long ago.

    Args:
        lightness: float32 tensor `(B, H, W, 1)` in [-1, 1].
        seed: int64 tensor of shape `(2,)`; equal seeds give equal results.
        share: Probability, in [0, 1], that a picture is changed.

    Returns:
        Tensor of the same kind: contrast times 0.5 to 1.2 about its middle and lifted
        or lowered by up to 0.15 (faded blacks, dull whites), blurred by 3x3 pixels,
        with grain of up to 8% of the range.
    """
    count = tf.shape(lightness)[0]

    def draw(number, low, high):
        pair = tf.random.experimental.stateless_fold_in(seed, number)
        return tf.random.stateless_uniform((count, 1, 1, 1), pair, low, high)

    box = tf.constant([[1, 2, 1], [2, 4, 2], [1, 2, 1]], tf.float32) / 16
    soft = tf.nn.conv2d(
        tf.pad(lightness, [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT"),
        box[:, :, None, None],
        1,
        "VALID",
    )
    old = lightness + draw(0, 0.0, 1.0) * (soft - lightness)
    old = old * draw(1, 0.5, 1.2) + draw(2, -0.15, 0.15)
    grain = tf.random.stateless_normal(
        tf.shape(lightness), tf.random.experimental.stateless_fold_in(seed, 3)
    )
    old += grain * draw(4, 0.0, 0.08)
    chosen = draw(5, 0.0, 1.0) < share
    return tf.where(chosen, tf.clip_by_value(old, -1.0, 1.0), lightness)
