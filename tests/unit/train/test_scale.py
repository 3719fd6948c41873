"""What a network's scores mean: the points at which it is as precise as another."""

import numpy as np

from deploy.models.train.evaluate import Judged
from deploy.models.train.scale import points


def _judged(right: list[float], wrong: list[float]) -> Judged:
    boxes = [[20.0 * i, 0, 20.0 * i + 10, 10] for i in range(len(right))]
    others = [[20.0 * i, 50, 20.0 * i + 10, 60] for i in range(len(wrong))]
    return Judged(
        np.array(boxes, np.float32), np.array(boxes + others, np.float32), np.array(right + wrong, np.float32)
    )


def test_points_are_where_both_are_as_precise() -> None:
    theirs = _judged([0.2, 0.3], [0.12, 0.15])
    ours = _judged([0.7, 0.8], [0.3, 0.455])
    assert points([ours], [theirs], (0.1, 0.2)) == [(0.1, 0.1), (0.46, 0.2)]


def test_points_rise_even_where_precision_does_not() -> None:
    perfect = _judged([0.9], [])
    (first, _), (second, _) = points([perfect], [perfect], (0.1, 0.2))
    assert second > first
