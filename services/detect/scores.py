"""What a network's scores mean: one scale for all, so that policies need not know which model found something."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from services.detect.interface import Boxes

Points = tuple[tuple[float, float], ...]
"""Score of the network and the score that policies mean by it, both rising."""


class Scale:
    """Straight lines from 0 through the points to 1; scores stay as they are where there are none.

    Raises ValueError for points that do not rise or lie outside 0–1: the order of finds must stay.
    """

    def __init__(self, points: Sequence[tuple[float, float]] = ()) -> None:
        corners = np.array([(0, 0), *points, (1, 1)], np.float64)
        if not (np.diff(corners, axis=0) > 0).all():
            raise ValueError("points of scores must rise, and lie between 0 and 1")
        self._own, self._common = corners.T

    def floor(self, score: float) -> float:
        """The network's own score that comes to `score`."""
        return float(np.interp(score, self._common, self._own))

    def applied(self, boxes: Boxes) -> Boxes:
        """The boxes with scores as policies mean them."""
        return replace(boxes, score=np.interp(boxes.score, self._own, self._common).astype(np.float32))


AS_IT_IS = Scale()
