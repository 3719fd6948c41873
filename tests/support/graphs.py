"""Tiny ONNX files for tests."""

from collections.abc import Sequence

import onnx
from onnx import TensorProto, helper


def serialise(
    nodes: Sequence[onnx.NodeProto], outputs: Sequence[str], constants: Sequence[onnx.TensorProto] = ()
) -> bytes:
    """A file whose input is `images`, (n, h, w, 3) uint8."""
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", "h", "w", 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        list(constants),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return model.SerializeToString()


def mean() -> bytes:
    """`mean`: the mean of each picture."""
    return serialise(
        [
            helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["floats"], ["mean"], axes=[1, 2, 3], keepdims=0),
        ],
        ["mean"],
    )


def slow(steps: int) -> bytes:
    """`out`, after so many sines that a large picture takes long."""
    nodes = [helper.make_node("Cast", ["images"], ["x0"], to=TensorProto.FLOAT)]
    nodes += [helper.make_node("Sin", [f"x{i}"], [f"x{i + 1}"]) for i in range(steps)]
    nodes.append(helper.make_node("Identity", [f"x{steps}"], ["out"]))
    return serialise(nodes, ["out"])
