"""Makes an ONNX graph of a TFLite detection network: fp16 weights widened, NHWC turned into NCHW, batch left free."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from services.detect.tflite import Network, Operator, Tensor, UnknownLayout, read_network

_OPSET = 13
_IR_VERSION = 8


def convert_ssd(source: bytes, outputs: Sequence[str]) -> bytes:
    """An ONNX file of an SSD network.

    Args:
        source: the .tflite file; its input is (1, side, side, 3), values -1 to 1.
        outputs: names for the file's outputs, each (n, priors, values).

    Returns:
        A file whose input is `images`, (n, side, side, 3) uint8 RGB.
    """
    network = read_network(source)
    side = network.tensors[network.inputs[0]].shape[1]
    return _convert(network, outputs, "ssd", (side, side))


def convert_grid(source: bytes, outputs: Sequence[str]) -> bytes:
    """An ONNX file of a network whose every layer is a convolution, so that it takes pictures of any size.

    Args:
        source: the .tflite file; its input is (1, side, side, 3), values -1 to 1.
        outputs: names for the file's outputs, each (n, cells, values), the cells row by row.

    Returns:
        A file whose input is `images`, (n, height, width, 3) uint8 RGB, both multiples of 32.
    """
    return _convert(read_network(source), outputs, "grid", ("height", "width"))


def _convert(network: Network, outputs: Sequence[str], name: str, size: tuple[int | str, int | str]) -> bytes:
    graph = _Graph(network)
    for operator in network.operators:
        graph.add(operator)
    for number, output in zip(network.outputs, outputs, strict=True):
        graph.node("Identity", [graph.values[number]], output)
    free = isinstance(size[0], str)
    made = helper.make_graph(
        graph.nodes,
        name,
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", *size, 3])],
        [
            helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", "cells" if free else shape[1], *shape[2:]])
            for output, shape in zip(outputs, [network.tensors[i].shape for i in network.outputs], strict=True)
        ],
        graph.constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


class _Graph:
    """The ONNX nodes made so far. `values` names the value that stands for each TFLite tensor; pictures are NCHW."""

    def __init__(self, network: Network) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.values: dict[int, str] = {}
        self._tensors = network.tensors
        self._weights: dict[int, NDArray[np.float32]] = {}
        self._grids: set[int] = set()
        self._low = self._constant("low", np.float32(0))
        self._high = self._constant("high", np.float32(6))
        self.node("Transpose", ["images"], "nchw", perm=[0, 3, 1, 2])
        self.node("Cast", ["nchw"], "pixels", to=TensorProto.FLOAT)
        self.node("Mul", ["pixels", self._constant("scale", np.float32(1 / 127.5))], "scaled")
        self.values[network.inputs[0]] = self.node("Sub", ["scaled", self._constant("one", np.float32(1))], "input")

    def add(self, operator: Operator) -> None:
        """Appends the nodes that do what `operator` does."""
        (output,) = operator.outputs
        name = f"t{output}"
        match operator.kind:
            case "DEQUANTIZE":
                self._weights[output] = _values(self._tensors[operator.inputs[0]]).astype(np.float32)
                return
            case "CONV_2D" | "DEPTHWISE_CONV_2D":
                self._convolution(operator, name)
                self._grids.add(output)
            case "ADD":
                self.node("Add", [self.values[i] for i in operator.inputs], name)
            case "RESHAPE":
                self._reshape(operator, name)
            case "CONCATENATION":
                self.node("Concat", [self.values[i] for i in operator.inputs], name, axis=1)
            case "RELU":
                self.node("Relu", [self.values[operator.inputs[0]]], name)
            case "MAX_POOL_2D":
                self._pool(operator, name)
            case "PAD":
                self._pad_channels(operator, name)
            case "RESIZE_BILINEAR":
                self._double(operator, name)
        self.values[output] = name

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Appends one node and returns its output's name."""
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def _convolution(self, operator: Operator, name: str) -> None:
        source, weight, bias = operator.inputs
        kernel = self._weights[weight]
        depthwise = operator.kind == "DEPTHWISE_CONV_2D"
        group = kernel.shape[3] if depthwise else 1
        kernel = kernel.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
        inputs = [
            self.values[source],
            self._constant(f"{name}.weight", kernel),
            self._constant(f"{name}.bias", self._weights[bias]),
        ]
        linear = f"{name}.linear" if operator.activation else name
        self.node("Conv", inputs, linear, auto_pad="SAME_UPPER", strides=operator.stride, group=group)
        if operator.activation:
            self.node("Clip", [linear, self._low, self._high], name)

    def _pool(self, operator: Operator, name: str) -> None:
        source, (output,) = operator.inputs[0], operator.outputs
        if not self._is_scaled(source, output, 0.5):
            raise UnknownLayout("a pooling that does not halve the picture")
        self.node("MaxPool", [self.values[source]], name, kernel_shape=[2, 2], strides=[2, 2])

    def _pad_channels(self, operator: Operator, name: str) -> None:
        source, margins = operator.inputs
        rows = _values(self._tensors[margins])
        if rows[:3].any() or rows[3, 0]:
            raise UnknownLayout("a margin around the picture")
        pads = self._constant(f"{name}.pads", np.array([0, 0, 0, 0, 0, rows[3, 1], 0, 0], np.int64))
        self.node("Pad", [self.values[source], pads], name)

    def _double(self, operator: Operator, name: str) -> None:
        source, (output,) = operator.inputs[0], operator.outputs
        if not self._is_scaled(source, output, 2) or not operator.half_pixel_centers:
            raise UnknownLayout("a resize that is not to double size, with pixels' centres at their halves")
        scales = self._constant(f"{name}.scales", np.array([1, 1, 2, 2], np.float32))
        self.node("Resize", [self.values[source], "", scales], name, mode="linear")

    def _is_scaled(self, source: int, output: int, by: float) -> bool:
        before, after = self._tensors[source].shape, self._tensors[output].shape
        return after[1:3] == (before[1] * by, before[2] * by)

    def _reshape(self, operator: Operator, name: str) -> None:
        """Flattens a head's grid into (n, priors, values); the grid is NHWC in the file's order."""
        source, (output,) = operator.inputs[0], operator.outputs
        value = self.values[source]
        if source in self._grids:
            value = self.node("Transpose", [value], f"{name}.nhwc", perm=[0, 2, 3, 1])
        shape = np.array([0, -1, self._tensors[output].shape[-1]], np.int64)
        self.node("Reshape", [value, self._constant(f"{name}.shape", shape)], name)

    def _constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name


def _values(tensor: Tensor) -> NDArray[Any]:
    if tensor.data is None:
        raise ValueError("a weight without values")
    return tensor.data
