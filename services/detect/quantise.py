"""Turns a float network into an 8-bit one: weights rounded here, activations by the ranges measured beforehand.

The result holds QuantizeLinear and DequantizeLinear around every quantised step, which runtimes melt into integer
kernels. Everything is elementwise arithmetic on the same numbers, so every machine makes the same file.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Ranges = Mapping[str, tuple[float, float]]
"""Least and greatest value of an activation, by the tensor's name."""

_WEIGHT_MAX = 64
"""Weights keep seven bits: processors without VNNI add pairs of products in 16 bits, and eight would overflow there."""


def quantise(model: onnx.ModelProto, ranges: Ranges, pixels: str = "") -> None:
    """Rewrites the model in place.

    A convolution becomes an integer one if what it reads and its result, or that of the Relu behind it, have a range;
    the others stay.

    Args:
        model: float network of opset 13 or later.
        ranges: of the tensors that are to be quantised.
        pixels: name of the Cast node's output that turns the picture's bytes into floats, if a quantised convolution
            reads it: it becomes a dequantisation.
    """
    graph = model.graph
    quantiser = _Quantiser(graph, ranges)
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.output[0] == pixels:
            nodes += quantiser.pixels(node)
        else:
            nodes += quantiser.step(node)
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    constants = [tensor for tensor in graph.initializer if tensor.name in used] + quantiser.constants
    del graph.initializer[:]
    graph.initializer.extend(constants)


class _Quantiser:
    def __init__(self, graph: onnx.GraphProto, ranges: Ranges) -> None:
        self.constants: list[onnx.TensorProto] = []
        self._ranges = ranges
        self._weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        uses = Counter(name for node in graph.node for name in node.input)
        # A Relu behind a convolution needs no step of its own: its range begins at 0, and quantising cuts off below.
        convolved = {node.output[0] for node in graph.node if node.op_type == "Conv"}
        self._melted = {
            node.input[0]: node.output[0]
            for node in graph.node
            if node.op_type == "Relu"
            and node.input[0] in convolved
            and uses[node.input[0]] == 1
            and node.output[0] in ranges
        }
        self._scales: dict[str, np.float32] = {}

    def pixels(self, cast: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Bytes are quantised numbers already, of scale 1."""
        name = cast.output[0]
        self._scales[name] = np.float32(1)
        return [self._dequantise(cast.input[0], name, np.float32(1), np.uint8(0))]

    def step(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The nodes that take the place of `node`."""
        if node.op_type == "Relu" and node.input[0] in self._melted:
            return []
        result = self._melted.get(node.output[0], node.output[0])
        if result not in self._ranges:
            return [node]
        integer = node.op_type == "Conv" and node.input[0] in self._scales
        before = self._integer_weights(node) if integer else []
        node.output[0] = f"{result}.float"
        low, high = self._ranges[result]
        scale = np.float32((high - low) / 255)
        zero = np.uint8(np.rint(-low / scale))
        self._scales[result] = scale
        constants = self._scale_and_zero(result, scale, zero)
        return [
            *before,
            node,
            helper.make_node("QuantizeLinear", [node.output[0], *constants], [f"{result}.bytes"]),
            helper.make_node("DequantizeLinear", [f"{result}.bytes", *constants], [result]),
        ]

    def _integer_weights(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Makes the convolution's weights and bias integers, each output channel with its own scale."""
        source, weight, bias = node.input
        kernel = self._weights[weight]
        greatest = np.abs(kernel).reshape(len(kernel), -1).max(axis=1)
        scale = (np.maximum(greatest, np.float32(1e-8)) / np.float32(_WEIGHT_MAX)).astype(np.float32)
        whole = np.rint(kernel / scale[:, None, None, None]).astype(np.int8)
        sum_scale = (scale * self._scales[source]).astype(np.float32)
        whole_bias = np.rint(self._weights[bias] / sum_scale).astype(np.int32)
        node.input[1:] = [f"{weight}.float", f"{bias}.float"]
        return [
            self._dequantise(
                self._constant(f"{weight}.bytes", whole), node.input[1], scale, np.zeros_like(scale, np.int8)
            ),
            self._dequantise(
                self._constant(f"{bias}.whole", whole_bias),
                node.input[2],
                sum_scale,
                np.zeros_like(sum_scale, np.int32),
            ),
        ]

    def _dequantise(
        self, source: str, name: str, scale: NDArray[np.float32] | np.float32, zero: NDArray[Any] | np.generic
    ) -> onnx.NodeProto:
        constants = self._scale_and_zero(name, scale, zero)
        # One scale for each output channel lies along axis 0, of weights and bias alike.
        along: dict[str, Any] = {"axis": 0} if np.ndim(scale) else {}
        return helper.make_node("DequantizeLinear", [source, *constants], [name], **along)

    def _scale_and_zero(
        self, name: str, scale: NDArray[np.float32] | np.float32, zero: NDArray[Any] | np.generic
    ) -> Sequence[str]:
        return self._constant(f"{name}.scale", scale), self._constant(f"{name}.zero", zero)

    def _constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name
