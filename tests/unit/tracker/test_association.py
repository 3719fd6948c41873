"""Which detection continues which track."""

from services.tracker.association import gate, match
from services.tracker.motion import Box


def test_each_detection_goes_to_the_nearest_track() -> None:
    tracks = [Box(100, 100, 20, 20), Box(160, 100, 20, 20)]
    assert sorted(match(tracks, [3, 3], [[158, 100, 20, 20, 0.9], [104, 100, 20, 20, 0.9]])) == [(0, 1), (1, 0)]


def test_no_detection_is_given_twice_and_the_closest_pair_wins() -> None:
    tracks = [Box(100, 100, 20, 20), Box(110, 100, 20, 20)]
    assert match(tracks, [3, 3], [[111, 100, 20, 20, 0.9]]) == [(1, 0)]


def test_a_pair_beyond_its_gate_is_none() -> None:
    assert match([Box(100, 100, 20, 20)], [1.0], [[121, 100, 20, 20, 0.9]]) == []
    assert match([Box(100, 100, 20, 20)], [1.1], [[121, 100, 20, 20, 0.9]]) == [(0, 0)]


def test_boxes_of_very_different_size_are_not_the_same_subject() -> None:
    assert match([Box(100, 100, 20, 20)], [3], [[100, 100, 41, 41, 0.9]]) == []
    assert match([Box(100, 100, 41, 41)], [3], [[100, 100, 20, 20, 0.9]]) == []


def test_gate_opens_with_time_and_wider_for_a_track_of_unknown_speed() -> None:
    assert gate(2, 0.1) < gate(2, 0.3) < gate(1, 0.3)
    assert gate(1, 1e6) == gate(2, 1e6)
