"""What the auditor's eyes leave out: masks and the line's own badge, and nothing else."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from services.auditor.again import MOST
from services.auditor.covered import covered_map, covered_share, is_closed
from services.auditor.eyes import IndependentEyes
from services.detect.interface import Boxes, Image
from services.media.badge import badge_of, draw_badge
from services.media.masks import close_picture
from services.media.picture import Picture
from services.schema import pb
from tests.support.leaks import SIZE, Leak, boxes, masked_pictures


class Finds:
    """A detector that finds these boxes, surely, and of closer views the first ones that it is told to."""

    name = model = version = "finds"

    def __init__(self, *found: tuple[float, float, float, float], views: int = 1000) -> None:
        self.found, self.views = found, views

    def detect(self, images: Sequence[Image], timeout_s: float) -> Sequence[Boxes]:
        height, width, _ = images[0].shape
        found = self.found
        if (width, height) != SIZE:
            found = ((0.0, 0.0, float(width), float(height)),) if self.views > 0 else ()
            self.views -= 1
        n = len(found)
        xyxy = np.array(found, np.float32).reshape(-1, 4)
        return [Boxes(xyxy, np.ones(n, np.float32), np.full(n, pb.KIND_TEXT, np.int32))]


def _seen(picture: Picture, *found: tuple[float, float, float, float]) -> int:
    eyes = IndependentEyes({"plate": Finds(*found)}, {"plate": 0.5}, 1)
    return len(eyes.look(picture, np.zeros((SIZE[1], SIZE[0], 3), np.uint8)))


@pytest.mark.parametrize("mode", ["mosaic", "solid", "blur"])
def test_a_mask_is_no_suspect_and_what_is_open_is_one(mode: str) -> None:
    (place,) = [box.box for box in boxes(0) if box.kind == "plate"]
    assert _seen(next(masked_pictures(mode=mode)), place) == 0
    assert _seen(next(masked_pictures([Leak("plate", range(1))], mode)), place) == 1


def test_the_badge_is_no_suspect_and_its_place_without_it_is() -> None:
    picture = next(masked_pictures())
    picture.u[:] = 100  # the street is so grey and even there that it could be a mask
    corner = (0.0, SIZE[1] - 15.0, 40.0, float(SIZE[1]))
    assert badge_of(picture) is None
    assert _seen(picture, corner) == 1
    draw_badge(picture)
    assert badge_of(picture) is not None
    assert _seen(picture, corner) == 0
    assert _seen(picture, (0.0, SIZE[1] - 60.0, 100.0, float(SIZE[1]))) == 1


def test_a_closed_picture_is_known_and_a_face_is_not_covered() -> None:
    picture = next(masked_pictures([Leak("face", range(1))]))
    (face,) = [box.box for box in boxes(0) if box.kind == "face"]
    assert covered_share(covered_map(picture), face) < 0.4
    assert not is_closed(picture)
    grey = picture.copy()
    grey.u[:] = grey.v[:] = 128
    assert covered_share(covered_map(grey), face) < 0.8
    close_picture(picture)
    assert is_closed(picture)


@pytest.mark.parametrize(("views", "score"), [(0, 1 / 3), (1, 2 / 3), (2, 1.0)])
def test_a_find_is_as_sure_as_all_views_of_it_together(views: int, score: float) -> None:
    picture = next(masked_pictures([Leak("plate", range(1))]))
    (place,) = [box.box for box in boxes(0) if box.kind == "plate"]
    eyes = IndependentEyes({"plate": Finds(place, views=views)}, {"plate": 0.3}, 1)
    (find,) = eyes.look(picture, np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    assert find.score == pytest.approx(score)
    assert _seen_with(0.5, picture, Finds(place, views=views)) == (views > 0)


def test_of_too_many_finds_the_rest_is_told_as_it_is() -> None:
    picture = next(masked_pictures())
    picture.u[:] = 100  # nowhere is a mask
    corners = [(10.0 + 40 * column, 10.0 + 40 * row) for row in range(5) for column in range(12)]
    places = [(x, y, x + 30, y + 20) for x, y in corners]
    assert _seen_with(0.5, picture, Finds(*places, views=0)) == len(places) - MOST


def _seen_with(least: float, picture: Picture, detector: Finds) -> int:
    eyes = IndependentEyes({"plate": detector}, {"plate": least}, 1)
    return len(eyes.look(picture, np.zeros((SIZE[1], SIZE[0], 3), np.uint8)))


def test_a_drawn_head_is_no_face() -> None:
    picture = next(masked_pictures())
    picture.u[:] = 100  # a street with colour, as it is around the figures of a silhouette
    cv2.ellipse(picture.y, (300, 100), (10, 13), 0, 0, 360, 90, -1)
    for plane in (picture.u, picture.v):
        cv2.ellipse(plane, (150, 50), (5, 6), 0, 0, 360, 128, -1)
    box = (286.0, 84.0, 314.0, 116.0)
    assert covered_share(covered_map(picture), box) < 0.8
    eyes = IndependentEyes({"face": Finds(box)}, {"face": 0.3}, 1)
    assert not eyes.look(picture, np.zeros((SIZE[1], SIZE[0], 3), np.uint8))


def test_an_open_face_is_no_drawn_head() -> None:
    picture = next(masked_pictures([Leak("face", range(1))]))
    (face,) = [box.box for box in boxes(0) if box.kind == "face"]
    eyes = IndependentEyes({"face": Finds(face)}, {"face": 0.3}, 1)
    assert len(eyes.look(picture, np.zeros((SIZE[1], SIZE[0], 3), np.uint8))) == 1
