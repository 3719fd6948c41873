"""The model repository is the same for every backend: names, tensors, shapes, batching and policies."""

from pathlib import Path

import pytest
from google.protobuf import text_format
from google.protobuf.json_format import MessageToDict
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup, ModelQueuePolicy

from services.detect.catalogue import ModelMissing, catalogue, default_models_dir
from services.detect.centerface import FaceDetector
from services.detect.person import PersonDetector
from services.detect.plate import PlateDetector
from services.detect.text import TextDetector
from services.detect.triton import MAX_BATCH
from services.detect.triton_repository import BACKENDS, INSTANCES, Backend, installed_names, write_repository
from tests.support.own_nets import KINDS, bundled, random_net

pytestmark = pytest.mark.models

_DETECTORS = (FaceDetector, PlateDetector, PersonDetector, TextDetector)


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[Backend, Path]:
    folder = tmp_path_factory.mktemp("repositories")
    for backend in BACKENDS:
        write_repository(folder / backend, catalogue().models, backend, default_models_dir())
    return {backend: folder / backend for backend in BACKENDS}


def _config(folder: Path, model: str) -> ModelConfig:
    return text_format.Parse((folder / model / "config.pbtxt").read_text(), ModelConfig())


@pytest.mark.parametrize("model", catalogue().models)
def test_only_the_backend_and_where_it_runs_differ(repositories: dict[Backend, Path], model: str) -> None:
    here, there, slow, fast = (MessageToDict(_config(repositories[backend], model)) for backend in BACKENDS)
    differing = {field for field in here | there if here.get(field) != there.get(field)}
    assert differing == {"backend", "instanceGroup"}
    assert (here["backend"], there["backend"]) == ("python", "onnxruntime")
    assert {field for field in there | fast if there.get(field) != fast.get(field)} == {"optimization"}
    assert {field for field in there | slow if there.get(field) != slow.get(field)} == {"instanceGroup"}
    for config, kind in ((here, "KIND_CPU"), (there, "KIND_GPU"), (slow, "KIND_CPU")):
        (group,) = config["instanceGroup"]
        assert group == {"count": INSTANCES, "kind": kind}


@pytest.mark.parametrize("detector", _DETECTORS)
def test_the_tensors_are_those_that_the_detector_uses(
    repositories: dict[Backend, Path], detector: type[FaceDetector | PlateDetector | PersonDetector | TextDetector]
) -> None:
    config = _config(repositories["python"], detector.model)
    (images,) = config.input
    assert (images.name, MessageToDict(images)["dataType"]) == ("images", "TYPE_UINT8")
    assert list(images.dims) in ([-1, -1, 3], [300, 300, 3])
    assert tuple(output.name for output in config.output) == detector.outputs
    shapes = detector(None, "")._shapes(320, 640)  # type: ignore[arg-type] # only its shapes are asked for
    for output, shape in zip(config.output, shapes, strict=True):
        assert MessageToDict(output)["dataType"] == "TYPE_FP32"
        assert len(output.dims) == len(shape)
        assert all(size in (-1, wanted) for size, wanted in zip(output.dims, shape, strict=True))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", catalogue().models)
def test_each_model_says_which_one_it_is(repositories: dict[Backend, Path], backend: Backend, name: str) -> None:
    entry = catalogue().models[name]
    config = _config(repositories[backend], entry.model)
    assert config.name == entry.model
    assert config.parameters["stamp"].string_value == entry.stamp
    assert config.parameters["sha256"].string_value == entry.sha256
    files = {file.name for file in (repositories[backend] / entry.model / "1").iterdir()}
    assert files == ({"model.onnx", "model.py"} if backend == "python" else {"model.onnx"})


@pytest.mark.parametrize("model", catalogue().models)
def test_late_and_surplus_requests_are_rejected(repositories: dict[Backend, Path], model: str) -> None:
    config = _config(repositories["onnxruntime"], model)
    policy = config.dynamic_batching.default_queue_policy
    assert config.max_batch_size == MAX_BATCH
    assert policy.timeout_action == ModelQueuePolicy.REJECT
    assert policy.allow_timeout_override
    # Triton heeds a request's own limit only where it is shorter than this; the longest deadline there is is 600 s.
    assert policy.default_timeout_microseconds >= 600_000_000
    assert 0 < policy.max_queue_size <= 64
    assert config.instance_group[0].kind == ModelInstanceGroup.KIND_GPU


def test_another_backend_takes_the_place_of_the_first(tmp_path: Path) -> None:
    for backend in ("python", "onnxruntime"):
        write_repository(tmp_path, ["face"], backend, default_models_dir())
    assert _config(tmp_path, "centerface").backend == "onnxruntime"
    assert not (tmp_path / "centerface" / "1" / "model.py").exists()


def test_where_no_model_is_installed_the_command_that_installs_it_is_said(tmp_path: Path) -> None:
    assert installed_names(tmp_path) == ["veil"]
    with pytest.raises(ModelMissing, match="veil models install face"):
        write_repository(tmp_path / "out", ["face"], "python", tmp_path)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_network_of_several_kinds_is_one_model(tmp_path: Path, backend: Backend) -> None:
    with bundled(tmp_path, random_net(), dict.fromkeys(KINDS, "veil")):
        assert installed_names(tmp_path / "none") == ["veil"]
        write_repository(tmp_path / "out", ["veil", *KINDS], backend, tmp_path / "none")
        stamp = catalogue().entry("veil").stamp
    assert [folder.name for folder in (tmp_path / "out").iterdir()] == ["veil"]
    config = _config(tmp_path / "out", "veil")
    assert config.parameters["stamp"].string_value == stamp
    assert list(config.input[0].dims) == [-1, -1, 3]
    assert [(output.name, list(output.dims)) for output in config.output] == [(kind, [5, -1]) for kind in KINDS]
