"""The graphs around a network: what turns pictures into pictures inside a file.

One graph serves SavedModel, TFLite and ONNX. It follows `kcolor.images.view`, so that
a file colorizes a photograph as `kcolor colorize` does: the canvas is chosen while the
graph runs, and the network runs at whatever size that has.

What a reader would get wrong: `UpSampling2D` wants a size that is known when it is
traced. `any_size` is the same network whose resizes ask the tensor.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from kcolor.color import grain
from kcolor.color.constants import LIGHTNESS_SCALE
from kcolor.color.graph import join, rgb_to_lab, split
from kcolor.errors import DataError
from kcolor.images import view

# The names of the network's operations start with it, so that a quantizer can tell them
# from the color math.
NETWORK_SCOPE = "network"


class _Upsampling(keras.layers.Layer):
    """`UpSampling2D` with bilinear interpolation, for sizes known only at run time."""

    def __init__(self, factors, **kwargs):
        super().__init__(**kwargs)
        self.factors = factors

    def call(self, x):
        return tf.image.resize(x, tf.shape(x)[1:3] * self.factors)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], None, None, input_shape[3])


def any_size(model: keras.Model) -> keras.Model:
    """Builds a network over again so that it traces without knowing the picture's size.

    Args:
        model: Functional float32 `keras.Model`.

    Returns:
        `keras.Model` that shares the weights of `model` and answers the same.

    Raises:
        DataError: If it upsamples in a way other than bilinear.
    """

    def clone(layer):
        if not isinstance(layer, keras.layers.UpSampling2D):
            return layer
        if layer.interpolation != "bilinear":
            raise DataError(
                f"{model.name}: layer {layer.name} upsamples by {layer.interpolation}; "
                "only bilinear upsampling can be exported for any size"
            )
        return _Upsampling(layer.size, name=layer.name, dtype="float32")

    return keras.models.clone_model(model, clone_function=clone, recursive=True)


def predict(
    model: keras.Model, lightness: tf.Tensor, known: tf.Tensor | None = None
) -> tf.Tensor:
    """Runs the network under the scope that marks its operations.

    Args:
        model: Float32 `keras.Model`.
        lightness: float32 tensor `(B, H, W, 1)` in [-1, 1].
        known: float32 tensor `(B, H, W, 3)`, a* and b* / 110 and a mask, for a network
            that takes it; None for one that does not.

    Returns:
        float32 tensor `(B, H, W, 2)`, about [-1, 1], not bounded.
    """
    named = {"lightness": lightness, "known": known}
    with tf.name_scope(NETWORK_SCOPE):
        return model(lightness if known is None else named, training=False)


def give_back(lightness: tf.Tensor, ab: tf.Tensor) -> tf.Tensor:
    """Gives back the chroma that grain took, as `kcolor.color.grain` does.

    Args:
        lightness: float32 tensor `(B, H, W, 1)`, what the network saw.
        ab: float32 tensor `(B, H, W, 2)`, what it answered.

    Returns:
        Tensor as `ab`, each picture times its own factor.
    """
    mask = tf.constant(grain.MASK[..., None, None])
    size = tf.abs(tf.nn.conv2d(lightness, mask, 1, "VALID"))
    inner = tf.abs(lightness[:, 1:-1, 1:-1])
    blocks = {"ksize": grain.BLOCK, "strides": grain.BLOCK, "padding": "VALID"}
    means = tf.nn.avg_pool2d(size, **blocks)
    farthest = tf.nn.max_pool2d(inner, **blocks)
    flat = tf.shape(lightness)[0], -1
    has_grain = tf.reshape(farthest < grain.CLIPPED, flat)
    means = tf.where(has_grain, tf.reshape(means, flat), 1e3)
    number = tf.shape(means)[1]
    # From the smoothest on; `top_k` and a mask, as TFLite and ONNX have no better.
    ordered = -tf.math.top_k(-means, number).values
    count = tf.reduce_sum(tf.cast(has_grain, tf.int32), axis=1, keepdims=True)
    is_it = tf.logical_and(
        tf.range(number)[None] == count // grain.SMOOTHEST, count > 0
    )
    smooth = tf.reduce_sum(tf.where(is_it, ordered, 0.0), axis=1)
    exact = 1 + grain.LOSS * (smooth * grain.TO_DEVIATION - grain.LEAST)
    exact = tf.clip_by_value(exact, 1, grain.MOST)
    factor = tf.round(exact * grain.PARTS) / grain.PARTS
    return ab * factor[:, None, None, None]


def colorize_fixed(model: keras.Model, images: tf.Tensor) -> tf.Tensor:
    """Colorizes pictures that have the network's size.

    Args:
        model: Float32 `keras.Model`.
        images: uint8 RGB tensor `(B, H, W, 3)`.

    Returns:
        uint8 RGB tensor `(B, H, W, 3)`.
    """
    lightness, _ = split(images)
    return join(lightness, give_back(lightness, predict(model, lightness)))


def colorize_any(
    model: keras.Model, images: tf.Tensor, shapes: Sequence[view.Size]
) -> tf.Tensor:
    """Colorizes pictures of any one size; also what files are compared with.

    Args:
        model: Float32 `keras.Model` that takes any size, see `any_size`.
        images: uint8 RGB tensor `(B, H, W, 3)`.
        shapes: Canvases that the network may run at, see `kcolor.images.view.canvases`.

    Returns:
        uint8 RGB tensor `(B, H, W, 3)` with the lightness of `images` at every pixel.
    """
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    canvas = tf.gather(tf.constant(shapes), choose(height, width, shapes))
    lightness, box = surrounded(images, canvas)
    ab = cut(give_back(lightness, predict(model, lightness)), box)
    return join(split(images)[0], tf.image.resize(ab, (height, width)))


def choose(
    height: tf.Tensor, width: tf.Tensor, shapes: Sequence[view.Size]
) -> tf.Tensor:
    """Chooses the canvas as `kcolor.images.view.choose` does.

    Args:
        height: int32 tensor, height of the photograph.
        width: int32 tensor of the same shape, its width.
        shapes: Canvases, sorted from portrait to landscape.

    Returns:
        int32 tensor of the same shape: the position in `shapes`.
    """
    high, wide = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    passed = (tf.cast(wide > limit * high, tf.int32) for limit in view.limits(shapes))
    # Not `add_n`: ONNX adds up floats only.
    return sum(passed, tf.zeros_like(height))


def fit(canvas: Sequence, height: tf.Tensor, width: tf.Tensor) -> view.Box:
    """Fits pictures into a canvas as `kcolor.images.view.fit` does.

    Args:
        canvas: `(height, width)`, ints or int32 tensors.
        height: int32 tensor, height of the photograph.
        width: int32 tensor, its width.

    Returns:
        `Box` of int32 tensors.
    """
    return view.fit(canvas, height, width, clip=tf.clip_by_value)


def surrounded(images: tf.Tensor, canvas: Sequence) -> tuple[tf.Tensor, view.Box]:
    """Shows whole pictures on a canvas, their mirror image around them.

    Shrinking, fitting in and mirroring are one weighted mean along each axis, two
    products of matrices: TFLite has no resize that averages.

    Args:
        images: uint8 RGB tensor `(B, H, W, 3)`.
        canvas: `(height, width)`, ints or int32 tensors.

    Returns:
        Tuple of lightness, float32 `(B, *canvas, 1)` in [-1, 1], and the pictures' box.
    """
    shape = tf.shape(images)
    height, width = shape[1], shape[2]
    box = fit((canvas[0], canvas[1]), height, width)
    rows = _weights(canvas[0], box.top, box.height, height)
    columns = _weights(canvas[1], box.left, box.width, width)
    x = tf.reshape(tf.cast(images, tf.float32), (shape[0], height, width * 3))
    x = tf.reshape(tf.matmul(rows, x), (-1, width, 3))
    # Channels beside rows, so that the second product is one large one as well.
    x = tf.reshape(tf.transpose(x, (0, 2, 1)), (-1, width))
    x = tf.matmul(x, columns, transpose_b=True)
    x = tf.reshape(x, (shape[0], canvas[0], 3, canvas[1]))
    lab = rgb_to_lab(tf.transpose(x, (0, 1, 3, 2)) / 255.0)
    return lab[..., :1] / LIGHTNESS_SCALE - 1.0, box


def cut(planes: tf.Tensor, box: view.Box) -> tf.Tensor:
    """Cuts the pictures' own part out of what lies on a canvas, `(B, H, W, C)`."""
    bottom, right = box.top + box.height, box.left + box.width
    return planes[:, box.top : bottom, box.left : right]


def _weights(count, start, inner, length):
    """Returns float32 `(count, length)`: what pixels of a line give to the canvas'.

    `inner` pixels from `start` on show the line, averaged or, if it is shorter,
    interpolated; those around them show its reflection.
    """
    at = tf.cast(_mirror(count, start, inner), tf.float32)[:, None]
    pixels = tf.cast(tf.range(length), tf.float32)[None]
    last = tf.cast(length - 1, tf.float32)
    scale = tf.cast(length, tf.float32) / tf.cast(inner, tf.float32)
    overlap = tf.minimum((at + 1.0) * scale, pixels + 1.0) - tf.maximum(
        at * scale, pixels
    )
    center = tf.clip_by_value((at + 0.5) * scale - 0.5, 0.0, last)
    return tf.where(
        scale >= 1.0,
        tf.nn.relu(overlap) / scale,
        tf.nn.relu(1.0 - tf.abs(pixels - center)),
    )


def _mirror(count, start, inner):
    """Positions in a line of `inner` that fill `count`, reflected at both ends."""
    period = tf.maximum(2 * (inner - 1), 1)
    # A reflection is even; what comes before 0 would be negative, and ONNX' remainder
    # of negative numbers is another one.
    at = tf.math.floormod(tf.abs(tf.range(count) - start), period)
    return tf.minimum(at, period - at)
