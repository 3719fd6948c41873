"""How far one small picture is shifted against another, and whether both show the same things."""

from typing import Any

import cv2
import numpy as np

Luma = np.ndarray[Any, np.dtype[np.integer[Any] | np.floating[Any]]]
"""(height, width) uint8: OpenCV's types say no more than this of what it gives."""

_CLEARLY = 0.85
"""A shift is believed if it leaves less than this share of the difference. Things that move shift nothing."""

_CLIP = 40
"""Differences in luma levels above which a point says nothing more: it belongs to something else."""

_SIDE = 160
"""Pixels of the longer side at which shifts are measured: half the time, and noise is averaged."""


_SMALLEST = 16
"""Pixels of the shorter side below which a picture has too little in it to be aligned."""


class Aligner:
    """Measures shifts by phase correlation. Not shared between threads: it keeps its window."""

    def __init__(self) -> None:
        self._window: Luma | None = None

    def shift(self, base: Luma, luma: Luma) -> tuple[int, int]:
        """Whole pixels x, y by which `luma` lies to the right of and below `base`; (0, 0) where none fits clearly."""
        height, width = base.shape
        if min(height, width) < _SMALLEST:
            return 0, 0
        scale = min(1.0, _SIDE / max(height, width))
        size = max(2, round(width * scale)), max(2, round(height * scale))
        small = [cv2.resize(each, size, interpolation=cv2.INTER_AREA).astype(np.float32) for each in (base, luma)]
        if self._window is None or self._window.shape != size[::-1]:
            self._window = cv2.createHanningWindow(size, cv2.CV_32F)
        (x, y), _ = cv2.phaseCorrelate(small[0], small[1], self._window)
        dx, dy = round(x * width / size[0]), round(y * height / size[1])
        if (dx, dy) == (0, 0) or abs(dx) >= width // 2 or abs(dy) >= height // 2:
            return 0, 0
        return (dx, dy) if _difference(base, luma, dx, dy) < _CLEARLY * _difference(base, luma, 0, 0) else (0, 0)


def shifted(luma: Luma, dx: int, dy: int) -> Luma:
    """The picture moved back by a shift; what that brings in from outside repeats the edge."""
    if (dx, dy) == (0, 0):
        return luma
    height, width = luma.shape
    there = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(luma, there, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def likeness(a: Luma, b: Luma, where: Luma | None) -> float:
    """How alike the edges of two pictures are there: 1 for the same things in another light, about 0 for others.

    Args:
        a: one picture.
        b: the other, lying on it.
        where: (height, width), not 0 where it is to be judged; everywhere if None.
    """
    inside = np.s_[:] if where is None else where > 0
    ax, ay, bx, by = (
        cv2.Sobel(picture, cv2.CV_32F, x, 1 - x, ksize=3)[inside].ravel() for picture in (a, b) for x in (1, 0)
    )
    power = float((ax @ ax + ay @ ay) * (bx @ bx + by @ by))
    return float(ax @ bx + ay @ by) / power**0.5 if power > 0 else 0.0


def _difference(base: Luma, luma: Luma, dx: int, dy: int) -> float:
    height, width = base.shape
    top, left = max(0, -dy), max(0, -dx)
    rows, columns = height - abs(dy), width - abs(dx)
    a = base[top : top + rows, left : left + columns]
    b = luma[top + dy : top + dy + rows, left + dx : left + dx + columns]
    return float(cv2.mean(cv2.min(cv2.absdiff(a, b), np.full((rows, columns), _CLIP, np.uint8)))[0])
