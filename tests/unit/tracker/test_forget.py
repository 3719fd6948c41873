"""What the tracker lets go of: partitions that went, and cameras, epochs and frames beyond all bounds."""

import pytest

from services.bus.interface import InvalidMessage, Message, Position, Record, TopicPartition
from services.bus.topics import DETECTIONS
from services.schema import pb
from services.tracker.settings import TrackerSettings
from tests.support.book import Book
from tests.unit.tracker.harness import CAMERA, EPOCH, Harness, policy, result

FACE = (100.0, 100.0, 140.0, 150.0, 0.9)
LIVE = policy(tracking={"look_ahead_s": 0.4, "hold_s": 1.0})
GONE = (TopicPartition("detections", 0),)


def _message(seq: int) -> Message:
    """A look that is handed to the stage alone."""
    look = pb.Detections(
        camera_id=CAMERA,
        epoch=EPOCH,
        seq=seq,
        has_previous=True,
        previous_seq=seq - 5,
        pts=seq,
        source_width=1280,
        source_height=720,
        results=[result([FACE])],
    )
    record = Record(DETECTIONS, CAMERA, pb.DetectionsMessage(detections=look).SerializeToString())
    return Message(record, Position(TopicPartition("detections", 0), 99), 0)


def test_a_partition_that_went_leaves_nothing_behind() -> None:
    harness = Harness(Book(LIVE))
    harness.looks([0, 5, 10, 15], FACE)
    before = len(harness.redactions)
    harness.stage.forget(GONE)
    harness.now = 1000
    harness.drain()
    assert len(harness.redactions) == before
    assert harness.done == []


def test_what_was_ready_of_a_partition_that_went_stays_in() -> None:
    """Its messages are another's now: what is done of them must not be noted here, should they come back."""
    harness = Harness(Book(LIVE))
    harness.looks([0, 5], FACE)
    harness.stage.submit(_message(10))
    harness.stage.forget(GONE)
    harness.drain()
    assert harness.redactions == []


def test_a_partition_that_comes_back_starts_in_mid_stream() -> None:
    harness = Harness(Book(LIVE))
    harness.looks([0, 5, 10], FACE)
    harness.stage.forget(GONE)
    harness.redactions.clear()
    harness.looks(range(15, 60, 5), FACE)
    assert [span.coverage for span in harness.spans[:3]] == [pb.INCOMPLETE] * 3
    assert harness.spans[-1].coverage == pb.COMPLETE


def test_other_partitions_go_on() -> None:
    harness = Harness(Book(LIVE))
    harness.camera_id, harness.partition = "gate-2", 1
    harness.looks([0, 5])
    harness.stage.forget(GONE)
    harness.looks([10])
    assert [span.camera_id for span in harness.spans] == ["gate-2"]


def test_an_epoch_in_the_future_does_not_end_the_one_that_runs() -> None:
    harness = Harness(Book(LIVE))
    harness.looks([0, 5])
    with pytest.raises(InvalidMessage, match="future"):
        harness.look(10, epoch=EPOCH + 3_700_000_000)
    with pytest.raises(InvalidMessage, match="future"):
        harness.send(pb.DetectionsMessage(end=pb.EndOfStream(camera_id=CAMERA, epoch=EPOCH + 3_700_000_000)))
    harness.look(10, previous_seq=5)
    assert [(span.first_seq, span.coverage) for span in harness.spans] == [(0, pb.COMPLETE)]


@pytest.mark.parametrize("seq", [1 << 21, 1 << 40, 1 << 62])
def test_a_number_far_ahead_does_not_keep_out_those_after_it(seq: int) -> None:
    harness = Harness(Book(LIVE))
    harness.looks([0, 5])
    with pytest.raises(InvalidMessage):
        harness.look(seq)
    harness.look(10, previous_seq=5)
    assert [(span.first_seq, span.coverage) for span in harness.spans] == [(0, pb.COMPLETE)]


def test_i7_one_camera_too_many_drops_the_one_silent_for_longest() -> None:
    harness = Harness(Book(LIVE), TrackerSettings(cameras_max=3))
    for camera in ("a", "b", "a", "c", "d"):
        harness.camera_id = camera
        harness.look(harness.offset, has_previous=False)
    assert [camera for _, camera in harness.stage._cameras] == ["a", "c", "d"]
    assert 1 in harness.done, "its look holds back no commit"


def test_i7_a_camera_that_fell_silent_is_forgotten() -> None:
    harness = Harness(Book(LIVE))
    harness.end(3)
    harness.now = 301
    harness.drain()
    assert not harness.stage._cameras


def test_a_clock_that_jumps_does_not_shorten_what_is_held() -> None:
    harness = Harness(Book(LIVE))
    jump = 0
    for seq in range(0, 150, 5):
        jump += 3600 * 25 if seq == 50 else 0
        harness.look(seq, result([FACE] if seq <= 60 else []), pts=seq + jump)
    held = [span for span in harness.spans if span.first_seq > 60 and span.tracks]
    assert held[-1].last_seq >= 60 + 25 * 0.75
