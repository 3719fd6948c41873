"""Writes the ONNX file: UINT8 pictures in, scores and boxes' sides out, batch normalisation inside the weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from deploy.models.train.architecture import Conv, Shape, run
from services.detect.cells import STRIDES

Weights = Mapping[str, NDArray[np.float32]]
"""`NAME.weight` (out, in, k, k) and `NAME.bias` (out,) of every convolution, for pixels between 0 and 1."""

PIXELS = "pixels"
"""The bytes as floats, which `services.detect.quantise` makes a dequantisation of."""


def build(shape: Shape, weights: Weights) -> onnx.ModelProto:
    """The network as an ONNX model of opset 13.

    Input `images` (n, height, width, 3) uint8 RGB, sides multiples of MULTIPLE. One output per kind, named after it:
    (n, 5, cells) float32, cells row by row, finest grid first: score 0–1, and the distance of the left, top, right and
    bottom side from the cell's centre in pixels.
    """
    graph = _Graph(weights)
    start = graph.pictures()
    answers = run(shape, graph, start)
    for kind, name in answers.items():
        graph.node("Identity", [name], kind)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "veil",
            [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", "height", "width", 3])],
            [helper.make_tensor_value_info(kind, TensorProto.FLOAT, ["n", 5, "cells"]) for kind in answers],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
        producer_name="veil",
    )
    onnx.checker.check_model(model)
    return model


class _Graph:
    """`architecture.Ops` that notes nodes; a map is its tensor's name."""

    def __init__(self, weights: Weights) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._weights = weights
        self._made: set[str] = set()

    def pictures(self) -> str:
        """The input as planes of floats 0–255; the stem's weights take them to 0–1."""
        self.node("Transpose", ["images"], "planes", perm=[0, 3, 1, 2])
        return self.node("Cast", ["planes"], PIXELS, to=TensorProto.FLOAT)

    def conv(self, conv: Conv, x: str) -> str:
        """The convolution and its Relu."""
        weight = self._weights[f"{conv.name}.weight"]
        if x == PIXELS:
            weight = weight / np.float32(255)
        names = [
            self._constant(f"{conv.name}.weight", weight),
            self._constant(f"{conv.name}.bias", self._weights[f"{conv.name}.bias"]),
        ]
        done = self.node(
            "Conv",
            [x, *names],
            f"{conv.name}.sum",
            kernel_shape=[conv.kernel] * 2,
            strides=[conv.stride] * 2,
            pads=[conv.padding] * 4,
            group=conv.inputs if conv.depthwise else 1,
        )
        return self.node("Relu", [done], conv.name) if conv.relu else done

    def double(self, x: str) -> str:
        """Each value four times."""
        scales = self._constant("double.scales", np.array([1, 1, 2, 2], np.float32))
        attributes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.node("Resize", [x, "", scales], f"{x}.double", **attributes)

    def add(self, a: str, b: str) -> str:
        """The sum."""
        return self.node("Add", [a, b], f"{a}.with")

    def answer(self, kind: str, levels: Sequence[str]) -> str:
        """Scores through a sigmoid, sides through softplus in cells, then times the stride: (n, 5, cells)."""
        flat = self._constant("flat", np.array([0, 5, -1], np.int64))
        parts = self._constant("parts", np.array([1, 4], np.int64))
        scores, sides = [], []
        for stride, level in zip(STRIDES, levels, strict=True):
            cells = self.node("Reshape", [level, flat], f"{level}.cells")
            names = [f"{level}.logit", f"{level}.side"]
            self.nodes.append(helper.make_node("Split", [cells, parts], names, axis=1))
            scores.append(names[0])
            positive = self.node("Softplus", [names[1]], f"{level}.positive")
            factor = self._constant(f"stride{stride}", np.array(stride, np.float32))
            sides.append(self.node("Mul", [positive, factor], f"{level}.pixels"))
        logit = self.node("Concat", scores, f"{kind}.logit", axis=2)
        score = self.node("Sigmoid", [logit], f"{kind}.score")
        side = self.node("Concat", sides, f"{kind}.sides", axis=2)
        return self.node("Concat", [score, side], f"{kind}.answer", axis=1)

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Notes a node with one output, whose name it returns."""
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        if name not in self._made:
            self._made.add(name)
            self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name
