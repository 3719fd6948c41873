"""The 8-bit network answers nearly as the float one does."""

import numpy as np

from deploy.models.train.architecture import Shape, survey
from deploy.models.train.eight_bits import eight_bits
from deploy.models.train.graph import build
from services.detect.onnx_runtime import OnnxSession

SHAPE = Shape(("plate",), widths=(16, 16, 16, 16), depths=(1, 1, 1, 1), neck=16, head=16)


def test_eight_bits_change_little() -> None:
    random = np.random.default_rng(0)
    weights = {}
    for conv in survey(SHAPE).convs:
        inputs = 1 if conv.depthwise else conv.inputs
        spread = 1.4 / np.sqrt(inputs * conv.kernel**2)
        shape = (conv.outputs, inputs, conv.kernel, conv.kernel)
        weights[f"{conv.name}.weight"] = random.normal(0, spread, shape).astype(np.float32)
        weights[f"{conv.name}.bias"] = random.normal(0, 0.1, conv.outputs).astype(np.float32)
    exact = build(SHAPE, weights)
    pictures = random.integers(0, 255, (4, 64, 96, 3), np.uint8)
    coarse = eight_bits(exact, pictures)
    answers = [OnnxSession(model.SerializeToString()).run(["plate"], pictures, 30)[0] for model in (exact, coarse)]
    assert sum(node.op_type == "DequantizeLinear" for node in coarse.graph.node) > 2 * len(survey(SHAPE).convs)
    assert np.abs(answers[0] - answers[1]).mean() < 0.1 * answers[0].std()
