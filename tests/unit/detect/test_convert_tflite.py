"""The TFLite reader and converter, on a small network written with the flatbuffer builder."""

from collections.abc import Sequence

import flatbuffers
import numpy as np
import pytest

from services.detect.convert_tflite import convert_ssd
from services.detect.onnx_runtime import OnnxSession
from services.detect.tflite import UnknownLayout, read_network

_FLOAT32, _FLOAT16, _INT32 = 0, 1, 2
_CODES = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 4,
    "DEQUANTIZE": 6,
    "RESHAPE": 22,
    "ADD": 0,
    "CONCATENATION": 2,
    "SOFTMAX": 25,
}
_RELU6 = 3


class Writer:
    """Writes the tables of a .tflite file that the reader looks at, by slot as in the published schema."""

    def __init__(self) -> None:
        self.tensors: list[tuple[Sequence[int], int, bytes]] = []
        self.operators: list[tuple[str, Sequence[int], Sequence[int], tuple[int, int] | None]] = []

    def tensor(self, shape: Sequence[int], data: np.ndarray | None = None) -> int:
        kind = _FLOAT32 if data is None else {"float16": _FLOAT16, "int32": _INT32}[data.dtype.name]
        self.tensors.append((shape, kind, b"" if data is None else data.tobytes()))
        return len(self.tensors) - 1

    def weights(self, values: np.ndarray) -> int:
        """A half-precision constant and the operator that widens it."""
        stored = self.tensor(values.shape, values.astype(np.float16))
        wide = self.tensor(values.shape)
        self.operator("DEQUANTIZE", [stored], [wide])
        return wide

    def operator(
        self, kind: str, inputs: Sequence[int], outputs: Sequence[int], options: tuple[int, int] | None = None
    ) -> None:
        """`options`: stride and activation of a convolution."""
        self.operators.append((kind, inputs, outputs, options))

    def file(self, inputs: Sequence[int], outputs: Sequence[int], padding: int = 0) -> bytes:
        b = flatbuffers.Builder(1024)
        buffers = [self._table(b, {0: ("offset", b.CreateByteVector(data))}) for _, _, data in self.tensors]
        kinds = sorted({kind for kind, *_ in self.operators})
        codes = [self._table(b, {0: ("int8", _CODES[kind]), 3: ("int32", _CODES[kind])}) for kind in kinds]
        tensors = [
            self._table(b, {0: ("offset", self._numbers(b, shape)), 1: ("int8", kind), 2: ("uint32", i)})
            for i, (shape, kind, _) in enumerate(self.tensors)
        ]
        operators = []
        for kind, ins, outs, options in self.operators:
            fields = {
                0: ("uint32", kinds.index(kind)),
                1: ("offset", self._numbers(b, ins)),
                2: ("offset", self._numbers(b, outs)),
            }
            if options is not None:
                stride, activation = options
                slot = 4 if kind == "DEPTHWISE_CONV_2D" else 3
                table = {0: ("int8", padding), 1: ("int32", stride), 2: ("int32", stride), slot: ("int8", activation)}
                fields[4] = ("offset", self._table(b, table))
            operators.append(self._table(b, fields))
        graph = self._table(
            b,
            {
                0: ("offset", self._offsets(b, tensors)),
                1: ("offset", self._numbers(b, inputs)),
                2: ("offset", self._numbers(b, outputs)),
                3: ("offset", self._offsets(b, operators)),
            },
        )
        fields = {1: codes, 2: [graph], 4: buffers}
        b.Finish(self._table(b, {slot: ("offset", self._offsets(b, items)) for slot, items in fields.items()}))
        return bytes(b.Output())

    @staticmethod
    def _table(b: flatbuffers.Builder, fields: dict[int, tuple[str, int]]) -> int:
        b.StartObject(6)
        for slot, (kind, value) in fields.items():
            match kind:
                case "offset":
                    b.PrependUOffsetTRelativeSlot(slot, value, 0)
                case "int8":
                    b.PrependInt8Slot(slot, value, 0)
                case "int32":
                    b.PrependInt32Slot(slot, value, 0)
                case "uint32":
                    b.PrependUint32Slot(slot, value, 0)
        return b.EndObject()

    @staticmethod
    def _numbers(b: flatbuffers.Builder, numbers: Sequence[int]) -> int:
        return b.CreateNumpyVector(np.array(numbers, np.int32))

    @staticmethod
    def _offsets(b: flatbuffers.Builder, offsets: Sequence[int]) -> int:
        b.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            b.PrependUOffsetTRelative(offset)
        return b.EndVector()


_RNG = np.random.default_rng(2)
_STEM, _STEM_BIAS = _RNG.normal(size=(4, 1, 1, 3)), _RNG.normal(size=4) + 5
_DEPTH, _DEPTH_BIAS = _RNG.normal(size=(1, 1, 1, 4)), _RNG.normal(size=4)
_HEAD, _HEAD_BIAS = _RNG.normal(size=(6, 1, 1, 4)), _RNG.normal(size=6)


def _network() -> Writer:
    """Pointwise stem with RELU6, depthwise, a residual Add, a head flattened to rows of 3, and a second copy of it."""
    w = Writer()
    image, stem, depth, added, head = (w.tensor((1, 4, 4, c)) for c in (3, 4, 4, 4, 6))
    flat, both, out = w.tensor((1, 32, 1, 3)), w.tensor((1, 64, 1, 3)), w.tensor((1, 64, 3))
    shape = w.tensor((3,), np.array([1, -1, 3], np.int32))
    w.operator("CONV_2D", [image, w.weights(_STEM), w.weights(_STEM_BIAS)], [stem], (1, _RELU6))
    w.operator("DEPTHWISE_CONV_2D", [stem, w.weights(_DEPTH), w.weights(_DEPTH_BIAS)], [depth], (1, 0))
    w.operator("ADD", [stem, depth], [added])
    w.operator("CONV_2D", [added, w.weights(_HEAD), w.weights(_HEAD_BIAS)], [head], (1, 0))
    w.operator("RESHAPE", [head, shape], [flat])
    w.operator("CONCATENATION", [flat, flat], [both])
    w.operator("RESHAPE", [both, shape], [out])
    w.ends = ((image,), (out,))
    return w


def _expected(images: np.ndarray) -> np.ndarray:
    def half(values: np.ndarray) -> np.ndarray:
        return values.astype(np.float16).astype(np.float32)

    pixels = images.astype(np.float32) / 127.5 - 1
    stem = np.clip(pixels @ half(_STEM)[:, 0, 0].T + half(_STEM_BIAS), 0, 6)
    added = stem + stem * half(_DEPTH)[0, 0, 0] + half(_DEPTH_BIAS)
    flat = (added @ half(_HEAD)[:, 0, 0].T + half(_HEAD_BIAS)).reshape(len(images), -1, 3)
    return np.concatenate([flat, flat], axis=1)


def test_the_onnx_file_computes_what_the_tflite_file_means() -> None:
    w = _network()
    session = OnnxSession(convert_ssd(w.file(*w.ends), ["boxes"]))
    for n in (1, 3):
        images = _RNG.integers(0, 256, (n, 4, 4, 3)).astype(np.uint8)
        (ours,) = session.run(("boxes",), images, 5)
        assert np.allclose(ours, _expected(images), atol=1e-4)


def test_a_convolution_with_other_padding_is_refused_unless_it_needs_none() -> None:
    w = _network()
    read_network(w.file(*w.ends, padding=1))
    wide = w.weights(_RNG.normal(size=(4, 3, 3, 3)))
    w.operator("CONV_2D", [w.ends[0][0], wide, w.weights(_STEM_BIAS)], [w.tensor((1, 2, 2, 4))], (1, 0))
    with pytest.raises(UnknownLayout, match="padding"):
        read_network(w.file(*w.ends, padding=1))


def test_an_unknown_operator_is_refused() -> None:
    w = _network()
    w.operator("SOFTMAX", [0], [1])
    with pytest.raises(UnknownLayout, match="operator number 25"):
        read_network(w.file(*w.ends))
