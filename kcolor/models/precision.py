"""Networks under another dtype policy than the one that they were built under.

What a reader would get wrong: a saved network carries the policy of each of its layers,
so loading it under another global policy changes nothing.
"""

import keras


def under_policy(model, policy):
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
    names = _float32_tail(model)
    if all(
        layer.dtype_policy.name == ("float32" if layer.name in names else policy)
        for layer in model._flatten_layers()
        if not isinstance(layer, keras.Model | keras.layers.InputLayer)
    ):
        return model
    rebuilt = _rebuild(model, policy, names)
    rebuilt.set_weights(model.get_weights())
    return rebuilt


def _float32_tail(model):
    names = []
    layer = model.outputs[0]._keras_history.operation
    while not isinstance(layer, keras.layers.InputLayer):
        names.append(layer.name)
        if getattr(layer, "weights", None) or isinstance(layer.input, list):
            break
        layer = layer.input._keras_history.operation
    return names


def _rebuild(model, policy, float32_names=()):
    def rebuild(layer):
        if isinstance(layer, keras.Model):
            return _rebuild(layer, policy)
        dtype = "float32" if layer.name in float32_names else policy
        return layer.__class__.from_config({**layer.get_config(), "dtype": dtype})

    clone = keras.models.clone_model(model, clone_function=rebuild)
    return keras.Model(clone.input, clone.outputs, name=model.name)
