"""What the renderer lets go of: partitions that went, cameras that fell silent, cameras beyond all bounds."""

import pytest

from services.bus.interface import InvalidMessage, Message, Position, Record, TopicPartition
from services.bus.topics import REDACTIONS, VIDEO_SOURCE
from services.renderer import RendererSettings
from services.schema import pb
from tests.unit.renderer.harness import CAMERA, EPOCH, Harness, make_stream, noise, segment


def test_a_partition_that_went_leaves_nothing_behind() -> None:
    harness = Harness()
    harness.frames(range(4))
    harness.span(0, 3, coverage=pb.INCOMPLETE)
    harness.stage.forget((TopicPartition(VIDEO_SOURCE.name, 0), TopicPartition(REDACTIONS.name, 0)))
    harness.run()
    assert harness.bodies == []
    assert not harness.done
    assert harness.stage._hold.bytes == 0


def test_a_partition_that_comes_back_starts_anew() -> None:
    harness = Harness()
    harness.span(0, 3, coverage=pb.INCOMPLETE)
    harness.frames(range(2))
    harness.run()
    harness.stage.forget((TopicPartition(VIDEO_SOURCE.name, 0),))
    harness.span(0, 3, segment())
    harness.frames(range(4))
    harness.run()
    assert [out.message.seq for out in harness.out[2:]] == [0, 1, 2, 3]
    assert not any(out.message.closed for out in harness.out[2:]), "the old span is forgotten"


def test_other_partitions_go_on() -> None:
    harness = Harness()
    harness.frame(0)
    harness.camera, harness.partition = "gate-2", 1
    harness.frame(0)
    harness.span(0, 0)
    harness.stage.forget((TopicPartition(VIDEO_SOURCE.name, 0),))
    harness.run()
    assert [out.message.camera_id for out in harness.out] == ["gate-2"]


def test_i3_a_key_that_is_not_the_camera_is_refused() -> None:
    stage = Harness().stage
    bodies = {
        VIDEO_SOURCE: [
            pb.SourceMessage(unit=pb.AccessUnit(camera_id=CAMERA, epoch=1)),
            pb.SourceMessage(audio=pb.AudioUnit(camera_id=CAMERA, epoch=1)),
            pb.SourceMessage(end=pb.EndOfStream(camera_id=CAMERA, epoch=1)),
        ],
        REDACTIONS: [
            pb.RedactionsMessage(span=pb.RedactionSpan(camera_id=CAMERA, epoch=1)),
            pb.RedactionsMessage(end=pb.EndOfStream(camera_id=CAMERA, epoch=1)),
        ],
    }
    for topic, messages in bodies.items():
        for body in messages:
            record = Record(topic, "other", body.SerializeToString())
            with pytest.raises(InvalidMessage, match="key"):
                stage.submit(Message(record, Position(TopicPartition(topic.name, 0), 0), 0))


def test_an_epoch_in_the_future_does_not_end_the_one_that_runs() -> None:
    harness = Harness(live=True)
    harness.frame(0)
    with pytest.raises(InvalidMessage, match="future"):
        harness.frame(0, epoch=int((harness.now + 3700) * 1e6))
    harness.span(0, 1)
    harness.frame(1)
    assert harness.run().seqs == [0, 1]


def test_an_epoch_older_than_the_one_that_runs_holds_nothing_up() -> None:
    harness = Harness()
    harness.frame(0)
    position = harness.frame(0, epoch=EPOCH - 5)
    harness.span(0, 0)
    assert harness.run().seqs == [0]
    assert position in harness.done


@pytest.mark.parametrize("seq", [1 << 40, 1 << 62, 1 << 21])
def test_a_number_far_ahead_does_not_keep_out_those_after_it(seq: int) -> None:
    harness = Harness(live=True)
    harness.frame(0)
    with pytest.raises(InvalidMessage):
        harness.frame(seq)
    harness.span(0, 40)
    with pytest.raises(InvalidMessage):
        harness.span(seq, seq)
    harness.frames(range(1, 30))
    assert harness.run().seqs == list(range(30))


def test_a_file_with_a_broken_number_is_filled_up_only_so_far() -> None:
    harness = Harness()
    harness.frame(0)
    harness.span(0, 1 << 20)
    for start in (9_000, 18_000, 27_000):
        harness.frames(range(start, start + 20))
    harness.end(27_020)
    harness.run()
    assert len(harness.out) <= 10_000 + 61


@pytest.mark.parametrize("size", [(1 << 30, 1 << 30), (16_384, 16_384), (128, 0), (127, 96)], ids=str)
def test_pictures_that_can_not_be_are_refused(size: tuple[int, int]) -> None:
    harness = Harness()
    with pytest.raises(InvalidMessage):
        harness.frame(0, stream=make_stream(width=size[0], height=size[1]), picture=noise(0))


def test_a_silent_camera_holds_back_commits_no_longer_and_may_go_on() -> None:
    harness = Harness(live=True)
    positions = [harness.frame(0), harness.span(0, 0), harness.frame(1), harness.span(1, 1)]
    harness.run()
    assert not harness.done
    harness.now += 301
    harness.run()
    assert harness.done.issuperset(positions)
    harness.frame(2)
    harness.span(2, 2)
    assert harness.run().seqs == [0, 1, 2]


def test_frames_behind_a_gap_go_out_when_nothing_more_comes() -> None:
    harness = Harness(live=True)
    harness.frames((0, 1, 3, 4))
    harness.span(0, 4)
    assert harness.run().seqs == [0, 1]
    harness.now += 301
    assert harness.run().seqs == [0, 1, 3, 4]


def test_i7_one_camera_too_many_drops_the_one_silent_for_longest() -> None:
    harness = Harness(settings=RendererSettings(cameras_max=3))
    first = harness.frame(0)
    for number in range(3):
        harness.camera = f"gate-{number + 2}"
        harness.frame(0)
    harness.run()
    assert first in harness.done
    assert len(harness.stage._cameras) == 3
    assert harness.stage._hold.bytes == 3 * noise(0).nbytes


def test_i7_epochs_of_one_camera_are_bounded() -> None:
    harness = Harness()
    for number in range(64):
        harness.span(0, 0, epoch=EPOCH - 100 + number)
    with pytest.raises(InvalidMessage, match="epochs"):
        harness.span(0, 0, epoch=EPOCH)
