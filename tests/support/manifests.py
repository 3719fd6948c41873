"""Kubernetes manifests as tests see them: built by kubectl's Kustomize, taken apart by kind and name."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from tests.support.servers import absent

K8S = Path(__file__).resolve().parents[2] / "k8s"
OVERLAYS = ("local", "production", "originals", "city")
# In the order in which overlays list them: fused and zones change what the others add.
COMPONENTS = (
    "strimzi",
    "triton-gpu",
    "autoscaling",
    "disruption",
    "network",
    "monitoring",
    "vault",
    "console",
    "fused",
    "zones",
)

Object = dict[str, Any]


@cache
def built(overlay: str) -> tuple[Object, ...]:
    """The objects of an overlay."""
    return tuple(_build(K8S / "overlays" / overlay))


@cache
def combined(components: tuple[str, ...]) -> tuple[Object, ...]:
    """The objects of the base with these components."""
    with tempfile.TemporaryDirectory() as scratch:
        up = os.path.relpath(K8S, Path(scratch).resolve())
        kustomization = {
            "resources": [f"{up}/base"],
            "components": [f"{up}/components/{name}" for name in components],
            "configMapGenerator": [{"name": "site", "literals": ["site.yaml="]}],
        }
        (Path(scratch) / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return tuple(_build(Path(scratch)))


def subsets(sizes: Iterable[int]) -> Iterator[tuple[str, ...]]:
    """Every choice of as many components as `sizes` say."""
    for size in sizes:
        yield from combinations(COMPONENTS, size)


def of_kind(objects: Iterable[Object], *kinds: str) -> dict[str, Object]:
    """Name → object, of these kinds."""
    return {each["metadata"]["name"]: each for each in objects if each["kind"] in kinds}


def workloads(objects: Iterable[Object]) -> dict[str, Object]:
    """Name → Deployment or StatefulSet."""
    return of_kind(objects, "Deployment", "StatefulSet")


def stages(objects: Iterable[Object]) -> dict[str, Object]:
    """Those that run a service of Veil."""
    marked = {name: each["metadata"]["labels"].get("veil.io/workload") for name, each in workloads(objects).items()}
    return {name: each for name, each in workloads(objects).items() if marked[name] in ("stage", "server")}


def user_of(service: str) -> str:
    """Its user on the brokers: statistics are an analyst's."""
    return "analytics" if service == "insight" else service


def pod_of(workload: Object) -> Object:
    """Its pod: metadata and spec."""
    pod: Object = workload["spec"]["template"]
    return pod


def containers_of(workload: Object) -> list[Object]:
    """All of them, those that run before the others too."""
    spec = pod_of(workload)["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def environment_of(workload: Object, objects: Iterable[Object]) -> dict[str, str]:
    """What the first container is set up with, ConfigMaps included."""
    (container,) = pod_of(workload)["spec"]["containers"]
    maps = of_kind(objects, "ConfigMap")
    variables: dict[str, str] = {}
    for source in container.get("envFrom", []):
        variables |= maps[source["configMapRef"]["name"]]["data"]
    return variables | {each["name"]: each["value"] for each in container["env"] if "value" in each}


def _build(folder: Path) -> list[Object]:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        absent("Kubernetes manifests are built with kubectl, which is not installed")
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return list(yaml.safe_load_all(done.stdout))
