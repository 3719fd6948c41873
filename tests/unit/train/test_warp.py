"""Boxes go where their objects go."""

import cv2
import numpy as np
import pytest

from deploy.models.train.warp import Move, inside, paste

SIZE = (416, 256)


def _moved(seed: int, degrees: float, tilt: float, scale: float) -> Move:
    return Move.about(np.random.default_rng(seed), (150.0, 100.0), scale, SIZE, degrees, tilt)


@pytest.mark.parametrize("scale", [0.3, 0.8, 2.0])
@pytest.mark.parametrize("seed", range(6))
def test_a_rectangle_stays_in_its_box(seed: int, scale: float) -> None:
    scene = np.zeros((200, 300, 3), np.uint8)
    scene[80:120, 110:190] = 255
    move = _moved(seed, degrees=4, tilt=0.1, scale=scale)
    (box,) = move.boxes(np.array([[110, 80, 190, 120]], np.float32), round_things=False)
    _assert_around(move.picture(scene, np.zeros((*SIZE[::-1], 3), np.uint8)), box)


@pytest.mark.parametrize("seed", range(6))
def test_turning_makes_the_box_of_something_round_no_larger(seed: int) -> None:
    scene = np.zeros((200, 300, 3), np.uint8)
    cv2.ellipse(scene, (150, 100), (20, 30), 0, 0, 360, (255, 255, 255), -1)
    move = _moved(seed, degrees=25, tilt=0.0, scale=1.0)
    (box,) = move.boxes(np.array([[130, 70, 170, 130]], np.float32), round_things=True)
    _assert_around(move.picture(scene, np.zeros((*SIZE[::-1], 3), np.uint8)), box)


def _assert_around(drawn: np.ndarray, box: np.ndarray) -> None:
    """The box is that of the light pixels to two pixels, where it lies inside."""
    rows, columns = np.nonzero(drawn[..., 0] > 96)
    cut, share = inside(box[None], *SIZE)
    if share[0] < 0.1:
        return
    seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    assert np.abs(seen - cut[0]).max() <= 2.5


def test_what_lies_outside_is_cut() -> None:
    cut, share = inside(np.array([[-10, 0, 10, 10], [500, 5, 510, 9], [3, 4, 5, 6]], np.float32), *SIZE)
    assert cut.tolist()[0] == [0, 0, 10, 10]
    assert share == pytest.approx([0.5, 0, 1])


def test_a_pasted_patch_covers_its_quad_and_nothing_else() -> None:
    scene = np.zeros((60, 80, 3), np.uint8)
    paste(scene, np.full((20, 40, 3), 200, np.uint8), np.array([[10, 10], [50, 10], [50, 30], [10, 30]], np.float32))
    assert (scene[12:29, 12:49] >= 198).all()
    scene[8:33, 8:53] = 0
    assert not scene.any()


def test_a_patch_outside_is_not_drawn() -> None:
    scene = np.zeros((60, 80, 3), np.uint8)
    paste(scene, np.full((9, 9, 3), 9, np.uint8), np.array([[90, 90], [99, 90], [99, 99], [90, 99]], np.float32))
    assert not scene.any()
