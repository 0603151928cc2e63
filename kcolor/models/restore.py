"""Makes a bundled `mobile` trainable again, from its TFLite file alone.

The file's constants keep the names of the layers that they came from. What a reader
would get wrong: the converter has folded BatchNorm into the convolutions, so the
network that comes back has biases in its place, as the encoder always had.
"""

import re

from kcolor.errors import DataError
from kcolor.models.mobile import build_mobile
from kcolor.models.weights import assign_weights, fold_batch_norm

# "network/mobile_1/encoder_1/block_1_expand_1/convolution": the layer's name is last
# but one, with a count of its uses.
_LAYER = re.compile(r"mobile_1/(?:encoder_1/)?(\w+?)_1/")


def restore_mobile(path):
    """Restores the network of a float TFLite file of `mobile`.

    Args:
        path: The file, as `kcolor export --io network` writes it.

    Returns:
        `keras.Model` as `build_mobile` builds it, with a bias for each BatchNorm. It
        answers what the file does.

    Raises:
        DataError: If the file holds no float weights of `mobile`.
    """
    tensors = _constants(path)
    network = fold_batch_norm(build_mobile(), tensors)
    missing = assign_weights(network, tensors, path)
    if missing:
        raise DataError(f"{path}: lacks weights of {', '.join(missing)}")
    return network


def _constants(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    tensors = {}
    for detail in interpreter.get_tensor_details():
        layers = _LAYER.findall(detail["name"])
        # Float16 marks a stored weight here; what is computed from it is float32.
        if not layers or detail["dtype"].__name__ != "float16":
            continue
        value = interpreter.get_tensor(detail["index"]).astype("float32")
        layer = layers[-1]
        if value.ndim == 4:
            # (out, height, width, in), and (1, height, width, channels) of depthwise
            # ones: one turn serves both.
            tensors[f"{layer}/kernel"] = value.transpose(1, 2, 3, 0)
        else:
            # A folded bias bears the name of the BatchNorm that it came from.
            tensors[f"{layer.replace('_bn', '_conv')}/bias"] = value
    if not tensors:
        raise DataError(f"{path}: holds no float16 weights of a mobile network")
    return tensors
