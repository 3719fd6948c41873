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
    "disclosure",
    "fused",
    "zones",
)
# What shares the stores of others can't be without them.
NEEDS = {"disclosure": ("vault", "console")}

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
        # What overlays make themselves.
        maps = [{"name": "site", "literals": ["site.yaml="]}, {"name": "disclosure-policies"}]
        kustomization = {
            "resources": [f"{up}/base"],
            "components": [f"{up}/components/{name}" for name in components],
            "configMapGenerator": maps if "disclosure" in components else maps[:1],
        }
        (Path(scratch) / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return tuple(_build(Path(scratch)))


def choices(*, every: bool) -> Iterator[tuple[str, ...]]:
    """Choices of components that can be made: none, each by itself, and all.

    With `every` these are all that there are, but for those that need others: with what they need, and none, each, any
    two and all of the rest. A component meets another only where one changes what the other brings.
    """
    free = [name for name in COMPONENTS if name not in NEEDS]
    for size in range(len(free) + 1) if every else (0, 1):
        yield from combinations(free, size)
    for name, needs in NEEDS.items():
        rest = [each for each in free if each not in needs]
        for size in range(3) if every else (0,):
            for more in combinations(rest, size):
                yield tuple(each for each in COMPONENTS if each in (name, *needs, *more))
    yield COMPONENTS


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
