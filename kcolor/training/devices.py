"""Where and how training computes: precision, several GPUs, BatchNorm on a CPU."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import keras

from kcolor.models.surgery import leaf_layers
from kcolor.training import processes


def policy_name(precision: str) -> str:
    """Chooses the dtype policy.

    Args:
        precision: `"auto"` or a Keras dtype policy.

    Returns:
        Name of a Keras dtype policy: for `"auto"` float32 on a CPU, else what the GPU
        has units for.
    """
    if precision != "auto":
        return precision
    capability = gpu_capability()
    if capability >= (8, 0):  # Ampere is the first with bfloat16 units
        return "mixed_bfloat16"
    return "mixed_float16" if capability >= (7, 0) else "float32"


@contextmanager
def dtype_policy(policy: str) -> Iterator[None]:
    """Makes a dtype policy the global one for a while."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def all_devices(batch_size: int) -> AbstractContextManager:
    """Spreads batches over the GPUs of this machine, or over several processes.

    Args:
        batch_size: Pictures of a batch.

    Returns:
        Context in which networks are to be built and trained; nothing stays set after
        it.

    Raises:
        ValueError: If JAX cannot give as many pictures to one device as to another.
    """
    if keras.backend.backend() == "jax":
        # Of all processes; each reads its own part.
        devices = keras.distribution.list_devices()
        if len(devices) == 1 or not (gpu_capability() or processes.count() > 1):
            return nullcontext()
        if batch_size % len(devices):
            raise ValueError(
                f"`batch_size` must be a multiple of {len(devices)}, the number of "
                f"devices. Received: {batch_size}"
            )
        return keras.distribution.DataParallel(auto_shard_dataset=False).scope()
    if keras.backend.backend() == "tensorflow" and gpu_capability():
        import tensorflow as tf

        if len(tf.config.list_physical_devices("GPU")) > 1:
            return tf.distribute.MirroredStrategy().scope()
    return nullcontext()


@contextmanager
def one_device() -> Iterator[None]:
    """Computes on one device of this process for a while, inside `all_devices` too."""
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


def gpu_capability() -> tuple[int, ...]:
    """Returns the first GPU's compute capability, or () where there is none."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if not gpus:
            return ()
        details = tf.config.experimental.get_device_details(gpus[0])
        return tuple(details.get("compute_capability", (0, 0)))
    if backend == "jax":
        import jax

        if jax.default_backend() != "gpu":
            return ()
        numbers = jax.devices()[0].compute_capability.split(".")
        return tuple(int(number) for number in numbers)
    import torch

    return torch.cuda.get_device_capability() if torch.cuda.is_available() else ()


def on_tensorflow_cpu() -> bool:
    """Tells whether TensorFlow computes, without a GPU."""
    return keras.backend.backend() == "tensorflow" and not gpu_capability()


def fuse_batch_norm(model: keras.Model) -> None:
    """Lets a model's BatchNormalization layers train by TensorFlow's fused kernel.

    What it works around: on TensorFlow, Keras 3 trains BatchNorm by `tf.nn.moments` and
    `tf.nn.batch_normalization`, a dozen float32 operations that each walk the whole
    feature map, where Keras 2 called one kernel that walks it twice; without XLA, which
    is no help on a CPU, nothing fuses them again (keras-team/keras-core issue 225). It
    can go once `keras.layers.BatchNormalization` calls `FusedBatchNormV3` in training;
    `scripts/bench train` tells what that is worth.

    Results are the same up to rounding. It is set on the layers, not a class of its
    own, so that saved files stay plain Keras. Inference is left as it is.

    Args:
        model: `keras.Model` on the TensorFlow backend; its layers, nested ones too, are
            changed in place. A second call changes nothing.
    """
    for layer in leaf_layers(model):
        plain = type(layer) is keras.layers.BatchNormalization
        if plain and "call" not in vars(layer) and layer.axis in (-1, 3):
            layer.call = _fused_call(layer, layer.call)


def _fused_call(layer, plain_call) -> Callable:
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
