"""Can one core keep up with one 1080p25 camera? `python -m tests.bench.full_hd [--frames N] [--repeats N]`.

A scene of 1920×1080 goes through `veil redact` with faces, plates and persons found in one pass by Veil's own network,
everything held to one core, with x264's usual preset and its fastest one. Beside it stands what decoding and encoding
take by themselves. A frame may take 40 ms.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from services.policy.model import Profile
from tests.bench.processes import Usage, measured
from tests.bench.run import OUT, cut
from tests.eval.programs import veil_command, write_policy
from tests.support.scene_plans import MIXED, draw
from tests.support.scene_sources import package_sources, shared_sources
from tests.support.scenes import generate

_KINDS = ("face", "plate", "person")
_MODELS = ",".join(f"{kind}=veil" for kind in _KINDS)
_PRESETS = ("veryfast", "ultrafast")
_BUDGET_MS = 1000 / 25


@dataclass(frozen=True)
class Cost:
    """CPU milliseconds a frame on one core: of decoding and encoding alone, and of all that Veil does."""

    bare_ms: float
    veil_ms: float


def main(arguments: Sequence[str] | None = None) -> dict[str, Cost]:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.full_hd", description="One 1080p25 camera, one core.")
    parser.add_argument("--frames", type=int, default=250, help="frames of the scene")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each; the median counts")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of full_hd.json")
    options = parser.parse_args(arguments)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(prefix="veil-hd-") as name:
        costs = measure(Path(name), options.frames, options.repeats)
    Console(width=120).print(table(costs))
    options.out.mkdir(parents=True, exist_ok=True)
    plain = {preset: {"bare_ms": cost.bare_ms, "veil_ms": cost.veil_ms} for preset, cost in costs.items()}
    (options.out / "full_hd.json").write_text(json.dumps(plain, indent=2) + "\n")
    return costs


def measure(folder: Path, frames: int, repeats: int) -> dict[str, Cost]:
    """Preset → cost of a further frame: the slope between a fifth of the scene and all of it."""
    sources = shared_sources() or package_sources()
    generate(folder / "scene.mp4", draw(replace(MIXED, size=(1920, 1080)), sources, frames, seed=2), sources)
    lengths = {"short": frames // 5, "whole": frames}
    for name, length in lengths.items():
        cut(folder / "scene.mp4", folder / f"{name}.mp4", length)
    policy = write_policy(folder / "policy.yaml", Profile.EVIDENCE, _KINDS)
    runs: dict[tuple[str, str, str], list[Usage]] = {}
    for _ in range(repeats):
        for preset in _PRESETS:
            os.environ |= {"VEIL_ENCODER_PRESET": preset, "VEIL_INFERENCE_MODELS": _MODELS}
            for name, length in lengths.items():
                source, output = folder / f"{name}.mp4", folder / "out.mp4"
                bare = [sys.executable, "-m", "tests.bench.floor", str(source), str(output), "--looks", "0"]
                for program, command in {
                    "bare": [*bare, "--frames", str(length)],
                    "veil": veil_command(source, output, policy, "--quiet", "--overwrite"),
                }.items():
                    runs.setdefault((preset, program, name), []).append(measured(command))

    def slope(preset: str, program: str) -> float:
        short, whole = (median(usage.cpu_s for usage in runs[preset, program, name]) for name in lengths)
        return round(1000 * (whole - short) / (lengths["whole"] - lengths["short"]), 1)

    return {preset: Cost(slope(preset, "bare"), slope(preset, "veil")) for preset in _PRESETS}


def table(costs: dict[str, Cost]) -> Table:
    """One row for each preset."""
    made = Table(title="1920×1080, one core", caption=f"CPU ms per frame; 25 frames a second leave {_BUDGET_MS:.0f}")
    for heading in ("x264 preset", "decode and encode", "Veil: faces, plates, persons", "frames a second"):
        made.add_column(heading, justify="right")
    for preset, cost in costs.items():
        made.add_row(preset, f"{cost.bare_ms:.1f}", f"{cost.veil_ms:.1f}", f"{1000 / cost.veil_ms:.1f}")
    return made


if __name__ == "__main__":
    main()
