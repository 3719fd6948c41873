"""What came of a simulation, for a terminal and for scripts."""

from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.planning.chart import blocks
from services.planning.plan import Plan
from services.planning.scenario import Scenario
from services.planning.simulate import Result

_SHARES = (0.5, 0.95, 0.99)


def as_plain_data(result: Result) -> dict[str, Any]:
    """Everything, for JSON. Ages and lag in seconds."""
    return {
        "cameras": result.cameras,
        "frames": {
            "captured": result.captured,
            "delivered": result.shown,
            "closed": result.closed,
            "shed": result.shed,
            "dark": result.dark,
        },
        "age_s": {f"p{share * 100:g}": round(result.age(share), 4) for share in _SHARES} if result.shown else {},
        "lag_s": {stage: [round(float(value), 3) for value in lag] for stage, lag in result.lag.items()},
        "busy": {stage: round(value, 3) for stage, value in result.busy.items()},
        "age_by_second_s": [round(float(value), 3) for value in result.age_by_second],
        "closed_by_second": result.closed_by_second.tolist(),
    }


def outcome(plan: Plan, result: Result, scenario: Scenario) -> RenderableType:
    """Tables and a chart, 80 columns wide."""
    grid = Table(box=None, pad_edge=False, show_header=False)
    counts = {
        "frames of all cameras": result.captured,
        "delivered": result.shown,
        "of these closed": result.closed,
        "shed by decoders": result.shed,
        "not read by any decoder": result.dark,
    }
    for what, count in counts.items():
        grid.add_row(what, f"{count:,}", f"{count / result.captured:.1%}")
    for share in _SHARES:
        grid.add_row(f"age, p{share * 100:g}", f"{result.age(share):.2f} s", "")
    grid.columns[1].justify = "right"
    grid.columns[2].justify = "right"
    stages = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for heading in ("stage", "most lag", "lag at the end", "busiest process"):
        stages.add_column(heading, justify="left" if heading == "stage" else "right")
    for stage, lag in result.lag.items():
        busy = f"{result.busy[stage]:.0%}" if stage in result.busy else "–"
        stages.add_row(stage, f"{lag.max():.2f} s", f"{lag[-1]:.2f} s", busy)
    cells = sum(count for count, _ in plan.cells)
    happened = ", ".join(f"{each.kind} gone at {each.at:g} s" for each in scenario.failures) or "nothing fails"
    where = f"{result.cameras:,} cameras in {cells:,} cell{'s' if cells > 1 else ''}, every one simulated"
    head = f"{where}, {scenario.seconds:g} s, seed {scenario.seed}, {happened}"
    parts: list[RenderableType] = [Text(head), grid, stages, *blocks(result)]
    parts += [Text(f"! {problem}", style="bold red") for problem in plan.problems]
    return Group(*parts)
