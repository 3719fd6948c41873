"""`veil plan --write`: overlays that build, are valid, and say what the plan says."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from services.bus.kafka_settings import KafkaSettings
from services.bus.kafka_table import kafka_topics
from services.cli import app
from services.embedded.errors import ExitCode
from services.planning.calibration import calibration
from services.planning.demand import Camera
from services.planning.errors import PlanError
from services.planning.manifests import write
from services.planning.plan import Ask, Plan, plan
from tests.support.manifests import K8S, Object, environment_of, of_kind, pod_of, stages, workloads
from tests.support.schemas import check
from tests.support.servers import absent

CITY = K8S / "overlays" / "city"
CAMERA = Camera(1280, 720, 10.0)


def planned(cameras: int = 300, **more: Any) -> Plan:
    return plan(Ask(cameras, CAMERA, cell=250, **more), calibration())


def built(file: Path) -> list[Object]:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        absent("Kubernetes manifests are built with kubectl, which is not installed")
    done = subprocess.run([kubectl, "kustomize", str(file.parent)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@pytest.mark.parametrize("gpu", [None, "t4"])
def test_overlays_build_are_valid_and_say_what_the_plan_says(tmp_path: Path, gpu: str | None) -> None:
    asked = planned(gpu=gpu)
    files = write(asked, tmp_path, CITY)
    assert [file.parent.name for file in files] == ["cell", "last-cell"]
    for (_, cell), file in zip(asked.cells, files, strict=True):
        objects = built(file)
        for each in objects:
            check(each)
        running = stages(objects)
        decoder = running["decoder"]
        count = cell.stages["decoder"].replicas
        assert decoder["spec"]["replicas"] == count
        assert count < cell.partitions
        scaled = of_kind(objects, "ScaledObject")
        for name, stage in cell.stages.items():
            request = pod_of(running[name])["spec"]["containers"][0]["resources"]["requests"]["cpu"]
            assert request == f"{round(stage.request * 1000)}m"
            if name != "decoder":
                assert scaled[name]["spec"]["minReplicaCount"] == stage.replicas
                assert stage.replicas <= scaled[name]["spec"]["maxReplicaCount"] == cell.partitions - 1
        (pool,) = (each for each in of_kind(objects, "KafkaNodePool").values() if "broker" in each["spec"]["roles"])
        assert pool["spec"]["replicas"] == cell.brokers
        (volume,) = pool["spec"]["storage"]["volumes"]
        assert int(volume["size"].removesuffix("Gi")) * 1024**3 * cell.brokers >= cell.disk
        topics = {name: topic["spec"]["partitions"] for name, topic in of_kind(objects, "KafkaTopic").items()}
        settings = KafkaSettings(partitions=cell.partitions, replication=3)
        assert topics == {topic.name: topic.partitions for topic in kafka_topics(settings)}
        assert environment_of(running["tracker"], objects)["VEIL_KAFKA_PARTITIONS"] == str(cell.partitions)


def test_with_gpus_there_is_triton_and_without_there_is_nothing_of_it(tmp_path: Path) -> None:
    asked = planned(200, gpu="t4")
    objects = built(write(asked, tmp_path / "gpu", CITY)[0])
    (repository,) = pod_of(workloads(objects)["triton"])["spec"]["initContainers"]
    assert repository["args"] == ["models", "repository", "/models", "--backend", "tensorrt"]
    assert of_kind(objects, "ScaledObject")["triton"]["spec"]["minReplicaCount"] == asked.cell.gpus
    objects = built(write(planned(200), tmp_path / "cpu", CITY)[0])
    named = [each for each in objects if each["metadata"]["name"] == "triton" and each["kind"] != "NetworkPolicy"]
    assert not named
    inference = stages(objects)["inference"]
    environment = environment_of(inference, objects)
    assert environment["VEIL_INFERENCE_HOME"] == "onnx"
    assert environment["VEIL_INFERENCE_WORKERS"] == "4"
    assert "triton" not in yaml.safe_dump(inference["spec"]).lower().replace("triton/client", "").replace(
        "io/triton", ""
    )


@pytest.mark.parametrize(
    ("more", "sentence"),
    [({"fused": False}, "plan without --separate"), ({"replication": 2}, "plan with --replication 3")],
)
def test_what_the_overlay_is_not_made_for_is_told(tmp_path: Path, more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        write(planned(**more), tmp_path, CITY)


def test_the_command(tmp_path: Path) -> None:
    options = ["plan", "--cameras", "300", "--resolution", "1280x720", "--fps", "10"]
    said = CliRunner().invoke(app, [*options, "--write", str(tmp_path / "out")])
    assert said.exit_code == ExitCode.OK, said.stderr
    assert "written" in said.stdout
    assert list((tmp_path / "out").rglob("kustomization.yaml"))
    wrong = {
        "'large' is no resolution": ["--resolution", "large"],
        "is no Kustomize overlay": ["--write", str(tmp_path / "out"), "--base", str(tmp_path)],
        "there is no kind 'hat'": ["--kinds", "face,hat"],
        "prices.yaml can't be read": ["--prices", str(tmp_path / "prices.yaml")],
        "calibration.yaml can't be read": ["--calibration", str(tmp_path / "calibration.yaml")],
    }
    for sentence, more in wrong.items():
        told = CliRunner().invoke(app, [*options, *more])
        assert told.exit_code == ExitCode.USAGE
        assert sentence in told.stderr.replace("\n", "")
        assert told.stderr.count("error:") == 1
