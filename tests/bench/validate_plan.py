"""Holds plan and simulation against the real stack: `python -m tests.bench.validate_plan [--cameras 1 2 4] [--page]`.

The stages are measured by themselves first, on the video that the stack's cameras play (tests/bench/stages.py), and
each detector at its size; what a process on Kafka takes beside that is the calibration's, from `make bench-stack`. From
these alone CPU, bytes and delay of the stack are predicted, with separate processes and detectors in process; then the
stack runs, and says what is so. `--page` writes the table into docs/planning.md.

CPU for each frame and bytes hold on a busy machine as long as every look and frame is in time. Where they are not,
frames close, and figures stand in brackets: a closed frame takes less.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from deploy.planning_page import PAGE
from services.planning.calibration import Calibration, calibration
from services.planning.demand import Camera, bytes_per_s, stages, work
from services.planning.plan import Ask, Plan, plan
from services.planning.scenario import Scenario
from services.planning.simulate import simulate
from services.policy.reference import with_tables
from tests.bench.calibrate import OUT, detectors, policy, sizes
from tests.bench.stack_cost import Load, latency, running, stack_load
from tests.bench.stages import Run, run
from tests.chaos.truth import HEIGHT, RATE, WIDTH, truth_video

_ROUNDS = 3
_TOPICS = ("video.source", "frames.detect", "video.rendered", "video.redacted")
_GOAL = 0.2
_MOST = 0.98
_BUSY = 0.8


@dataclass(frozen=True)
class Row:
    """One figure: what was predicted, and what was measured."""

    cameras: int
    what: str
    predicted: float
    measured: float
    holds: bool

    @property
    def off(self) -> float:
        """Of the measured figure."""
        return self.predicted / self.measured - 1 if self.measured else float("nan")


def figures_of(clip: Path, start: Calibration) -> tuple[Calibration, Camera]:
    """The calibration with what was measured on this clip in place of its own, and the camera that plays it."""
    runs = [run(clip, policy()) for _ in range(_ROUNDS)]
    one = runs[0]

    def each(name: str, per: str) -> dict[str, float]:
        cost = median(1e3 * each.cpu_s[name] / getattr(each, per) for each in runs)
        return {"each": cost, "per_megapixel": 0.0, "spread": getattr(start.stages, name).spread}

    own: dict[str, dict[str, float]] = {name: each(name, "frames") for name in ("decoder", "renderer", "encoder")}
    own |= {name: each(name, "looks") for name in ("look", "inference", "tracker")}
    data = start.model_dump()
    data["stages"] |= own
    data["detectors"] |= detectors()
    data["bytes"] |= sizes(one)
    seconds = one.frames / RATE
    camera = Camera(
        WIDTH,
        HEIGHT,
        float(RATE),
        8 * one.payload / seconds,
        8 * _per_record(one, "video.redacted") * RATE - 8 * RATE * data["bytes"]["source_overhead"],
        one.frames / one.looks,
    )
    return Calibration.model_validate(data), camera


def predicted_plan(cameras: int, camera: Camera, figures: Calibration) -> Plan:
    """The stack as it is: one process of each stage, one broker."""
    ask = Ask(cameras, camera, fused=False, cell=cameras, decoder_cores=os.cpu_count() or 1, inference_workers=1)
    made = plan(ask, figures)
    one = {name: replace(stage, replicas=1) for name, stage in made.cell.stages.items()}
    return replace(made, cell=replace(made.cell, stages=one, partitions=8, brokers=1))


def compare(
    cameras: int, camera: Camera, figures: Calibration, load: Load, delays: Mapping[str, Any], seconds: float
) -> list[Row]:
    """Every figure of one run of the stack."""
    asked = work(camera, figures, fused=False)
    sent, came = cameras * camera.fps, load.frames / seconds
    # Behind the renderer costs are compared for the frames that there were.
    share = dict.fromkeys(("renderer", "encoder", "video.rendered", "video.redacted"), came / sent)
    cpu = {name: cameras * share.get(name, 1.0) * one.cpu + one.idle for name, one in asked.items()}
    broker = figures.processes
    cpu["broker"] = (broker.broker_idle_ms_per_s + came * broker.broker_per_frame_ms) / 1e3
    measured = {name: load.cpu_s[name] / seconds for name in stages(fused=False)}
    measured["broker"] = sum(spent for name, spent in load.cpu_s.items() if name.startswith("kafka")) / seconds
    # A closed frame is one that nobody looked at, and that compresses to next to nothing.
    open_ = 1 - float(delays.get("closed", 0)) / max(1, load.frames)
    whole = open_ > _MOST and came > _MOST * sent
    rows = [
        Row(cameras, f"CPU of {name}, cores", cpu[name], measured[name], whole or name == "decoder") for name in cpu
    ]
    rows.append(Row(cameras, "CPU of all, cores", sum(cpu.values()), sum(measured.values()), whole))
    written = bytes_per_s(camera, figures, fused=False)
    for topic in _TOPICS:
        grown = load.topic_bytes.get(topic, 0) / seconds / 1e3
        row = Row(cameras, f"{topic}, KB/s", cameras * share.get(topic, 1.0) * written[topic] / 1e3, grown, whole)
        rows.append(replace(row, holds=whole or topic not in share))
    result = simulate(predicted_plan(cameras, camera, figures), figures, Scenario(seconds=60.0))
    fits = sum(cpu.values()) < _BUSY * (os.cpu_count() or 1)
    for name, part in (("p50", 0.5), ("p95", 0.95)):
        rows.append(
            Row(cameras, f"age {name}, s", result.age(part), float(delays.get(name, 0.0)) / 1e3, whole and fits)
        )
    return rows


def markdown(rows: Sequence[Row], load: float) -> str:
    """The table of the page."""
    said = f"`make validate-plan`, load of the machine beside it {load:.1f}; within {_GOAL:.0%} is the goal."
    lines = [
        f"{said} In brackets: frames came late or closed, so that the stack did not do what was predicted.",
        "",
        "| cameras | what | predicted | measured | off |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        off = f"{row.off:+.0%}" if row.holds else f"({row.off:+.0%})"
        lines.append(f"| {row.cameras} | {row.what} | {row.predicted:.3g} | {row.measured:.3g} | {off} |")
    return "\n".join(lines) + "\n"


def _per_record(one: Run, topic: str) -> float:
    return one.size[topic] / one.records[topic]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.validate_plan",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 2, 4, 8], help="how many, one run each")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each run, after its start")
    parser.add_argument("--calibration", type=Path, help="figures to start from; those of this version if left out")
    parser.add_argument("--page", action="store_true", help="write the table into docs/planning.md")
    parser.add_argument("--out", type=Path, default=OUT.with_name("validate.json"), help="the figures as JSON")
    options = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    rows: list[Row] = []
    with TemporaryDirectory(prefix="veil-validate-") as name:
        folder = Path(name)
        clip = truth_video(folder / "live.mp4", rate=RATE).path
        figures, camera = figures_of(clip, calibration(options.calibration))
        for cameras in options.cameras:
            print(f"{cameras} cameras …", flush=True)
            with running(folder / str(cameras), cameras) as stack:
                spent, units = stack_load(stack, options.seconds)
            rows += compare(cameras, camera, figures, spent, latency(units), options.seconds)
    table = markdown(rows, load)
    print(table)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")
    if options.page:
        PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), {"validated": table}), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
