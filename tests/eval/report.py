"""Exposure as a table for people and as JSON for tests."""

from collections.abc import Mapping

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
