"""The yardstick of the small pedestrian detector: what counts as found, and what neither way."""

import cv2
import numpy as np
import pytest

from services.media.picture import Picture
from tests.eval.pedestrians import Found, average_precision, channels, overlaps, pyramid

BOXES = np.array([[10.0, 10.0, 30.0, 60.0], [100.0, 10.0, 120.0, 60.0]])
NONE = np.zeros((0, 4))


def found(*scored: tuple[float, int]) -> Found:
    return [(score, tuple(BOXES[index].tolist()), (0, 0, 0)) for score, index in scored]


class TestAveragePrecision:
    def test_all_found_and_nothing_else_is_one(self) -> None:
        assert average_precision([found((2, 0), (1, 1))], [BOXES], [NONE]) == 1

    def test_half_found_is_a_half(self) -> None:
        assert average_precision([found((2, 0))], [BOXES], [NONE]) == 0.5

    def test_a_second_answer_for_one_body_is_wrong(self) -> None:
        twice = average_precision([found((3, 0), (2, 0), (1, 1))], [BOXES], [NONE])
        assert twice == pytest.approx(0.5 + 0.5 * 2 / 3)

    def test_what_is_ignored_counts_neither_way(self) -> None:
        assert average_precision([found((3, 1), (2, 0))], [BOXES[:1]], [BOXES[1:]]) == 1
        assert average_precision([found((3, 1), (2, 0))], [BOXES[:1]], [NONE]) == 0.5

    def test_pictures_share_one_ranking(self) -> None:
        answers = [found((1, 0)), found((2, 1))]
        assert average_precision(answers, [BOXES[:1], NONE], [NONE, NONE]) == 0.5


def test_overlaps() -> None:
    assert overlaps(BOXES, BOXES).tolist() == [[1, 0], [0, 1]]
    half = np.add(BOXES[:1], (10, 0, 10, 0))
    assert overlaps(half, BOXES[:1])[0, 0] == pytest.approx(1 / 3)


def test_channels_know_the_direction_of_an_edge() -> None:
    plane = np.zeros((64, 64), np.uint8)
    plane[:, 32:] = 200
    upright, flat = channels(plane), channels(np.ascontiguousarray(plane.T))
    assert upright.shape == (7, 16, 16)
    strongest = [int(found[1:].sum(axis=(1, 2)).argmax()) for found in (upright, flat)]
    assert (strongest[1] - strongest[0]) % 6 == 3


def test_a_pyramid_covers_bodies_from_small_to_large() -> None:
    picture = Picture(cv2.resize(np.zeros((3, 2), np.uint8), (320, 360)))
    sizes = [level.shape[2] for level in pyramid(picture)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 80 > sizes[-1]
