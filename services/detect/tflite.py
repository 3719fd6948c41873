"""Reads the parts of a TFLite file that a convolutional network needs, straight from its flatbuffer tables."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers.number_types as ft
import numpy as np
from flatbuffers.table import Table
from numpy.typing import NDArray

_DTYPES: dict[int, np.dtype[Any]] = {0: np.dtype(np.float32), 1: np.dtype(np.float16), 2: np.dtype(np.int32)}
_OPERATORS = {
    0: "ADD",
    2: "CONCATENATION",
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    6: "DEQUANTIZE",
    17: "MAX_POOL_2D",
    19: "RELU",
    22: "RESHAPE",
    23: "RESIZE_BILINEAR",
    34: "PAD",
}
_SAME = 0
_ACTIVATIONS = {0: "", 3: "RELU6"}
# Place of the fused activation among the options of a convolution: a depthwise one has its multiplier before it.
_ACTIVATION_SLOT = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 4}


class UnknownLayout(Exception):
    """The file holds something that this reader does not know."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's shape, and its values where the file holds them."""

    shape: tuple[int, ...]
    data: NDArray[Any] | None


@dataclass(frozen=True, slots=True)
class Operator:
    """One step of the graph; inputs and outputs are numbers of tensors."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    stride: tuple[int, int] = (1, 1)
    activation: str = ""
    half_pixel_centers: bool = False


@dataclass(frozen=True, slots=True)
class Network:
    """A file's first graph."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_network(data: bytes) -> Network:
    """The network in a .tflite file. Raises UnknownLayout."""
    model = _Node(Table(data, int.from_bytes(data[:4], "little")))
    buffers = [buffer.array(0, np.dtype(np.uint8)) for buffer in model.nodes(4)]
    codes = [max(code.number(0, ft.Int8Flags), code.number(3, ft.Int32Flags)) for code in model.nodes(1)]
    graph = next(model.nodes(2))
    tensors = tuple(_tensor(node, buffers) for node in graph.nodes(0))
    operators = tuple(_operator(node, codes, tensors) for node in graph.nodes(3))
    return Network(tensors, operators, graph.numbers(1), graph.numbers(2))


def _tensor(node: "_Node", buffers: list[NDArray[Any]]) -> Tensor:
    shape = node.numbers(0)
    kind = node.number(1, ft.Int8Flags)
    if kind not in _DTYPES:
        raise UnknownLayout(f"a tensor of type {kind}")
    raw = buffers[node.number(2, ft.Uint32Flags)]
    return Tensor(shape, raw.view(_DTYPES[kind]).reshape(shape) if raw.size else None)


def _operator(node: "_Node", codes: list[int], tensors: Sequence[Tensor]) -> Operator:
    code = codes[node.number(0, ft.Uint32Flags)]
    if code not in _OPERATORS:
        raise UnknownLayout(f"operator number {code}")
    kind, inputs, outputs = _OPERATORS[code], node.numbers(1), node.numbers(2)
    if kind == "RESIZE_BILINEAR":
        return Operator(kind, inputs, outputs, half_pixel_centers=bool(node.node(4).number(3, ft.BoolFlags)))
    if kind not in _ACTIVATION_SLOT:
        return Operator(kind, inputs, outputs)
    options = node.node(4)
    activation = options.number(_ACTIVATION_SLOT[kind], ft.Int8Flags)
    # To a kernel of one pixel all paddings are the same.
    padded = options.number(0, ft.Int8Flags) == _SAME or tensors[inputs[1]].shape[1:3] == (1, 1)
    if not padded or activation not in _ACTIVATIONS:
        raise UnknownLayout(f"{kind} with other padding than SAME or activation {activation}")
    stride = (options.number(2, ft.Int32Flags), options.number(1, ft.Int32Flags))
    return Operator(kind, inputs, outputs, stride, _ACTIVATIONS[activation])


class _Node:
    """A flatbuffer table whose fields are found by their slot in the schema."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def number(self, slot: int, flags: type) -> int:
        offset = self._offset(slot)
        return int(self._table.Get(flags, self._table.Pos + offset)) if offset else 0

    def numbers(self, slot: int) -> tuple[int, ...]:
        return tuple(self.array(slot, np.dtype(np.int32)).tolist())

    def array(self, slot: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        offset = self._offset(slot)
        if not offset:
            return np.zeros(0, dtype)
        count, start = self._table.VectorLen(offset), self._table.Vector(offset)
        return np.frombuffer(self._table.Bytes, dtype, count, start)

    def node(self, slot: int) -> "_Node":
        offset = self._offset(slot)
        return _Node(Table(self._table.Bytes, self._table.Indirect(self._table.Pos + offset)))

    def nodes(self, slot: int) -> Iterator["_Node"]:
        offset = self._offset(slot)
        start = self._table.Vector(offset) if offset else 0
        for i in range(self._table.VectorLen(offset) if offset else 0):
            yield _Node(Table(self._table.Bytes, self._table.Indirect(start + 4 * i)))

    def _offset(self, slot: int) -> int:
        return int(self._table.Offset(4 + 2 * slot))
