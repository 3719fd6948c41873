"""Boxes out of answers."""

import numpy as np

from services.detect.cells import STRIDES, centres, decode


def test_sides_are_measured_from_the_cell_s_centre() -> None:
    answer = np.zeros((5, len(centres(64, 96))), np.float32)
    answer[:, 13] = [0.9, 10, 4, 20, 6]  # second row, second column of the finest grid
    boxes, score = decode(answer, 64, 96, 0.5)
    assert boxes.tolist() == [[12 - 10, 12 - 4, 12 + 20, 12 + 6]]
    assert score.tolist() == [np.float32(0.9)]


def test_grids_follow_each_other_from_fine_to_coarse() -> None:
    found = centres(64, 96)
    assert len(found) == sum(64 // stride * (96 // stride) for stride in STRIDES)
    assert found[0].tolist() == [4, 4]
    assert found[8 * 12].tolist() == [8, 8]
    assert found[-1].tolist() == [80, 48]


def test_cells_below_the_floor_are_left_out() -> None:
    boxes, score = decode(np.full((5, len(centres(32, 32))), 0.3, np.float32), 32, 32, 0.31)
    assert boxes.shape == (0, 4)
    assert score.shape == (0,)
