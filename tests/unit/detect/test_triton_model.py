"""What runs inside Triton's Python backend: the outputs that a request names, and no others."""

import hashlib
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from services.detect.onnx_runtime import OnnxSession
from tests.support.own_nets import KINDS, colours


class Request:
    """A request for some outputs of one picture."""

    def __init__(self, names: list[str], images: np.ndarray) -> None:
        self.names, self.images = names, images

    def is_cancelled(self) -> bool:
        return False

    def requested_output_names(self) -> list[str]:
        return self.names


def _backend() -> ModuleType:
    made: Any = ModuleType("triton_python_backend_utils")
    made.Tensor = lambda name, values: (name, values)
    made.InferenceResponse = lambda tensors: dict(tensors)
    made.get_input_tensor_by_name = lambda request, _: SimpleNamespace(as_numpy=lambda: request.images)
    return made


def test_a_request_gets_the_outputs_that_it_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", _backend())
    shutil.copy(Path("services/detect/triton_model.py"), tmp_path / "model.py")
    (tmp_path / "model.onnx").write_bytes(colours())
    spec = importlib.util.spec_from_file_location("served", tmp_path / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.TritonPythonModel()
    config = {
        "name": "veil",
        "parameters": {"sha256": {"string_value": hashlib.sha256(colours()).hexdigest()}},
        "output": [{"name": kind} for kind in KINDS],
    }
    model.initialize({"model_config": json.dumps(config)})
    images = np.random.default_rng(1).integers(0, 255, (1, 32, 64, 3)).astype(np.uint8)
    expected = dict(zip(KINDS, OnnxSession(colours()).run(KINDS, images, 10), strict=True))
    some, every = model.execute([Request(["person", "face"], images), Request([], images)])
    assert (list(some), list(every)) == (["person", "face"], list(KINDS))
    assert all(np.array_equal(answer, expected[kind]) for kind, answer in (some | every).items())
