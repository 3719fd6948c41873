"""What the auditor's eyes leave out: masks and the line's own badge, and nothing else."""

from collections.abc import Sequence

import numpy as np
import pytest

from services.auditor.covered import covered_map, covered_share, is_closed
from services.auditor.eyes import IndependentEyes
from services.detect.interface import Boxes, Image
from services.media.badge import badge_of, draw_badge
from services.media.masks import close_picture
from services.media.picture import Picture
from services.schema import pb
from tests.support.leaks import SIZE, Leak, boxes, masked_pictures


class Finds:
    """A detector that finds these boxes, surely."""

    name = model = version = "finds"

    def __init__(self, *found: tuple[float, float, float, float]) -> None:
        self.found = found

    def detect(self, images: Sequence[Image], timeout_s: float) -> Sequence[Boxes]:
        n = len(self.found)
        xyxy = np.array(self.found, np.float32).reshape(-1, 4)
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
