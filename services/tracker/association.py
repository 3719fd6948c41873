"""Which detection continues which track: gated by distance and size, then greedily by cost."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.tracker.motion import Box

_AREA_RATIO = np.log(4.0)
"""Largest change of area from sight to sight: a face half behind a pillar is still the same face."""

_AREA_COST = 0.5
"""Box lengths of distance that a change of area by the factor e is worth."""

_GATE = 0.6
_GATE_NEW_PER_S = 8.0
_GATE_KNOWN_PER_S = 2.0
_GATE_MAX = 3.0


def gate(sights: int, seconds: float) -> float:
    """How far from its predicted place a track may be seen, in box lengths, `seconds` after it was seen last."""
    return min(_GATE_MAX, _GATE + seconds * (_GATE_NEW_PER_S if sights == 1 else _GATE_KNOWN_PER_S))


def match(predicted: Sequence[Box], gates: Sequence[float], detected: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs (track, detection), each of them in one pair at most, the cheapest pair first.

    Args:
        predicted: where each track should be now.
        gates: how far from there its detection may lie, in box lengths (root of the area).
        detected: (m, 4) centre x, y, width, height.
    """
    if not predicted or not len(detected):
        return []
    tracks = np.asarray(predicted, np.float64)
    dx = tracks[:, 0, None] - detected[None, :, 0]
    dy = tracks[:, 1, None] - detected[None, :, 1]
    log_t = np.log(tracks[:, 2] * tracks[:, 3])[:, None]
    log_d = np.log(detected[:, 2] * detected[:, 3])[None, :]
    length = np.exp((log_t + log_d) * 0.25)
    distance = np.hypot(dx, dy) / length
    change = np.abs(log_t - log_d)
    rows, columns = np.nonzero((distance < np.asarray(gates)[:, None]) & (change < _AREA_RATIO))
    if not len(rows):
        return []
    cost = distance[rows, columns] + _AREA_COST * change[rows, columns]
    order = np.argsort(cost, kind="stable")
    return _take_cheapest(rows[order].tolist(), columns[order].tolist())


def _take_cheapest(rows: list[int], columns: list[int]) -> list[tuple[int, int]]:
    free_rows, free_columns = set(rows), set(columns)
    pairs = []
    for row, column in zip(rows, columns, strict=True):
        if row in free_rows and column in free_columns:
            free_rows.remove(row)
            free_columns.remove(column)
            pairs.append((row, column))
    return pairs
