"""The converters: the stored files compute what the published ones do."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from services.detect import calibrate, convert
from services.detect.onnx_runtime import OnnxSession
from services.detect.quantise import quantise

_RNG = np.random.default_rng(5)


def _published(
    input_name: str, nodes: list[onnx.NodeProto], outputs: list[str], weights: dict[str, np.ndarray]
) -> bytes:
    """As exported from a trainer: fixed shape, and the weights listed as inputs."""
    constants = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    inputs = [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, [10, 3, 32, 32])]
    inputs += [helper.make_tensor_value_info(c.name, TensorProto.FLOAT, list(c.dims)) for c in constants]
    found = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "published", inputs, found, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=4).SerializeToString()


@pytest.fixture(scope="module")
def small_centerface() -> bytes:
    """The shape of CenterFace: a stem, a branch with an Add, a Sigmoid head, and an output that is dropped."""
    weights = {
        "w1": _RNG.normal(size=(8, 3, 3, 3)) / 500,
        "b1": _RNG.normal(size=8),
        "w2": _RNG.normal(size=(8, 8, 1, 1)),
        "b2": 3 * _RNG.normal(size=8),
        "w3": _RNG.normal(size=(1, 8, 1, 1)),
        "b3": np.zeros(1),
        "w4": _RNG.normal(size=(2, 8, 1, 1)),
        "b4": np.zeros(2),
    }
    nodes = [
        helper.make_node("Conv", ["input.1", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"]),
        helper.make_node("Add", ["r1", "c2"], ["a1"]),
        helper.make_node("Conv", ["a1", "w3", "b3"], ["536"]),
        helper.make_node("Sigmoid", ["536"], ["537"]),
        helper.make_node("Conv", ["a1", "w4", "b4"], ["538"]),
        helper.make_node("Conv", ["a1", "w4", "b4"], ["539"]),
        helper.make_node("Conv", ["a1", "w4", "b4"], ["540"]),
    ]
    return _published("input.1", nodes, ["537", "538", "539", "540"], weights)


def _reference(published: bytes, images: np.ndarray) -> list[np.ndarray]:
    """What the published file says, its fixed shape loosened and nothing else changed."""
    import onnxruntime as ort

    model = onnx.load_from_string(published)
    for axis, dim in enumerate(model.graph.input[0].type.tensor_type.shape.dim):
        dim.dim_param = f"d{axis}"
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return session.run(None, {name: images.transpose(0, 3, 1, 2).astype(np.float32)})


def test_centerface_in_floats_says_the_same_for_any_size_and_batch(small_centerface: bytes) -> None:
    session = OnnxSession(convert.float_centerface(small_centerface).SerializeToString())
    for shape in ((1, 64, 96, 3), (2, 32, 32, 3)):
        images = _RNG.integers(0, 256, shape).astype(np.uint8)
        for ours, theirs in zip(
            session.run(("heatmap", "size", "offset"), images, 5), _reference(small_centerface, images), strict=False
        ):
            assert np.allclose(ours, theirs, atol=1e-5)


def test_unneeded_outputs_and_their_weights_are_dropped(small_centerface: bytes) -> None:
    graph = convert.float_centerface(small_centerface).graph
    assert [output.name for output in graph.output] == ["heatmap", "size", "offset"]
    assert [entry.name for entry in graph.input] == ["images"]
    assert "540" not in {name for node in graph.node for name in node.output}


def test_quantised_it_says_nearly_the_same_with_integer_convolutions(small_centerface: bytes) -> None:
    images = _RNG.integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)
    model = convert.float_centerface(small_centerface)
    ranges = calibrate.measure(model, calibrate.every_step(model), [images[0]])
    assert set(ranges) == {"r1", "c2", "a1"}
    quantise(model, ranges, "pixels")
    onnx.checker.check_model(model)
    outputs = ("heatmap", "size", "offset")
    ours = OnnxSession(model.SerializeToString()).run(outputs, images, 5)
    theirs = _reference(small_centerface, images)[:3]
    for quantised, exact in zip(ours, theirs, strict=True):
        assert np.abs(quantised - exact).mean() < 0.03 * np.ptp(exact)
        assert not np.array_equal(quantised, exact)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    # Integer kernels add the bias to sums of products: it must be in their unit.
    assert np.allclose(values["b2.float.scale"], values["w2.float.scale"] * values["r1.scale"], rtol=1e-5)
    stored = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert stored["w1.bytes"] == stored["w2.bytes"] == TensorProto.INT8
    assert stored["b1.whole"] == TensorProto.INT32
    assert stored["w3"] == TensorProto.FLOAT


def test_quantised_weights_leave_room_for_processors_without_vnni(small_centerface: bytes) -> None:
    model = convert.float_centerface(small_centerface)
    quantise(model, {"r1": (0, 4), "c2": (-4, 4), "a1": (-4, 8)}, "pixels")
    whole = [
        numpy_helper.to_array(t) for t in model.graph.initializer if t.name.startswith("w") and t.name.endswith("bytes")
    ]
    assert whole
    assert max(np.abs(kernel).max() for kernel in whole) == 64


def test_clp_det_takes_rgb_and_subtracts_its_mean() -> None:
    weights = {"w": _RNG.normal(size=(4, 3, 1, 1))}
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["grid"]),
        helper.make_node("Transpose", ["grid"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Flatten", ["last"], ["flat"], axis=1),
        helper.make_node("Identity", ["flat"], ["loc"]),
        helper.make_node("Sigmoid", ["flat"], ["conf"]),
        helper.make_node("Identity", ["grid"], ["landms"]),
    ]
    published = _published("image", nodes, ["loc", "conf", "landms"], weights)
    images = _RNG.integers(0, 256, (1, 6, 5, 3)).astype(np.uint8)
    (loc,) = OnnxSession(convert.float_clp_det(published).SerializeToString()).run(("loc",), images, 5)
    bgr_less_mean = images[..., ::-1].astype(np.float32) - np.array([104, 117, 123], np.float32)
    assert np.allclose(loc.ravel(), (bgr_less_mean @ weights["w"][:, :, 0, 0].T).ravel(), atol=1e-2)


def test_ppocr_takes_rgb_and_subtracts_and_divides_as_it_was_trained() -> None:
    kernel = _RNG.normal(size=(1, 3, 1, 1))
    nodes = [
        helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(kernel.astype(np.float32))),
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Sigmoid", ["c"], ["sigmoid_0.tmp_0"]),
    ]
    images = _RNG.integers(0, 256, (1, 6, 5, 3)).astype(np.uint8)
    stored = convert.convert_ppocr_det(_published("x", nodes, ["sigmoid_0.tmp_0"], {}))
    (text,) = OnnxSession(stored).run(("text",), images, 5)
    bgr = (images[..., ::-1] / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    assert np.allclose(text.ravel(), 1 / (1 + np.exp(-(bgr @ kernel[0, :, 0, 0]).ravel())), atol=1e-4)


def test_a_conversion_is_deterministic(small_centerface: bytes) -> None:
    made = {convert.float_centerface(small_centerface).SerializeToString(deterministic=True) for _ in range(3)}
    assert len(made) == 1


def test_only_convolutions_whose_ends_have_ranges_become_integers(small_centerface: bytes) -> None:
    model = convert.float_centerface(small_centerface)
    quantise(model, {"r1": (0, 4), "c2": (-4, 4)})
    stored = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert stored["w1"] == stored["w3"] == TensorProto.FLOAT
    assert stored["w2.bytes"] == TensorProto.INT8
    images = _RNG.integers(0, 256, (1, 32, 32, 3)).astype(np.uint8)
    OnnxSession(model.SerializeToString()).run(("heatmap",), images, 5)


def test_large_convolutions_are_found_with_what_they_read_and_write() -> None:
    weights = {"thin": np.zeros((16, 3, 3, 3)), "large": np.zeros((4, 16, 3, 3)), "point": np.zeros((4, 16, 1, 1))}
    nodes = [
        helper.make_node("Conv", ["image", "thin"], ["a"]),
        helper.make_node("Conv", ["a", "large"], ["loc"]),
        helper.make_node("Conv", ["a", "point"], ["conf"]),
    ]
    model = onnx.load_from_string(_published("image", nodes, ["loc", "conf"], weights))
    assert calibrate.around_large_convolutions(model) == ["a", "loc"]
