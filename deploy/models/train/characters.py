"""Characters for synthetic plates, drawn stroke by stroke or by OpenCV: no font file and no foreign glyph takes part.

A detector needs the texture of writing, not its meaning: Hangul and Chinese characters are made of their strokes in
random arrangement.
"""

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]
"""(height, width), 255 where there is ink."""

_SIDE = 64
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX)
LATIN, DIGITS = "ABCDEFGHJKLMNPRSTUVWXYZ", "0123456789"


def character(random: np.random.Generator, script: str) -> Mask:
    """One character of `script`: latin, digit, hangul or hanzi, cut to its ink."""
    match script:
        case "latin":
            return _printed(random, random.choice(list(LATIN)))
        case "digit":
            return _printed(random, random.choice(list(DIGITS)))
        case "hangul":
            return _cut(_hangul(random))
        case "hanzi":
            return _cut(_hanzi(random))
    raise ValueError(f"there is no script {script}")


def glyphs(folder: Path) -> dict[str, list[Mask]]:
    """Korean plate characters from the folder plates/kr_glyphs (MIT), by script; empty where it isn't there."""
    found: dict[str, list[Mask]] = {}
    for part, script in (("char1", "hangul"), ("num", "digit")):
        for path in sorted((folder / part).glob("*.jpg")):
            grey = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
            found.setdefault(script, []).append(255 - np.asarray(grey, np.uint8))
    return found


def _printed(random: np.random.Generator, text: str) -> Mask:
    return _print(text, int(random.choice(_FONTS)), int(random.integers(3, 12)))


@lru_cache(maxsize=2000)
def _print(text: str, font: int, weight: int) -> Mask:
    canvas = np.zeros((2 * _SIDE, 2 * _SIDE), np.uint8)
    cv2.putText(canvas, text, (_SIDE // 2, 3 * _SIDE // 2), font, 2.2, 255, weight, cv2.LINE_AA)
    return _cut(canvas)


def _cut(canvas: Mask) -> Mask:
    rows, columns = np.nonzero(canvas > 64)
    if len(rows) == 0:
        return canvas
    return canvas[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _stroke(canvas: Mask, random: np.random.Generator, area: tuple[float, float, float, float], weight: int) -> None:
    """A line across, down or slanting, or a ring, in an area of x1, y1, x2, y2."""
    x1, y1, x2, y2 = (int(value * _SIDE) for value in area)
    middle = ((x1 + x2) // 2, (y1 + y2) // 2)
    lines = {
        "across": ((x1, middle[1]), (x2, middle[1])),
        "down": ((middle[0], y1), (middle[0], y2)),
        "rising": ((x1, y2), (x2, y1)),
        "falling": ((x1, y1), (x2, y2)),
    }
    shape = random.choice(["across", "down", "rising", "falling", "corner", "ring", "across", "down"])
    if shape == "ring":
        cv2.ellipse(canvas, (middle, (max(x2 - x1, 4), max(y2 - y1, 4)), 0), 255, weight, cv2.LINE_AA)
    elif shape == "corner":
        points = np.array([(x1, y1), (x2, y1), (x2, y2)][:: 1 if random.random() < 0.5 else -1], np.int32)
        cv2.polylines(canvas, [points], isClosed=False, color=255, thickness=weight, lineType=cv2.LINE_AA)
    else:
        cv2.line(canvas, *lines[str(shape)], 255, weight, cv2.LINE_AA)


def _hangul(random: np.random.Generator) -> Mask:
    """A consonant beside a tall vowel, or above a wide one."""
    canvas = np.zeros((_SIDE, _SIDE), np.uint8)
    weight = int(random.integers(4, 9))
    consonant = (0.1, 0.15, 0.5, 0.85) if random.random() < 0.5 else (0.2, 0.05, 0.8, 0.5)
    for _ in range(int(random.integers(1, 3))):
        _stroke(canvas, random, consonant, weight)
    if consonant[3] > 0.6:
        cv2.line(canvas, (50, 2), (50, _SIDE - 2), 255, weight, cv2.LINE_AA)
        cv2.line(canvas, (50, 30), (62 if random.random() < 0.5 else 38, 30), 255, weight, cv2.LINE_AA)
    else:
        cv2.line(canvas, (2, 56), (_SIDE - 2, 56), 255, weight, cv2.LINE_AA)
        cv2.line(canvas, (32, 56), (32, 40), 255, weight, cv2.LINE_AA)
    return canvas


def _hanzi(random: np.random.Generator) -> Mask:
    """Many thin strokes in the parts of a square."""
    canvas = np.zeros((_SIDE, _SIDE), np.uint8)
    weight = int(random.integers(3, 6))
    for _ in range(int(random.integers(4, 9))):
        x, y = random.uniform(0.02, 0.5, 2)
        _stroke(canvas, random, (x, y, x + random.uniform(0.3, 0.48), y + random.uniform(0.2, 0.48)), weight)
    return canvas
