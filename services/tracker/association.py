"""Which detection continues which track: gated by distance and size, then greedily by cost."""

from collections.abc import Sequence

import numpy as np

from services.tracker.motion import Box

_AREA_RATIO = 4.0
"""Largest change of area from sight to sight: a face half behind a pillar is still the same face."""

_AREA_COST = 0.5
"""Box lengths of distance that a change of area by the factor e is worth."""

_GATE = 1.0
_GATE_NEW_PER_S = 12.0
_GATE_KNOWN_PER_S = 4.0
_GATE_MAX = 4.0


def gate(sights: int, seconds: float) -> float:
    """How far from its predicted place a track may be seen, in box lengths, `seconds` after it was seen last."""
    return min(_GATE_MAX, _GATE + seconds * (_GATE_NEW_PER_S if sights == 1 else _GATE_KNOWN_PER_S))


def match(
    predicted: Sequence[Box], gates: Sequence[float], detected: Sequence[Sequence[float]]
) -> list[tuple[int, int]]:
    """Pairs (track, detection), each of them in one pair at most, the cheapest pair first.

    Args:
        predicted: where each track should be now.
        gates: how far from there its detection may lie, in box lengths (root of the area).
        detected: rows that begin with centre x, y, width, height.
    """
    tracks, found = np.array(predicted)[:, :, None], np.array(detected).T
    area_t, area_d = tracks[:, 2] * tracks[:, 3], found[2] * found[3]
    dx, dy = tracks[:, 0] - found[0], tracks[:, 1] - found[1]
    squared = (dx * dx + dy * dy) / np.sqrt(area_t * area_d)
    ratio = area_t / area_d
    near = (squared < np.array(gates)[:, None] ** 2) & (ratio < _AREA_RATIO) & (ratio > 1 / _AREA_RATIO)
    rows, columns = near.nonzero()
    if not len(rows):
        return []
    cost = np.sqrt(squared[rows, columns]) + _AREA_COST * np.abs(np.log(ratio[rows, columns]))
    order = cost.argsort(kind="stable")
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
