"""The page's network: a preset of free picture size, fixed to the page's canvases.

A browser's runtime cannot change a picture's size after a file is loaded, and a file in
which only inputs and outputs are fixed gives wrong colors in silence: sizes computed
inside it stay as they were. So each canvas gets a copy of the graph in which every
shape is a number and whatever followed from shapes alone is a constant. The copies
share their weights. No structure is assumed; what is constant is found by running the
file once a canvas. Needs neither TensorFlow nor Keras.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from kcolor.errors import DataError
from kcolor.export import flatbuffer
from kcolor.images.view import Size

# Only whole numbers are ever computed from shapes.
_WHOLE = (schema.TensorType.INT32, schema.TensorType.INT64, schema.TensorType.BOOL)


def signature_name(canvas: Size) -> str:
    """Names the signature of a canvas.

    Args:
        canvas: `(height, width)`.

    Returns:
        Name, such as `canvas_192x352`, height first.
    """
    return f"canvas_{canvas[0]}x{canvas[1]}"


def fix_sizes(content: bytes, canvases: Sequence[Size]) -> bytes:
    """Makes a file with one signature for each canvas.

    Args:
        content: Bytes of a `.tflite` network of free size with one signature, from
            `lightness`, float32 `(1, height, width, 1)`, and any other inputs of that
            height and width, to `ab`.
        canvases: `(height, width)` of each signature to make.

    Returns:
        Bytes of a `.tflite` file that answers at each canvas as `content` does.

    Raises:
        DataError: If the file is not such a network.
    """
    model = flatbuffer.read(content)
    if len(model.subgraphs) != 1 or len(model.signatureDefs or []) != 1:
        raise DataError("the page needs a network of one graph and one signature")
    source, signature = model.subgraphs[0], model.signatureDefs[0]
    free = [list(_shape(source.tensors[at])) for at in source.inputs]
    if any(len(shape) != 4 or -1 not in shape[1:3] for shape in free):
        raise DataError("the page needs a network of free size; see export --size any")
    shapes_only = _follow_shapes(source, model)
    model.subgraphs, model.signatureDefs = [], []
    for canvas in canvases:
        # What is not changed is shared: operators, names, quantization.
        graph, made = copy.copy(source), copy.copy(signature)
        graph.tensors = [copy.copy(tensor) for tensor in source.tensors]
        tensors = _measure(content, source.inputs, canvas)
        _fix(graph, model, shapes_only, tensors)
        made.signatureKey = signature_name(canvas)
        made.subgraphIndex = len(model.subgraphs)
        graph.name = signature_name(canvas)
        model.subgraphs.append(graph)
        model.signatureDefs.append(made)
    return flatbuffer.write(model)


def _shape(tensor: Any) -> Sequence[int]:
    return tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature


def _follow_shapes(graph: Any, model: Any) -> set[int]:
    # Tensors that operators compute, and that depend on shapes and constants alone.
    computed = {at for operator in graph.operators for at in operator.outputs}
    known = {
        at
        for at, tensor in enumerate(graph.tensors)
        if at not in computed and at not in graph.inputs
    }
    found: set[int] = set()
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        is_shape = number == schema.BuiltinOperator.SHAPE
        if not is_shape and any(at >= 0 and at not in known for at in operator.inputs):
            continue
        # A weight that is only made wide (DEQUANTIZE) stays as narrow as it is.
        if all(graph.tensors[at].type in _WHOLE for at in operator.outputs):
            known |= set(operator.outputs)
            found |= set(operator.outputs)
    return found


def _measure(content: bytes, inputs: Sequence[int], canvas: Size) -> Interpreter:
    # The reference kernels keep each tensor; a delegate would fuse some away.
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
        num_threads=2,
    )
    for entry in interpreter.get_input_details():
        shape = [1, *canvas, int(entry["shape"][3])]
        interpreter.resize_tensor_input(entry["index"], shape)
    interpreter.allocate_tensors()
    for entry in interpreter.get_input_details():
        zeros = np.zeros([1, *canvas, int(entry["shape"][3])], entry["dtype"])
        interpreter.set_tensor(entry["index"], zeros)
    interpreter.invoke()
    return interpreter


def _fix(graph: Any, model: Any, shapes_only: set[int], run: Interpreter) -> None:
    for at, tensor in enumerate(graph.tensors):
        tensor.shapeSignature = None
        if at in shapes_only:
            value = run.get_tensor(at)
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(value.tobytes(), np.uint8)
            tensor.buffer = len(model.buffers)
            tensor.shape = list(value.shape)
            model.buffers.append(buffer)
        else:
            tensor.shape = [
                int(side) for side in run._get_tensor_details(at, 0)["shape"]
            ]
    graph.operators = [
        operator
        for operator in graph.operators
        if not set(operator.outputs) <= shapes_only
    ]
