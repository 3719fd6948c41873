"""Measures the stack of processes: `python -m tests.bench.stack [--short] [--only PART …] [--soak]`.

Parts, each a section of stack.json:
  kafka_mb_s           megabytes per second through the broker, Veil's bus beside Kafka's own tools
  cpu_over_embedded    CPU per frame of the five services over that of one process, on the same two live cameras, with
                       the detectors inside the inference process in both: separate, and renderer and encoder fused;
                       and the bytes that all topics take on the broker's disk, over those of video.source
  latency_ms           capture → video.redacted by the broker's clock, one and four cameras, with Triton, by hop
  triton_over_inprocess  a detector's call through Triton beside the same call in process
  soak                 resident memory of each process and lag over half an hour
All figures that are compared come from one run on one machine; only their ratios mean anything elsewhere.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.pretty import Pretty

from deploy.stack.services import STAGES
from deploy.stack.stack import Stack
from tests.bench import kafka_path
from tests.bench.stack_cost import embedded_load, latency, metric, pids_of, resident_mb, running, stack_load

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "out" / "bench"
_FUSED = ("decoder", "inference", "tracker", "renderer-encoder")
_CPU_RATE = 15
"""Frames per second of a usual city camera; part of what a process takes does not depend on it."""
_SOAK_S, _SAMPLE_S = 1800.0, 5.0


def kafka_mb_s(folder: Path, *, short: bool) -> Mapping[str, object]:
    megabytes, rounds = (60, 1) if short else (200, 3)
    return {
        "plain": kafka_path.measure(megabytes, rounds),
        "tls": kafka_path.measure(megabytes, rounds, secure=True) if not short else {},
    }


def cpu_over_embedded(folder: Path, *, short: bool) -> Mapping[str, object]:
    seconds = 15.0 if short else 40.0
    figures: dict[str, object] = {}
    with running(folder / "separate", 2, rate=_CPU_RATE) as stack:
        separate, _ = stack_load(stack, seconds)
        embedded = embedded_load(stack, seconds)
    one = embedded.per_frame_ms(["embedded"])
    with running(folder / "fused", 2, rate=_CPU_RATE, fused=True) as stack:
        fused, _ = stack_load(stack, seconds)
    for name, load, services in (("separate", separate, STAGES), ("fused", fused, _FUSED)):
        total = load.per_frame_ms(services)
        figures[name] = round(total / one, 2)
        figures[f"{name}_ms_per_frame"] = {each: round(load.per_frame_ms([each]), 2) for each in load.cpu_s}
        source = load.topic_bytes.get("video.source", 0)
        figures[f"{name}_bus_bytes_over_source"] = {
            "all": round(sum(load.topic_bytes.values()) / source, 2),
            **{topic: round(size / source, 3) for topic, size in sorted(load.topic_bytes.items()) if size > 0},
        }
    figures["embedded_ms_per_frame"] = round(one, 2)
    figures["frames"] = {"separate": separate.frames, "fused": fused.frames, "embedded": embedded.frames}
    return figures


def latency_ms(folder: Path, *, short: bool) -> Mapping[str, object]:
    figures: dict[str, object] = {}
    for cameras in (1,) if short else (1, 4):
        with running(folder / f"latency-{cameras}", cameras, triton=True) as stack:
            load, units = stack_load(stack, 15.0 if short else 60.0)
        cpu = {name: round(load.per_frame_ms([name]), 2) for name in load.cpu_s}
        figures[str(cameras)] = {**latency(units), "cpu_ms_per_frame": cpu}
    return figures


def triton_over_inprocess(folder: Path, *, short: bool) -> Mapping[str, object]:
    from tests.bench import triton

    return triton.measure()


def soak(folder: Path, *, short: bool) -> Mapping[str, object]:
    with running(folder / "soak", 2, triton=True) as stack:
        return _watch(stack, 30.0 if short else _SOAK_S)


def _watch(stack: Stack, seconds: float) -> Mapping[str, object]:
    """Samples memory and lag; growth is the slope of a straight line through the second half, in MB a minute."""
    pids, began = pids_of(stack), time.monotonic()
    at: list[float] = []
    resident: dict[str, list[float]] = {name: [] for name in pids}
    lag: dict[str, list[float]] = {}
    while (now := time.monotonic() - began) < seconds:
        at.append(now)
        for name, pid in pids.items():
            resident[name].append(resident_mb(pid))
        for name, replicas in stack.services.items():
            lag.setdefault(name, []).append(sum(_lag(service.metrics_url) for service in replicas))
        time.sleep(_SAMPLE_S)
    return {
        "minutes": round(seconds / 60, 1),
        "resident_mb": {name: round(values[-1], 1) for name, values in resident.items()},
        "growth_mb_per_min": {name: round(_slope(at, values), 3) for name, values in resident.items()},
        "lag_mean": {name: round(float(np.mean(values)), 1) for name, values in lag.items()},
        "lag_growth_per_min": {name: round(_slope(at, values), 3) for name, values in lag.items()},
    }


def _slope(at: Sequence[float], values: Sequence[float]) -> float:
    half = len(at) // 2
    return float(np.polyfit(at[half:], values[half:], 1)[0] * 60)


def _lag(url: str) -> float:
    return metric(url, "veil_runner_lag_messages")


_PARTS: Mapping[str, Callable[..., Mapping[str, object]]] = {
    "kafka_mb_s": kafka_mb_s,
    "cpu_over_embedded": cpu_over_embedded,
    "latency_ms": latency_ms,
    "triton_over_inprocess": triton_over_inprocess,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.stack", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a minute or two for each part")
    parser.add_argument("--only", nargs="+", choices=sorted(_PARTS), help="these parts; the others keep their figures")
    parser.add_argument("--soak", action="store_true", help="only the soak; the others keep their figures")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of stack.json")
    options = parser.parse_args(arguments)
    # Whoever ends this ends the servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(width=150)
    path = options.out / "stack.json"
    options.out.mkdir(parents=True, exist_ok=True)
    report: dict[str, object] = json.loads(path.read_text()) if path.exists() else {}
    chosen = {"soak": soak} if options.soak else {name: _PARTS[name] for name in options.only or _PARTS}
    for name, part in chosen.items():
        with tempfile.TemporaryDirectory(prefix="veil-stack-") as folder:
            console.print(f"{name} …")
            report[name] = part(Path(folder), short=options.short)
        console.print(Pretty(report[name]))
        path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    console.print(f"written to {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
