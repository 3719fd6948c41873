"""Makes the stored ONNX files from the published ones: same results, less work, one kind of input.

Every stored model takes `images`, (n, height, width, 3) uint8 RGB, which is a quarter of the bytes of float32 on the
wire to a model server. The edits are exact and deterministic, so that the catalogue can pin the result's hash.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import resources

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from services.detect.convert_tflite import convert_grid, convert_ssd
from services.detect.fold import fold
from services.detect.quantise import Ranges, quantise

_PIXELS = "pixels"
_PPOCR_MEAN, _PPOCR_DEVIATION = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
"""Of ImageNet, taken for R, G and B though stated for B, G and R: so the network was trained. With the half of all
brightness, as its package calls it, it finds .62 of the words of the street pictures instead of .76."""


def convert_centerface(source: bytes) -> bytes:
    """CenterFace in 8 bits with free picture size, without its landmarks."""
    model = float_centerface(source)
    quantise(model, _ranges("centerface"), _PIXELS)
    return _serialise(model)


def float_centerface(source: bytes) -> onnx.ModelProto:
    """CenterFace as published but for its free picture size and its inputs and outputs.

    The published graph lists its weights as inputs and fixes the shape, so ONNX Runtime may not fold them: with free
    shape and constant weights a run takes less than half the time.
    """
    model = onnx.load_from_string(source)
    _take_uint8(model.graph, "input.1")
    _rename_outputs(model.graph, {"537": ("heatmap", 1), "538": ("size", 2), "539": ("offset", 2)})
    _as_opset_13(model)
    return model


def convert_clp_det(source: bytes) -> bytes:
    """clp_det for RGB with its large convolutions in 8 bits, without the plates' corners.

    Only these gain: its many thin layers are faster in floats.
    """
    model = float_clp_det(source)
    quantise(model, _ranges("clp_det"))
    return _serialise(model)


def float_clp_det(source: bytes) -> onnx.ModelProto:
    """clp_det as published but for RGB instead of BGR, its mean inside, and its inputs and outputs."""
    model = onnx.load_from_string(source)
    graph = model.graph
    _rgb_weights(graph, "image")
    _take_uint8(graph, "image", mean=(123, 117, 104))
    _rename_outputs(graph, {"loc": ("loc", 4), "conf": ("conf", 2)})
    _as_opset_13(model)
    return model


def convert_ppocr_det(source: bytes) -> bytes:
    """PP-OCRv4's detector for bytes in RGB instead of normalised BGR, its constants as weights."""
    model = onnx.load_from_string(source)
    graph = model.graph
    _constants_to_weights(graph)
    fold(model)
    _rgb_weights(graph, "x", _PPOCR_DEVIATION)
    _take_uint8(graph, "x", mean=_PPOCR_MEAN)
    _rename_outputs(graph, {"sigmoid_0.tmp_0": ("text", 1)})
    _as_opset_13(model)
    return _serialise(model)


CONVERTERS: Mapping[str, Callable[[bytes], bytes]] = {
    "blazeface_full": lambda source: convert_grid(source, ("boxes", "scores")),
    "centerface": convert_centerface,
    "clp_det": convert_clp_det,
    "ppocr_det": convert_ppocr_det,
    "ssd_mobilenetv2_oidv4": lambda source: convert_ssd(source, ("box_encodings", "class_predictions")),
}


def _constants_to_weights(graph: onnx.GraphProto) -> None:
    """Takes Constant nodes for what they are."""
    nodes = list(graph.node)
    for node in nodes:
        if node.op_type == "Constant":
            graph.initializer.append(node.attribute[0].t)
            graph.initializer[-1].name = node.output[0]
    del graph.node[:]
    graph.node.extend(node for node in nodes if node.op_type != "Constant")


def _rgb_weights(graph: onnx.GraphProto, pixels: str, deviation: Sequence[float] = (1, 1, 1)) -> None:
    """Turns the convolution that reads BGR from `pixels`, divided by `deviation`, into one for RGB as it is."""
    first = next(node for node in graph.node if pixels in node.input)
    weights = next(tensor for tensor in graph.initializer if tensor.name == first.input[1])
    swapped = numpy_helper.to_array(weights)[:, ::-1] / np.array(deviation, np.float32).reshape(1, 3, 1, 1)
    weights.CopyFrom(numpy_helper.from_array(swapped, weights.name))


def _take_uint8(graph: onnx.GraphProto, old: str, mean: Sequence[float] | None = None) -> None:
    """Puts the turn from NHWC bytes to NCHW floats in front of everything that read the input `old`."""
    front = [
        helper.make_node("Transpose", ["images"], ["images_nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["images_nchw"], [_PIXELS], to=TensorProto.FLOAT),
    ]
    pixels = _PIXELS
    if mean is not None:
        graph.initializer.append(numpy_helper.from_array(np.array(mean, np.float32).reshape(1, 3, 1, 1), "mean"))
        front.append(helper.make_node("Sub", [_PIXELS, "mean"], ["centred"]))
        pixels = "centred"
    for node in graph.node:
        node.input[:] = [pixels if name == old else name for name in node.input]
    nodes = front + list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", "height", "width", 3]))


def _rename_outputs(graph: onnx.GraphProto, wanted: Mapping[str, tuple[str, int]]) -> None:
    """Keeps the `wanted` outputs under a new name and drops the nodes that only the others needed."""
    needed = set(wanted)
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            node.output[:] = [wanted[name][0] if name in wanted else name for name in node.output]
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    used = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(used)
    channels_last = "conf" in wanted
    del graph.output[:]
    for name, channels in wanted.values():
        shape: list[str | int | None] = (
            ["n", "boxes", channels] if channels_last else ["n", channels, "rows", "columns"]
        )
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    del graph.value_info[:]


def _as_opset_13(model: onnx.ModelProto) -> None:
    """States opset 13, which quantised models need; of the operators used, only Unsqueeze is written differently."""
    for node in model.graph.node:
        if node.op_type == "Unsqueeze" and node.attribute:
            (axes,) = node.attribute
            name = f"{node.output[0]}.axes"
            model.graph.initializer.append(numpy_helper.from_array(np.array(axes.ints, np.int64), name))
            node.input.append(name)
            del node.attribute[:]
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", 13))
    model.ir_version = 8


def _ranges(model: str) -> Ranges:
    text = resources.files("services.detect").joinpath(f"{model}-ranges.yaml").read_text(encoding="utf-8")
    return {name: (low, high) for name, (low, high) in yaml.safe_load(text).items()}


def _serialise(model: onnx.ModelProto) -> bytes:
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)
