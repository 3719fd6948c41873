"""Where a track is at any frame."""

import pytest

from services.schema import pb
from services.tracker.motion import Box, Reach, Track

REACH = Reach(back=50, hold=25, once=10, growth=0.02, settle=25, drift=0.2)
DETECTED, INTERPOLATED = pb.TrackSegment.DETECTED, pb.TrackSegment.INTERPOLATED
BACKFILLED, PREDICTED = pb.TrackSegment.BACKFILLED, pb.TrackSegment.PREDICTED


def walker(*seqs: int, speed: float = 2.0) -> Track:
    """A track that goes right by `speed` pixels a frame; at frame 0 it is at x = 500."""
    boxes = [Box(500 + speed * seq, 300, 40, 50) for seq in seqs]
    track = Track(7, pb.KIND_FACE, seqs[0], boxes[0], 0.5)
    for seq, box in zip(seqs[1:], boxes[1:], strict=True):
        track.see(seq, box, 0.6)
    return track


def test_velocity_is_fitted_to_the_newest_sights() -> None:
    assert walker(0, 4, 9, 15, 20).velocity == pytest.approx((2.0, 0.0))
    assert walker(0).velocity == (0.0, 0.0)


def test_between_two_sights_it_goes_straight_and_is_not_widened() -> None:
    segment = walker(0, 5).segment(0, 5, REACH)
    assert segment is not None
    assert segment.origin == DETECTED
    assert segment.first == pytest.approx((480, 275, 520, 325))
    assert segment.last == pytest.approx((488, 275, 528, 325))


def test_a_missed_look_is_bridged_and_widened() -> None:
    segment = walker(0, 10).segment(0, 5, REACH)
    assert segment is not None
    assert segment.origin == INTERPOLATED
    middle = walker(0, 10).segment(5, 10, REACH)
    assert middle is not None
    x1, _, x2, _ = middle.first
    assert (x1 + x2) / 2 == pytest.approx(510)
    assert x2 - x1 == pytest.approx(40 * (1 + 5 * REACH.growth))


def test_before_its_first_sight_it_is_followed_back_and_grows() -> None:
    track = walker(100, 105, 110)
    near, far = track.segment(95, 100, REACH), track.segment(80, 85, REACH)
    assert near is not None
    assert far is not None
    assert near.origin == far.origin == BACKFILLED
    centre = (far.first[0] + far.first[2]) / 2
    assert 500 + 2 * 80 <= centre < 500 + 2 * 100
    assert far.first[2] - far.first[0] > near.first[2] - near.first[0] > 40
    assert far.first[0] <= 500 + 2 * 80 - 20, "the true box lies inside"
    assert track.segment(45, 50, REACH) is None


def test_after_its_last_sight_it_is_held_and_grows_then_let_go() -> None:
    track = walker(0, 5, 10)
    held = track.segment(20, 25, REACH)
    assert held is not None
    assert held.origin == PREDICTED
    assert held.first[0] <= 500 + 2 * 20 - 20, "the true box lies inside"
    assert held.first[2] >= 500 + 2 * 20 + 20
    assert track.segment(35, 40, REACH) is not None
    assert track.segment(36, 40, REACH) is None


def test_one_sight_is_masked_around_for_a_shorter_time() -> None:
    track = walker(100)
    assert track.segment(90, 95, REACH) is not None
    assert track.segment(85, 90, REACH) is None
    assert track.segment(110, 115, REACH) is not None
    assert track.segment(111, 115, REACH) is None


def test_earlier_sights_move_the_birth_back() -> None:
    track = walker(100)
    track.see_before(95, Box(690, 300, 40, 50))
    assert track.born == 95
    assert track.velocity == pytest.approx((2.0, 0.0))
    segment = track.segment(95, 100, REACH)
    assert segment is not None
    assert segment.origin == DETECTED


def test_forgetting_changes_nothing_from_there_on() -> None:
    kept, trimmed = walker(*range(0, 300, 3)), walker(*range(0, 300, 3))
    trimmed.forget(250)
    for first in range(249, 320, 3):
        assert trimmed.segment(first, first + 3, REACH) == kept.segment(first, first + 3, REACH)
