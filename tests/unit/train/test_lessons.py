"""What teachers say becomes labels only where there are none."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from deploy.models.train.lessons import Lessons
from deploy.models.train.pictures import NO_BOXES, Picture

FACE, OTHER = [0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 60.0, 60.0]


def _picture(**boxes: np.ndarray) -> Picture:
    _, encoded = cv2.imencode(".png", np.zeros((90, 90, 3), np.uint8))
    return Picture("drawn", "none", encoded.ravel(), boxes)


def _array(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def test_teachers_label_what_nobody_labelled(tmp_path: Path) -> None:
    lessons = Lessons(tmp_path / "lessons.json")
    lessons.learn(_picture(), {"face": (_array(FACE), _array(OTHER)), "person": (_array(), _array())})
    lessons.keep()
    (taught,) = Lessons(tmp_path / "lessons.json").taught([_picture(plate=NO_BOXES)])
    assert taught.boxes["face"].tolist() == [FACE]
    assert taught.ignored["face"].tolist() == [OTHER]
    assert len(taught.boxes["plate"]) == 0


def test_beside_labels_a_sure_teacher_counts_neither_way(tmp_path: Path) -> None:
    lessons = Lessons(tmp_path / "lessons.json")
    lessons.learn(_picture(), {"face": (_array(FACE, OTHER), _array([20, 20, 30, 30])), "person": (_array(), _array())})
    (taught,) = lessons.taught([_picture(face=_array([1, 0, 10, 10]))])
    assert taught.boxes["face"].tolist() == [[1, 0, 10, 10]]
    assert taught.ignored["face"].tolist() == [OTHER]


def test_a_picture_that_was_not_shown_says_so(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match=r"run deploy\.models\.train\.teachers"):
        Lessons(tmp_path / "lessons.json").taught([_picture()])
