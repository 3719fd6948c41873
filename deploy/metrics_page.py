"""Fills the tables of docs/metrics.md from the code and the recording rules: `python -m deploy.metrics_page`."""

import pkgutil
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import yaml
from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

import services
from services.policy.reference import with_tables

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "metrics.md"
RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"

_SUFFIXES = {"counter": "_total"}
_PARTS = {"histogram": ("_bucket", "_sum", "_count")}
# Programs, and what runs inside Triton or alembic.
_NOT_HERE = ("__main__", ".triton_model", ".migrations.env")
_PROCESS = ("process_", "python_")


class Metric(NamedTuple):
    """One metric as the page shows it; `name` is what a query says, without a histogram's endings."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str

    @property
    def queried(self) -> tuple[str, ...]:
        """Every name by which a query may ask for it."""
        return tuple(f"{self.name}{part}" for part in _PARTS.get(self.type, ("",)))


TRITON = (
    Metric("nv_inference_request_success", "counter", ("model", "version"), "Requests answered."),
    Metric(
        "nv_inference_request_failure",
        "counter",
        ("model", "version", "reason"),
        "Requests not answered; REJECTED: its queue was full, or their time over.",
    ),
    Metric("nv_inference_count", "counter", ("model", "version"), "Pictures worked on."),
    Metric("nv_inference_exec_count", "counter", ("model", "version"), "Batches worked on."),
    Metric(
        "nv_inference_request_duration_us",
        "counter",
        ("model", "version"),
        "Time of answered requests, waiting included, in microseconds.",
    ),
    Metric(
        "nv_inference_queue_duration_us", "counter", ("model", "version"), "Part of it spent waiting, in microseconds."
    ),
    Metric("nv_inference_pending_request_count", "gauge", ("model", "version"), "Requests that wait."),
)
"""Triton's own, as far as rules and dashboards ask for them; names without _total, times not in seconds."""

TRITON_GPU = (
    Metric("nv_gpu_utilization", "gauge", ("gpu_uuid",), "Share of time in which the GPU was busy, 0 to 1."),
    Metric("nv_gpu_memory_used_bytes", "gauge", ("gpu_uuid",), "Memory of the GPU in use."),
    Metric("nv_gpu_memory_total_bytes", "gauge", ("gpu_uuid",), "Memory of the GPU."),
)
"""Those that only a Triton with a GPU has."""

SCRAPER = (Metric("up", "gauge", ("job", "instance"), "1 where Prometheus got an answer, 0 where not."),)


def exported() -> list[Metric]:
    """Every metric that a process of Veil can export, by name, with those of Python and the process."""
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if not module.name.endswith(_NOT_HERE):
            import_module(module.name)
    wrappers = {each for each in REGISTRY._names_to_collectors.values() if isinstance(each, MetricWrapperBase)}
    found = {_of(each) for each in wrappers if each._name.startswith("veil_")}
    for family in REGISTRY.collect():
        if family.name.startswith(_PROCESS):
            labels = {label: None for sample in family.samples for label in sample.labels}
            name = f"{family.name}{_SUFFIXES.get(family.type, '')}"
            found.add(Metric(name, family.type, tuple(labels), _sentence(family.documentation)))
    return sorted(found)


def recorded() -> list[tuple[str, str]]:
    """Name and expression of every recording rule."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    rules = (rule for group in groups for rule in group["rules"] if "record" in rule)
    return [(rule["record"], " ".join(rule["expr"].split())) for rule in rules]


def queryable() -> frozenset[str]:
    """Every name that a rule or a panel may ask for."""
    metrics = (*exported(), *TRITON, *TRITON_GPU, *SCRAPER)
    return frozenset(name for metric in metrics for name in metric.queried) | {name for name, _ in recorded()}


def filled(page: str) -> str:
    """The page with its tables made anew."""
    return with_tables(page, dict(_tables()))


def _of(wrapper: MetricWrapperBase) -> Metric:
    types: dict[type, str] = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}
    kind = types[type(wrapper)]
    return Metric(
        f"{wrapper._name}{_SUFFIXES.get(kind, '')}", kind, tuple(wrapper._labelnames), _sentence(wrapper._documentation)
    )


def _sentence(text: str) -> str:
    return re.sub(r"(?<!\.)$", ".", text)


def _tables() -> Iterator[tuple[str, str]]:
    metrics = exported()
    owners = sorted({metric.name.split("_")[1] for metric in metrics if metric.name.startswith("veil_")})
    for owner in owners:
        yield owner, _table(metric for metric in metrics if metric.name.startswith(f"veil_{owner}_"))
    yield "process", _table(metric for metric in metrics if metric.name.startswith(_PROCESS))
    yield "triton", _table((*TRITON, *TRITON_GPU))
    yield "scraper", _table(SCRAPER)
    rows = "".join(f"| `{name}` | `{_cell(expression)}` |\n" for name, expression in recorded())
    yield "recorded", f"| metric | expression |\n|---|---|\n{rows}"


def _table(metrics: Iterable[Metric]) -> str:
    rows = "".join(
        f"| `{metric.name}` | {metric.type} | {', '.join(metric.labels) or '–'} | {_cell(metric.meaning)} |\n"
        for metric in metrics
    )
    return f"| metric | type | labels | meaning |\n|---|---|---|---|\n{rows}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
