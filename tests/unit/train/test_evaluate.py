"""The yardstick: recall, cover and precision of small made-up cases."""

import numpy as np
import pytest

from deploy.models.train.evaluate import Judged, at_precision, cover, figures, ious, matched


def _boxes(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def test_each_box_counts_for_one_object() -> None:
    overlap = ious(_boxes([0, 0, 10, 10], [0, 0, 10, 9]), _boxes([0, 0, 10, 10]))
    assert matched(overlap, 0.5).tolist() == [True, False]
    assert matched(np.zeros((2, 0), np.float32), 0.5).tolist() == [False, False]


def test_cover_is_what_lies_under_all_boxes_together() -> None:
    box = np.array([0, 0, 10, 10], np.float32)
    assert cover(box, _boxes([0, 0, 5, 10], [5, 0, 10, 5])) == pytest.approx(0.75)
    assert cover(box, _boxes()) == 0
    assert cover(box, _boxes([-5, -5, 0, 20])) == 0


def test_figures_at_a_threshold() -> None:
    picture = Judged(
        truth=_boxes([0, 0, 10, 10], [50, 50, 60, 60]),
        boxes=_boxes([0, 0, 10, 6], [100, 0, 110, 10], [50, 50, 60, 60]),
        score=np.array([0.9, 0.8, 0.2], np.float32),
    )
    found = figures([picture], 0.5)
    assert (found.recall_5, found.recall_3, found.covered, found.precision) == (0.5, 0.5, 0, 0.5)
    assert at_precision([picture], 0.66)[1].recall_3 == 1
    assert at_precision([picture], 0.9)[0] > 0.8
