"""BatchNorm in one kernel while TensorFlow trains on a CPU.

Keras computes moments, normalization and gradients in a dozen float32 operations, each
of which walks the whole feature map. TensorFlow's fused kernel walks it twice.
"""

import keras


def fuse_batch_norm(model):
    """Lets a model's BatchNormalization layers train by TensorFlow's fused kernel.

    Results are the same up to rounding. It is set on the layers, not a class of its
    own, so that saved files stay plain Keras. Inference is left as it is.

    Args:
        model: `keras.Model` on the TensorFlow backend; its layers, nested ones too, are
            changed in place. A second call changes nothing.
    """
    for layer in model._flatten_layers():
        plain = type(layer) is keras.layers.BatchNormalization
        if plain and "call" not in vars(layer) and layer.axis in (-1, 3):
            layer.call = _fused_call(layer, layer.call)


def _fused_call(layer, plain_call):
    import tensorflow as tf

    def call(inputs, training=None, mask=None):
        if not (training and layer.trainable) or mask is not None:
            return plain_call(inputs, training=training, mask=mask)
        x = tf.cast(inputs, layer.compute_dtype)
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=tf.convert_to_tensor(layer.gamma.value),
            offset=tf.convert_to_tensor(layer.beta.value),
            mean=tf.zeros(0),
            variance=tf.zeros(0),
            epsilon=layer.epsilon,
            is_training=True,
        )
        # The kernel answers the unbiased variance; Keras keeps the biased one.
        count = tf.cast(tf.size(x) // x.shape[-1], "float32")
        variance *= (count - 1.0) / count
        for moving, new in (
            (layer.moving_mean, mean),
            (layer.moving_variance, variance),
        ):
            moving.assign(moving * layer.momentum + new * (1.0 - layer.momentum))
        return y

    return call
