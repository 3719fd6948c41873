"""What a network answers is looked at before it counts: one that can't be true must not mean that nothing is there."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from services.detect.blazeface import BlazeFaceDetector
from services.detect.centerface import FaceDetector
from services.detect.interface import DetectorError, Image, Tensors
from services.detect.network import NetworkDetector
from services.detect.person import PersonDetector
from services.detect.plate import PlateDetector, priors
from services.detect.text import TextDetector

Change = Callable[[np.ndarray], np.ndarray]


class Scripted:
    """A home whose networks find nothing, correctly shaped, unless `change` has a hand in it."""

    def __init__(self, shapes: Callable[[int, int], Sequence[tuple[int, ...]]], change: Change, output: int) -> None:
        self.shapes, self.change, self.output = shapes, change, output
        self.seen: list[tuple[int, ...]] = []

    def run_each(self, outputs: Sequence[str], pictures: Sequence[Image], timeout_s: float) -> Sequence[Tensors]:
        self.seen += [picture.shape for picture in pictures]
        answers = [
            [np.full(shape, -9, np.float32) for shape in self.shapes(*picture.shape[:2])] for picture in pictures
        ]
        answers[-1][self.output] = self.change(answers[-1][self.output])
        return answers


def _face_shapes(height: int, width: int) -> Sequence[tuple[int, ...]]:
    return [(channels, height // 4, width // 4) for channels in (1, 2, 2)]


def _plate_shapes(height: int, width: int) -> Sequence[tuple[int, ...]]:
    return [(len(priors(width, height)), columns) for columns in (4, 2)]


def _person_shapes(height: int, width: int) -> Sequence[tuple[int, ...]]:
    return [(1917, 4), (1917, 24)]


def _text_shapes(height: int, width: int) -> Sequence[tuple[int, ...]]:
    return [(1, height, width)]


def _audit_face_shapes(height: int, width: int) -> Sequence[tuple[int, ...]]:
    return [(height // 4 * (width // 4), 16), (height // 4 * (width // 4), 1)]


_ALL = [
    (BlazeFaceDetector, _audit_face_shapes, 2),
    (FaceDetector, _face_shapes, 3),
    (PlateDetector, _plate_shapes, 2),
    (PersonDetector, _person_shapes, 2),
    (TextDetector, _text_shapes, 1),
]


def _nan(tensor: np.ndarray) -> np.ndarray:
    tensor.flat[len(tensor.flat) // 2] = np.nan
    return tensor


def _infinite(tensor: np.ndarray) -> np.ndarray:
    tensor.flat[-1] = np.inf
    return tensor


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_nan, "not finite"),
        (_infinite, "not finite"),
        (lambda tensor: tensor[..., :-1], "of shape"),
        (lambda tensor: tensor[:0], "of shape"),
        (lambda tensor: tensor[None], "of shape"),
    ],
)
@pytest.mark.parametrize(
    ("kind", "shapes", "output"), [(kind, shapes, i) for kind, shapes, outputs in _ALL for i in range(outputs)]
)
def test_i2_an_answer_that_cannot_be_true_is_a_failure(
    kind: type[NetworkDetector], shapes: Callable[..., Sequence[tuple[int, ...]]], output: int, change: Change, why: str
) -> None:
    detector = kind(Scripted(shapes, change, output), "1+abc")
    with pytest.raises(DetectorError, match=why):
        detector.detect([np.zeros((180, 240, 3), np.uint8)], 1)


@pytest.mark.parametrize(("kind", "shapes", "outputs"), _ALL)
def test_pictures_of_several_cameras_are_one_call_to_the_home(
    kind: type[NetworkDetector], shapes: Callable[..., Sequence[tuple[int, ...]]], outputs: int
) -> None:
    home = Scripted(shapes, lambda tensor: tensor, 0)
    images = [np.zeros((height, 240, 3), np.uint8) for height in (180, 100, 720)]
    found = kind(home, "1+abc").detect(images, 1)
    assert [len(boxes) for boxes in found] == [0, 0, 0]
    assert len(home.seen) >= 3
