"""Order, completeness, ends, sound and what a replay would need."""

import pytest
from prometheus_client import REGISTRY

from services.bus.interface import InvalidMessage, Message, Position, Record, TopicPartition
from services.bus.topics import REDACTIONS, VIDEO_SOURCE
from services.renderer import RendererSettings
from services.runtime.stage import Backpressure
from services.schema import pb
from tests.unit.renderer.harness import CAMERA, EPOCH, Harness, make_policy, make_stream, noise, segment

B_FRAMES = (0, 4, 2, 1, 3, 8, 6, 5, 7, 9)


def test_frames_leave_in_presentation_order_each_once() -> None:
    harness = Harness()
    harness.span(0, 9)
    for seq in B_FRAMES:
        harness.frame(seq)
        harness.run()
    assert harness.seqs == list(range(10))
    assert [out.message.pts for out in harness.out] == list(range(10))
    assert all(out.leaks(noise(out.message.seq)) for out in harness.out), "each with its own picture"


def test_a_frame_delivered_twice_leaves_once() -> None:
    harness = Harness()
    harness.span(0, 3)
    for seq in (0, 1, 1, 2, 0, 3):
        harness.frame(seq)
        harness.run()
    assert harness.seqs == [0, 1, 2, 3]


def test_frames_of_a_key_picture_shown_late_are_waited_for() -> None:
    harness = Harness()
    harness.span(0, 2)
    harness.frame(2, keyframe=True)
    assert harness.run().out == []
    harness.frames((0, 1))
    assert harness.run().seqs == [0, 1, 2]


def test_reading_from_the_middle_begins_at_its_keyframe() -> None:
    harness = Harness()
    harness.span(500, 501)
    harness.frame(500, keyframe=True)
    harness.frame(501)
    harness.end(502)
    assert harness.run().seqs == [500, 501]


def test_reading_from_a_keyframe_near_the_start_begins_there_too() -> None:
    harness = Harness()
    harness.span(0, 20)
    harness.frame(12, keyframe=True)
    assert harness.run().seqs == []
    harness.frames(range(13, 16))
    assert harness.run().seqs == [12, 13, 14, 15]


def test_units_before_the_keyframe_at_which_reading_begins_were_sent_out_before() -> None:
    harness = Harness()
    positions = [harness.frame(seq, keyframe=False) for seq in (498, 499)]
    harness.frame(500, keyframe=True)
    harness.span(480, 500)
    assert harness.run().seqs == [500]
    assert harness.done.issuperset(positions)


def test_a_live_gap_is_passed_over() -> None:
    harness = Harness(live=True)
    harness.span(0, 40)
    harness.frames((0, 1, *range(5, 25)))
    harness.end(25)
    assert harness.run().seqs == [0, 1, *range(5, 25)]
    assert harness.ends[0].frames == 25


def test_a_gap_in_a_file_is_filled_with_closed_frames_at_even_times() -> None:
    harness = Harness()
    harness.span(0, 40)
    harness.frames((0, 1, *range(5, 25)))
    harness.end(27)
    harness.run()
    assert harness.seqs == list(range(27))
    assert [out.message.pts for out in harness.out] == list(range(27))
    assert [out.message.seq for out in harness.out if out.message.closed] == [2, 3, 4, 25, 26]
    assert all(out.pixels is not None for out in harness.out)


def test_a_broken_frame_number_does_not_fill_a_file_for_ever() -> None:
    harness = Harness()
    harness.frame(0)
    harness.span(0, 2)
    harness.end(1 << 40)
    harness.run()
    assert harness.seqs == [0]
    assert harness.bodies[-1] == "end"


def test_the_end_follows_the_last_frame() -> None:
    harness = Harness()
    harness.frames(range(3))
    harness.end(3)
    assert harness.run().bodies == []
    harness.span(0, 2)
    assert harness.run().bodies == ["frame", "frame", "frame", "end"]
    assert harness.ends[0] == pb.EndOfStream(camera_id=CAMERA, epoch=EPOCH, frames=3, reason=pb.EndOfStream.FINISHED)


def test_a_new_epoch_ends_one_that_broke_off_and_waits_for_it() -> None:
    harness = Harness(live=True)
    harness.frames(range(2))
    harness.span(0, 0)
    harness.frame(0, epoch=EPOCH + 5)
    assert harness.run().seqs == [0], "the old epoch's spans may still come"
    harness.span(0, 0, epoch=EPOCH + 5)
    harness.run()
    assert [(out.message.epoch - EPOCH, out.message.seq) for out in harness.out] == [(0, 0), (0, 1), (5, 0)]
    assert harness.bodies == ["frame", "frame", "end", "frame"]
    assert harness.ends[0].reason == pb.EndOfStream.LOST


def test_nothing_of_an_epoch_that_is_over_leaves_again() -> None:
    harness = Harness()
    harness.frame(0)
    harness.span(0, 0)
    harness.end(1)
    harness.run()
    positions = [harness.frame(0), harness.span(0, 0), harness.end(1)]
    harness.run()
    assert harness.bodies == ["frame", "end"]
    assert harness.done.issuperset(positions)


def test_spans_whose_frames_never_come_are_let_go() -> None:
    harness = Harness()
    position = harness.span(0, 10)
    assert position not in harness.run().done
    harness.now += 121
    assert position in harness.run().done


class TestDone:
    def test_a_keyframe_stays_until_the_next_one_is_out(self) -> None:
        harness = Harness()
        group = [harness.frame(seq, keyframe=seq == 0) for seq in range(3)]
        following = harness.frame(3, keyframe=True)
        harness.span(0, 2)
        assert not harness.run().done.intersection(group)
        harness.span(3, 3)
        harness.run()
        assert harness.done.issuperset(group)
        assert following not in harness.done
        end = harness.end(4)
        harness.run()
        assert harness.done.issuperset((following, end))

    def test_pictures_shown_before_their_keyframe_are_out_before_it_counts(self) -> None:
        harness = Harness()
        old = harness.frame(0)
        key = harness.frame(3, keyframe=True)
        leading = [harness.frame(1), harness.frame(2)]
        harness.span(0, 1)
        assert not harness.run().done.intersection((old, key, *leading))
        harness.span(2, 3)
        harness.run()
        assert harness.done.issuperset((old, *leading))
        assert key not in harness.done

    def test_i6_a_span_stays_as_long_as_a_replay_would_render_its_frames(self) -> None:
        harness = Harness()
        first, second, third = harness.span(0, 1), harness.span(2, 4), harness.span(5, 6)
        harness.frames(range(4))
        harness.run()
        assert not harness.done
        harness.frame(4, keyframe=True)
        harness.run()
        assert first in harness.done, "all of it lies before the keyframe"
        assert second not in harness.done, "the keyframe is in it"
        harness.frames((5, 6))
        harness.frame(7, keyframe=True)
        harness.span(7, 7)
        harness.run()
        assert harness.done.issuperset((second, third))


class TestSound:
    def test_sound_follows_its_frame(self) -> None:
        harness = Harness(policy=make_policy(sound="keep"))
        harness.frame(0)
        harness.sound(0, after_seq=0)
        harness.frame(1)
        harness.sound(1, after_seq=1)
        harness.sound(2, after_seq=1)
        harness.end(2)
        assert harness.run().bodies == []
        harness.span(0, 0)
        assert harness.run().bodies == ["frame", "audio"]
        harness.span(1, 1)
        assert harness.run().bodies == ["frame", "audio", "frame", "audio", "audio", "end"]
        assert [unit.index for unit in harness.sounds] == [0, 1, 2]

    @pytest.mark.parametrize("policy", [make_policy(), None])
    def test_sound_stays_in_unless_the_policy_keeps_it(self, policy: object) -> None:
        harness = Harness(policy=policy)
        position = harness.sound(0, after_seq=0)
        harness.frame(0)
        harness.span(0, 0)
        harness.end(1)
        harness.run()
        assert harness.sounds == []
        assert position in harness.done


def fill(harness: Harness) -> int:
    """Sends frames until one is refused, and says which."""
    for seq in range(1000):
        try:
            harness.frame(seq)
        except Backpressure:
            return seq
    raise AssertionError("the hold has no bound")


class TestHold:
    def test_a_file_waits_when_the_hold_is_full(self) -> None:
        harness = Harness(settings=RendererSettings(hold_bytes=1 << 20))
        seq = fill(harness)
        assert harness.run().out == []
        harness.span(0, seq)
        harness.run()
        harness.frame(seq)
        harness.run()
        assert harness.seqs == list(range(seq + 1))
        assert not any(out.message.closed for out in harness.out)

    def test_but_not_for_ever(self) -> None:
        harness = Harness(settings=RendererSettings(hold_bytes=1 << 20))
        seq = fill(harness)
        harness.now += 31
        harness.run()
        assert len(harness.out) >= seq // 2 - 1
        assert {out.message.why for out in harness.out} == {"hold overflow"}
        harness.frame(seq)

    def test_a_turn_is_bounded(self) -> None:
        harness = Harness()
        harness.frames(range(20))
        harness.span(0, 20)
        assert sum(len(emission.records) for emission in harness.stage.completed()) == 4


def test_metrics_count_what_became_of_each_frame() -> None:
    def count(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"veil_renderer_{name}", labels) or 0

    wanted = {
        ("frames_total", "outcome", "masked"): 1,
        ("frames_total", "outcome", "clear"): 2,
        ("frames_total", "outcome", "closed"): 1,
        ("closed_total", "reason", "incomplete"): 1,
        ("masks_total", "kind", "face"): 2,
    }
    before = {key: count(key[0], **{key[1]: key[2]}) for key in wanted}
    ages = count("frame_age_seconds_count")
    late = count("late_spans_total")
    harness = Harness(live=True)
    harness.frames(range(4))
    harness.span(0, 0, segment(), segment((80, 50, 100, 80), track=2))
    harness.span(1, 2)
    harness.span(3, 3, coverage=pb.INCOMPLETE)
    harness.run()
    harness.span(0, 0)
    assert {key: count(key[0], **{key[1]: key[2]}) - before[key] for key in wanted} == wanted
    assert count("frame_age_seconds_count") - ages == 4
    assert count("late_spans_total") - late == 1
    assert count("held_bytes") == 0


@pytest.mark.parametrize(
    "value",
    [b"\xff\xff", b"", pb.SourceMessage(unit=pb.AccessUnit(seq=1)).SerializeToString()],
    ids=["garbage", "empty", "no camera"],
)
def test_what_no_retry_can_mend_is_refused(value: bytes) -> None:
    position = Position(TopicPartition(VIDEO_SOURCE.name, 0), 0)
    with pytest.raises(InvalidMessage):
        Harness().stage.submit(Message(Record(VIDEO_SOURCE, CAMERA, value), position, 0))


def test_a_span_that_holds_no_frame_is_refused() -> None:
    with pytest.raises(InvalidMessage):
        Harness().span(5, 4)


def test_closing_renders_what_is_covered_and_leaves_the_rest_for_a_replay() -> None:
    harness = Harness()
    positions = [harness.frame(seq) for seq in range(8)]
    harness.span(0, 5)
    harness.stage.close()
    emissions = harness.stage.join(5)
    assert sum(len(emission.records) for emission in emissions) == 6
    assert not {position for emission in emissions for position in emission.done}.intersection(positions)


def test_a_frame_tells_its_own_way_and_that_of_its_span_from_inference_on() -> None:
    harness = Harness()
    began = int(harness.now * 1e6)
    long = [pb.Hop(stage="x" * 1000)]
    unit = pb.AccessUnit(
        camera_id=CAMERA,
        epoch=EPOCH,
        keyframe=True,
        stream=make_stream(),
        inline=b"0",
        trace=[*long, pb.Hop(stage="decoder", received_us=1, sent_us=2)],
    )
    harness.send(VIDEO_SOURCE, pb.SourceMessage(unit=unit).SerializeToString(), noise(0))
    harness.now += 0.4
    hops = [pb.Hop(stage=name, received_us=7, sent_us=8) for name in ("decoder", "inference", "tracker")]
    span = pb.RedactionSpan(
        camera_id=CAMERA, epoch=EPOCH, coverage=pb.COMPLETE, policy=harness.policy.fingerprint, trace=hops
    )
    harness.send(REDACTIONS, pb.RedactionsMessage(span=span).SerializeToString())
    trace = harness.run().only().message.trace
    assert [hop.stage for hop in trace] == ["decoder", "renderer", "inference", "tracker"]
    assert (trace[0].received_us, trace[0].sent_us) == (1, 2)
    assert (trace[1].received_us, trace[1].sent_us) == (began, began + 400_000)


def test_each_frame_of_a_camera_with_a_policy_is_counted_with_its_age() -> None:
    def age(camera: str) -> float | None:
        return REGISTRY.get_sample_value("veil_camera_age_seconds", {"stage": "renderer", "camera": camera})

    harness = Harness(live=True, camera="aged")
    harness.frame(0)
    harness.now += 0.5
    harness.span(0, 0)
    harness.run()
    assert age("aged") == pytest.approx(0.5)
    unknown = Harness(policy=None, camera="made up")
    unknown.frame(0)
    assert unknown.run().only().message.closed
    assert age("made up") is None, "labels are bounded: anyone can make up a camera"
