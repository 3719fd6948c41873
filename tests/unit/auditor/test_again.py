"""The closer views of a find: where it is in them, what of the surroundings is there, and what counts as seen again."""

from collections.abc import Sequence

import numpy as np
import pytest

from services.auditor.again import seen_again
from services.auditor.find import Box, Find
from services.detect.interface import Boxes, Image
from services.schema import pb

_WIDTH, _HEIGHT = 320, 180


class Bright:
    """A detector that finds all that is bright, as one box, moved by shares of its size."""

    name = model = version = "bright"

    def __init__(self, moved: float = 0.0) -> None:
        self.moved = moved
        self.seen: list[Image] = []

    def detect(self, images: Sequence[Image], timeout_s: float) -> Sequence[Boxes]:
        (image,) = images
        self.seen.append(image)
        rows, columns = np.nonzero(image[..., 0] > 127)
        box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
        box[:, ::2] += self.moved * (box[0, 2] - box[0, 0])
        return [Boxes(box, np.full(1, 0.9, np.float32), np.full(1, pb.KIND_FACE, np.int32))]


def _painted(box: Box) -> Image:
    image = np.zeros((_HEIGHT, _WIDTH, 3), np.uint8)
    x1, y1, x2, y2 = map(int, box)
    image[y1:y2, x1:x2] = 255
    return image


@pytest.mark.parametrize("kind", ["face", "plate"])
@pytest.mark.parametrize("box", [(100, 60, 130, 90), (0, 0, 14, 20), (290, 160, 320, 180), (30, 20, 290, 150)])
def test_what_is_there_is_seen_again_in_every_view(kind: str, box: Box) -> None:
    detector = Bright()
    find = seen_again(Find(kind, 0.6, box), _painted(box), detector, 1)
    assert (find.kind, find.box) == (kind, box)
    assert find.score == pytest.approx((0.6 + 0.9 + 0.9) / 3)
    straight, mirrored = detector.seen
    assert straight.shape != mirrored.shape


def test_one_view_is_mirrored() -> None:
    image = _painted((100, 60, 130, 90))
    image[:, 80:100] = 100  # a post on its left
    detector = Bright()
    seen_again(Find("face", 0.6, (100, 60, 130, 90)), image, detector, 1)
    sides = []
    for view in detector.seen:
        middle = view[len(view) // 2, :, 0]
        (bright,), (grey,) = np.nonzero(middle > 200), np.nonzero((middle > 80) & (middle < 120))
        sides.append(bool(grey.mean() < bright.mean()))
    assert sides == [True, False]


@pytest.mark.parametrize(("moved", "score"), [(0.3, 0.8), (0.7, 0.2)])
def test_what_is_seen_beside_it_is_something_else(moved: float, score: float) -> None:
    box = (100, 60, 130, 90)
    assert seen_again(Find("face", 0.6, box), _painted(box), Bright(moved), 1).score == pytest.approx(score)
