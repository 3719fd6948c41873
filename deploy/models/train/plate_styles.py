"""Layouts of number plates: proportions, colours, and where which kind of character stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Colour = tuple[int, int, int]
"""RGB."""

WHITE, BLACK, YELLOW, BLUE = (235, 235, 232), (22, 22, 24), (240, 196, 30), (28, 60, 150)
GREEN, SKY, SILVER, RED = (20, 96, 62), (178, 214, 236), (168, 170, 172), (150, 24, 30)


@dataclass(frozen=True)
class Line:
    """One line of writing in an area x1, y1, x2, y2 given as shares of the plate.

    `text` holds a letter for each character: L latin, 9 digit, H hangul, C hanzi, a latin or digit, and a space.
    """

    text: str
    area: tuple[float, float, float, float]


@dataclass(frozen=True)
class Style:
    """A layout: `aspect` is width over height, `colours` pairs of ground and writing."""

    aspect: float
    colours: Sequence[tuple[Colour, Colour]]
    lines: Sequence[Line]
    bands: Sequence[tuple[Colour, tuple[float, float, float, float]]] = ()
    gradient: float = 0.0


_WIDE = (0.08, 0.16, 0.97, 0.84)
_FULL = (0.03, 0.15, 0.97, 0.85)
_EU_BAND = (BLUE, (0.0, 0.0, 0.085, 1.0))
_DARK_ON_LIGHT = ((WHITE, BLACK), (YELLOW, BLACK), (WHITE, BLUE), (WHITE, RED))

STYLES: Mapping[str, Sequence[Style]] = {
    "eu": (
        Style(4.7, _DARK_ON_LIGHT, [Line("LL 999 LL", _WIDE)], [_EU_BAND]),
        Style(4.7, _DARK_ON_LIGHT, [Line("L LL 9999", _WIDE)], [_EU_BAND, (BLUE, (0.92, 0.0, 1.0, 1.0))]),
        Style(4.7, ((WHITE, BLACK), (YELLOW, BLACK)), [Line("LL99 LLL", _FULL)]),
        Style(4.7, ((BLACK, WHITE), (WHITE, BLACK)), [Line("LLL 999", _FULL)]),
        Style(1.45, _DARK_ON_LIGHT, [Line("LL 99", (0.12, 0.06, 0.95, 0.48)), Line("9999", (0.1, 0.54, 0.92, 0.95))]),
    ),
    "in": (
        Style(4.3, ((WHITE, BLACK), (YELLOW, BLACK), (BLACK, YELLOW)), [Line("LL 99 LL 9999", _FULL)]),
        Style(1.6, _DARK_ON_LIGHT, [Line("LL 99 L", (0.06, 0.08, 0.94, 0.46)), Line("9999", (0.1, 0.52, 0.9, 0.94))]),
    ),
    "us": (
        Style(
            2.0,
            (
                (WHITE, BLUE),
                (WHITE, BLACK),
                (SKY, BLUE),
                (WHITE, RED),
                (YELLOW, BLUE),
                (WHITE, GREEN),
                (SILVER, BLACK),
                ((206, 226, 200), GREEN),
                ((240, 216, 190), RED),
                (GREEN, WHITE),
                (BLUE, YELLOW),
            ),
            [
                Line("LLLLLLLL", (0.24, 0.05, 0.76, 0.2)),
                Line("aaaaaaa", (0.06, 0.27, 0.94, 0.78)),
                Line("LLLLL LLLLL", (0.2, 0.84, 0.8, 0.95)),
            ],
            gradient=0.5,
        ),
        Style(
            2.0,
            ((WHITE, BLACK), (WHITE, BLUE), (BLACK, YELLOW)),
            [Line("999 LLL", (0.06, 0.2, 0.94, 0.84))],
            gradient=0.3,
        ),
    ),
    "br": (
        Style(
            3.08,
            ((SILVER, BLACK), (SILVER, BLACK), (RED, WHITE)),
            [Line("LL LLLLLLL", (0.22, 0.05, 0.78, 0.19)), Line("LLL 9999", (0.04, 0.28, 0.96, 0.93))],
        ),
        Style(
            3.08,
            ((WHITE, BLACK), (WHITE, RED), (WHITE, BLUE)),
            [Line("LLL9L99", (0.05, 0.32, 0.95, 0.94)), Line("LLLLLL", (0.38, 0.05, 0.62, 0.2))],
            [((24, 60, 160), (0.0, 0.0, 1.0, 0.25))],
        ),
    ),
    "kr": (
        Style(4.7, ((WHITE, BLACK), (WHITE, BLACK), (SKY, BLACK), (YELLOW, BLACK)), [Line("99H 9999", _FULL)]),
        Style(4.7, ((WHITE, BLACK), (SKY, BLACK)), [Line("999H 9999", _WIDE)], [_EU_BAND]),
        Style(
            1.97,
            ((WHITE, BLACK), (GREEN, WHITE), (YELLOW, BLACK), (GREEN, WHITE)),
            [Line("HH 99", (0.25, 0.06, 0.78, 0.36)), Line("H 9999", (0.05, 0.42, 0.95, 0.95))],
        ),
        Style(
            1.97,
            ((WHITE, BLACK), (GREEN, WHITE)),
            [Line("99H", (0.28, 0.06, 0.72, 0.38)), Line("9999", (0.08, 0.44, 0.92, 0.95))],
        ),
    ),
    "cn": (
        Style(
            3.14,
            ((BLUE, WHITE), (BLUE, WHITE), (YELLOW, BLACK), (BLACK, WHITE), (WHITE, BLACK)),
            [Line("CL aaaaa", _FULL)],
        ),
        Style(3.43, (((150, 214, 160), BLACK),), [Line("CL aaaaaa", _FULL)], gradient=0.9),
        Style(2.0, ((YELLOW, BLACK),), [Line("CL", (0.25, 0.06, 0.75, 0.38)), Line("aaaaa", (0.06, 0.44, 0.94, 0.95))]),
    ),
    "jp": (
        Style(
            2.0,
            ((WHITE, GREEN), (GREEN, WHITE), (YELLOW, BLACK), (BLACK, YELLOW)),
            [
                Line("CC 999", (0.22, 0.06, 0.78, 0.34)),
                Line("99 99", (0.18, 0.4, 0.97, 0.94)),
                Line("H", (0.03, 0.55, 0.14, 0.8)),
            ],
        ),
    ),
}
