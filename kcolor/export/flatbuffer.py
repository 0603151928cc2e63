"""The insides of a `.tflite` file: its operators, its parameters and kcolor's card.

Imports no TensorFlow: the schema comes with LiteRT.
"""

import collections
import json
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from kcolor.errors import DataError

CARD = "kcolor"  # Name of the metadata buffer; its content is UTF-8 JSON.
_OPERATORS = {
    value: name
    for name, value in vars(schema.BuiltinOperator).items()
    if not name.startswith("_")
}


class _AlignedBuffer(schema.BufferT):
    """A buffer that is packed at a multiple of 16, as the C++ writer does.

    The generated `Pack` aligns to one byte; SIMD kernels read weights in place.
    """

    def Pack(self, builder):  # noqa: N802 (the schema's name)
        data = None
        if self.data is not None:
            content = np.asarray(self.data, np.uint8).tobytes()
            builder.StartVector(1, len(content), 16)
            builder.head -= len(content)
            builder.Bytes[builder.head : builder.head + len(content)] = content
            data = builder.EndVector()
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


class _Builder(flatbuffers.Builder):
    """A builder that writes equal vectors once, as the C++ writer can.

    Zero points take 8 bytes a channel and are all 0, and graphs that share weights have
    the same scales: a sixth of an int8 file of two graphs.
    """

    def __init__(self, size):
        super().__init__(size)
        self._vectors = {}

    def CreateNumpyVector(self, x):  # noqa: N802 (the library's name)
        key = (x.dtype.str, x.tobytes())
        if key not in self._vectors:
            self._vectors[key] = super().CreateNumpyVector(x)
        return self._vectors[key]


def read(content: bytes) -> schema.ModelT:
    """Unpacks the bytes of a `.tflite` file.

    Args:
        content: Bytes of the file.

    Returns:
        The schema's `ModelT`.

    Raises:
        DataError: If the bytes are no TFLite file.
    """
    if bytes(content[4:8]) != b"TFL3":
        raise DataError("the file is not in TFLite's format")
    held = bytearray(content)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(held, 0))
    for buffer in model.buffers:
        # Some writers put constants behind the flatbuffer and leave their place here.
        if buffer.data is None and buffer.offset > 1:
            last = buffer.offset + buffer.size
            buffer.data = np.frombuffer(held[buffer.offset : last], np.uint8)
    return model


def write(model: schema.ModelT) -> bytes:
    """Packs a model into a file.

    Args:
        model: The schema's `ModelT`; its buffers are replaced by aligned ones.

    Returns:
        Bytes of the `.tflite` file.
    """
    for position, buffer in enumerate(model.buffers):
        aligned = _AlignedBuffer()
        aligned.data = buffer.data
        model.buffers[position] = aligned
    builder = _Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def operators(model: schema.ModelT) -> dict[str, int]:
    """Counts the operators of all subgraphs.

    Args:
        model: `ModelT`.

    Returns:
        Dict of name to count. A builtin operator has its name in capitals; a custom
        one, Flex operators among them, is `CUSTOM:` and its own name.
    """
    names = []
    for code in model.operatorCodes:
        # Files for old runtimes hold the code in the deprecated field alone.
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        name = _OPERATORS[number]
        if number == schema.BuiltinOperator.CUSTOM:
            name = f"CUSTOM:{(code.customCode or b'').decode()}"
        names.append(name)
    return dict(
        collections.Counter(
            names[operator.opcodeIndex]
            for graph in model.subgraphs
            for operator in graph.operators
        )
    )


def constant_bytes(model: schema.ModelT) -> int:
    """Returns how many bytes of constants the file holds."""
    return sum(len(b.data) for b in model.buffers if b.data is not None)


def add_card(model: schema.ModelT, card: dict[str, Any]) -> None:
    """Puts kcolor's card into a model, in place of an older one.

    Args:
        model: The schema's `ModelT`.
        card: Dict fit for JSON.
    """
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(json.dumps(card).encode(), np.uint8)
    entry = schema.MetadataT()
    entry.name = CARD
    entry.buffer = len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [
        m for m in model.metadata or [] if m.name not in (CARD, CARD.encode())
    ] + [entry]


def read_card(content: bytes) -> dict[str, Any]:
    """Reads kcolor's card out of the bytes of a `.tflite` file.

    Args:
        content: Bytes of the file.

    Returns:
        Dict, empty where the file has none.

    Raises:
        DataError: If the bytes are no TFLite file.
    """
    model = read(content)
    for entry in model.metadata or []:
        if entry.name == CARD.encode():
            return json.loads(bytes(model.buffers[entry.buffer].data))
    return {}
