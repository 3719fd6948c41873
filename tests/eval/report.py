"""Exposure as a table for people and as JSON for tests."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from tests.eval.exposure import BANDS, GOAL_HEIGHT, Count, Exposure

Results = Mapping[str, Exposure]
"""Program name → what it left exposed."""


def as_json(results: Results) -> dict[str, object]:
    """Per program: over-masking, and per kind the sum at and above the goal's height and every band."""
    return {
        name: {
            "over_masked": round(exposure.over_masked, 5),
            "goal": {kind: _figures(exposure.total(kind, goal=True)) for kind in _kinds(results)},
            "bands": {
                f"{kind} {_band_name(kind, low)}": _figures(exposure.counts[kind, low])
                for kind, low in sorted(exposure.counts)
            },
        }
        for name, exposure in results.items()
    }


def exposed_share(count: Count) -> float:
    """Exposed subject-frames per subject-frame."""
    return count.exposed_frames / count.frames if count.frames else 0.0


def table(results: Results, title: str) -> Table:
    """One row for each kind and size band, one column for each program."""
    made = Table(title=title, caption="exposed subject-frames · subjects exposed at all / for 5 frames and more")
    made.add_column("subject")
    made.add_column("height, px", justify="right")
    made.add_column("frames · subjects", justify="right")
    for name in results:
        made.add_column(name, justify="right")
    for kind in _kinds(results):
        for low in BANDS[kind]:
            rows = [exposure.counts.get((kind, low), Count()) for exposure in results.values()]
            seen = max(rows, key=lambda count: count.frames)
            if seen.frames:
                cells = [_cell(count) for count in rows]
                made.add_row(kind, _band_name(kind, low), f"{seen.frames} · {seen.subjects}", *cells)
        totals = [exposure.total(kind, goal=True) for exposure in results.values()]
        seen = max(totals, key=lambda count: count.frames)
        cells = [_cell(count) for count in totals]
        goal = f"from {GOAL_HEIGHT[kind]}"
        made.add_row(kind, goal, f"{seen.frames} · {seen.subjects}", *cells, style="bold", end_section=True)
    made.add_row("masked for nothing", "", "", *(f"{exposure.over_masked:.2%}" for exposure in results.values()))
    return made


def _kinds(results: Results) -> list[str]:
    return sorted({kind for exposure in results.values() for kind, _ in exposure.counts})


def _band_name(kind: str, low: float) -> str:
    higher = [band for band in BANDS[kind] if band > low]
    return f"{low:g}–{higher[0]:g}" if higher else f"over {low:g}"


def _cell(count: Count) -> str:
    if not count.frames:
        return "–"
    return f"{exposed_share(count):.1%} · {count.exposed_subjects}/{count.long_exposed}"


def _figures(count: Count) -> dict[str, float]:
    return {**vars(count), "exposed_share": round(exposed_share(count), 4)}


def headlines(whole: Mapping[str, Mapping[str, Any]]) -> Table:
    """The one table: a row for each promise, with its figure and what it is held against."""
    made = Table(title="What masks are worth", caption="out/eval/eval.json has all figures")
    for heading in ("section", "figure", "measured", "against"):
        made.add_column(heading)
    for row in (*_exposure_rows(whole), *_attack_rows(whole), *_other_rows(whole)):
        made.add_row(*row)
    return made


_Row = tuple[str, str, str, str]


def _exposure_rows(whole: Mapping[str, Mapping[str, Any]]) -> Iterator[_Row]:
    for group, figures in whole.get("exposure", {}).items():
        programs = figures["programs"]
        for kind, ours in programs["veil evidence"]["goal"].items():
            others = {
                name: f"{programs[name]['goal'][kind]['exposed_share']:.2%}"
                for name in ("per-frame detection", "deface", "faceblur")
                if name in programs and programs[name]["goal"].get(kind, {}).get("frames")
            }
            against = ", ".join(f"{name} {share}" for name, share in others.items())
            yield "exposure", f"{group}: {kind} subject-frames exposed", f"{ours['exposed_share']:.2%}", against


def _attack_rows(whole: Mapping[str, Mapping[str, Any]]) -> Iterator[_Row]:
    for name, figures in whole.get("attack", {}).items():
        ours, plain = (figures["treatments"][key] for key in (figures["default"], "plain mosaic, 8 cells"))
        against = f"chance {figures['chance']:.2%}, plain mosaic of 8 cells {plain['parrot']:.1%}"
        yield "attack", f"{name}: rank-1 of a parrot", f"{ours['parrot']:.2%}", against
    for name, figures in whole.get("many_frames", {}).items():
        for cover, counts in figures["covers"].items():
            first, *_, last = counts
            one, many = (f"{counts[count]['parrot']:.2%}" for count in (first, last))
            yield "many_frames", f"{name}, {cover}: rank-1 from {last} frames", many, f"{one} from one"


def _other_rows(whole: Mapping[str, Mapping[str, Any]]) -> Iterator[_Row]:
    for name, figures in whole.get("plates_readable", {}).items():
        ours = max(mask["readable"] for mask in figures["masks"].values() if mask["ours"])
        yield (
            "plates_readable",
            f"{name}: plates readable, worst mode",
            str(ours),
            f"{figures['read']} in the originals",
        )
    for name, figure in whole.get("seal", {}).items():
        if isinstance(figure, float | int):
            yield "seal", name, f"{figure:.3f}", ""
    for group, shares in whole.get("over_masking", {}).get("programs", {}).items():
        live = f"live {shares['veil live']:.2%}"
        yield "over_masking", f"{group}: masked for nothing, evidence", f"{shares['veil evidence']:.2%}", live
    for group in ("kinds", "modes"):
        for name, costs in whole.get("cost", {}).get(group, {}).items():
            what, figure = list(costs.items())[-1]
            yield "cost", f"{name}, {what}", f"{figure['share']:.1%}", "decoding and encoding a frame"
