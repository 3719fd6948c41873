"""The stage that speaks for a person: every frame once, in order, and nothing for a stream that nobody reviewed."""

import pytest

from services.bus.interface import InvalidMessage, Message, Position, Record, TopicPartition
from services.bus.topics import FRAMES_DETECT
from services.policy.model import Kind, Mode
from services.review.folder import load
from services.review.stage import ReviewedStage, Script
from services.runtime.stage import Emission
from services.schema import pb
from tests.support.reviewed import Edit

CAMERA, EPOCH = "input", 1_700_000_000_000_000


def stage(edit: Edit) -> ReviewedStage:
    loaded = load(edit.folder)
    return ReviewedStage(Script(loaded.base.review, loaded.edited, "test@1"))


def message(offset: int, body: pb.DetectFrame | pb.EndOfStream) -> Message:
    end = isinstance(body, pb.EndOfStream)
    value = pb.DetectMessage(end=body) if end else pb.DetectMessage(frame=body)
    position = Position(TopicPartition(FRAMES_DETECT.name, 0), offset)
    return Message(Record(FRAMES_DETECT, CAMERA, value.SerializeToString()), position, 0)


def look(seq: int, epoch: int = EPOCH) -> pb.DetectFrame:
    return pb.DetectFrame(camera_id=CAMERA, epoch=epoch, seq=seq)


def end(frames: int) -> pb.EndOfStream:
    return pb.EndOfStream(camera_id=CAMERA, epoch=EPOCH, frames=frames)


def spans(emissions: list[Emission]) -> list[pb.RedactionSpan]:
    bodies = [pb.RedactionsMessage.FromString(record.value) for one in emissions for record in one.records]
    return [body.span for body in bodies if body.HasField("span")]


def test_spans_follow_the_looks_and_the_end(edit: Edit) -> None:
    reviewed = stage(edit)
    assert reviewed.completed() == ()
    reviewed.submit(message(0, look(0)))
    assert [span.first_seq for span in spans(list(reviewed.completed()))] == [0]
    reviewed.submit(message(1, look(9)))
    assert [span.first_seq for span in spans(list(reviewed.completed()))] == list(range(1, 10))
    reviewed.submit(message(2, end(100)))
    (last,) = reviewed.completed()
    assert [span.last_seq for span in spans([last])] == list(range(10, 100))
    assert pb.RedactionsMessage.FromString(last.records[-1].value).end.frames == 100
    assert [position.offset for position in last.done] == [2]


def test_a_long_stretch_comes_in_turns_and_is_done_with_the_last(edit: Edit) -> None:
    reviewed = stage(edit)
    reviewed.submit(message(0, end(1000)))
    emissions = []
    while more := reviewed.completed():
        emissions += more
    assert len(emissions) > 2
    assert [len(one.done) for one in emissions] == [0] * (len(emissions) - 1) + [1]
    made = spans(emissions)
    assert [span.first_seq for span in made] == list(range(1000))
    assert {span.coverage for span in made[100:]} == {pb.INCOMPLETE}, "beyond what was reviewed"
    assert [span.coverage == pb.INCOMPLETE for span in made[:100]] == [49 <= seq < 59 for seq in range(100)]
    reviewed = stage(edit)
    reviewed.submit(message(0, end(1000)))
    assert len(spans(list(reviewed.join(1)))) == 1000


def test_a_span_says_kind_mode_and_box_as_they_were_written(edit: Edit) -> None:
    reviewed = stage(edit)
    reviewed.submit(message(0, look(0)))
    (span,) = spans(list(reviewed.completed()))
    face, plate = span.tracks
    assert (face.kind, face.mode, list(face.first)) == (pb.KIND_FACE, Mode.MOSAIC, [11, 20, 41, 60])
    assert list(face.first) == list(face.last)
    assert (plate.kind, list(plate.first)) == (pb.KIND_PLATE, [200, 150.25, 240, 170])
    assert span.policy == "test@1"


def test_a_box_between_two_lines_is_rounded_outwards(edit: Edit) -> None:
    edit.review(lambda data: data.update(tracks={"1": data["tracks"]["1"]}))
    edit.write([[1, 1, 270.1, 190.1, 30.1, 10.1, 1, 1, 1], [100, 1, 271.3, 195.2, 31.7, 12.9, 1, 1, 1]])
    track = load(edit.folder).edited.tracks[1]
    assert track.kind is Kind.FACE
    reviewed = stage(edit)
    reviewed.submit(message(0, end(100)))
    for frame, span in enumerate(spans(list(reviewed.join(1)))[1:99], 2):
        exact, (told,) = track.at(frame), span.tracks
        assert exact is not None
        assert told.first[0] <= exact[0] + 2e-6
        assert told.first[1] <= exact[1] + 2e-6
        assert told.first[2] >= exact[2] - 2e-6
        assert told.first[3] >= exact[3] - 2e-6


def test_another_stream_is_refused(edit: Edit) -> None:
    reviewed = stage(edit)
    reviewed.submit(message(0, look(0)))
    with pytest.raises(InvalidMessage, match="not reviewed"):
        reviewed.submit(message(1, look(0, EPOCH + 1)))
    with pytest.raises(InvalidMessage):
        reviewed.submit(Message(Record(FRAMES_DETECT, CAMERA, b"\xff"), Position(TopicPartition("x", 0), 2), 0))
