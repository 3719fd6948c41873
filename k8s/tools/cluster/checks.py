"""What is asked of an overlay on a cluster that runs: that it is taken, runs, and gives way as it promises."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from k8s.tools.cluster.kubectl import Kubectl, Object
from k8s.tools.cluster.nodes import GPU, ZONE
from k8s.tools.cluster.pods import (
    NAMESPACE,
    Broken,
    node,
    per_workload,
    ready,
    wait,
    wait_until_ready,
    wanted,
    workload,
    zones,
)

OVERLAYS = Path(__file__).resolve().parents[2] / "overlays"
_IN = f"--namespace={NAMESPACE}"
# What they promise, whatever their manifests turn out to say.
_GUARDED = ("production", "originals", "city")
_SPREAD = ("city",)
_EVERY_NODE = "--selector=kubernetes.io/os=linux"
_DRAIN_S = 300
# What says that a field is none the server knows: of its own objects, and of those that a definition describes.
_UNKNOWN = ("unknown field", "field not declared in schema")

# What the API answers, with status 429, where one more would be too many.
_BEYOND = "(TooManyRequests): Cannot evict pod as it would violate the pod's disruption budget"


def check(kubectl: Kubectl, overlay: str) -> Iterator[str]:
    """Applies an overlay, asks everything of it, and takes it away; yields what was seen, a sentence at a time.

    Raises Broken where something is not so, Refused where the cluster didn't take what it should.
    """
    manifests = kubectl.run("kustomize", str(OVERLAYS / overlay))
    objects = list(yaml.safe_load_all(manifests))
    kubectl.apply(manifests)
    yield f"{len(objects)} objects applied"
    _scale_as_keda_would(kubectl, objects)
    volumes = _give_disks_as_storage_would(kubectl, objects)
    yield _runs(kubectl)
    # Before anything is moved: what comes back while a zone takes no pods goes where it can.
    spread = _spread_over_zones(objects)
    if overlay in _SPREAD or spread:
        yield _is_spread(kubectl, spread)
        yield _knows_its_zone(kubectl)
    yield _only_triton_has_gpus(kubectl)
    yield _changes_nothing_again(kubectl, manifests)
    yield _refuses_unknown_fields(kubectl, objects)
    yield _refuses_root(kubectl)
    if overlay in _GUARDED or _of(objects, "PodDisruptionBudget"):
        yield _refuses_to_evict_more_than_budgets_allow(kubectl)
        yield _drains(kubectl)
    if overlay in _SPREAD or spread:
        yield _outlives_a_zone(kubectl)
        yield _takes_gpus_where_they_are(kubectl)
    kubectl.run("delete", "namespace", NAMESPACE, timeout_s=_DRAIN_S)
    if volumes:
        kubectl.run("delete", "persistentvolumes", *volumes, timeout_s=_DRAIN_S)


def _scale_as_keda_would(kubectl: Kubectl, objects: Sequence[Object]) -> None:
    """KEDA isn't here: what it would set at least is set by hand, through the same part of the API."""
    for each in _of(objects, "ScaledObject"):
        target = each["spec"]["scaleTargetRef"]
        count = each["spec"]["minReplicaCount"]
        kubectl.run("scale", f"{target['kind'].lower()}/{target['name']}", f"--replicas={count}", _IN)


def _give_disks_as_storage_would(kubectl: Kubectl, objects: Sequence[Object]) -> list[str]:
    """No storage is here: each claim is given a volume of its class by hand. Returns their names."""
    claims = _of(objects, "PersistentVolumeClaim")
    for each in claims:
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": each["metadata"]["name"]},
            "spec": {
                "claimRef": {"namespace": NAMESPACE, "name": each["metadata"]["name"]},
                "storageClassName": each["spec"]["storageClassName"],
                "accessModes": each["spec"]["accessModes"],
                "capacity": each["spec"]["resources"]["requests"],
                "persistentVolumeReclaimPolicy": "Retain",
                # Nothing is ever mounted on a node that is played.
                "hostPath": {"path": "/nowhere"},
            },
        }
        kubectl.run("create", "--filename=-", given=volume)
    return [each["metadata"]["name"] for each in claims]


def _runs(kubectl: Kubectl) -> str:
    pods = wait_until_ready(kubectl)
    return f"{len(pods)} pods of {len(wanted(kubectl))} workloads are ready on {len(set(map(node, pods)))} nodes"


def _only_triton_has_gpus(kubectl: Kubectl) -> str:
    gpus = {each["metadata"]["name"] for each in kubectl.items("nodes") if GPU in each["status"]["allocatable"]}
    on_gpus = {workload(pod) for pod in ready(kubectl) if node(pod) in gpus}
    if on_gpus - {"triton"}:
        raise Broken(f"nodes with GPUs were given to {', '.join(sorted(on_gpus - {'triton'}))}")
    return "nodes with GPUs run Triton alone" if on_gpus else "no node with a GPU is used"


def _changes_nothing_again(kubectl: Kubectl, manifests: str) -> str:
    before = _as_applied(kubectl, manifests)
    kubectl.apply(manifests)
    after = _as_applied(kubectl, manifests)
    changed = sorted(name for name, each in after.items() if each != before[name])
    if changed:
        raise Broken(f"applying it again changed {', '.join(changed)}")
    return f"applying it again changes none of {len(after)} objects"


def _as_applied(kubectl: Kubectl, manifests: str) -> dict[str, Any]:
    """Object → all of it, with when kubectl last changed it, but not what controllers write."""
    found = {}
    for each in kubectl.items("--filename=-", "--show-managed-fields", given=manifests):
        metadata = {key: value for key, value in each["metadata"].items() if key != "resourceVersion"}
        ours = [entry for entry in metadata["managedFields"] if entry["manager"] == "kubectl"]
        rest = {key: value for key, value in each.items() if key not in {"status", "metadata"}}
        found[f"{each['kind']}/{metadata['name']}"] = rest | {"metadata": metadata | {"managedFields": ours}}
    return found


def _refuses_unknown_fields(kubectl: Kubectl, objects: Sequence[Object]) -> str:
    """One object of each kind, with one field more."""
    kinds = {each["kind"]: each for each in objects if "spec" in each}
    for kind, each in kinds.items():
        wrong = {**each, "spec": {**each["spec"], "unheardOf": 1}}
        said = kubectl.refusal("apply", "--server-side", "--dry-run=server", "--filename=-", given=wrong)
        if not any(text in said for text in _UNKNOWN):
            raise Broken(f"a {kind} with a field that nobody knows was not refused for that: {said or 'it was taken'}")
    return f"a field that nobody knows is refused in each of {len(kinds)} kinds"


def _refuses_root(kubectl: Kubectl) -> str:
    if said := _refusal_of_pod(kubectl, user=10001):
        raise Broken(f"a pod without privileges was refused: {said}")
    said = _refusal_of_pod(kubectl, user=0)
    if 'violates PodSecurity "restricted' not in said:
        raise Broken(f"a pod that runs as root was not refused for that: {said or 'it was taken'}")
    return "a pod that runs as root is refused, the same pod as another user is taken"


def _refusal_of_pod(kubectl: Kubectl, user: int) -> str:
    container = {
        "name": "any",
        "image": "any",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": user != 0, "runAsUser": user, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "any"},
        "spec": {"securityContext": security, "containers": [container]},
    }
    return kubectl.refusal("create", "--dry-run=server", _IN, "--filename=-", given=pod)


def _refuses_to_evict_more_than_budgets_allow(kubectl: Kubectl) -> str:
    """With no node that takes pods, so that none comes back in time to pay for the next."""
    budgets = _settled_budgets(kubectl)
    if not budgets:
        raise Broken("no workload has a disruption budget")
    with _cordoned(kubectl, _EVERY_NODE):
        for name, budget in budgets.items():
            pods = [pod for pod in ready(kubectl) if workload(pod) == name]
            allowed = budget["status"]["disruptionsAllowed"]
            if allowed >= len(pods):
                raise Broken(f"the budget of {name} gives all of its {len(pods)} pods away")
            *taken, refused = [_refusal_of_eviction(kubectl, pod) for pod in pods[: allowed + 1]]
            if any(taken):
                raise Broken(f"{name} may lose {allowed}, but an eviction was refused: {taken}")
            if _BEYOND not in refused:
                raise Broken(f"{name} may lose {allowed}, and lost one more: {refused or 'it was evicted'}")
    wait_until_ready(kubectl)
    return f"evictions beyond the budget are refused (429) for each of {len(budgets)} workloads"


def _refusal_of_eviction(kubectl: Kubectl, pod: Object) -> str:
    name = pod["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": NAMESPACE}}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/eviction"
    return kubectl.refusal("create", f"--raw={path}", "--filename=-", given=eviction)


def _drains(kubectl: Kubectl) -> str:
    """The node with most pods: never fewer are ready than budgets say while it empties, and all are afterwards."""
    least = {name: each["status"]["desiredHealthy"] for name, each in _settled_budgets(kubectl).items()}
    ((busiest, count),) = Counter(map(node, ready(kubectl))).most_common(1)
    drain = ("drain", busiest, "--delete-emptydir-data", f"--timeout={_DRAIN_S}s")
    fewest = dict.fromkeys(least, 1 << 30)
    try:
        with ThreadPoolExecutor(1) as pool:
            draining = pool.submit(kubectl.run, *drain, timeout_s=_DRAIN_S + 10)
            while not draining.done():
                now = per_workload(ready(kubectl))
                fewest = {name: min(number, now[name]) for name, number in fewest.items()}
            draining.result()
        below = sorted(name for name, number in fewest.items() if number < least[name])
        if below:
            raise Broken(f"while {busiest} was drained fewer pods were ready than the budget says: {', '.join(below)}")
        if left := [pod["metadata"]["name"] for pod in wait_until_ready(kubectl) if node(pod) == busiest]:
            raise Broken(f"{busiest} was drained and still has {', '.join(left)}")
    finally:
        kubectl.run("uncordon", busiest)
    return f"{busiest} was drained of {count} pods within the budgets, all are ready elsewhere"


def _settled_budgets(kubectl: Kubectl) -> dict[str, Any]:
    """Workload → its budget, once that has counted every pod."""

    def counted(budget: Object) -> bool:
        status = budget.get("status", {})
        return bool(
            status.get("observedGeneration") == budget["metadata"]["generation"]
            and status["expectedPods"] == status["currentHealthy"] == pods[budget["metadata"]["name"]]
            and status["disruptionsAllowed"] == status["currentHealthy"] - status["desiredHealthy"]
        )

    pods = wanted(kubectl)
    # Each budget is called after what it guards.
    wait(
        lambda: all(map(counted, kubectl.items("poddisruptionbudgets", _IN))),
        lambda: f"budgets don't count every pod: {json.dumps(kubectl.items('poddisruptionbudgets', _IN))[:1000]}",
    )
    return {each["metadata"]["name"]: each for each in kubectl.items("poddisruptionbudgets", _IN)}


def _spread_over_zones(objects: Sequence[Object]) -> dict[str, int]:
    """Workload → by how many pods its zones may differ, for those that may not be put otherwise."""
    spread = {}
    for each in _of(objects, "Deployment", "StatefulSet"):
        for constraint in each["spec"]["template"]["spec"].get("topologySpreadConstraints", []):
            if constraint["topologyKey"] == ZONE and constraint["whenUnsatisfiable"] == "DoNotSchedule":
                spread[each["metadata"]["name"]] = constraint["maxSkew"]
    return spread


def _is_spread(kubectl: Kubectl, spread: dict[str, int]) -> str:
    if not spread:
        raise Broken("no workload has to be spread over zones")
    zone = zones(kubectl)
    where = {name: dict.fromkeys(zone.values(), 0) for name in spread}
    for pod in ready(kubectl):
        if workload(pod) in where:
            where[workload(pod)][zone[node(pod)]] += 1
    for name, counts in where.items():
        if max(counts.values()) - min(counts.values()) > spread[name]:
            raise Broken(f"{name} is not spread over zones: {counts}")
    told = ", ".join(f"{name} {'/'.join(map(str, counts.values()))}" for name, counts in where.items())
    return f"spread over {len(set(zone.values()))} zones: {told}"


def _knows_its_zone(kubectl: Kubectl) -> str:
    """The label that a stage reads its rack from, which the API server copies from the node."""
    zone = zones(kubectl)
    wrong = [
        pod["metadata"]["name"] for pod in ready(kubectl) if pod["metadata"]["labels"].get(ZONE) != zone[node(pod)]
    ]
    if wrong:
        raise Broken(f"pods don't bear the zone of their node: {', '.join(wrong[:5])}")
    return "every pod bears the zone of its node"


def _outlives_a_zone(kubectl: Kubectl) -> str:
    """A zone that takes nothing more, and all its pods gone at once: what budgets can't prevent."""
    zone = zones(kubectl)
    lost = min(zone.values())
    gone = [pod["metadata"]["name"] for pod in ready(kubectl) if zone[node(pod)] == lost]
    with _cordoned(kubectl, f"--selector={ZONE}={lost}"):
        kubectl.run("delete", "pods", *gone, _IN, timeout_s=_DRAIN_S)
        back = wait_until_ready(kubectl)
    if any(zone[node(pod)] == lost for pod in back):
        raise Broken(f"pods were put into {lost}, which takes none")
    return f"{lost} gone with {len(gone)} pods, all {len(back)} are ready in the others"


def _takes_gpus_where_they_are(kubectl: Kubectl) -> str:
    """A zone with nodes, but none with a GPU to give: its share of Triton runs in the others."""
    zone = zones(kubectl)
    without = min(zone.values())
    mine = [pod for pod in ready(kubectl) if workload(pod) == "triton"]
    if not mine:
        return "there is no Triton"
    gone = [pod["metadata"]["name"] for pod in mine if zone[node(pod)] == without]
    bare = [each for each in kubectl.items("nodes") if GPU in each["status"]["allocatable"]]
    bare = [each for each in bare if each["metadata"]["labels"][ZONE] == without]
    with _cordoned(kubectl, *(each["metadata"]["name"] for each in bare)):
        if gone:
            kubectl.run("delete", "pods", *gone, _IN, timeout_s=_DRAIN_S)
        back = [pod for pod in wait_until_ready(kubectl) if workload(pod) == "triton"]
    if len(back) != len(mine) or any(zone[node(pod)] == without for pod in back):
        raise Broken(f"{without} has no GPU to give, and Triton runs in {[zone[node(pod)] for pod in back]}")
    return f"{without} without a GPU: all {len(back)} of Triton are ready in the others"


@contextmanager
def _cordoned(kubectl: Kubectl, *which: str) -> Iterator[None]:
    """Nodes that take nothing more meanwhile: their names, or a selector."""
    kubectl.run("cordon", *which)
    try:
        yield
    finally:
        kubectl.run("uncordon", *which)


def _of(objects: Sequence[Object], *kinds: str) -> list[Object]:
    return [each for each in objects if each["kind"] in kinds]
