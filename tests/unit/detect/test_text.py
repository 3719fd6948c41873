"""Text: regions of a map of likelihoods become boxes that cover whole letters, and never too many."""

import cv2
import numpy as np
import pytest

from services.detect.text import TextDetector, decode
from tests.unit.detect.test_network import Scripted


def _map(*bands: tuple[int, int, int, int, float]) -> np.ndarray:
    """(200, 400) with bands x, y, width, height of a likelihood."""
    text = np.zeros((200, 400), np.float32)
    for x, y, w, h, likely in bands:
        text[y : y + h, x : x + w] = likely
    return text


def test_a_core_is_grown_on_all_sides_by_twice_its_area_over_its_circumference() -> None:
    xyxy, score = decode(_map((100, 50, 80, 8, 0.9)), floor=0.1)
    margin = 2 * 80 * 8 / (2 * (80 + 8))
    assert np.allclose(xyxy, [[100 - margin, 50 - margin, 180 + margin, 58 + margin]], atol=0.01)
    assert score == pytest.approx([0.9])


def test_a_tilted_line_lies_inside_its_box() -> None:
    text = np.zeros((200, 400), np.float32)
    cv2.line(text, (100, 60), (220, 120), 0.8, 8)
    ((x1, y1, x2, y2),), _ = decode(text, floor=0.1)
    assert x1 < 94
    assert y1 < 54
    assert x2 > 226
    assert y2 > 126


def test_what_is_unlikely_or_a_speck_is_no_text() -> None:
    text = _map((10, 10, 60, 6, 0.19), (100, 10, 60, 6, 0.25), (200, 10, 60, 6, 0.5), (300, 10, 1, 3, 0.9))
    for floor, found in ((0.1, 2), (0.3, 1), (0.6, 0)):
        assert len(decode(text, floor)[0]) == found


def test_i2_a_page_full_of_text_is_reported_in_pieces_that_are_joined_and_none_is_left_out() -> None:
    text = np.zeros((640, 960), np.float32)
    for y in range(2, 630, 8):
        for x in range(2, 940, 16):
            text[y : y + 3, x : x + 10] = 0.8
    xyxy, score = decode(text, floor=0.1)
    assert 0 < len(xyxy) <= 300
    assert score == pytest.approx(np.full(len(xyxy), 0.8), abs=1e-5), "what lies between the words does not count"
    covered = np.zeros(text.shape, bool)
    for x1, y1, x2, y2 in xyxy:
        covered[max(0, int(y1)) : int(np.ceil(y2)), max(0, int(x1)) : int(np.ceil(x2))] = True
    assert covered[text > 0].all()


@pytest.mark.parametrize(
    ("given", "looked_at"),
    [((360, 640), (544, 960)), ((300, 400), (480, 608)), ((540, 960), (544, 960)), ((2160, 3840), (1088, 1920))],
)
def test_small_pictures_are_looked_at_enlarged_and_boxes_are_in_their_own_pixels(
    given: tuple[int, int], looked_at: tuple[int, int]
) -> None:
    height, width = given

    def band(text: np.ndarray) -> np.ndarray:
        text[:] = 0
        text[0, text.shape[1] // 4 : text.shape[1] // 2, text.shape[2] // 4 : text.shape[2] // 2] = 0.9
        return text

    home = Scripted(lambda h, w: [(1, h, w)], band, 0)
    (boxes,) = TextDetector(home, "4+abc").detect([np.zeros((height, width, 3), np.uint8)], 1)
    assert home.seen == [(*looked_at, 3)]
    ((x1, y1, x2, y2),) = boxes.xyxy
    assert x1 < width / 4 + 8
    assert x2 > width / 2 - 8
    assert y1 < height / 4 + 8
    assert y2 > height / 2 - 8
    assert (boxes.xyxy >= 0).all()
    assert x2 <= width
    assert y2 <= height
