"""Folding numbers into convolutions changes how much is computed, not what comes out."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from services.detect.fold import fold

_RNG = np.random.default_rng(11)


def _model(nodes: list[onnx.NodeProto], output: str, weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    constants = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()]
    shown = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)]
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 16, 16])]
    graph = helper.make_graph(nodes, "tiny", given, shown, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def _run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (out,) = session.run(None, {"x": x})
    return np.asarray(out)


def _swish(x: str, out: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Add", [x, "three"], [f"{out}.a"]),
        helper.make_node("Clip", [f"{out}.a", "zero", "six"], [f"{out}.c"]),
        helper.make_node("Mul", [x, f"{out}.c"], [f"{out}.m"]),
        helper.make_node("Div", [f"{out}.m", "six"], [out]),
    ]


_NUMBERS = {"three": 3.0, "zero": 0.0, "six": 6.0, "s": [1.7], "t": [-0.4], "u": [0.6], "v": [0.9]}


def _block(pad: int) -> list[onnx.NodeProto]:
    """Conv, times s, plus t, hard swish, times u, plus v, Conv: as PP-OCR's backbone repeats it."""
    return [
        helper.make_node("Conv", ["x", "k1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Mul", ["s", "c1"], ["m1"]),
        helper.make_node("Add", ["m1", "t"], ["a1"]),
        *_swish("a1", "h"),
        helper.make_node("Mul", ["u", "h"], ["m2"]),
        helper.make_node("Add", ["m2", "v"], ["a2"]),
        helper.make_node("Conv", ["a2", "k2", "b2"], ["y"], pads=[pad] * 4),
    ]


_KERNELS = {
    "k1": _RNG.normal(size=(4, 4, 3, 3)),
    "k2": _RNG.normal(size=(2, 4, 3, 3)),
    "b2": _RNG.normal(size=2),
}


@pytest.mark.parametrize(("pad", "left"), [(0, 4), (1, 5)])
def test_a_block_says_the_same_with_half_its_steps(pad: int, left: int) -> None:
    model = _model(_block(pad), "y", _NUMBERS | _KERNELS)
    x = _RNG.normal(size=(1, 4, 16, 16)).astype(np.float32)
    before = _run(model, x)
    fold(model)
    assert len(model.graph.node) == left, [node.op_type for node in model.graph.node]
    assert np.allclose(_run(model, x), before, atol=1e-4)


def test_a_gate_is_added_to_itself_and_not_to_the_picture() -> None:
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["g"]),
        helper.make_node("HardSigmoid", ["g"], ["gate"]),
        helper.make_node("Mul", ["x", "gate"], ["m"]),
        helper.make_node("Add", ["x", "m"], ["y"]),
    ]
    model = _model(nodes, "y", {})
    x = _RNG.normal(size=(1, 4, 16, 16)).astype(np.float32)
    before = _run(model, x)
    fold(model)
    assert [node.op_type for node in model.graph.node] == ["GlobalAveragePool", "HardSigmoid", "Add", "Mul"]
    assert np.allclose(_run(model, x), before, atol=1e-6)


def test_what_another_step_reads_too_is_left_alone() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "k1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Mul", ["s", "c1"], ["m1"]),
        helper.make_node("Add", ["c1", "m1"], ["y"]),
    ]
    model = _model(nodes, "y", _NUMBERS | _KERNELS)
    x = _RNG.normal(size=(1, 4, 16, 16)).astype(np.float32)
    before = _run(model, x)
    fold(model)
    assert len(model.graph.node) == 3
    assert np.allclose(_run(model, x), before, atol=1e-6)
