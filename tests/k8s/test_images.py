"""Pods run what deploy/Dockerfile builds, as the user it says, started as it starts, heard where it listens."""

import json
import tomllib
from importlib import import_module

import pytest
import yaml

import services
from services.cli.service import SERVERS, stages_of
from tests.support.manifests import (
    COMPONENTS,
    K8S,
    OVERLAYS,
    Object,
    built,
    combined,
    containers_of,
    pod_of,
    stages,
    workloads,
)
from tests.unit.deploy.test_images import COMPOSE
from tests.unit.deploy.test_images import stages as targets

ROOT = K8S.parent
ALL = {overlay: built(overlay) for overlay in OVERLAYS} | {"every component": combined(COMPONENTS)}
each_of_all = pytest.mark.parametrize("objects", ALL.values(), ids=ALL.keys())


def entry_of(target: str) -> list[str]:
    """What an image starts."""
    entry: list[str] = json.loads(targets()[target].partition("ENTRYPOINT ")[2].splitlines()[0])
    return entry


@each_of_all
def test_images_are_those_that_the_dockerfile_builds(objects: tuple[Object, ...]) -> None:
    for name, workload in workloads(objects).items():
        for container in containers_of(workload):
            image, _, version = container["image"].rpartition(":")
            if name == "triton" and container["name"] == "triton":
                # The same server as in compose.yaml, where its version can be chosen.
                assert COMPOSE["services"]["triton"]["image"].startswith(f"{image}:")
                assert version in COMPOSE["services"]["triton"]["image"].replace("${TRITON_VERSION:-", "").replace(
                    "}", ""
                )
                continue
            assert version == services.__version__
            assert image.removeprefix("veil-") in targets()
            # Triton's models come with the image that asks for them.
            assert image == f"veil-{'inference' if name == 'triton' else name}"


@each_of_all
def test_pods_run_as_the_images_user(objects: tuple[Object, ...]) -> None:
    user, group = targets()["veil"].partition("USER ")[2].splitlines()[0].split(":")
    for workload in workloads(objects).values():
        context = pod_of(workload)["spec"]["securityContext"]
        assert [context[key] for key in ("runAsUser", "runAsGroup", "fsGroup")] == [int(user), int(group), int(group)]
        assert not {"runAsUser", "runAsGroup"} & {
            key for each in containers_of(workload) for key in each["securityContext"]
        }


@each_of_all
def test_what_is_started_is_what_the_image_would_start(objects: tuple[Object, ...]) -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["veil"].partition(":")
    assert callable(getattr(import_module(module), function))
    assert "ENV PATH=/opt/veil/bin" in targets()["base"]
    for name, workload in stages(objects).items():
        (container,) = containers_of(workload)
        (program,) = container["command"]
        assert program in scripts
        assert container["args"][0] == "service"
        entry = entry_of(name)
        own = entry[2].removeprefix("services.") if entry[:2] == ["python", "-m"] else entry[2]
        assert container["args"][1] == own
        assert own in SERVERS or stages_of(own)


@each_of_all
def test_ports_are_those_that_the_image_exposes_and_compose_uses(objects: tuple[Object, ...]) -> None:
    exposed = int(targets()["veil"].partition("EXPOSE ")[2].splitlines()[0])
    for name, workload in stages(objects).items():
        (container,) = containers_of(workload)
        own = [int(line.split()[1]) for line in targets()[name].splitlines() if line.startswith("EXPOSE ")]
        assert [port["containerPort"] for port in container["ports"]] == [exposed, *own]
    if "triton" in workloads(objects):
        (container,) = pod_of(workloads(objects)["triton"])["spec"]["containers"]
        said = [*container["args"], *COMPOSE["services"]["triton"]["command"]]
        for port in container["ports"]:
            assert said.count(f"--{port['name']}-port={port['containerPort']}") == 2


@each_of_all
def test_what_an_image_writes_to_is_there(objects: tuple[Object, ...]) -> None:
    """The root is read-only: HOME and the working folder are /tmp, which pods and containers have in memory."""
    assert "HOME=/tmp" in targets()["base"]
    assert "WORKDIR /tmp" in targets()["veil"]
    for workload in workloads(objects).values():
        for container in containers_of(workload):
            assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["x-service"]["tmpfs"] == ["/tmp"]
