"""Partitions that went to another member: their frames are dropped without a word, the others go on."""

import time

import pytest

from services.bus.interface import TopicPartition
from services.runtime.stage import Backpressure
from tests.unit.inference.harness import Make, Scripted, Stuck, end, frame, nothing, wait

_SECOND = TopicPartition("frames.detect", 1)


def test_frames_of_partitions_that_went_are_dropped_and_never_looked_at(make: Make) -> None:
    face = Stuck("face")
    stage = make(face)
    stage.submit(frame(0, camera="stays"))
    for seq in range(3):
        stage.submit(frame(seq, camera="goes", partition=1))
    stage.submit(end("goes", partition=1))
    stage.submit(frame(1, camera="stays"))
    stage.forget([_SECOND])
    face.release.set()
    messages = wait(stage, 2)
    time.sleep(0.05)
    assert stage.completed() == []
    assert [(message.detections.camera_id, message.detections.seq) for message in messages] == [
        ("stays", 0),
        ("stays", 1),
    ]
    assert len(face.batches) == 2


def test_a_late_answer_to_a_dropped_frame_is_thrown_away(make: Make) -> None:
    face = Stuck("face")
    stage = make(face)
    stage.submit(frame(7, partition=1))
    time.sleep(0.05)
    stage.forget([_SECOND])
    stage.submit(frame(7, partition=1, value=120))  # it came back, and is delivered again
    face.release.set()
    (message,) = wait(stage, 1)
    assert list(message.detections.results[0].boxes.xyxy) == [0, 0, 60, 30], "of the second call"
    time.sleep(0.05)
    assert stage.completed() == []


def test_dropped_frames_make_room(make: Make) -> None:
    face = Stuck("face")
    stage = make(face, in_flight_mb=1)
    taken = 1_000_000 // frame().record.size
    for seq in range(taken):
        stage.submit(frame(seq, partition=1))
    with pytest.raises(Backpressure):
        stage.submit(frame(taken))
    stage.forget([_SECOND])
    for seq in range(taken):
        stage.submit(frame(seq))
    with pytest.raises(Backpressure):
        stage.submit(frame(taken))
    face.release.set()
    assert len(wait(stage, taken)) == taken


def test_other_topics_and_nothing_at_all_drop_nothing(make: Make) -> None:
    stage = make(Scripted("face", nothing))
    stage.submit(frame(0))
    stage.forget([])
    stage.forget([TopicPartition("video.source", 0), _SECOND])
    assert len(wait(stage, 1)) == 1
