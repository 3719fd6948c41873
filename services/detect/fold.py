"""Makes a float network do less for the same result: what follows or precedes a convolution by a number goes into it.

Networks exported with learned scales and hard-swish steps spend half their time on those. Each edit is exact but for
rounding, and every sum is rounded once, so that all machines make the same file.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

_LEAST_SCALE = 1e-3
"""By smaller ones nothing is divided."""


def fold(model: onnx.ModelProto) -> None:
    """Rewrites the model, whose constants are all weights, in place."""
    folder = _Folder(model.graph)
    folder.numbers_behind_convolutions()
    folder.hard_swishes()
    folder.gates()
    folder.numbers_before_convolutions()
    folder.write()


class _Folder:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._nodes: list[onnx.NodeProto] = list(graph.node)
        self._values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}

    def numbers_behind_convolutions(self) -> None:
        """Conv · a + b becomes one Conv, where nothing else reads the steps in between."""
        uses = self._uses()
        convolutions: dict[str, onnx.NodeProto] = {}
        kept = []
        for node in self._nodes:
            name, number = self._number(node)
            conv = convolutions.get(name) if uses[name] == 1 else None
            if conv is None or number is None:
                kept.append(node)
                if node.op_type == "Conv":
                    convolutions[node.output[0]] = node
                continue
            if node.op_type == "Mul":
                self._change(conv, scale=number)
            else:
                self._add_to_bias(conv, np.full(len(self._values[conv.input[1]]), number, np.float32))
            conv.output[0] = node.output[0]
            convolutions[conv.output[0]] = conv
        self._nodes = kept

    def hard_swishes(self) -> None:
        """A hard swish, x · clip(x + 3, 0, 6) / 6, becomes x · HardSigmoid(x)."""
        made_by = {node.output[0]: node for node in self._nodes}
        gone: set[str] = set()
        for last in self._nodes:
            product = made_by.get(self._number(last)[0]) if last.op_type == "Div" else None
            if product is None or product.op_type != "Mul":
                continue
            x, name = product.input
            clip = made_by[name]
            shifted = made_by[clip.input[0]]
            numbers = [self._number(shifted)[1], *(float(self._values[bound]) for bound in clip.input[1:])]
            if (
                clip.op_type != "Clip"
                or self._number(shifted)[0] != x
                or [*numbers, self._number(last)[1]] != [3, 0, 6, 6]
            ):
                continue
            clip.CopyFrom(helper.make_node("HardSigmoid", [x], [name], alpha=1 / 6, beta=0.5))
            gone |= {shifted.output[0], last.output[0]}
            product.output[0] = last.output[0]
        self._nodes = [node for node in self._nodes if node.output[0] not in gone or node.op_type == "Mul"]

    def gates(self) -> None:
        """A gate, x + x · gate, becomes x · (gate + 1): it is one number for each channel."""
        uses, made_by = self._uses(), {node.output[0]: node for node in self._nodes}
        nodes: list[onnx.NodeProto] = []
        for node in self._nodes:
            mul = made_by.get(node.input[1]) if node.op_type == "Add" else None
            if mul is not None and mul.op_type == "Mul" and mul.input[0] == node.input[0] and uses[mul.output[0]] == 1:
                gate = f"{mul.input[1]}.more"
                one = self._constant(f"{gate}.one", np.float32(1))
                nodes.remove(mul)
                nodes.append(helper.make_node("Add", [mul.input[1], one], [gate]))
                nodes.append(helper.make_node("Mul", [node.input[0], gate], [node.output[0]]))
            else:
                nodes.append(node)
        self._nodes = nodes

    def numbers_before_convolutions(self) -> None:
        """Conv(x · a + b) becomes Conv(x + b / a), or Conv(x) where no border of zeros stands in the way."""
        uses, made_by = self._uses(), {node.output[0]: node for node in self._nodes}
        renamed: dict[str, str] = {}
        gone: set[str] = set()
        for add in self._nodes:
            scaled, shift = self._number(add)
            mul = made_by.get(scaled)
            x, scale = self._number(mul) if mul is not None else ("", None)
            if add.op_type != "Add" or mul is None or mul.op_type != "Mul" or uses[scaled] != 1:
                continue
            readers = [node for node in self._nodes if add.output[0] in node.input]
            if shift is None or scale is None or abs(scale) < _LEAST_SCALE:
                continue
            if not all(node.op_type == "Conv" and uses[node.input[1]] == 1 for node in readers):
                continue
            if any(_is_padded(node) for node in readers):
                add.input[:] = [x, self._constant(f"{add.output[0]}.shift", np.float32(shift / scale))]
            else:
                for node in readers:
                    kernel = self._values[node.input[1]]
                    sums = [math.fsum(row.ravel().tolist()) for row in kernel]
                    self._add_to_bias(node, np.array([shift * total for total in sums], np.float32))
                renamed[add.output[0]] = x
                gone.add(add.output[0])
            for node in readers:
                self._change(node, scale=scale, bias=False)
            gone.add(scaled)
        self._nodes = [node for node in self._nodes if node.output[0] not in gone]
        for node in self._nodes:
            node.input[:] = [renamed.get(name, name) for name in node.input]

    def write(self) -> None:
        """Puts nodes and constants back into the graph."""
        used = {name for node in self._nodes for name in node.input}
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)
        del self._graph.initializer[:]
        self._graph.initializer.extend(
            numpy_helper.from_array(value, name) for name, value in self._values.items() if name in used
        )

    def _uses(self) -> Mapping[str, int]:
        outputs = (output.name for output in self._graph.output)
        return Counter([*(name for node in self._nodes for name in node.input), *outputs])

    def _number(self, node: onnx.NodeProto) -> tuple[str, float | None]:
        """The tensor and the one number that a Mul, Add or Div is made of; None where it is not made of these."""
        if node.op_type in ("Mul", "Add", "Div"):
            for name, other in (node.input, reversed(node.input)):
                value = self._values.get(other)
                if value is not None and value.size == 1:
                    return name, float(value.ravel()[0])
        return "", None

    def _change(self, conv: onnx.NodeProto, scale: float, *, bias: bool = True) -> None:
        for name in conv.input[1:] if bias else conv.input[1:2]:
            self._values[name] = self._values[name] * np.float32(scale)

    def _add_to_bias(self, conv: onnx.NodeProto, added: NDArray[np.float32]) -> None:
        if len(conv.input) == 2:
            conv.input.append(self._constant(f"{conv.output[0]}.bias", np.zeros_like(added)))
        self._values[conv.input[2]] = self._values[conv.input[2]] + added

    def _constant(self, name: str, value: NDArray[np.float32] | np.float32) -> str:
        self._values[name] = np.asarray(value)
        return name


def _is_padded(conv: onnx.NodeProto) -> bool:
    pads: Sequence[int] = next((attribute.ints for attribute in conv.attribute if attribute.name == "pads"), ())
    return any(pads)
