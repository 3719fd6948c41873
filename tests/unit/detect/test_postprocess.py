"""Box arithmetic shared by the detectors."""

import numpy as np

from services.detect.postprocess import MAX_CANDIDATES, stack_padded, suppress, to_boxes


def _boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def test_the_best_of_overlapping_boxes_stays() -> None:
    xyxy = _boxes((0, 0, 10, 10), (1, 0, 11, 10), (50, 50, 60, 60))
    keep = suppress(xyxy, np.array([0.5, 0.9, 0.2], np.float32), iou=0.3)
    assert keep.tolist() == [1, 2]


def test_a_removed_box_removes_no_other() -> None:
    """B overlaps A and C, A and C do not overlap: with A best, C must stay though B is better than C."""
    xyxy = _boxes((0, 0, 10, 10), (5, 0, 15, 10), (10, 0, 20, 10))
    keep = suppress(xyxy, np.array([0.9, 0.8, 0.7], np.float32), iou=0.3)
    assert keep.tolist() == [0, 2]


def test_nothing_is_suppressed_in_nothing() -> None:
    assert suppress(_boxes(), np.zeros(0, np.float32), iou=0.3).tolist() == []


def test_the_best_candidates_are_looked_at_when_there_are_too_many() -> None:
    n = MAX_CANDIDATES + 100
    corner = np.arange(n, dtype=np.float32)[:, None] * 10
    xyxy = np.concatenate([corner, corner, corner + 5, corner + 5], axis=1)
    score = np.linspace(0, 1, n, dtype=np.float32)
    keep = suppress(xyxy, score, iou=0.3)
    assert len(keep) == MAX_CANDIDATES
    assert score[keep].min() > score[99]


def test_boxes_are_cut_at_the_edges_and_left_out_beyond() -> None:
    xyxy = _boxes((-5, -5, 10, 10), (90, 40, 120, 70), (200, 200, 210, 210), (5, 5, 5, 9))
    boxes = to_boxes(xyxy, np.array([0.1, 0.2, 0.3, 0.4], np.float32), kind=2, width=100, height=50)
    assert boxes.xyxy.tolist() == [[0, 0, 10, 10], [90, 40, 100, 50]]
    assert np.allclose(boxes.score, [0.1, 0.2])
    assert boxes.kind.tolist() == [2, 2]


def test_pictures_are_padded_with_black_below_and_to_the_right() -> None:
    batch = stack_padded([np.full((30, 65, 3), 7, np.uint8), np.full((30, 65, 3), 9, np.uint8)], 32)
    assert batch.shape == (2, 32, 96, 3)
    assert (batch[0, :30, :65] == 7).all()
    assert (batch[1, :30, :65] == 9).all()
    assert not batch[:, 30:].any()
    assert not batch[:, :, 65:].any()


def test_a_picture_that_fits_is_not_copied() -> None:
    picture = np.zeros((64, 96, 3), np.uint8)
    assert np.shares_memory(stack_padded([picture], 32), picture)
