"""The ONNX file: what goes in and comes out, in agreement with the reader of its answers."""

import numpy as np
import onnx
import pytest

from deploy.models.train.architecture import Shape, parameters, survey
from deploy.models.train.graph import build
from services.detect.cells import centres
from services.detect.onnx_runtime import OnnxSession

SHAPE = Shape(("plate", "face"), widths=(8, 8, 8, 8), depths=(1, 1, 1, 1), neck=8, head=8)


def _weights(seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    weights = {}
    for conv in survey(SHAPE).convs:
        inputs = 1 if conv.depthwise else conv.inputs
        kernel = random.normal(0, 0.5, (conv.outputs, inputs, conv.kernel, conv.kernel))
        weights[f"{conv.name}.weight"] = kernel.astype(np.float32)
        weights[f"{conv.name}.bias"] = random.normal(0, 0.1, conv.outputs).astype(np.float32)
    return weights


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return build(SHAPE, _weights())


def _answer(model: onnx.ModelProto, pictures: np.ndarray) -> list[np.ndarray]:
    return OnnxSession(model.SerializeToString()).run(["plate", "face"], pictures, 30)


def test_answers_have_a_column_for_every_cell(model: onnx.ModelProto) -> None:
    for height, width in ((64, 96), (384, 640)):
        for answer in _answer(model, np.zeros((2, height, width, 3), np.uint8)):
            assert answer.shape == (2, 5, len(centres(height, width)))
            assert ((answer[:, 0] >= 0) & (answer[:, 0] <= 1)).all()
            assert (answer[:, 1:] >= 0).all()


def test_what_moves_is_answered_where_it_moved_to(model: onnx.ModelProto) -> None:
    """Cells are in the order of the pixels: a picture moved by 32 pixels moves the finest grid's answer by 4 cells."""
    still = np.zeros((512, 512, 3), np.uint8)
    still[250:270, 240:280] = np.random.default_rng(1).integers(0, 255, (20, 40, 3))
    finest = [
        _answer(model, np.roll(still, by, axis=(0, 1))[None])[0][0, :, : 64 * 64].reshape(5, 64, 64) for by in (0, 32)
    ]
    around = finest[0][:, 24:40, 24:40]
    assert around.std() > 1e-3
    assert np.allclose(around, finest[1][:, 28:44, 28:44], rtol=1e-3, atol=1e-3)


def test_bytes_are_scaled_inside(model: onnx.ModelProto) -> None:
    (stem,) = (tensor for tensor in model.graph.initializer if tensor.name == "stem.weight")
    assert np.allclose(onnx.numpy_helper.to_array(stem) * 255, _weights()["stem.weight"], rtol=1e-5)


def test_the_same_weights_make_the_same_file() -> None:
    assert build(SHAPE, _weights()).SerializeToString(deterministic=True) == build(SHAPE, _weights()).SerializeToString(
        deterministic=True
    )


def test_one_opset_that_onnx_runtime_and_triton_take(model: onnx.ModelProto) -> None:
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 13)]


def test_sides_that_do_not_fit_the_grids_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        survey(SHAPE, 360, 640)


def test_parameters_are_counted_as_they_lie_in_the_file(model: onnx.ModelProto) -> None:
    stored = [tensor for tensor in model.graph.initializer if tensor.name.endswith((".weight", ".bias"))]
    assert sum(int(np.prod(tensor.dims)) for tensor in stored) == parameters(SHAPE)
