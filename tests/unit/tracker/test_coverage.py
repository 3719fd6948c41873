"""I2: «ran and found nothing» is not «did not run»; only the first makes a span complete."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.schema import pb
from services.tracker.settings import TrackerSettings
from tests.support.book import Book
from tests.unit.tracker.harness import Harness, policy, result

RAN, FAILED = pb.DetectorResult.RAN, pb.DetectorResult.FAILED
TIMED_OUT, SKIPPED = pb.DetectorResult.TIMED_OUT, pb.DetectorResult.SKIPPED
BOTH = policy(kinds={"face": {}, "plate": {}})
FACE = (100.0, 100.0, 140.0, 150.0, 0.9)


def coverage(harness: Harness) -> dict[tuple[int, int], bool]:
    return {(span.first_seq, span.last_seq): span.coverage == pb.COMPLETE for span in harness.spans}


def test_i2_ran_and_found_nothing_is_complete() -> None:
    harness = Harness(Book(policy()))
    harness.looks([0, 5, 10])
    harness.end(13)
    assert coverage(harness) == {(0, 4): True, (5, 9): True, (10, 12): True}
    assert all(span.policy == policy().fingerprint and not span.why for span in harness.spans)


@pytest.mark.parametrize("status", [FAILED, TIMED_OUT, SKIPPED, 0, 9])
def test_i2_a_look_that_did_not_run_opens_neither_side(status: int) -> None:
    harness = Harness(Book(policy()))
    harness.looks([0, 5])
    harness.look(10, result([FACE], status=status))  # type: ignore[arg-type]  # a status from a later version
    harness.looks([15, 20])
    harness.end(23)
    assert coverage(harness) == {(0, 4): True, (5, 9): False, (10, 14): False, (15, 19): True, (20, 22): True}
    assert "face" in harness.spans[1].why
    assert "10" in harness.spans[1].why
    code = {TIMED_OUT: pb.Closing.DETECTOR_LATE, SKIPPED: pb.Closing.DETECTOR_SKIPPED}
    expected = pb.Closing(reason=code.get(status, pb.Closing.DETECTOR_FAILED), detector="face")
    assert [span.closing for span in harness.spans if span.coverage == pb.INCOMPLETE] == [expected, expected]
    assert not any(span.HasField("closing") for span in harness.spans if span.coverage == pb.COMPLETE)


def test_i2_motion_that_still_learns_keeps_frames_closed_and_says_so() -> None:
    harness = Harness(Book(policy(kinds={"motion": {}})))
    harness.look(0, result(detector="motion", kind=pb.KIND_MOTION, status=SKIPPED))
    harness.look(5, result(detector="motion", kind=pb.KIND_MOTION))
    harness.end(8)
    assert coverage(harness) == {(0, 4): False, (5, 7): True}
    assert harness.spans[0].why == "Detector motion was still learning the background at frame 0."
    assert harness.spans[0].closing == pb.Closing(reason=pb.Closing.DETECTOR_LEARNING, detector="motion")


def test_i2_a_detector_without_a_result_did_not_run() -> None:
    harness = Harness(Book(BOTH))
    harness.look(0, result(), result(detector="plate"))
    harness.look(5, result())
    harness.end(8)
    assert coverage(harness) == {(0, 4): False, (5, 7): False}
    assert "plate gave no result" in harness.spans[0].why


def test_i2_a_detector_nobody_asked_for_may_fail() -> None:
    harness = Harness(Book(policy()))
    harness.look(0, result(), result(detector="plate", status=FAILED))
    harness.end(3)
    assert coverage(harness) == {(0, 2): True}


def test_i2_two_results_of_one_detector_count_only_if_both_ran() -> None:
    harness = Harness(Book(policy()))
    harness.look(0, result(), result(status=TIMED_OUT))
    harness.end(3)
    assert coverage(harness) == {(0, 2): False}


@pytest.mark.parametrize(
    "box",
    [
        (float("nan"), 0, 10, 10, 0.9),
        (0, 0, float("inf"), 10, 0.9),
        (50, 0, 40, 10, 0.9),
        (0, 50, 10, 40, 0.9),
        (5000, 0, 5010, 10, 0.9),
        (0, -900, 10, 10, 0.9),
        (0, 0, 10, 10, 1.5),
        (0, 0, 10, 10, -0.1),
        (0, 0, 10, 10, float("nan")),
    ],
)
def test_i2_boxes_that_can_not_be_true_count_as_failed(box: tuple[float, float, float, float, float]) -> None:
    harness = Harness(Book(policy()))
    harness.look(0, result([FACE, box]))
    harness.end(3)
    assert coverage(harness) == {(0, 2): False}
    assert not harness.spans[0].tracks


def test_i2_lists_of_different_lengths_count_as_failed() -> None:
    harness = Harness(Book(policy()))
    broken = result([FACE])
    broken.boxes.score.append(0.5)
    harness.look(0, broken)
    harness.end(3)
    assert coverage(harness) == {(0, 2): False}


def test_i2_too_many_boxes_count_as_failed() -> None:
    harness = Harness(Book(policy()), TrackerSettings(boxes_max=3))
    harness.look(0, result([FACE] * 4))
    harness.end(3)
    assert coverage(harness) == {(0, 2): False}


def test_a_box_without_area_is_left_out_and_harms_nothing() -> None:
    harness = Harness(Book(policy()))
    harness.look(0, result([(50, 0, 50, 10, 0.9), FACE]))
    harness.end(3)
    assert coverage(harness) == {(0, 2): True}
    assert len(harness.spans[0].tracks) == 1


def test_a_lost_message_leaves_its_stretch_incomplete() -> None:
    harness = Harness(Book(policy()))
    harness.looks([0, 5])
    harness.look(15, previous_seq=10)
    harness.look(20)
    harness.end(22)
    assert coverage(harness) == {(0, 4): True, (5, 14): False, (15, 19): True, (20, 21): True}


def test_a_stretch_longer_than_the_policy_allows_is_incomplete() -> None:
    harness = Harness(Book(policy(detection={"gap_max_s": 0.4})))
    harness.looks([0, 11, 23])
    harness.end(24)
    assert coverage(harness) == {(0, 10): True, (11, 22): False, (23, 23): True}


def test_a_slow_camera_that_is_looked_at_in_every_frame_is_complete() -> None:
    harness = Harness(Book(policy()))
    for seq in range(4):
        harness.look(seq, pts=seq * 40, frame_rate=0.625)
    harness.end(4)
    assert all(coverage(harness).values())


def test_a_gap_is_measured_in_stream_time_where_the_nominal_rate_is_wrong() -> None:
    harness = Harness(Book(policy()))
    for seq in range(0, 20, 5):
        harness.look(seq, pts=seq * 5, frame_rate=25)
    harness.end(16)
    assert coverage(harness) == {(0, 4): False, (5, 9): False, (10, 14): False, (15, 15): True}


def test_the_last_frames_are_incomplete_where_a_look_must_have_been_lost() -> None:
    harness = Harness(Book(policy(detection={"every_max": 8})))
    harness.looks([0])
    harness.end(9)
    assert coverage(harness) == {(0, 8): False}


def test_frames_before_the_first_look_are_incomplete() -> None:
    harness = Harness(Book(policy()))
    harness.looks([3, 6])
    harness.end(8)
    assert coverage(harness) == {(0, 2): False, (3, 5): True, (6, 7): True}


def test_without_a_readable_policy_nothing_is_complete() -> None:
    book = Book(None)
    harness = Harness(book)
    harness.looks([0, 5])
    book.policy = policy()
    harness.looks([10, 15])
    harness.end(18)
    assert coverage(harness) == {(0, 4): False, (5, 9): False, (10, 14): True, (15, 17): True}


SHORT = {"look_ahead_s": 0.4, "hold_s": 0.2}


def test_i2_a_policy_that_asks_for_more_needs_it_at_both_ends_and_in_all_that_is_held() -> None:
    before = policy(tracking=SHORT)
    after = policy(tracking=SHORT, kinds={"face": {}, "plate": {}})
    book = Book(before)
    harness = Harness(book)
    harness.looks([0, 5, 10, 15])
    assert coverage(harness) == {(0, 4): True, (5, 9): True}
    book.policy = after
    for seq in (20, 25, 30, 35, 40):
        harness.look(seq, result(), result(detector="plate"))
    harness.end(43)
    # 0.4 s are ten frames: what was found before frame 20 is masked up to frame 30.
    open_from = {(30, 34): True, (35, 39): True, (40, 42): True}
    closed = dict.fromkeys([(10, 14), (15, 19), (20, 24), (25, 29)], False)
    assert coverage(harness) == {(0, 4): True, (5, 9): True} | closed | open_from
    labels = {span.first_seq: span.policy for span in harness.spans}
    assert {labels[0], labels[5]} == {before.fingerprint}
    assert labels[30] == after.fingerprint


def test_i1_frames_looked_at_under_another_policy_are_never_complete_under_the_new_one() -> None:
    """They wait in the look-ahead while the policy changes, and their spans carry the new one's name."""
    book = Book(policy())
    harness = Harness(book)
    harness.looks([0, 5])
    book.policy = policy(kinds={"face": {"threshold": 0.1}})
    harness.looks([10, 15], FACE)
    harness.end(18)
    assert {span.policy for span in harness.spans} == {book.policy.fingerprint}
    assert not any(coverage(harness).values())


def test_a_zone_that_is_drawn_changes_nothing_that_was_looked_for() -> None:
    book = Book(policy())
    harness = Harness(book)
    harness.looks([0, 5])
    desk = {"name": "desk", "use": "mask", "polygon": [[0, 0], [1, 0], [1, 1]]}
    book.policy = policy(zones=[desk])
    harness.looks([10, 15])
    harness.end(18)
    assert {span.policy for span in harness.spans} == {book.policy.fingerprint}
    assert all(coverage(harness).values())


def test_more_tracks_than_allowed_close_the_frames_around() -> None:
    harness = Harness(Book(policy()), TrackerSettings(tracks_max=2))
    crowd = [(x, 100.0, x + 40, 150.0, 0.9) for x in (100.0, 400.0, 700.0)]
    harness.looks([0, 5], *crowd[:2])
    harness.looks([10], *crowd)
    harness.looks([15], *crowd[:2])
    harness.end(18)
    assert coverage(harness) == {(0, 4): True, (5, 9): False, (10, 14): False, (15, 17): True}


STATUSES = st.sampled_from([RAN, RAN, RAN, FAILED, TIMED_OUT, SKIPPED, pb.DetectorResult.STATUS_UNSPECIFIED])
LOOKS = st.lists(st.tuples(st.integers(1, 8), STATUSES, STATUSES, st.booleans()), min_size=1, max_size=25)


@settings(deadline=None, max_examples=60)
@given(looks=LOOKS, tail=st.integers(1, 8))
def test_i2_no_frame_next_to_a_look_that_did_not_run_is_ever_complete(
    looks: list[tuple[int, pb.DetectorResult.Status, pb.DetectorResult.Status, bool]], tail: int
) -> None:
    """Whatever happens, spans tile the epoch, and a complete one has good looks at both of its ends."""
    harness = Harness(Book(BOTH))
    good: dict[int, bool] = {}
    seq = 0
    for step, face, plate, empty in looks:
        harness.look(seq, result([] if empty else [FACE], status=face), result(detector="plate", status=plate))
        good[seq] = face == plate == RAN
        last, seq = seq, seq + step
    harness.end(last + tail)
    ends = [*sorted(good), last + tail]
    assert [(span.first_seq, span.last_seq) for span in harness.spans] == [(a, b - 1) for a, b in pairwise(ends)]
    for span in harness.spans:
        bounded = good[span.first_seq] and good.get(span.last_seq + 1, span.last_seq + 1 == last + tail)
        assert (span.coverage == pb.COMPLETE) == bounded
        assert bool(span.why) == (span.coverage != pb.COMPLETE)
