"""How often detectors look: more often the more has changed since they last did."""

import math
from collections.abc import Mapping
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from services.policy.model import Detection

# Pictures are compared on a grid of this many points across: 0.03 ms, and a far person still covers some of them.
_GRID = 96

# Least difference of a point that counts, in luma levels: sensor noise of averaged points stays below half of it.
_DIFFERENT = 10

# Share of changed points at which there is no time to lose. In a street view, one walking person changes 1–2 %.
_BUSY = 0.06

# Share of points by which a picture differs from the one just before it when the scene is another.
_CUT = 0.5
_CUT_DIFFERENT = 25


class Why(StrEnum):
    """What made a picture one to look at."""

    FIRST = "first"
    MOTION = "motion"
    GAP = "gap"
    CUT = "cut"
    BEFORE_CUT = "before_cut"
    LAST = "last"


class Cadence:
    """Decides for each picture of an epoch, in presentation order, whether detectors should see it.

    The gap to the last look lies between the policy's `every_min` (much has changed since) and `every_max` (nothing
    has), and never lasts longer than `gap_max_s` unless two neighbouring pictures are further apart.

    Attributes:
        motion: share of the picture that changed since the last look, 0–1.
    """

    def __init__(self, detection: Detection) -> None:
        self.detection = detection
        self.motion = 0.0
        self._since = 0
        self._looked_s = 0.0
        self._seen: NDArray[np.uint8] | None = None
        self._before: NDArray[np.uint8] | None = None

    def wants(self, luma: NDArray[np.uint8], time_s: float, next_s: float) -> Why | None:
        """Takes the next picture. None if detectors need not see it.

        Args:
            luma: (height, width).
            time_s: when it is shown.
            next_s: when the one after it is shown.
        """
        grid = _shrunk(luma)
        why = self._judge(grid, next_s)
        self._before = grid
        self._since += 1
        if why is not None:
            self._seen, self._looked_s, self._since = grid, time_s, 0
        return why

    def _judge(self, grid: NDArray[np.uint8], next_s: float) -> Why | None:
        if self._seen is None or self._before is None or self._seen.shape != grid.shape:
            self.motion = 1.0
            return Why.FIRST
        self.motion = _share(grid, self._seen, _DIFFERENT)
        if self.motion > _CUT and _share(grid, self._before, _CUT_DIFFERENT) > _CUT:
            return Why.CUT
        detection = self.detection
        ease = 1 - min(1.0, self.motion / _BUSY)
        every = detection.every_min + ease * (detection.every_max - detection.every_min)
        if self._since + 1 >= every:
            return Why.MOTION
        # Looked at now, since waiting for the next picture would take too long.
        return Why.GAP if next_s - self._looked_s > detection.gap_max_s else None


class Turns:
    """Which detectors take part in a look: some of them, by the policy's `every_s`, in the first after their pause."""

    def __init__(self) -> None:
        self._took_part_s: dict[str, float] = {}

    def of(self, intervals: Mapping[str, float], time_s: float, why: Why) -> tuple[str, ...]:
        """The detectors of a look, in the order of `intervals`.

        Args:
            intervals: detector → seconds between two of its looks.
            time_s: when the picture is shown.
            why: what made it one to look at. At the seams of a stream and of its scenes all of them look.
        """
        seam = why not in (Why.MOTION, Why.GAP)
        names = tuple(
            name
            for name, every_s in intervals.items()
            if seam or time_s - self._took_part_s.get(name, -math.inf) >= every_s
        )
        self._took_part_s.update(dict.fromkeys(names, time_s))
        return names


def _shrunk(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = luma.shape
    size = (min(width, _GRID), min(height, max(1, height * _GRID // width)))
    return cv2.resize(luma, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


def _share(a: NDArray[np.uint8], b: NDArray[np.uint8], level: int) -> float:
    return np.count_nonzero(cv2.absdiff(a, b) > level) / a.size
