"""The page's network: a preset of free picture size, fixed to the page's canvases.

A browser's runtime cannot change a picture's size after a file is loaded, and a file in
which only inputs and outputs are fixed gives wrong colors in silence: sizes computed
inside it stay as they were. So each canvas gets a copy of each graph in which every
shape is a number and whatever followed from shapes alone is a constant. The copies
share their weights. No structure is assumed; what is constant is found by running each
graph once a canvas. Needs neither TensorFlow nor Keras.
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


def signature_name(canvas: Size, takes_known: bool = False) -> str:
    """Names a signature of a canvas.

    Args:
        canvas: `(height, width)`.
        takes_known: Whether it takes known colors beside lightness.

    Returns:
        Name, such as `canvas_192x352` or `canvas_192x352_known`, height first.
    """
    return f"canvas_{canvas[0]}x{canvas[1]}" + "_known" * takes_known


def fix_sizes(content: bytes, canvases: Sequence[Size]) -> bytes:
    """Makes a file with the signatures of another for each canvas.

    Args:
        content: Bytes of a `.tflite` network of free size, whose signatures lead from
            `lightness`, float32 `(1, height, width, 1)`, and `known`, if they take it,
            to `ab`.
        canvases: Each `(height, width)` to make.

    Returns:
        Bytes of a `.tflite` file that answers at each canvas as `content` does. The
        page runs files that it makes of this one, each with one graph.

    Raises:
        DataError: If the file is not such a network.
    """
    model = flatbuffer.read(content)
    sources, signatures = model.subgraphs, model.signatureDefs or []
    if sorted(entry.subgraphIndex for entry in signatures) != [*range(len(sources))]:
        raise DataError("the page needs a network of one graph for each signature")
    for source in sources:
        free = [list(_shape(source.tensors[at])) for at in source.inputs]
        if any(len(shape) != 4 or -1 not in shape[1:3] for shape in free):
            raise DataError(
                "the page needs a network of free size; see export --size any"
            )
    model.subgraphs, model.signatureDefs = [], []
    interpreter = _open(content)
    for signature in signatures:
        number = signature.subgraphIndex
        source = sources[number]
        shapes_only = _follow_shapes(source, model)
        for canvas in canvases:
            # What is not changed is shared: operators, names, quantization.
            graph, made = copy.copy(source), copy.copy(signature)
            graph.tensors = [copy.copy(tensor) for tensor in source.tensors]
            _run(interpreter, signature.signatureKey.decode(), canvas)
            _fix(graph, number, model, shapes_only, interpreter)
            name = signature_name(canvas, len(source.inputs) > 1)
            made.signatureKey = graph.name = name
            made.subgraphIndex = len(model.subgraphs)
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


def _open(content: bytes) -> Interpreter:
    # The reference kernels keep each tensor; a delegate would fuse some away.
    return Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
        num_threads=2,
    )


def _run(interpreter: Interpreter, key: str, canvas: Size) -> None:
    runner = interpreter.get_signature_runner(key)
    zeros = {
        name: np.zeros([1, *canvas, int(entry["shape"][3])], entry["dtype"])
        for name, entry in runner.get_input_details().items()
    }
    runner(**zeros)


def _fix(
    graph: Any, number: int, model: Any, shapes_only: set[int], run: Interpreter
) -> None:
    for at, tensor in enumerate(graph.tensors):
        tensor.shapeSignature = None
        if at in shapes_only:
            value = run.get_tensor(at, number)
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(value.tobytes(), np.uint8)
            tensor.buffer = len(model.buffers)
            tensor.shape = list(value.shape)
            model.buffers.append(buffer)
        else:
            details = run._get_tensor_details(at, number)
            tensor.shape = [int(side) for side in details["shape"]]
    graph.operators = [
        operator
        for operator in graph.operators
        if not set(operator.outputs) <= shapes_only
    ]
