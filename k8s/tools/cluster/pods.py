"""The pods of an overlay on a cluster: which run, where, and why one doesn't."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from k8s.tools.cluster.kubectl import Kubectl, Object
from k8s.tools.cluster.nodes import ZONE

NAMESPACE = "veil"
_NAME = "app.kubernetes.io/name"
_READY_S = 300.0
_LOOK_S = 0.5


class Broken(Exception):
    """The cluster does not do with an overlay what it should; the text says what is missing."""


def wanted(kubectl: Kubectl) -> dict[str, int]:
    """Workload → how many pods it is to have."""
    found = kubectl.items("deployments,statefulsets", f"--namespace={NAMESPACE}")
    return {each["metadata"]["name"]: each["spec"]["replicas"] for each in found}


def ready(kubectl: Kubectl) -> list[Object]:
    """The pods that run, are ready and nobody has told to end."""
    return [pod for pod in _pods(kubectl) if _is_ready(pod)]


def workload(pod: Object) -> str:
    """The name of the Deployment or StatefulSet that a pod belongs to."""
    return str(pod["metadata"]["labels"][_NAME])


def per_workload(pods: Iterable[Object]) -> Counter[str]:
    """Workload → how many of these pods are its."""
    return Counter(map(workload, pods))


def node(pod: Object) -> str:
    """Where it was put."""
    return str(pod["spec"]["nodeName"])


def zones(kubectl: Kubectl) -> dict[str, str]:
    """Node → zone."""
    return {each["metadata"]["name"]: each["metadata"]["labels"][ZONE] for each in kubectl.items("nodes")}


def wait_until_ready(kubectl: Kubectl) -> list[Object]:
    """Every pod that the workloads want, ready, and none beside them. Raises Broken, with what keeps one."""

    def settled() -> bool:
        pods = _pods(kubectl)
        return all(map(_is_ready, pods)) and per_workload(pods) == Counter(wanted(kubectl))

    wait(settled, lambda: f"pods are not ready after {_READY_S:.0f} s: {_complaints(kubectl)}")
    return ready(kubectl)


def wait(settled: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    """Looks until it is so. Raises Broken with `otherwise`."""
    deadline = time.monotonic() + _READY_S
    while not settled():
        if time.monotonic() > deadline:
            raise Broken(otherwise())
        time.sleep(_LOOK_S)


def _pods(kubectl: Kubectl) -> list[Any]:
    return kubectl.items("pods", f"--namespace={NAMESPACE}")


def _is_ready(pod: Object) -> bool:
    conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", [])}
    alive = "deletionTimestamp" not in pod["metadata"]
    return alive and pod["status"]["phase"] == "Running" and conditions.get("Ready") == "True"


def _complaints(kubectl: Kubectl) -> str:
    """What scheduler and controllers say of whatever is not as it should be; else how many pods there are of what."""
    found = kubectl.items("deployments,statefulsets,pods", f"--namespace={NAMESPACE}")
    said = [f"{each['metadata']['name']}: {text}" for each in found if (text := _complaint(each))]
    return "; ".join(said[:5]) or f"wanted {wanted(kubectl)}, ready {dict(per_workload(ready(kubectl)))}"


def _complaint(found: Mapping[str, Any]) -> str:
    bad = {"PodScheduled": "False", "ReplicaFailure": "True"}
    conditions = found["status"].get("conditions", [])
    said = "".join(each.get("message", "") for each in conditions if bad.get(each["type"]) == each["status"])
    if not said and found["kind"] == "Pod" and not _is_ready(found):
        return f"{found['status']['phase']} on {found['spec'].get('nodeName')}"
    return said
