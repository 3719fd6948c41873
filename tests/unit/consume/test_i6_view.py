"""I6 as a viewer sees it: each frame once and in order, whatever the topic holds twice, late or not at all."""

import random
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.bus.interface import Message, Position, Record, TopicPartition
from services.bus.topics import VIDEO_REDACTED
from services.consume.view import CameraView, Counts, Item, RedactedView
from services.schema import pb

FIRST, SECOND = 1_700_000_000_000_000, 1_700_000_900_000_000


def unit(seq: int, epoch: int = FIRST, camera: str = "gate", *, key: bool = False, closed: bool = False) -> Item:
    return pb.RedactedUnit(
        camera_id=camera,
        epoch=epoch,
        seq=seq,
        keyframe=key or seq == 0,
        closed=closed,
        payload=b"x",
        time_base_num=1,
        time_base_den=25,
        width=2,
        height=2,
    )


def units(numbers: Iterable[int], epoch: int = FIRST, every: int = 5) -> list[Item]:
    """Access units with a keyframe at each multiple of `every`."""
    return [unit(seq, epoch, key=seq % every == 0) for seq in numbers]


def sound(index: int, epoch: int = FIRST) -> Item:
    return pb.AudioUnit(camera_id="gate", epoch=epoch, index=index, time_base_num=1, time_base_den=9, inline=b"x")


def end(frames: int, epoch: int = FIRST, camera: str = "gate") -> Item:
    return pb.EndOfStream(camera_id=camera, epoch=epoch, frames=frames, reason=pb.EndOfStream.FINISHED)


def message(item: Item, key: str | None = None) -> Message:
    name = {"RedactedUnit": "unit", "AudioUnit": "audio", "EndOfStream": "end"}[type(item).__name__]
    value = pb.RedactedMessage(**{name: item}).SerializeToString()
    return raw(value, item.camera_id if key is None else key)


def raw(value: bytes, key: str) -> Message:
    return Message(Record(VIDEO_REDACTED, key, value), Position(TopicPartition(VIDEO_REDACTED.name, 0), 0), 0)


def seen(items: Sequence[Item], *, whole: bool = False) -> tuple[list[tuple[int, int | str]], Counts]:
    """Identities that the view gives, and its counts."""
    view = CameraView(whole=whole)
    given = [item for item in items if view.take(item)]
    return [(item.epoch, "end" if isinstance(item, pb.EndOfStream) else item.seq) for item in given], view.counts


def test_i6_a_clean_stream_passes_as_it_is() -> None:
    given, counts = seen([*units(range(12)), end(12)], whole=True)
    assert given == [*((FIRST, seq) for seq in range(12)), (FIRST, "end")]
    assert counts == Counts(frames=12, epochs=1, ended=1)


def test_i6_what_a_restart_sends_again_is_left_out() -> None:
    """A producer that retries, then an encoder that goes on with an IDR after the last frame it had sent."""
    given, counts = seen([*units(range(8)), *units(range(5, 8)), unit(8, key=True), *units(range(9, 12)), end(12)])
    assert given == [*((FIRST, seq) for seq in range(12)), (FIRST, "end")]
    assert counts.duplicates == 3
    assert (counts.missing, counts.out_of_order) == (0, 0)


def test_i6_a_frame_too_late_is_left_out_and_is_no_duplicate() -> None:
    given, counts = seen([*units([0, 1, 2, 5, 6]), *units([3, 4, 2])], whole=True)
    assert [seq for _, seq in given] == [0, 1, 2, 5, 6]
    assert counts == Counts(frames=5, epochs=1, duplicates=1, out_of_order=2, gaps=1, missing=2)


def test_i6_a_late_viewer_starts_at_a_keyframe() -> None:
    given, counts = seen([*units(range(3, 12)), *units([2])])
    assert [seq for _, seq in given] == list(range(5, 12))
    assert counts == Counts(frames=7, epochs=1, before_keyframe=2, out_of_order=1)


def test_i6_who_reads_from_the_beginning_is_told_that_the_first_frames_are_missing() -> None:
    _, counts = seen(units(range(5, 8)), whole=True)
    assert (counts.gaps, counts.missing) == (1, 5)


def test_i6_one_epoch_after_another_and_nothing_of_the_old_one_afterwards() -> None:
    """The second epoch begins without an end of the first; its start can't have been missed."""
    late = [*units([6], FIRST), end(7, FIRST), *units([2], FIRST)]
    given, counts = seen([*units(range(6)), unit(1, SECOND, key=True), *late, unit(2, SECOND), end(3, SECOND)])
    assert given == [*((FIRST, seq) for seq in range(6)), (SECOND, 1), (SECOND, 2), (SECOND, "end")]
    assert counts == Counts(frames=8, epochs=2, ended=1, duplicates=1, out_of_order=2, gaps=1, missing=1)


def test_i6_an_epoch_ends_once_and_for_good() -> None:
    given, counts = seen([*units(range(5)), end(8), end(8), unit(5), unit(3)], whole=True)
    assert given[-1] == (FIRST, "end")
    assert counts == Counts(frames=5, epochs=1, ended=1, duplicates=2, out_of_order=1, gaps=1, missing=3)


def test_i6_each_epoch_needs_a_keyframe_of_its_own() -> None:
    given, counts = seen([*units(range(2)), unit(1, SECOND), unit(2, SECOND), unit(3, SECOND, key=True)])
    assert given == [(FIRST, 0), (FIRST, 1), (SECOND, 3)]
    assert counts.before_keyframe == 2


def test_i6_sound_comes_once_and_after_the_first_picture() -> None:
    view = CameraView()
    items = [sound(0), unit(0), sound(1), sound(2), sound(1), unit(1), sound(3)]
    assert [view.take(item) for item in items] == [False, True, True, True, False, True, True]
    assert (view.counts.duplicates, view.counts.frames) == (1, 2)


def test_an_end_of_an_epoch_whose_frames_were_missed_is_given() -> None:
    given, counts = seen([end(100)])
    assert given == [(FIRST, "end")]
    assert (counts.missing, counts.ended) == (0, 1)


def test_closed_frames_are_counted() -> None:
    _, counts = seen([unit(0, closed=True), unit(1), unit(2, closed=True)])
    assert (counts.frames, counts.closed) == (3, 2)


def test_cameras_do_not_disturb_each_other() -> None:
    view = RedactedView()
    items = [unit(0, camera=camera) for camera in ("a", "b", "a")]
    assert [view.take(message(item)) is not None for item in items] == [True, True, False]
    assert view.counts == {"a": Counts(frames=1, epochs=1, duplicates=1), "b": Counts(frames=1, epochs=1)}


@pytest.mark.parametrize(
    "broken",
    [
        raw(b"\xff\xfegarbage", "gate"),
        raw(b"", "gate"),
        message(unit(0), key="yard"),
        message(pb.RedactedUnit(camera_id="gate", payload=b"x", width=2, height=2)),
        message(pb.RedactedUnit(camera_id="gate", time_base_num=1, time_base_den=25, width=2, height=2)),
        message(pb.AudioUnit(camera_id="gate", time_base_num=1, time_base_den=25)),
    ],
    ids=["garbage", "empty", "another camera's key", "no time base", "no picture", "no sound"],
)
def test_what_is_no_message_of_the_topic_is_counted_and_changes_nothing(broken: Message) -> None:
    view = RedactedView()
    assert view.take(broken) is None
    assert (view.invalid, view.counts) == (1, {})


def test_i7_the_view_remembers_a_bounded_number_of_gaps_and_epochs() -> None:
    view = CameraView()
    for epoch in range(12):
        for seq in range(0, 800, 2):
            view.take(unit(seq, epoch))
    assert len(view._epochs) <= 8
    assert all(len(epoch.passed) <= 256 for epoch in view._epochs)


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_i6_whatever_is_sent_again_each_frame_comes_once_and_in_order(data: st.DataObject) -> None:
    """Epochs with gaps, as one encoder after another sends them: each may repeat any stretch of what was sent."""
    clean: list[Item] = []
    missing = 0
    for epoch in (FIRST, SECOND)[: data.draw(st.integers(1, 2))]:
        numbers = sorted(data.draw(st.sets(st.integers(0, 30), min_size=1)))
        frames = numbers[-1] + 1 + data.draw(st.integers(0, 3))
        missing += frames - len(numbers)
        first, *others = numbers
        clean += [unit(first, epoch, key=True), *units(others, epoch), end(frames, epoch)]
    topic: list[Item] = []
    for position, item in enumerate(clean):
        topic.append(item)
        if data.draw(st.booleans()):
            start = data.draw(st.integers(0, position))
            topic += clean[start : position + 1]
    given, counts = seen(topic, whole=True)
    assert given == seen(clean, whole=True)[0]
    assert given == [(i.epoch, "end" if isinstance(i, pb.EndOfStream) else i.seq) for i in clean]
    assert (counts.duplicates, counts.missing, counts.out_of_order) == (len(topic) - len(clean), missing, 0)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32), st.integers(0, 40))
def test_i6_even_in_disorder_nothing_comes_twice_or_goes_back(seed: int, shuffled: int) -> None:
    chance = random.Random(seed)
    topic = [*units(range(30)), *units(range(20), SECOND), *chance.choices(units(range(30)), k=shuffled)]
    chance.shuffle(topic)
    given, counts = seen(topic)
    assert given == sorted(set(given))
    assert counts.frames + counts.duplicates + counts.out_of_order + counts.before_keyframe == len(topic)
