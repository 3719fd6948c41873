"""Measures speed: `python -m tests.bench.run [--short | --soak] [--frames N] [--repeats N]`.

The same videos go through `veil redact` (faces and plates, evidence), deface 1.5.0 (faces; its defaults) and the floor
(decode, Veil's detector calls, encode, nothing else), each as a process of its own with one thread for decoding, for a
detector's call and for encoding, in turn so that the machine's mood hits all alike. deface has no option for threads;
`run_deface.py` sets one, because with its own choice idle threads spin and it costs more. Its encoder is ffmpeg's own
process at ffmpeg's own number of threads.

Every program runs on a short and on the whole video: the slope between the two is what a further frame costs, the rest
is start-up. The ratios at the top of bench.json are slopes, since a camera starts once and runs for months;
`whole_process` holds them with start-up included.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median

import av
from rich.console import Console
from rich.table import Table

from services.policy.model import Profile
from tests.bench.processes import Usage, measured
from tests.bench.soak import growth
from tests.eval.exposure import by_pixels
from tests.eval.peers import deface_command
from tests.eval.programs import veil_command, write_policy
from tests.support.scene_plans import MIXED, draw
from tests.support.scene_sources import REPOSITORY, SHARED_DATA, package_sources, shared_sources
from tests.support.scenes import Truth, VideoWriter, generate

OUT = REPOSITORY / "out" / "bench"
_FRAMES, _FRAMES_SHORT = 400, 120
_START_SHARE = 4  # the short video is this many times shorter

Command = Callable[[Path, Path, int], list[str]]
"""source, output, frames of the source → command line."""


@dataclass(frozen=True)
class Clip:
    """A video in two lengths.

    Attributes:
        short_frames, frames: of `short` and of `whole`.
        truth: of the whole one, None if there is none.
    """

    name: str
    short: Path
    whole: Path
    short_frames: int
    frames: int
    truth: Truth | None


@dataclass
class Runs:
    """All runs of one program on one clip."""

    short: list[Usage] = field(default_factory=list)
    whole: list[Usage] = field(default_factory=list)
    recall: dict[str, float] = field(default_factory=dict)


def per_frame(runs: Runs, clip: Clip, figure: str) -> float:
    """What a further frame costs: the slope between the short and the whole video, of medians."""
    long, short = (median(getattr(usage, figure) for usage in usages) for usages in (runs.whole, runs.short))
    return (long - short) / (clip.frames - clip.short_frames)


def whole(runs: Runs, clip: Clip, figure: str) -> float:
    """The whole process, start-up included, for each frame."""
    return median(getattr(usage, figure) for usage in runs.whole) / clip.frames


def clips(folder: Path, frames: int, *, short: bool) -> Iterator[Clip]:
    """A generated scene with truth, and the pedestrians of vtest.avi if they are there and time allows."""
    sources = shared_sources() or package_sources()
    scene = folder / "scene.mp4"
    truth = generate(scene, draw(MIXED, sources, frames, seed=2), sources)
    yield _clip("scene", scene, folder, frames, truth)
    vtest = SHARED_DATA / "video" / "vtest.avi"
    if vtest.is_file() and not short:
        yield _clip("vtest", vtest, folder, frames, None)


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.run", description="Measures speed and memory.")
    parser.add_argument(
        "--short", action="store_true", help=f"one scene of {_FRAMES_SHORT} frames, once, a minute of memory"
    )
    parser.add_argument("--soak", action="store_true", help="only memory, over a video of 30 minutes")
    parser.add_argument("--frames", type=int, help=f"frames of each video, {_FRAMES} if left out")
    parser.add_argument("--repeats", type=int, help="runs of each program, 3 if left out")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of bench.json")
    options = parser.parse_args(arguments)
    frames = options.frames or (_FRAMES_SHORT if options.short else _FRAMES)
    repeats = options.repeats or (1 if options.short else 3)
    console = Console(width=150)
    kept = options.out / "bench.json"
    report: dict[str, object] = json.loads(kept.read_text()) if options.soak and kept.is_file() else {}
    with tempfile.TemporaryDirectory(prefix="veil-bench-") as name:
        folder = Path(name)
        for clip in () if options.soak else clips(folder, frames, short=options.short):
            console.print(f"{clip.name}: {clip.frames} frames, {repeats} rounds")
            programs = run_in_turn(clip, folder, repeats)
            console.print(table(programs, clip))
            figures = summary(programs, clip)
            # The scene has truth and comes first: its figures are the headline.
            report = report or dict(figures)
            report.setdefault("clips", {})[clip.name] = figures  # type: ignore[attr-defined]
        console.print("resident memory of one long run …")
        grown = growth(folder, limit_s=None if options.soak else 60.0 if options.short else 90.0)
    report |= {
        "rss_growth_mb_per_min": round(grown.growth_mb_per_min, 3),
        "rss_minutes": round(grown.seconds[-1] / 60, 1),
    }
    console.print(f"resident memory grows by {grown.growth_mb_per_min:.2f} MB per minute")
    options.out.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(report, indent=2) + "\n")
    return report


def run_in_turn(clip: Clip, folder: Path, repeats: int) -> dict[str, Runs]:
    """Every program on both lengths, A B C A B C; the floor repeats the looks of Veil's own run."""
    policy = write_policy(folder / "policy.yaml", Profile.EVIDENCE)
    figures = folder / "figures.json"
    looks: dict[int, int] = {}

    def veil(source: Path, output: Path, frames: int) -> list[str]:
        return veil_command(source, output, policy, "--quiet", "--overwrite", "--summary", str(figures))

    def floor(source: Path, output: Path, frames: int) -> list[str]:
        counts = ("--looks", str(looks[frames]), "--frames", str(frames))
        return [sys.executable, "-m", "tests.bench.floor", str(source), str(output), *counts]

    def deface(source: Path, output: Path, frames: int) -> list[str]:
        return deface_command(source, output)

    commands: dict[str, Command] = {"veil": veil, "floor": floor, "deface": deface}
    runs = {name: Runs() for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            output = folder / f"{name}.mp4"
            for source, frames, kept in (
                (clip.short, clip.short_frames, runs[name].short),
                (clip.whole, clip.frames, runs[name].whole),
            ):
                kept.append(measured(command(source, output, frames)))
                if name == "veil":
                    looks[frames] = json.loads(figures.read_text())["looks"]
    if clip.truth:
        for name, kinds in (("veil", ("face", "plate")), ("deface", ("face",)), ("floor", ("face", "plate"))):
            exposure = by_pixels(clip.whole, folder / f"{name}.mp4", clip.truth)
            runs[name].recall = {kind: round(exposure.recall(kind), 4) for kind in kinds}
    return runs


def summary(programs: dict[str, Runs], clip: Clip) -> dict[str, object]:
    """The figures of one clip, as bench.json holds them."""

    def ratio(over: str, under: str, cost: Callable[[Runs, Clip, str], float]) -> float:
        return round(cost(programs[over], clip, "cpu_s") / cost(programs[under], clip, "cpu_s"), 3)

    return {
        "deface_over_veil": ratio("deface", "veil", per_frame),
        "veil_over_floor": ratio("veil", "floor", per_frame),
        "whole_process": {
            "deface_over_veil": ratio("deface", "veil", whole),
            "veil_over_floor": ratio("veil", "floor", whole),
        },
        "frames": clip.frames,
        "programs": {
            name: {
                "cpu_s_per_frame": round(per_frame(runs, clip, "cpu_s"), 5),
                "wall_s_per_frame": round(per_frame(runs, clip, "wall_s"), 5),
                "whole_process_cpu_s_per_frame": round(whole(runs, clip, "cpu_s"), 5),
                "peak_rss_mb": round(max(usage.peak_rss_mb for usage in runs.whole), 1),
                "recall": runs.recall.get("face"),
                "recall_plate": runs.recall.get("plate"),
            }
            for name, runs in programs.items()
        },
    }


def table(programs: dict[str, Runs], clip: Clip) -> Table:
    """One row for each program."""
    made = Table(title=f"{clip.name}, {clip.frames} frames", caption="ms per frame; with start-up in brackets")
    for heading in ("program", "CPU", "wall", "peak MB", "faces hidden", "plates hidden", "CPU to Veil's"):
        made.add_column(heading, justify="left" if heading == "program" else "right")
    base = per_frame(programs["veil"], clip, "cpu_s")
    for name, runs in programs.items():
        cpu, wall = (
            f"{1000 * per_frame(runs, clip, figure):.1f} ({1000 * whole(runs, clip, figure):.1f})"
            for figure in ("cpu_s", "wall_s")
        )
        peak = f"{max(usage.peak_rss_mb for usage in runs.whole):.0f}"
        recalls = (f"{runs.recall[kind]:.1%}" if kind in runs.recall else "–" for kind in ("face", "plate"))
        made.add_row(name, cpu, wall, peak, *recalls, f"{per_frame(runs, clip, 'cpu_s') / base:.2f}")
    return made


def _clip(name: str, master: Path, folder: Path, frames: int, truth: Truth | None) -> Clip:
    # Both lengths are cut from one master in the same way, so that a further frame costs the same in both.
    short, long = folder / f"{name}-short.mp4", folder / f"{name}-whole.mp4"
    return Clip(name, short, long, cut(master, short, frames // _START_SHARE), cut(master, long, frames), truth)


def cut(source: Path, output: Path, frames: int) -> int:
    """Compresses the first frames of a video anew, at 25 per second; returns how many there were."""
    number = 0
    with av.open(str(source)) as reader:
        video = reader.streams.video[0]
        with VideoWriter(output, video.width, video.height, 25) as writer:
            for frame in islice(reader.decode(video), frames):
                writer.write(frame.to_ndarray(format="rgb24"))
                number += 1
    return number


if __name__ == "__main__":
    main()
