"""Registered logos are found at other sizes and angles, more than once, and where they are partly covered."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.detect.interface import Boxes, Image
from services.detect.logo import LogoDetector
from services.schema import pb
from tests.support.logos import background, drawn, pasted

_ACME = drawn()
_SCENE = background()
_THRESHOLD = 0.3
"""Of the kind's rule."""


@pytest.fixture(scope="module")
def detector() -> LogoDetector:
    return LogoDetector({"acme": _ACME}, "0123456789ab")


def _sure(boxes: Boxes) -> NDArray[np.float32]:
    assert (boxes.kind == pb.KIND_LOGO).all()
    return boxes.xyxy[boxes.score >= _THRESHOLD]


def _covers(box: NDArray[np.float32], corners: NDArray[np.float32], slack: float = 0.06) -> bool:
    """The box holds the corners and is not much larger."""
    true = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    return bool((np.abs(box - true) <= slack * max(true[2:] - true[:2]) + 2).all())


@pytest.mark.parametrize(
    ("scale", "degrees", "tilt"),
    [(0.25, 0, 0), (0.25, 20, 0.1), (0.5, -30, 0.2), (1, 0, 0), (1, 90, 0), (1.3, 180, 0.25), (2.5, 10, 0)],
)
def test_a_logo_is_found_at_other_sizes_and_angles(
    detector: LogoDetector, scale: float, degrees: float, tilt: float
) -> None:
    image, corners = pasted(_SCENE, _ACME, (480, 270), scale, degrees, tilt)
    (box,) = _sure(detector.detect([image], 30)[0])
    assert _covers(box, corners), (box, corners)


def test_a_logo_larger_than_four_times_its_picture_is_found_in_full() -> None:
    small = LogoDetector({"acme": _ACME[::2, ::2].copy()}, "x")
    image, _ = pasted(_SCENE, _ACME, (480, 270), 2.2)
    (box,) = _sure(small.detect([image], 30)[0])
    assert _covers(box, np.array([[128, 50], [832, 490]], np.float32))


def test_all_instances_in_a_picture_are_found(detector: LogoDetector) -> None:
    image, places = _SCENE, []
    for x, y, scale, degrees in ((150, 120, 0.6, 0), (480, 300, 0.9, 15), (800, 120, 0.5, -20), (800, 420, 0.6, 40)):
        image, corners = pasted(image, _ACME, (x, y), scale, degrees)
        places.append(corners)
    found = _sure(detector.detect([image], 30)[0])
    assert len(found) == len(places)
    assert all(any(_covers(box, corners) for box in found) for corners in places)


def test_half_of_a_logo_is_enough_and_its_box_is_that_of_all_of_it(detector: LogoDetector) -> None:
    image, corners = pasted(_SCENE, _ACME, (480, 270), 1)
    image[:, 480:] = _SCENE[:, 480:]
    (box,) = _sure(detector.detect([image], 30)[0])
    assert _covers(box, corners, slack=0.1)


def test_one_that_reaches_out_of_the_picture_is_cut_at_its_edge(detector: LogoDetector) -> None:
    image, _ = pasted(_SCENE, _ACME, (60, 270), 1)
    (box,) = _sure(detector.detect([image], 30)[0])
    assert box[0] == 0
    assert box[2] == pytest.approx(220, abs=6)


@pytest.mark.parametrize("image", [_SCENE, background(360, 640, 7), np.full((90, 120, 3), 128, np.uint8)])
def test_nothing_is_found_where_there_is_none(detector: LogoDetector, image: Image) -> None:
    assert not len(_sure(detector.detect([image], 30)[0]))


def test_each_logo_is_told_by_its_name_and_others_are_not_taken_for_it() -> None:
    logos = {"acme": _ACME, "zeta": drawn("Kiwi", 5), "moon": drawn("Otus", 9)}
    image, _ = pasted(_SCENE, logos["acme"], (250, 270), 0.8)
    image, _ = pasted(image, logos["moon"], (700, 270), 0.8)
    found = [one for one in LogoDetector(logos, "x").find(image, 30) if one.score >= _THRESHOLD]
    assert [(one.name, one.corners[:, 0].mean() > 480) for one in found] == [("acme", False), ("moon", True)]


def test_pictures_of_any_size_keep_their_own_pixels(detector: LogoDetector) -> None:
    for height, width, scale in ((270, 480, 0.5), (1080, 1920, 1.5)):
        image, corners = pasted(background(height, width), _ACME, (width / 2, height / 2), scale)
        (box,) = _sure(detector.detect([image], 60)[0])
        assert _covers(box, corners)


def test_a_look_ends_in_time(detector: LogoDetector) -> None:
    with pytest.raises(TimeoutError):
        detector.detect([_SCENE], timeout_s=0.001)


def test_a_result_says_which_logos_were_looked_for(detector: LogoDetector) -> None:
    assert (detector.name, detector.model, detector.version) == ("logo", "sift", "1+0123456789ab")
