"""Nodes that are there for the scheduler alone: three zones, in each some with GPUs, which take nothing else."""

from collections.abc import Iterable, Mapping
from typing import Any

ZONE = "topology.kubernetes.io/zone"
GPU = "nvidia.com/gpu"
ZONES = ("zone-a", "zone-b", "zone-c")
# Two of a kind at least, so that a drained node's pods find a place in its zone.
_PLAIN, _WITH_GPUS = 3, 2
_GPUS = 4
_SIZE = {"cpu": "48", "memory": "192Gi", "ephemeral-storage": "500Gi", "pods": "110"}


def nodes() -> dict[str, Any]:
    """All of them, as one List."""
    plain = [_node(f"{zone}-{number}", zone, _SIZE, ()) for zone in ZONES for number in range(_PLAIN)]
    taint = {"key": GPU, "value": "present", "effect": "NoSchedule"}
    size = _SIZE | {GPU: str(_GPUS)}
    gpus = [_node(f"{zone}-gpu-{number}", zone, size, (taint,)) for zone in ZONES for number in range(_WITH_GPUS)]
    return {"apiVersion": "v1", "kind": "List", "items": plain + gpus}


def _node(name: str, zone: str, size: Mapping[str, str], taints: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        ZONE: zone,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": [*taints]},
        "status": {"capacity": size, "allocatable": size},
    }
