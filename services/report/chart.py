"""Works out the shapes of the timeline: one row of steps for each kind, and the closed stretches."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from services.report.summary import Timeline

WIDTH = 960
"""Units across the whole video."""
ROW = 64
"""Units of height for one kind."""
_MAX_COLUMNS = 240
_MIN_CLOSED = 3
"""A single closed frame in hours of video must still be seen."""
_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800)


@dataclass(frozen=True, slots=True)
class Row:
    """One kind: an area path inside WIDTH × ROW units, and the value that reaches the top of it."""

    kind: str
    path: str
    top: int


@dataclass(frozen=True, slots=True)
class Chart:
    """The timeline's shapes.

    Attributes:
        closed: left edge and width of each closed stretch.
        ticks: position and time in seconds of each mark on the axis.
    """

    rows: tuple[Row, ...]
    closed: tuple[tuple[float, float], ...]
    ticks: tuple[tuple[float, float], ...]


def chart(timeline: Timeline, kinds: Sequence[str], duration_s: float) -> Chart:
    """The shapes for `kinds`. Heights say how many of a kind are masked at once, on average in each step."""
    columns = _columns(len(timeline.frames))
    length_s = max(duration_s, timeline.step_s * 0.001)
    scale = WIDTH / length_s

    def edge(step: int) -> float:
        return min(step * timeline.step_s * scale, WIDTH)

    rows = []
    for kind in kinds:
        series = timeline.masks.get(kind, (0,) * len(timeline.frames))
        values = [sum(series[a:b]) / max(1, sum(timeline.frames[a:b])) for a, b in columns]
        top = max(1, math.ceil(max(values, default=0)))
        spans = [(edge(a), edge(b), value) for (a, b), value in zip(columns, values, strict=True)]
        rows.append(Row(kind, _area(spans, top), top))
    ticks = tuple((t_s * scale, t_s) for t_s in _tick_times(length_s))
    return Chart(tuple(rows), tuple(_stretches(timeline.closed, edge)), ticks)


def _columns(steps: int) -> list[tuple[int, int]]:
    """Steps from a to b (without b) for each column of the picture."""
    count = min(steps, _MAX_COLUMNS)
    edges = [steps * i // count for i in range(count + 1)] if count else []
    return list(pairwise(edges))


def _area(spans: Sequence[tuple[float, float, float]], top: int) -> str:
    """A stepped area that stands on the row's ground."""
    if not spans:
        return ""
    parts = [f"M{spans[0][0]:.1f} {ROW}"]
    for left, right, value in spans:
        y = ROW * (1 - value / top)
        parts.append(f"L{left:.1f} {y:.1f}L{right:.1f} {y:.1f}")
    return f"{''.join(parts)}L{spans[-1][1]:.1f} {ROW}Z"


def _stretches(closed: Sequence[int], edge: Callable[[int], float]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    start: int | None = None
    for i, count in enumerate((*closed, 0)):
        if count and start is None:
            start = i
        elif not count and start is not None:
            width = max(edge(i) - edge(start), _MIN_CLOSED)
            found.append((min(edge(start), WIDTH - width), width))
            start = None
    return found


def _tick_times(length_s: float) -> list[float]:
    step = next((tick for tick in _TICKS if length_s / tick <= 8), _TICKS[-1])
    return [float(step * i) for i in range(int(length_s // step) + 1)]
