"""Curves of the figures as SVG: small, and readable on light and on dark pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import log10
from pathlib import Path
from typing import Any

_WIDTH, _HEIGHT = 720, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 500, 56, 308  # of the plot
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 }
.grid { stroke: #8c959f; stroke-opacity: .35 }
.line { fill: none; stroke-width: 2.5; stroke-linejoin: round }
.dashed { stroke-dasharray: 6 5 }
.c0 { stroke: #c4432b; fill: #c4432b } .c1 { stroke: #0a6ebd; fill: #0a6ebd } .c2 { stroke: #1a7f37; fill: #1a7f37 }
.c3 { stroke: #9a6700; fill: #9a6700 } .c4 { stroke: #6e7781; fill: #6e7781 }
.line { fill: none }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .c0 { stroke: #ff8a73; fill: #ff8a73 } .c1 { stroke: #6cb6ff; fill: #6cb6ff } .c2 { stroke: #57c878; fill: #57c878 }
  .c3 { stroke: #e3b341; fill: #e3b341 } .c4 { stroke: #9aa4af; fill: #9aa4af }
  .line { fill: none }
}
"""


@dataclass(frozen=True)
class Series:
    """One curve.

    Attributes:
        values: shares, one for each place along the axis; None where there is none.
        colour: 0–4.
    """

    name: str
    values: Sequence[float | None]
    colour: int
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """Curves over named places.

    Attributes:
        places: names along the axis.
        ticks: shares at which lines are drawn; the first and the last bound the plot.
        logarithmic: equal ratios are equally far apart; the first tick must be above 0 then.
    """

    title: str
    axis: str
    places: Sequence[str]
    ticks: Sequence[float]
    series: Sequence[Series]
    logarithmic: bool = False

    def svg(self) -> str:
        """The picture."""
        parts = [f'<text class="title" x="{_LEFT}" y="26">{escape(self.title)}</text>']
        parts += [self._tick(tick) for tick in self.ticks]
        parts += [_text(self._x(index), _BOTTOM + 22, place, "middle") for index, place in enumerate(self.places)]
        parts.append(_text((_LEFT + _RIGHT) / 2, _BOTTOM + 44, self.axis, "middle"))
        ends = self._label_heights()
        for series, height in zip(self.series, ends, strict=True):
            parts += self._curve(series, height)
        size = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        body = "\n".join(parts)
        return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<style>{_STYLE}</style>\n{body}\n</svg>\n'

    def _tick(self, share: float) -> str:
        y = self._y(share)
        line = f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        return line + _text(_LEFT - 8, y + 4, f"{100 * share:g} %", "end")

    def _curve(self, series: Series, label: float) -> list[str]:
        points = [(self._x(i), self._y(share)) for i, share in enumerate(series.values) if share is not None]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashed = " dashed" if series.dashed else ""
        parts = [f'<polyline class="line c{series.colour}{dashed}" points="{path}"/>']
        if not series.dashed:
            parts += [f'<circle class="c{series.colour}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in points]
        swatch = f'x1="{_RIGHT + 16}" x2="{_RIGHT + 36}" y1="{label - 4:.1f}" y2="{label - 4:.1f}"'
        return [
            *parts,
            f'<line class="line c{series.colour}{dashed}" {swatch}/>',
            _text(_RIGHT + 42, label, series.name, "start"),
        ]

    def _label_heights(self) -> list[float]:
        return [_TOP + 14 + 22 * index for index in range(len(self.series))]

    def _x(self, index: int) -> float:
        return _LEFT + (index + 0.5) * (_RIGHT - _LEFT) / len(self.places)

    def _y(self, share: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        share = min(max(share, low), high)
        part = log10(share / low) / log10(high / low) if self.logarithmic else (share - low) / (high - low)
        return _BOTTOM - part * (_BOTTOM - _TOP)


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def draw(whole: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draws what eval.json has figures for; returns the pictures."""
    drawn = []
    for name, chart in (("eval-exposure.svg", _exposure(whole)), ("eval-attack.svg", _attack(whole))):
        if chart is not None:
            path = folder / name
            path.write_text(chart.svg())
            drawn.append(path)
    return drawn


def _exposure(whole: Mapping[str, Any]) -> Chart | None:
    """Exposed faces by height, generated scenes and photographs together."""
    groups: list[dict[str, Any]] = [
        dict(group)["programs"] for name, group in whole.get("exposure", {}).items() if name in ("scenes", "pictures")
    ]
    if not groups:
        return None
    bands = ("12–24", "24–48", "48–96", "over 96")
    # Without faceblur: with its line, over .8 everywhere, the others could not be told apart.
    names = ("per-frame detection", "deface", "veil live", "veil evidence")
    series = []
    for colour, name in enumerate(names):
        counts = [[group[name]["bands"].get(f"face {band}") for group in groups] for band in bands]
        series.append(Series(name, [_share([count for count in band if count]) for band in counts], colour))
    ticks = (0, 0.05, 0.1, 0.15, 0.2)
    return Chart("Faces left exposed, share of subject-frames", "height of the face in pixels", bands, ticks, series)


def _share(counts: Sequence[Mapping[str, int]]) -> float | None:
    frames = sum(count["frames"] for count in counts)
    return sum(count["exposed_frames"] for count in counts) / frames if frames else None


def _attack(whole: Mapping[str, Any]) -> Chart | None:
    """Rank-1 of the best parrot by cells of a plain mosaic, and of Veil's, which has no such cells."""
    sets: dict[str, Any] = {
        name: dict(whole["attack"][name]) for name in ("att", "lfw") if name in whole.get("attack", {})
    }
    if not sets:
        return None
    cells = (4, 6, 8, 16)
    series = []
    titles = {"att": "AT&T", "lfw": "LFW"}
    for colour, (name, figures) in enumerate(sets.items()):
        found = figures["treatments"]
        plain = [found[f"plain mosaic, {count} cells"]["parrot"] for count in cells]
        series.append(Series(f"plain mosaic, {titles[name]}", plain, (0, 3)[colour]))
        ours = found[figures["default"]]["parrot"]
        series.append(Series(f"Veil's mosaic, {titles[name]}", [ours] * len(cells), (2, 1)[colour]))
        series.append(Series(f"chance, {titles[name]}", [figures["chance"]] * len(cells), 4, dashed=True))
    ticks = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
    title = "People named by an attacker who masks his gallery too, rank-1"
    return Chart(
        title, "cells of the mosaic along the face", [str(count) for count in cells], ticks, series, logarithmic=True
    )
