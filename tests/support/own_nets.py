"""Networks of the form of Veil's own, for tests: one that finds colours, one with random weights."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from deploy.models.train.architecture import Shape, survey
from deploy.models.train.graph import build
from services.detect import catalogue as catalogues
from services.detect.cells import STRIDES
from tests.support.graphs import serialise

KINDS = ("face", "plate", "person")
SIDE = 6.0
"""Pixels from a cell's centre to each side of the box that `colours` draws there."""
_RARE = -4.0
"""Bias of what `random_net` says: as with a trained network, few cells find anything."""
_GAIN = {"face": (1, -1, -1), "plate": (-1, 1, -1), "person": (-1, -1, 1)}


def colours() -> bytes:
    """Finds faces in red, plates in green and persons in blue: the score is how much of the colour a cell holds."""
    nodes = [
        helper.make_node("Transpose", ["images"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("AveragePool", ["floats"], ["cells8"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("AveragePool", ["floats"], ["cells16"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("AveragePool", ["floats"], ["cells32"], kernel_shape=[32, 32], strides=[32, 32]),
    ]
    constants = [numpy_helper.from_array(np.array([0, 5, -1], np.int64), "flat")]
    for kind, gain in _GAIN.items():
        for stride in STRIDES:
            name = f"{kind}{stride}"
            # One row of weights for the score, none for the sides, which are the bias. Only the finest grid finds.
            weight, bias = np.zeros((5, 3, 1, 1), np.float32), np.full(5, SIDE, np.float32)
            weight[0, :, 0, 0] = np.array(gain) / 255 * (stride == STRIDES[0])
            bias[0] = 0
            constants += [numpy_helper.from_array(weight, f"{name}.w"), numpy_helper.from_array(bias, f"{name}.b")]
            nodes += [
                helper.make_node("Conv", [f"cells{stride}", f"{name}.w", f"{name}.b"], [f"{name}.map"]),
                helper.make_node("Relu", [f"{name}.map"], [f"{name}.score"]),
                helper.make_node("Reshape", [f"{name}.score", "flat"], [f"{name}.flat"]),
            ]
        nodes.append(helper.make_node("Concat", [f"{kind}{stride}.flat" for stride in STRIDES], [kind], axis=2))
    return _with_shapes(serialise(nodes, list(_GAIN), constants))


def _with_shapes(model: bytes) -> bytes:
    loaded = onnx.load_from_string(model)
    for output in loaded.graph.output:
        output.CopyFrom(helper.make_tensor_value_info(output.name, TensorProto.FLOAT, ["n", 5, "cells"]))
    return loaded.SerializeToString()


def random_net(kinds: Sequence[str] = KINDS, seed: int = 1, **sizes: object) -> bytes:
    """A network as training makes it, with weights that nobody trained."""
    shape = Shape(tuple(kinds), **sizes)
    numbers = np.random.default_rng(seed)
    weights = {}
    for conv in survey(shape).convs:
        inputs = 1 if conv.depthwise else conv.inputs
        spread = (2 / (inputs * conv.kernel**2)) ** 0.5
        size = (conv.outputs, inputs, conv.kernel, conv.kernel)
        weights[f"{conv.name}.weight"] = (numbers.normal(size=size) * spread).astype(np.float32)
        weights[f"{conv.name}.bias"] = np.full(conv.outputs, _RARE if conv.answers else 0, np.float32)
    return build(shape, weights).SerializeToString()


@contextmanager
def bundled(folder: Path, model: bytes, defaults: Mapping[str, str] | None = None, **entry: object) -> Iterator[None]:
    """Makes the network one of those that come with Veil: its file in `folder`, an entry `veil` in the catalogue."""
    data = yaml.safe_load(Path(catalogues.__file__).with_name("catalogue.yaml").read_text())
    data["defaults"] |= defaults or {}
    data["models"]["veil"] = {
        "finds": list(KINDS),
        "version": "1",
        "licence": "Apache-2.0",
        "origin": "made for tests",
        "source": {"manager": "bundled", "card": "deploy/models/README.md"},
        "stored": "veil.onnx",
        "sha256": hashlib.sha256(model).hexdigest(),
        **entry,
    }
    (folder / "veil.onnx").write_bytes(model)
    (folder / "catalogue.yaml").write_text(yaml.safe_dump(data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogues, "_FILE", folder / "catalogue.yaml")
        patch.setattr(catalogues, "BUNDLED", folder)
        catalogues.catalogue.cache_clear()
        try:
            yield
        finally:
            catalogues.catalogue.cache_clear()
