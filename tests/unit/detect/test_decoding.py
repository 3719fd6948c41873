"""Each network's outputs become the boxes that they stand for."""

import numpy as np
import pytest

from services.detect import centerface, person, plate
from services.detect.postprocess import grow


def test_a_centerface_cell_becomes_a_box_around_its_centre() -> None:
    heatmap = np.zeros((8, 10), np.float32)
    size = np.zeros((2, 8, 10), np.float32)
    offset = np.zeros((2, 8, 10), np.float32)
    heatmap[3, 6] = 0.8
    size[:, 3, 6] = np.log([5, 3])
    offset[:, 3, 6] = [0.25, -0.25]
    xyxy, score = centerface.decode(heatmap, size, offset, floor=0.1)
    centre_y, centre_x, height, width = (3 + 0.25 + 0.5) * 4, (6 - 0.25 + 0.5) * 4, 20, 12
    expected = [centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2]
    assert np.allclose(xyxy, [expected])
    assert score == pytest.approx([0.8])


def test_cells_under_the_floor_are_left_out() -> None:
    heatmap = np.array([[0.09, 0.1], [0.11, 0.0]], np.float32)
    xyxy, score = centerface.decode(heatmap, np.zeros((2, 2, 2), np.float32), np.zeros((2, 2, 2), np.float32), 0.1)
    assert len(xyxy) == len(score) == 2


def test_plate_priors_follow_the_grids_of_an_uneven_picture() -> None:
    prior = plate.priors(100, 50)
    assert len(prior) == 2 * (13 * 7 + 7 * 4 + 4 * 2)
    assert prior[:2].tolist() == [[4, 4, 24, 24], [4, 4, 48, 48]]
    assert prior[-1].tolist() == [3.5 * 32, 1.5 * 32, 768, 768]


def test_plate_deltas_move_and_scale_the_prior() -> None:
    prior = np.array([[40, 20, 48, 48], [0, 0, 24, 24]], np.float32)
    loc = np.array([[1.0, -0.5, np.log(2) / 0.2, np.log(0.5) / 0.2], [0, 0, 0, 0]], np.float32)
    xyxy, score = plate.decode(loc, np.array([0.6, 0.05], np.float32), prior, floor=0.1)
    centre_x, centre_y = 40 + 0.1 * 48, 20 - 0.05 * 48
    assert np.allclose(xyxy, [[centre_x - 48, centre_y - 12, centre_x + 48, centre_y + 12]], atol=1e-4)
    assert score == pytest.approx([0.6])


def test_plates_grow_by_their_own_width_and_height() -> None:
    grown = grow(np.array([[100, 100, 200, 120]], np.float32), np.array([0.12, 0.35], np.float32))
    assert np.allclose(grown, [[88, 93, 212, 127]])


def test_person_priors_cover_the_picture() -> None:
    prior = person.priors()
    assert prior.shape == (1917, 4)
    assert np.allclose(prior[:3, :2], 0.5 / 19)
    assert np.allclose(prior[0, 2:], 0.1)
    assert np.allclose(prior[1, 2:], [0.2 / 2**0.5, 0.2 * 2**0.5])
    assert np.allclose(prior[-1], [0.5, 0.5, 0.95**0.5, 0.95**0.5])


def test_person_logits_become_scores_and_boxes_x_before_y() -> None:
    prior = np.array([[0.5, 0.25, 0.4, 0.2], [0.5, 0.5, 0.1, 0.1]], np.float32)
    encodings = np.array([[1.0, 0.0, 0.0, 5 * np.log(2)], [0, 0, 0, 0]], np.float32)
    xyxy, score = person.decode(encodings, np.array([0.0, -3.0], np.float32), prior, floor=0.1)
    assert np.allclose(xyxy, [[0.05, 0.34, 0.45, 0.74]])
    assert score == pytest.approx([0.5])
