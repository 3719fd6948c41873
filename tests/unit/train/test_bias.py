"""Whom a network misses: the sheets of faces and the tables."""

import numpy as np

from deploy.models.train.bias import on_streets, sheets
from deploy.models.train.evaluate import Judged


def test_sheets_show_every_face_once_where_the_truth_says() -> None:
    faces = [np.zeros((250, 250, 3), np.uint8) for _ in range(30)]
    for face in faces:
        face[70:185, 77:173] = 255
    made = sheets(faces, 40)
    assert sum(len(truth) for _, truth in made) == 30
    for sheet, truth in made:
        for x1, y1, x2, y2 in np.round(truth).astype(int):
            assert sheet[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1].min() > 200


def test_recall_is_told_apart_by_mask_and_height() -> None:
    truth = np.array([[0, 0, 10, 10], [100, 0, 130, 40]], np.float32)
    only_the_large_one = Judged(truth, truth[1:], np.array([0.9], np.float32))
    found = on_streets([only_the_large_one], [np.array([True, False])], 0.5)
    assert (found["with a face mask"], found["without"]) == (0, 1)
    assert (found["0–12 px (1)"], found["from 32 px (1)"]) == (0, 1)
