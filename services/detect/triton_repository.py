"""Writes the model repository that Triton serves, out of the installed models and those that come with Veil.

The repository is the same everywhere but for its backend: `python` runs ONNX Runtime in Triton's Python backend, which
the PyPI wheel of the server has; `onnxruntime`, `onnxruntime-cpu` and `tensorrt` are for NVIDIA's container.
"""

import hashlib
import shutil
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Literal, get_args

import onnx
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelDynamicBatching, ModelInstanceGroup, ModelQueuePolicy

from services.detect.catalogue import catalogue, read_model
from services.detect.triton import MAX_BATCH, STAMP

Backend = Literal["python", "onnxruntime", "onnxruntime-cpu", "tensorrt"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)

_SHA256 = "sha256"
"""Parameter by which the Python backend knows that its file is the right one."""
INSTANCES = 2
"""Of each model, at least. Where requests may be rejected, Triton does not notice that a model became free: if all its
instances are busy, a request waits until the next one arrives, or half a second. Measured with one instance: 526 ms
instead of 11 for two of 60 pairs of requests; with two instances, none of 420."""

_PREFERRED = (4, 8)
_QUEUE_DELAY_US = 500
_QUEUE_SIZE = 32
"""Requests that may wait. At 20 ms each, a longer queue would only hold those that come too late."""
_LONGEST_WAIT_US = 600_000_000
"""A request states its own limit, which Triton heeds where it is shorter than this one."""

_DATA_TYPES = {int(onnx.TensorProto.UINT8): "TYPE_UINT8", int(onnx.TensorProto.FLOAT): "TYPE_FP32"}


def write_repository(
    folder: Path, names: Iterable[str], backend: Backend, models_dir: Path, instances: int = INSTANCES
) -> None:
    """Writes the named models into `folder`, each with its configuration: one model, whatever number of kinds it finds.

    Args:
        folder: made if absent; models of the same names are replaced.
        names: models of the catalogue, or detectors, which stand for their default models.
        backend: what runs the models.
        models_dir: where `veil models install` put them.
        instances: of each model, which run at the same time; on a GPU, of each GPU.

    Raises:
        ModelMissing: a model is absent or not the catalogue's.
        OSError: the folder can't be written.
    """
    entries = {entry.model: entry for entry in map(catalogue().entry, names)}
    for model, entry in entries.items():
        write_model(folder / model, read_model(model, models_dir), entry.stamp, backend, instances)


def installed_names(models_dir: Path) -> list[str]:
    """The line's models that are installed or come with Veil."""
    return [
        name
        for name, entry in catalogue().models.items()
        if not all(detector.startswith("audit-") for detector in entry.finds) and entry.path(models_dir).exists()
    ]


def write_model(folder: Path, model: bytes, stamp: str, backend: Backend, instances: int = INSTANCES) -> None:
    """Writes one model, the bytes of an ONNX file, as version 1 of the model that bears the folder's name."""
    version = folder / "1"
    version.mkdir(parents=True, exist_ok=True)
    (version / "model.onnx").write_bytes(model)
    served = version / "model.py"
    served.unlink(missing_ok=True)
    if backend == "python":
        with resources.as_file(resources.files("services.detect") / "triton_model.py") as source:
            shutil.copy(source, served)
    config = configuration(folder.name, model, stamp, backend, instances)
    # Triton may be watching: the configuration comes last and whole.
    part = folder / ".config.pbtxt"
    part.write_text(text_format.MessageToString(config), encoding="utf-8")
    part.replace(folder / "config.pbtxt")


def configuration(name: str, model: bytes, stamp: str, backend: Backend, instances: int = INSTANCES) -> ModelConfig:
    """What config.pbtxt holds for the ONNX file `model`."""
    on_gpu = backend in ("onnxruntime", "tensorrt")
    config = ModelConfig(
        name=name,
        backend="python" if backend == "python" else "onnxruntime",
        max_batch_size=MAX_BATCH,
        dynamic_batching=ModelDynamicBatching(
            preferred_batch_size=_PREFERRED,
            max_queue_delay_microseconds=_QUEUE_DELAY_US,
            default_queue_policy=ModelQueuePolicy(
                timeout_action=ModelQueuePolicy.REJECT,
                default_timeout_microseconds=_LONGEST_WAIT_US,
                allow_timeout_override=True,
                max_queue_size=_QUEUE_SIZE,
            ),
        ),
        instance_group=[
            ModelInstanceGroup(
                count=instances, kind=ModelInstanceGroup.KIND_GPU if on_gpu else ModelInstanceGroup.KIND_CPU
            )
        ],
    )
    config.parameters[STAMP].string_value = stamp
    config.parameters[_SHA256].string_value = hashlib.sha256(model).hexdigest()
    graph = onnx.load_from_string(model).graph
    for tensors, described in ((config.input, graph.input), (config.output, graph.output)):
        for value in described:
            tensors.add(name=value.name, data_type=_DATA_TYPES[value.type.tensor_type.elem_type], dims=_dims(value))
    if backend == "tensorrt":
        accelerator = config.optimization.execution_accelerators.gpu_execution_accelerator.add(name="tensorrt")
        # Engines are built for each picture shape; without a cache every start would build them again.
        accelerator.parameters["trt_engine_cache_enable"] = "true"
        accelerator.parameters["trt_engine_cache_path"] = "/tmp/veil-engines"  # noqa: S108 - inside Triton's container
    return config


def _dims(value: onnx.ValueInfoProto) -> list[int]:
    """Sizes behind the batch; -1 where the model leaves one open."""
    return [size.dim_value if size.HasField("dim_value") else -1 for size in value.type.tensor_type.shape.dim[1:]]
