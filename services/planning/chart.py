"""A simulation over time: lines of blocks for a terminal, and an SVG picture."""

from collections.abc import Iterator, Sequence

import numpy as np
from rich.text import Text

from services.planning.scenario import Scenario
from services.planning.simulate import Result

_BLOCKS = " ▁▂▃▄▅▆▇█"
_COLUMNS = 60
_WIDTH, _HEIGHT, _LEFT, _TOP, _ROW = 720, 110, 70, 28, 150
_FONT = 'font-family="sans-serif" font-size="12"'
_COLOURS = ("#1f5fa8", "#b3261e", "#5b7f2b")


def series(result: Result) -> list[tuple[str, str, list[float]]]:
    """Name, unit and one value for each second: what both pictures show."""
    lag = np.max(np.stack([*result.lag.values()]), axis=0) if result.lag else np.zeros(result.seconds)
    return [
        ("mean age", "s", [float(value) for value in result.age_by_second]),
        ("most lag of any stage", "s", [float(value) for value in lag]),
        ("frames closed", "", [float(value) for value in result.closed_by_second]),
    ]


def blocks(result: Result) -> Iterator[Text]:
    """One line each, the height of a block is the value over the line's highest."""
    for name, unit, values in series(result):
        shrunk = [max(part) for part in _parts(values, _COLUMNS)]
        top = max(shrunk, default=0.0)
        line = "".join(_BLOCKS[round(value / top * (len(_BLOCKS) - 1))] if top > 0 else " " for value in shrunk)
        yield Text(f"{name}, up to {_number(top)}{f' {unit}' if unit else ''}", style="dim")
        yield Text(line)


def svg(result: Result, scenario: Scenario) -> str:
    """Three charts over time, one below the other; failures are dashed lines."""
    charts = series(result)
    height = _TOP + _ROW * len(charts)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 20} {height}" {_FONT}>',
        f"<title>{result.cameras} cameras, {result.seconds} s, seed {scenario.seed}</title>",
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for row, ((name, unit, values), colour) in enumerate(zip(charts, _COLOURS, strict=True)):
        parts += _chart(_TOP + row * _ROW, f"{name}{f', {unit}' if unit else ''}", values, colour, scenario)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _chart(top: int, title: str, values: Sequence[float], colour: str, scenario: Scenario) -> Iterator[str]:
    most = max(values, default=0.0) or 1.0
    step = _WIDTH / max(1, len(values) - 1)
    points = " ".join(f"{_LEFT + at * step:.1f},{top + _HEIGHT * (1 - v / most):.1f}" for at, v in enumerate(values))
    yield f'<text x="{_LEFT}" y="{top - 8}">{title}</text>'
    yield f'<text x="{_LEFT - 6}" y="{top + 10}" text-anchor="end">{_number(most)}</text>'
    yield f'<text x="{_LEFT - 6}" y="{top + _HEIGHT}" text-anchor="end">0</text>'
    yield f'<path d="M{_LEFT} {top}V{top + _HEIGHT}H{_LEFT + _WIDTH}" fill="none" stroke="#888"/>'
    for each in scenario.failures:
        x = _LEFT + each.at / scenario.seconds * _WIDTH
        yield f'<path d="M{x:.1f} {top}V{top + _HEIGHT}" stroke="#888" stroke-dasharray="4 3"/>'
        yield f'<text x="{x + 4:.1f}" y="{top + 12}" fill="#555">{each.kind}</text>'
    yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
    yield f'<text x="{_LEFT + _WIDTH}" y="{top + _HEIGHT + 14}" text-anchor="end">{len(values)} s</text>'


def _parts(values: Sequence[float], most: int) -> Iterator[Sequence[float]]:
    width = max(1, -(-len(values) // most))
    return (values[at : at + width] for at in range(0, len(values), width))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
