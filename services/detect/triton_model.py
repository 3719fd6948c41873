"""What Triton's Python backend runs for a model: ONNX Runtime, set as in the in-process home.

It is copied beside its model as model.py and runs in Triton's own environment, so it imports nothing of Veil.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as triton  # type: ignore[import-not-found] # only Triton has it


class TritonPythonModel:
    """One instance of the model. The name is what the backend looks for."""

    def initialize(self, args: dict[str, str]) -> None:
        """Loads model.onnx beside this file. Raises TritonModelException if it is not the configured one."""
        config = json.loads(args["model_config"])
        model = (Path(__file__).parent / "model.onnx").read_bytes()
        if hashlib.sha256(model).hexdigest() != config["parameters"]["sha256"]["string_value"]:
            raise triton.TritonModelException(f"the file of {config['name']} is not the one its configuration names")
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_mem_pattern = False
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._outputs = [output["name"] for output in config["output"]]

    def execute(self, requests: list[Any]) -> list[Any]:
        """One response for each request of a batch; Triton batches requests of one picture shape."""
        return [self._respond(request) for request in requests]

    def _respond(self, request: Any) -> Any:
        """Runs a request alone: on a CPU a batch is no faster, and one that nobody waits for any more costs nothing."""
        if request.is_cancelled():
            return _failed("nobody waits for it any more", triton.TritonError.CANCELLED)
        images = triton.get_input_tensor_by_name(request, "images").as_numpy()
        wanted = list(request.requested_output_names()) or self._outputs
        try:
            tensors = self._session.run(wanted, {"images": images})
        except Exception as error:  # noqa: BLE001 - ONNX Runtime raises whatever it likes; one request must not fail others
            return _failed(f"ONNX Runtime failed: {type(error).__name__}", triton.TritonError.INTERNAL)
        named = zip(wanted, tensors, strict=True)
        return triton.InferenceResponse([triton.Tensor(name, np.ascontiguousarray(tensor)) for name, tensor in named])


def _failed(why: str, code: Any) -> Any:
    return triton.InferenceResponse(error=triton.TritonError(why, code))
