"""The stage: once and in order, what is finished when, restarts, and messages that make no sense."""

import numpy as np
import pytest

from services.bus.interface import InvalidMessage, Message, Position, Record, TopicPartition
from services.bus.topics import DETECTIONS
from services.runtime.stage import Backpressure
from services.schema import pb
from services.tracker.settings import TrackerSettings
from tests.support.book import Book
from tests.unit.tracker.harness import CAMERA, EPOCH, RATE, Harness, masks_at, policy, result

FACE = (100.0, 100.0, 140.0, 150.0, 0.9)
LIVE = policy(tracking={"look_ahead_s": 0.4, "hold_s": 1.0})
SHORT = TrackerSettings(stats_every_s=1)


def ranges(harness: Harness) -> list[tuple[int, int]]:
    return [(span.first_seq, span.last_seq) for span in harness.spans]


def test_spans_tile_the_epoch_and_its_end_comes_last() -> None:
    harness = Harness(Book(LIVE))
    harness.looks([0, 3, 11, 12, 20], FACE)
    harness.end(25)
    assert ranges(harness) == [(0, 2), (3, 10), (11, 11), (12, 19), (20, 24)]
    assert harness.redactions[-1].end.frames == 25


def test_a_repeated_look_changes_nothing() -> None:
    harness = Harness(Book(LIVE))
    harness.looks([0, 5, 10], FACE)
    harness.look(5, result(), previous_seq=0)
    harness.look(15, result([FACE]), previous_seq=10)
    harness.end(20)
    assert ranges(harness) == [(0, 4), (5, 9), (10, 14), (15, 19)]
    assert all(span.coverage == pb.COMPLETE for span in harness.spans)
    assert sorted(harness.done) == list(range(harness.offset))


def test_a_repeated_end_is_swallowed() -> None:
    harness = Harness(Book(LIVE))
    harness.looks([0, 5])
    harness.end(10)
    before = len(harness.redactions)
    harness.end(10)
    harness.looks([0])
    assert len(harness.redactions) == before
    assert sorted(harness.done) == list(range(harness.offset))


def test_positions_stay_open_while_a_replay_would_need_them() -> None:
    harness = Harness(Book(LIVE), SHORT)
    for seq in range(0, 150, 5):
        harness.looks([seq], FACE)
        emitted = harness.spans[-1].last_seq + 1 if harness.spans else 0
        assert all(offset * 5 < emitted - RATE for offset in harness.done), "hold_s behind what was emitted"
    assert harness.done == sorted(set(harness.done))
    assert len(harness.done) > 5
    harness.end(150)
    assert harness.done == list(range(harness.offset))


def test_a_restart_masks_on_as_if_nothing_had_happened() -> None:
    """Frames that the first process had answered for come again, closed; the next ones hold the lost track."""

    def looks_from(harness: Harness, first: int, last: int) -> None:
        for seq in range(first, last, 5):
            harness.look(seq, result([FACE] if seq <= 80 else []), has_previous=seq > 0, previous_seq=max(0, seq - 5))

    unbroken, killed, restarted = (Harness(Book(LIVE), SHORT) for _ in range(3))
    looks_from(unbroken, 0, 150)
    looks_from(killed, 0, 105)
    looks_from(restarted, 5 * len(killed.done), 150)
    known = killed.spans[-1].last_seq + 1
    again = [span for span in restarted.spans if span.first_seq >= known]
    assert again[0].first_seq == known
    assert all(span.coverage == pb.COMPLETE for span in again)
    for seq in range(known, 130):
        np.testing.assert_allclose(masks_at(again, seq), masks_at(unbroken.spans, seq))
    assert masks_at(again, known), "the track lost before the restart is still held"


def test_a_start_in_mid_stream_is_incomplete_until_all_that_is_held_is_known() -> None:
    harness = Harness(Book(LIVE))
    harness.look(50, result(), has_previous=True, previous_seq=45)
    harness.looks(range(55, 100, 5))
    harness.end(103)
    assert ranges(harness)[:2] == [(0, 49), (50, 54)]
    assert next(span.first_seq for span in harness.spans if span.coverage == pb.COMPLETE) == 75


def test_an_epoch_without_a_look_is_closed_from_end_to_end() -> None:
    harness = Harness(Book(LIVE))
    harness.end(30)
    (span,) = harness.spans
    assert (span.first_seq, span.last_seq, span.coverage) == (0, 29, pb.INCOMPLETE)
    assert harness.redactions[-1].HasField("end")
    assert harness.done == [0]


def test_a_new_epoch_ends_the_old_one() -> None:
    harness = Harness(Book(LIVE))
    harness.looks([0, 5, 10], FACE)
    harness.previous, harness.epoch = None, EPOCH + 1
    harness.looks([0, 5])
    old = [span for span in harness.spans if span.epoch == EPOCH]
    assert [(span.first_seq, span.last_seq) for span in old] == [(0, 4), (5, 9)]
    assert harness.done == [0, 1, 2]
    harness.look(15, epoch=EPOCH)
    assert harness.done == [0, 1, 2, 5], "a straggler of the old epoch is dropped"
    harness.end(8)
    assert [(span.first_seq, span.last_seq) for span in harness.spans[len(old) :]] == [(0, 4), (5, 7)]


def test_cameras_do_not_wait_for_each_other() -> None:
    harness = Harness(Book(LIVE))
    harness.looks([0, 5, 10])
    harness.camera_id, harness.previous = "gate-2", None
    harness.redactions.clear()
    harness.looks([0, 5, 10])
    assert {span.camera_id for span in harness.spans} == {"gate-2"}


def test_a_silent_camera_lets_go_of_its_positions() -> None:
    harness = Harness(Book(LIVE), TrackerSettings(silent_max_s=60))
    harness.looks([0, 5, 10])
    harness.now = 59
    harness.drain()
    assert harness.done == []
    harness.now = 61
    harness.drain()
    assert harness.done == [0, 1, 2]
    assert ranges(harness) == [(0, 4), (5, 9)]


def test_a_look_buffer_that_is_full_emits_early() -> None:
    harness = Harness(Book(policy(tracking={"look_ahead_s": 10})), TrackerSettings(looks_max=16))
    harness.looks(range(40))
    assert len(harness.spans) == 40 - 16


def test_input_is_refused_while_output_waits() -> None:
    harness = Harness(Book(LIVE), TrackerSettings(emissions_max=1))
    end = pb.DetectionsMessage(end=pb.EndOfStream(camera_id=CAMERA, epoch=EPOCH, frames=3))
    message = Message(Record(DETECTIONS, CAMERA, end.SerializeToString()), Position(TopicPartition("d", 0), 0), 0)
    harness.stage.submit(message)
    with pytest.raises(Backpressure):
        harness.stage.submit(message)
    assert harness.stage.completed()
    harness.stage.submit(message)


@pytest.mark.parametrize(
    "value",
    [
        b"\xff\xff\xff",
        b"",
        pb.DetectionsMessage(detections=pb.Detections(camera_id="other", source_width=1, source_height=1)),
        pb.DetectionsMessage(detections=pb.Detections(camera_id=CAMERA)),
        pb.DetectionsMessage(end=pb.EndOfStream(camera_id="other")),
    ],
)
def test_messages_that_make_no_sense_are_refused(value: bytes | pb.DetectionsMessage) -> None:
    harness = Harness(Book(LIVE))
    raw = value if isinstance(value, bytes) else value.SerializeToString()
    with pytest.raises(InvalidMessage):
        harness.stage.submit(Message(Record(DETECTIONS, CAMERA, raw), Position(TopicPartition("d", 0), 0), 0))


def test_closing_leaves_the_buffer_to_the_next_process() -> None:
    harness = Harness(Book(LIVE))
    harness.looks([0, 5])
    harness.stage.close()
    assert list(harness.stage.join(1.0)) == []
    assert not harness.stage.finished
