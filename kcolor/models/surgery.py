"""Networks taken apart and put together again.

What leans on how Keras networks are made is here. The one private attribute in it is
`_keras_history`, in `layer_of`: Keras has no public way from a tensor to the layer that
made it. A new Keras release is checked against this file, and against two others that
lean on more than Keras promises, each for what belongs to training alone:

- `kcolor.training.optimizer`: `_get_variable_index` and `_trainable_variables`, since
  an optimizer has no public list of the variables that it was built for.
- `kcolor.training.devices`: `fuse_batch_norm` puts another `call` on a layer, since a
  class of its own would stand in saved files.

What a reader would get wrong: a saved network carries the dtype policy of each of its
layers, so loading it under another global policy changes nothing (`under_policy`); and
freezing a model freezes every layer inside it, which later setting the model free does
not remember (`freeze`).
"""

from collections.abc import Callable, Collection, Iterator

import keras


def layer_of(tensor: keras.KerasTensor) -> keras.layers.Layer:
    """Returns the layer that made a symbolic tensor of a functional model.

    `layer.input` and `model.outputs` are public, but they are tensors; the step from
    there to the next layer is not. Searching for the layer with this `output` would
    fail where layers are shared between two models, as an exported network's are.

    Args:
        tensor: Symbolic tensor.

    Returns:
        Layer, or Keras operation such as `keras.ops.add` where that made it.
    """
    return tensor._keras_history.operation


def leaf_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the layers of a model and of the models inside it, but no models."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaf_layers(layer)
        else:
            yield layer


def last_layers(
    model: keras.Model, is_first: Callable[[keras.layers.Layer], bool]
) -> list[keras.layers.Layer]:
    """Walks from a network's output towards its input, along a chain.

    Args:
        model: Functional `keras.Model` with one output.
        is_first: Tells of a layer whether the walk ends with it.

    Returns:
        List of layers, the output's own first. The walk also ends with a layer of
        several inputs, and before the network's input.
    """
    layers = []
    layer = layer_of(model.outputs[0])
    while not isinstance(layer, keras.layers.InputLayer):
        layers.append(layer)
        if is_first(layer) or isinstance(layer.input, list):
            break
        layer = layer_of(layer.input)
    return layers


def under_policy(model: keras.Model, policy: str) -> keras.Model:
    """Rebuilds a network under a dtype policy.

    The last layer with weights and what follows it, which make ab, stay float32
    whatever the policy, as in every network that is built here.

    Args:
        model: Functional `keras.Model` under any dtype policies.
        policy: Name of the new one, such as `"float32"` or `"mixed_bfloat16"`.

    Returns:
        `keras.Model` with the same layer names and weights; `model` itself if it is
        under this policy already.
    """
    tail = last_layers(model, lambda layer: bool(getattr(layer, "weights", None)))
    names = {layer.name for layer in tail}
    if all(
        layer.dtype_policy.name == ("float32" if layer.name in names else policy)
        for layer in leaf_layers(model)
        if not isinstance(layer, keras.layers.InputLayer)
    ):
        return model

    def rebuild(layer):
        dtype = "float32" if layer.name in names else policy
        return layer.__class__.from_config({**layer.get_config(), "dtype": dtype})

    rebuilt = _rebuild(model, rebuild)
    rebuilt.set_weights(model.get_weights())
    return rebuilt


def batch_norm_sources(model: keras.Model) -> dict[str, str]:
    """Says which layer each BatchNormalization of a model normalizes.

    Args:
        model: Functional `keras.Model`; models inside it are looked at as well.

    Returns:
        Dict of the BatchNormalization's name to the name of the layer before it.
    """
    return {
        layer.name: layer_of(layer.input).name
        for layer in leaf_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization)
    }


def fold_batch_norm(model: keras.Model, names: Collection[str]) -> keras.Model:
    """Rebuilds a model without the BatchNorm layers that a file has folded away.

    Args:
        model: Functional `keras.Model`; models inside it are folded with it.
        names: Names of the file's tensors, such as `block1a_dwconv/bias`.

    Returns:
        `model` itself if nothing is folded; else a fresh model with the same layer
        names, in which each folded convolution has a bias and its BatchNorm is gone.
    """
    folded = {
        norm: source
        for norm, source in batch_norm_sources(model).items()
        if f"{source}/bias" in names and f"{norm}/gamma" not in names
    }
    if not folded:
        return model
    convolutions = set(folded.values())

    def rebuild(layer):
        config = layer.get_config()
        if layer.name in convolutions:
            config["use_bias"] = True
        return layer.__class__.from_config(config)

    return _rebuild(model, rebuild, left_out=folded)


def freeze(encoder: keras.Model, frozen: bool, levels: int = 0) -> None:
    """Freezes a whole encoder, or its layers up to a pyramid level; frees the rest.

    Args:
        encoder: `keras.Model` as `build_backbone` returns it, changed in place. The
            model around it must be compiled afterwards.
        frozen: Whether all of it is frozen.
        levels: Pyramid level up to which layers are frozen in any case; 0 for none.

    Raises:
        ValueError: If the encoder has fewer levels.
    """
    if not 0 <= levels <= len(encoder.outputs):
        raise ValueError(
            f"`freeze_levels` must be 0 to {len(encoder.outputs)}. Received: {levels}"
        )
    # Set on the model, it reaches every layer inside; then those below the level.
    encoder.trainable = not frozen
    if frozen or not levels:
        return
    last = layer_of(encoder.outputs[levels - 1])
    for layer in encoder.layers:
        layer.trainable = False
        if layer is last:
            return


def _rebuild(model, make, left_out: Collection[str] = ()):
    """Builds a model over again: each layer by `make`, models inside it alike.

    Operations that are no layers, such as the addition in `x + 3.0`, have neither
    weights nor a policy: they are built again as they are. One operation in two models
    would leave both with several inputs.
    """

    def make_any(layer):
        if isinstance(layer, keras.Model):
            return _rebuild(layer, make, left_out)
        if not isinstance(layer, keras.layers.Layer):
            return layer.__class__.from_config(layer.get_config())
        return make(layer)

    def call(layer, *args, **kwargs):
        return args[0] if layer.name in left_out else layer(*args, **kwargs)

    clone = keras.models.clone_model(model, clone_function=make_any, call_function=call)
    # A clone of one output answers a list of one; its name is its own.
    return keras.Model(clone.input, clone.outputs, name=model.name)
