"""Synthetic number plates: European, British, American, Brazilian, Indian, Korean, Chinese and Japanese layouts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.models.train.characters import Mask, character
from deploy.models.train.plate_styles import STYLES, Colour, Line

Rgb = NDArray[np.uint8]

_HEIGHT = 120
"""Of a drawn plate, in pixels."""


@dataclass(frozen=True)
class Draughtsman:
    """Draws plates; `given` holds further masks of characters by script, which take half of their turns."""

    given: Mapping[str, Sequence[Mask]] = field(default_factory=dict)

    def plate(self, random: np.random.Generator, region: str) -> Rgb:
        """A plate of a region of STYLES, _HEIGHT pixels high, filling the picture."""
        styles = STYLES[region]
        style = styles[int(random.integers(len(styles)))]
        ground, ink = style.colours[int(random.integers(len(style.colours)))]
        height, width = _HEIGHT, round(_HEIGHT * style.aspect * random.uniform(0.94, 1.06))
        plate = _ground(random, height, width, ground, style.gradient)
        for colour, area in style.bands:
            x1, y1, x2, y2 = _pixels(area, height, width)
            plate[y1:y2, x1:x2] = colour
        for line in style.lines:
            self._write(random, plate, line, ink)
        return _finished(random, plate, ink)

    def _write(self, random: np.random.Generator, plate: Rgb, line: Line, ink: Colour) -> None:
        """Characters side by side, each stretched to its place."""
        x1, y1, x2, y2 = _pixels(line.area, *plate.shape[:2])
        pitch = (x2 - x1) / sum(0.45 if letter == " " else 1.0 for letter in line.text)
        gap = random.uniform(0.06, 0.22)
        at = float(x1)
        for letter in line.text:
            step = pitch * (0.45 if letter == " " else 1.0)
            if letter != " ":
                size = max(round(pitch * (1 - gap)), 2), max(y2 - y1, 2)
                mask = np.asarray(cv2.resize(self._mask(random, letter), size, interpolation=cv2.INTER_AREA), np.uint8)
                _ink(plate, mask, round(at + pitch * gap / 2), y1, ink)
            at += step

    def _mask(self, random: np.random.Generator, letter: str) -> Mask:
        script = {"L": "latin", "9": "digit", "H": "hangul", "C": "hanzi"}.get(letter)
        script = script or str(random.choice(["latin", "digit"]))
        given = self.given.get(script)
        if given and random.random() < 0.5:
            return given[int(random.integers(len(given)))]
        return character(random, script)


def _pixels(area: Sequence[float], height: int, width: int) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = area
    return round(x1 * width), round(y1 * height), round(x2 * width), round(y2 * height)


def _ground(random: np.random.Generator, height: int, width: int, colour: Colour, gradient: float) -> Rgb:
    """The plate's colour, somewhat different each time, with a slope of light and for some a drawn motif."""
    base = np.array(colour, np.float32) + random.normal(0, 10, 3).astype(np.float32)
    if random.random() < gradient:
        other = random.uniform(60, 250, 3).astype(np.float32)
        share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
        plate = base * (1 - share * 0.7) + other * share * 0.7
        plate = np.repeat(plate, width, axis=1)
        for _ in range(int(random.integers(0, 3))):
            centre = (int(random.integers(width)), int(random.integers(height)))
            axes = (int(random.integers(8, 50)), int(random.integers(8, 40)))
            shade = tuple(float(value) for value in random.uniform(60, 250, 3))
            cv2.ellipse(plate, centre, axes, float(random.uniform(0, 180)), 0, 360, shade, -1, cv2.LINE_AA)
    else:
        plate = np.broadcast_to(base, (height, width, 3)).copy()
    return np.asarray(np.clip(plate, 0, 255), np.uint8)


def _ink(plate: Rgb, mask: Mask, x: int, y: int, colour: Colour) -> None:
    part = plate[y : y + mask.shape[0], x : x + mask.shape[1]]
    share = mask[: part.shape[0], : part.shape[1], None].astype(np.float32) / 255
    part[:] = (part * (1 - share) + np.array(colour, np.float32) * share).astype(np.uint8)


def _finished(random: np.random.Generator, plate: Rgb, ink: Colour) -> Rgb:
    """With or without a rim, screws, dirt and a frame around it."""
    height, width, _ = plate.shape
    if random.random() < 0.5:
        cv2.rectangle(plate, (3, 3), (width - 4, height - 4), ink, int(random.integers(2, 5)), cv2.LINE_AA)
    if random.random() < 0.4:
        for x in (0.12, 0.88):
            cv2.circle(plate, (round(x * width), round(height * 0.12)), 4, (110, 110, 110), -1, cv2.LINE_AA)
    if random.random() < 0.25:
        dirt = cv2.resize(
            random.uniform(0.55, 1.1, (4, 10)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
        plate = np.clip(plate * dirt[..., None], 0, 255).astype(np.uint8)
    return np.asarray(plate, np.uint8)
