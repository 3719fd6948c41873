"""Masks reach back before the first sight, across gaps, and on after the last one."""

from collections.abc import Callable

from services.schema import pb
from tests.support.book import Book
from tests.unit.tracker.harness import RATE, Found, Harness, covered, masks_at, policy, result

LIVE = {"look_ahead_s": 0.4}
EVIDENCE = {"look_ahead_s": 2.0}


def walker(seq: int, score: float = 0.9, x: float = 200, speed: float = 4) -> Found:
    """A face of 40 × 50 pixels that walks to the right: two and a half widths a second."""
    left = x + speed * seq
    return left, 300, left + 40, 350, score


def film(tracking: dict[str, float], frames: int, found: Callable[[int], list[Found]]) -> Harness:
    """A stage that has looked at every fifth frame."""
    harness = Harness(Book(policy(tracking=tracking)))
    for seq in range(0, frames, 5):
        harness.look(seq, result(found(seq)))
    harness.end(frames)
    return harness


def hidden(harness: Harness, seq: int, box: Found) -> bool:
    return covered(box[:4], masks_at(harness.spans, seq)) > 0.7


def origins(harness: Harness, seq: int) -> list[str]:
    (span,) = [span for span in harness.spans if span.first_seq <= seq <= span.last_seq]
    return [pb.TrackSegment.Origin.Name(track.origin) for track in span.tracks]


def test_a_new_track_is_masked_before_it_was_first_seen() -> None:
    harness = film(EVIDENCE, 200, lambda seq: [walker(seq)] if seq >= 100 else [])
    assert all(hidden(harness, seq, walker(seq)) for seq in range(60, 200))
    assert origins(harness, 90) == ["BACKFILLED"]
    assert origins(harness, 45) == []


def test_back_fill_reaches_no_further_than_the_look_ahead() -> None:
    harness = film(LIVE, 200, lambda seq: [walker(seq, speed=1)] if seq >= 100 else [])
    assert hidden(harness, 92, walker(92, speed=1))
    assert origins(harness, 85) == []


def test_weak_boxes_before_the_first_strong_one_show_the_way_back() -> None:
    """It comes from a corner that its later velocity does not tell of."""

    def at(seq: int) -> Found:
        x = 600.0 if seq < 90 else 600 + 4.0 * (seq - 90)
        return x, 300, x + 40, 350, 0.15 if seq < 100 else 0.9

    harness = film(EVIDENCE, 200, lambda seq: [at(seq)] if seq >= 60 else [])
    assert origins(harness, 70) == ["DETECTED"]
    assert all(hidden(harness, seq, at(seq)) for seq in range(60, 200))


def test_weak_boxes_alone_start_nothing() -> None:
    harness = film(EVIDENCE, 100, lambda seq: [walker(seq, score=0.15)])
    assert not any(span.tracks for span in harness.spans)


def test_weak_boxes_go_on_with_a_track() -> None:
    harness = film(LIVE, 200, lambda seq: [walker(seq, score=0.9 if seq < 20 else 0.15)])
    assert all(origins(harness, seq) == ["DETECTED"] for seq in range(190))


def test_a_gap_within_the_look_ahead_is_interpolated() -> None:
    harness = film(EVIDENCE, 200, lambda seq: [] if 60 <= seq < 100 else [walker(seq)])
    assert all(hidden(harness, seq, walker(seq)) for seq in range(200))
    assert origins(harness, 80) == ["INTERPOLATED"]
    assert len({track.track_id for span in harness.spans for track in span.tracks}) == 1


def test_a_lost_track_is_held_and_grown_then_let_go() -> None:
    harness = film(LIVE | {"hold_s": 1.0}, 200, lambda seq: [walker(seq)] if seq <= 60 else [])
    assert all(hidden(harness, seq, walker(seq)) for seq in range(61, 61 + RATE))
    assert origins(harness, 80) == ["PREDICTED"]
    assert origins(harness, 95) == []


def test_a_track_is_not_held_outside_the_picture() -> None:
    harness = film(LIVE | {"hold_s": 4.0}, 200, lambda seq: [walker(seq, x=900, speed=8)] if seq <= 35 else [])
    assert origins(harness, 40) == ["PREDICTED"]
    assert origins(harness, 70) == []


def test_one_sight_is_masked_at_once_and_around_for_a_shorter_time() -> None:
    harness = film(EVIDENCE, 200, lambda seq: [walker(100)] if seq == 100 else [])
    assert all(hidden(harness, seq, walker(100)) for seq in range(90, 112))
    assert origins(harness, 70) == []
    assert origins(harness, 130) == []


def test_two_who_cross_stay_masked() -> None:
    """For half a second only one of them is seen."""

    def both(seq: int) -> list[Found]:
        return [walker(seq, x=200, speed=4), walker(seq, x=1000, speed=-4)]

    harness = film(EVIDENCE, 200, lambda seq: both(seq)[:1] if 94 <= seq <= 106 else both(seq))
    assert all(hidden(harness, seq, box) for seq in range(200) for box in both(seq))


def test_kinds_are_tracked_apart() -> None:
    harness = Harness(Book(policy(kinds={"face": {}, "plate": {}})))
    for seq in range(0, 40, 5):
        face = result([walker(seq)] if seq < 20 else [])
        plate = result([walker(seq)] if seq >= 20 else [], "plate", pb.KIND_PLATE)
        harness.look(seq, face, plate)
    harness.end(40)
    assert {track.kind for track in harness.spans[-1].tracks} == {pb.KIND_FACE, pb.KIND_PLATE}


def test_kinds_that_the_policy_does_not_name_are_left_alone() -> None:
    harness = Harness(Book(policy()))
    harness.look(0, result(), result([walker(0)], "plate", pb.KIND_PLATE))
    harness.end(3)
    assert not harness.spans[0].tracks


def test_a_span_waits_for_the_look_ahead_and_no_longer() -> None:
    harness = Harness(Book(policy(tracking={"look_ahead_s": 0.4})))
    harness.looks([0, 5])
    assert not harness.spans
    harness.looks([10])
    assert [span.last_seq for span in harness.spans] == [4]
