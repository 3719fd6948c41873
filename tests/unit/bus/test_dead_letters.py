"""Dead letters say why and where, and can't bury everything."""

import numpy as np
import pytest

from services.bus.dead_letters import MAX_REASON_CHARACTERS, DeadLetterLimit, TooManyDeadLetters, dead_letter
from services.bus.interface import Message, Position, Record, TopicPartition
from services.bus.topics import FRAMES_DETECT
from services.schema import pb

PIXELS = b"pixels of a face"


def refused_message() -> Message:
    record = Record(FRAMES_DETECT, "camera-1", PIXELS, np.full((4, 4), 65, np.uint8))
    return Message(record, Position(TopicPartition("frames.detect", 3), 41), 5)


def letter_of(record: Record) -> pb.DeadLetter:
    return pb.DeadLetter.FromString(record.value)


def test_a_dead_letter_says_where_and_why() -> None:
    record = dead_letter(refused_message(), "inference", "the JPEG is cut short", clock=lambda: 77)
    assert record.topic.name == "frames.detect.dlq"
    assert record.key == "camera-1"
    assert letter_of(record) == pb.DeadLetter(
        topic="frames.detect", partition=3, offset=41, stage="inference", reason="the JPEG is cut short", at_us=77,
        size=len(PIXELS) + 16,
    )  # fmt: skip


def test_i3_a_dead_letter_holds_no_payload() -> None:
    record = dead_letter(refused_message(), "inference", "no picture")
    assert PIXELS not in record.value
    assert b"A" * 16 not in record.value
    assert record.attachment is None


def test_a_reason_is_one_bounded_line() -> None:
    reason = letter_of(dead_letter(refused_message(), "inference", "bad\x00\n  value: " + "é" * 5000)).reason
    assert reason.startswith("bad value: é")
    assert len(reason) == MAX_REASON_CHARACTERS
    assert reason.isprintable()


def test_the_limit_stops_at_the_first_letter_too_many() -> None:
    limit = DeadLetterLimit(max_ratio=0.2, window=10)
    limit.refused()
    limit.refused()
    with pytest.raises(TooManyDeadLetters, match="3 of the last 10"):
        limit.refused()


def test_the_limit_forgets_what_left_the_window() -> None:
    limit = DeadLetterLimit(max_ratio=0.2, window=10)
    for _ in range(50):
        limit.refused()
        for _ in range(4):
            limit.accepted()


def test_a_ratio_of_zero_allows_none() -> None:
    with pytest.raises(TooManyDeadLetters):
        DeadLetterLimit(max_ratio=0.0, window=10).refused()


@pytest.mark.parametrize(("max_ratio", "window"), [(-0.1, 10), (1.0, 10), (0.1, 0)])
def test_a_limit_that_limits_nothing_is_an_error(max_ratio: float, window: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        DeadLetterLimit(max_ratio, window)
