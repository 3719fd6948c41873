"""The Kustomize overlay that a plan asks for: k8s/overlays/city with the plan's numbers."""

import os
from pathlib import Path
from typing import Any

import yaml

from services.bus.kafka_table import all_topics
from services.bus.topics import TOPICS
from services.planning.calibration import detection_on
from services.planning.errors import PlanError
from services.planning.plan import Ask, CellPlan, Plan

BASE = "k8s/overlays/city"
_GI = 1024**3
_COPIES = 3
# Refused messages are read in the order in which they came: one partition, whatever the others have.
_DEAD_LETTERS = [{"name": topic.name} for topic in all_topics() if topic not in TOPICS]


def write(plan: Plan, folder: Path, base: Path) -> list[Path]:
    """Writes an overlay for a full cell, and one for the last cell where it isn't full. Returns the files.

    `base` is the overlay `city` of this version; what `folder` has of these names is replaced. Raises PlanError where
    the plan is not of the kind that the overlay is.
    """
    ask = plan.ask
    if not ask.fused:
        raise PlanError(f"{BASE} has renderer and encoder in one process: plan without --separate to write it")
    if ask.replication != _COPIES:
        raise PlanError(
            f"{BASE} keeps {_COPIES} copies of each partition: plan with --replication {_COPIES} to write it"
        )
    if not (base / "kustomization.yaml").is_file():
        raise PlanError(f"{base} is no Kustomize overlay: --base says where {BASE} of this version is")
    kinds = [("cell", plan.cell), *((("last-cell", plan.rest),) if plan.rest else ())]
    return [_write(ask, cell, folder / name, base) for name, cell in kinds]


def _write(ask: Ask, cell: CellPlan, folder: Path, base: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "kustomization.yaml"
    # Kustomize takes relative paths only.
    up = os.path.relpath(base.resolve(), folder.resolve())
    head = f"# Made by `veil plan --write` for {cell.cameras} cameras, on top of {BASE}: site.yaml there names them.\n"
    text = yaml.safe_dump(kustomization(ask, cell, up), sort_keys=False, allow_unicode=True, width=120)
    path.write_text(head + text, encoding="utf-8")
    return path


def kustomization(ask: Ask, cell: CellPlan, base: str) -> dict[str, Any]:
    """The overlay of one cell, on top of the overlay that `base` names."""
    decoders = cell.stages["decoder"].replicas
    partitions = cell.partitions
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "veil",
        "resources": [base],
        "configMapGenerator": [{"name": "settings", "behavior": "merge", "literals": _settings(ask, partitions)}],
        "replicas": [{"name": "decoder", "count": decoders}],
        "replacements": [_topics()],
        "patches": [
            *_scaling(cell),
            *(_resources(cell, name) for name in cell.stages),
            *(_on_gpus(ask.gpu, cell) if ask.gpu else _on_cpus()),
            _brokers(cell),
        ],
    }


def _settings(ask: Ask, partitions: int) -> list[str]:
    found = [f"VEIL_KAFKA_PARTITIONS={partitions}", f"VEIL_KAFKA_REPLICATION={ask.replication}"]
    if ask.gpu is None:
        found.append(f"VEIL_INFERENCE_WORKERS={ask.inference_workers}")
    if ask.encoder_threads > 1:
        found.append(f"VEIL_ENCODER_THREADS={ask.encoder_threads}")
    return found


def _topics() -> dict[str, Any]:
    return {
        "source": {"kind": "ConfigMap", "name": "settings", "fieldPath": "data.VEIL_KAFKA_PARTITIONS"},
        "targets": [{"select": {"kind": "KafkaTopic"}, "reject": _DEAD_LETTERS, "fieldPaths": ["spec.partitions"]}],
    }


def _scaling(cell: CellPlan) -> list[dict[str, Any]]:
    """KEDA starts from the plan's number, and goes as far as partitions reach."""
    return [
        _patch(
            "ScaledObject",
            name,
            [("/spec/minReplicaCount", stage.replicas), ("/spec/maxReplicaCount", cell.partitions - 1)],
        )
        for name, stage in cell.stages.items()
        if name != "decoder"
    ]


def _resources(cell: CellPlan, name: str) -> dict[str, Any]:
    request = f"{round(cell.stages[name].request * 1000)}m"
    return _patch("Deployment", name, [("/spec/template/spec/containers/0/resources/requests/cpu", request)])


def _on_gpus(gpu: str, cell: CellPlan) -> list[dict[str, Any]]:
    # The published figure is for this runtime: services/detect/triton_repository.py knows it by the same name.
    runtime = [("/spec/template/spec/initContainers/0/args/4", detection_on(gpu).runtime)]
    # Twice the plan is what a GPU that is half as fast as was published would take.
    return [
        _patch("Deployment", "triton", runtime),
        _patch(
            "ScaledObject", "triton", [("/spec/minReplicaCount", cell.gpus), ("/spec/maxReplicaCount", 2 * cell.gpus)]
        ),
    ]


def _on_cpus() -> list[dict[str, Any]]:
    """Detectors run in the inference processes; nobody would ask Triton, and there need be no certificate for it."""
    kinds = ("Deployment", "Service", "ServiceAccount", "ScaledObject", "PodDisruptionBudget", "PodMonitor")
    return [
        *({"target": {"kind": kind, "name": "triton"}, "patch": _DELETE} for kind in kinds),
        {"target": {"kind": "Deployment", "name": "inference"}, "patch": _IN_PROCESS},
    ]


_DELETE = """\
$patch: delete
apiVersion: any
kind: any
metadata: {name: any}
"""

_IN_PROCESS = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: inference
spec:
  template:
    spec:
      containers:
        - name: stage
          env:
            - {name: VEIL_INFERENCE_HOME, value: onnx}
            - {name: VEIL_INFERENCE_TRITON_URLS, $patch: delete}
            - {name: VEIL_INFERENCE_TRITON_CA_FILE, $patch: delete}
          volumeMounts:
            - {mountPath: /run/secrets/triton-ca, $patch: delete}
      volumes:
        - {name: triton-ca, $patch: delete}
"""


def _brokers(cell: CellPlan) -> dict[str, Any]:
    disk = f"{max(1, -(-int(cell.disk / cell.brokers) // _GI))}Gi"
    return _patch(
        "KafkaNodePool",
        "brokers",
        [("/spec/replicas", cell.brokers), ("/spec/storage/volumes/0/size", disk)],
    )


def _patch(kind: str, name: str, changes: list[tuple[str, Any]]) -> dict[str, Any]:
    steps = [{"op": "replace", "path": path, "value": value} for path, value in changes]
    return {
        "target": {"kind": kind, "name": name},
        "patch": yaml.safe_dump(steps, sort_keys=False, allow_unicode=True),
    }
