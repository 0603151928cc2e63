"""The graphs around a network: what turns pictures into pictures inside a file.

What a reader would get wrong: `UpSampling2D` wants a size that is known when it is
traced. A graph for any size therefore either keeps the network at a fixed size and
resizes around it, or uses `any_size`, the same network whose resizes ask the tensor.
"""

import keras
import tensorflow as tf

from kcolor.color.graph import join, split
from kcolor.errors import DataError

# The names of the network's operations start with it, so that a quantizer can tell them
# from the color math.
NETWORK_SCOPE = "network"
# Pictures are enlarged or sampled to this multiple of the network's size and averaged
# from there: TFLite has no antialiased resize.
_OVERSAMPLING = 4


class _Upsampling(keras.layers.Layer):
    """`UpSampling2D` with bilinear interpolation, for sizes known only at run time."""

    def __init__(self, factors, **kwargs):
        super().__init__(**kwargs)
        self.factors = factors

    def call(self, x):
        return tf.image.resize(x, tf.shape(x)[1:3] * self.factors)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], None, None, input_shape[3])


def any_size(model):
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


def predict(model, lightness):
    """Runs the network under the scope that marks its operations.

    Args:
        model: Float32 `keras.Model`.
        lightness: float32 tensor `(B, H, W, 1)` in [-1, 1].

    Returns:
        float32 tensor `(B, H, W, 2)` in [-1, 1].
    """
    with tf.name_scope(NETWORK_SCOPE):
        return model(lightness, training=False)


def shrink(lightness, size):
    """Brings lightness of any size to the network's, with TFLite's own operations.

    Args:
        lightness: float32 tensor `(B, H, W, 1)`.
        size: `(height, width)` of the result.

    Returns:
        float32 tensor `(B, height, width, 1)`: bilinear samples on a grid four times as
        fine, averaged.
    """
    fine = tf.image.resize(lightness, [side * _OVERSAMPLING for side in size])
    return tf.nn.avg_pool2d(fine, _OVERSAMPLING, _OVERSAMPLING, "VALID")


def colorize_fixed(model, image):
    """Colorizes pictures that have the network's size.

    Args:
        model: Float32 `keras.Model`.
        image: uint8 RGB tensor `(B, H, W, 3)`.

    Returns:
        uint8 RGB tensor `(B, H, W, 3)`.
    """
    lightness, _ = split(image)
    return join(lightness, predict(model, lightness))


def colorize_any(model, image, size):
    """Colorizes pictures of any size around a network of a fixed one.

    Args:
        model: Float32 `keras.Model`.
        image: uint8 RGB tensor `(B, H, W, 3)`.
        size: `(height, width)` that the network sees.

    Returns:
        uint8 RGB tensor `(B, H, W, 3)` with the lightness of `image` at every pixel.
    """
    lightness, _ = split(image)
    ab = predict(model, shrink(lightness, size))
    return join(lightness, tf.image.resize(ab, tf.shape(image)[1:3]))
