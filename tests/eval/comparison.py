"""Exposure: every program on every video with truth.

Without the shared data only the scene made from packages is run. The short form, which the tests run, is one scene of
each kind of source, without other programs.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.policy.model import Profile
from tests.eval.exposure import Exposure, by_pixels
from tests.eval.peers import face_peers
from tests.eval.persons import person_video
from tests.eval.pictures import picture_videos
from tests.eval.programs import Program, per_frame, rules, veil
from tests.eval.report import as_json, exposed_share
from tests.support.scene_plans import MIXED, STANDARD, draw
from tests.support.scene_sources import Sources, package_sources, shared_sources
from tests.support.scenes import Truth, generate, truth_path

GROUPS = ("packages", "scenes", "pictures", "persons")
_SHORT_FRAMES = 100
_SCENE_FRAMES = 125


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


def measure(
    *, short: bool = False, only: str | None = None, say: Callable[[str], None] = print
) -> dict[str, dict[str, Exposure]]:
    """Group → program → what it left exposed; with `only`, of that group alone."""
    with tempfile.TemporaryDirectory(prefix="veil-eval-") as folder:
        policies = Path(folder)
        return compared(lambda kinds: programs_for(kinds, policies, short=short), short=short, only=only, say=say)


def compared(
    programs_of: Callable[[tuple[str, ...]], Sequence[Program]],
    *,
    short: bool = False,
    only: str | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, dict[str, Exposure]]:
    """As `measure`, of the programs that are to be compared where these kinds are to be masked."""
    groups: dict[str, dict[str, Exposure]] = {}
    with tempfile.TemporaryDirectory(prefix="veil-eval-") as folder:
        programs: dict[tuple[str, ...], Sequence[Program]] = {}
        for video in videos(Path(folder), short=short):
            if only not in (None, video.group):
                continue
            say(f"exposure: {video.group}, {video.path.stem}, {len(video.truth.frames)} frames")
            if video.kinds not in programs:
                programs[video.kinds] = programs_of(video.kinds)
            sums = groups.setdefault(video.group, {})
            for name, exposure in of_video(video, programs[video.kinds]).items():
                sums.setdefault(name, Exposure()).__iadd__(exposure)
    return groups


def section_of(groups: Mapping[str, Mapping[str, Exposure]]) -> dict[str, object]:
    """The section of eval.json."""
    return {
        group: {"programs": as_json(results), "evidence_over_per_frame": goal_ratio(results)}
        for group, results in groups.items()
    }


def of_video(video: Video, programs: Sequence[Program]) -> dict[str, Exposure]:
    """Runs every program on one video. What a program does not claim to mask is not counted against it."""
    results = {}
    for program in programs:
        output = video.path.with_name(f"{video.path.stem}.{program.name.replace(' ', '-')}.mp4")
        program.mask(video.path, output)
        exposure = by_pixels(video.path, output, video.truth, cut=program.cuts)
        output.unlink()
        results[program.name] = Exposure(
            {key: count for key, count in exposure.counts.items() if key[0] in program.kinds},
            exposure.rest,
            exposure.rest_masked,
        )
    return results


def programs_for(kinds: tuple[str, ...], folder: Path, *, short: bool) -> list[Program]:
    """What is compared where these kinds are to be masked; other programs know faces only."""
    ours = [per_frame(rules(Profile.EVIDENCE, folder, kinds)), veil(Profile.LIVE, kinds), veil(Profile.EVIDENCE, kinds)]
    return [*ours, *face_peers()] if "face" in kinds and not short else ours


def goal_ratio(results: Mapping[str, Exposure]) -> dict[str, float | None]:
    """Exposed share under `evidence` over that of per-frame detection, by kind, where the promise holds."""
    ratios: dict[str, float | None] = {}
    for kind in sorted({kind for exposure in results.values() for kind, _ in exposure.counts}):
        baseline, ours = (
            exposed_share(results[name].total(kind, goal=True)) for name in ("per-frame detection", "veil evidence")
        )
        ratios[kind] = round(ours / baseline, 4) if baseline else None
    return ratios


def _scene(folder: Path, sources: Sources, group: str, recipe_name: str, frames: int) -> Video:
    recipe = next(recipe for recipe in (*STANDARD, MIXED) if recipe.name == recipe_name)
    path = folder / f"{group}-{recipe_name}.mp4"
    return Video(group, path, generate(path, draw(recipe, sources, frames, seed=1), sources))
