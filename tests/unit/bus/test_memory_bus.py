"""What only the memory bus promises: pictures by reference, and which bytes it counts for how long."""

import gc
import threading
import time
import weakref
from collections.abc import Sequence

import numpy as np
import pytest

from services.bus.interface import BusClosed, BusFull, Committable, Consumer, Message, Producer, Record
from services.bus.memory import MemoryBus
from services.bus.topics import VIDEO_RENDERED, VIDEO_SOURCE

KB = 1024
LIMIT = 100 * KB
READERS = {VIDEO_SOURCE: ("renderer", "vault")}


def source(value: bytes, key: str = "camera-1") -> Record:
    return Record(VIDEO_SOURCE, key, value)


def rendered(kilobytes: int = 30) -> Record:
    return Record(VIDEO_RENDERED, "camera-1", b"frame", np.zeros((kilobytes, KB), np.uint8))


def takes(producer: Producer, record: Record) -> bool:
    try:
        producer.publish(record)
    except BusFull:
        return False
    return True


def fill(producer: Producer, record: Record) -> int:
    """Publishes until the bus is full; how many records it took."""
    return next(taken for taken in range(1000) if not takes(producer, record))


def commit(consumer: Consumer, message: Message) -> None:
    consumer.commit({message.position.source: Committable.after(message.position)})


def values(messages: Sequence[Message]) -> list[bytes]:
    return [message.record.value for message in messages]


# --- attachments ------------------------------------------------------------------------------------------------------


def test_an_attachment_passes_by_reference() -> None:
    bus = MemoryBus()
    record = rendered()
    consumer = bus.consumer("encoder", [VIDEO_RENDERED])
    bus.producer().publish(record)
    assert consumer.poll(0.0)[0].record.attachment is record.attachment


def test_an_attachment_is_let_go_once_every_group_was_given_it() -> None:
    bus = MemoryBus(groups={VIDEO_RENDERED: ("encoder", "probe")})
    record = rendered()
    alive = weakref.ref(record.attachment)
    bus.producer().publish(record)
    del record
    encoder, probe = bus.consumer("encoder", [VIDEO_RENDERED]), bus.consumer("probe", [VIDEO_RENDERED])
    assert encoder.poll(0.0)[0].record.attachment is not None
    gc.collect()
    assert alive() is not None, "the second group has not had it yet"
    assert probe.poll(0.0)[0].record.attachment is not None
    gc.collect()
    assert alive() is None


def test_redelivery_brings_the_bytes_without_the_attachment() -> None:
    bus = MemoryBus()
    crashed = bus.consumer("encoder", [VIDEO_RENDERED])
    bus.producer().publish(rendered())
    crashed.poll(0.0)
    crashed.close()
    (again,) = bus.consumer("encoder", [VIDEO_RENDERED]).poll(0.0)
    assert (again.record.value, again.record.attachment) == (b"frame", None)


def test_a_topic_that_nobody_reads_keeps_its_attachments() -> None:
    bus = MemoryBus()
    record = rendered()
    bus.producer().publish(record)
    (message,) = bus.consumer("late", [VIDEO_RENDERED]).poll(0.0)
    assert message.record.attachment is record.attachment


# --- bytes ------------------------------------------------------------------------------------------------------------


def test_i7_attachments_count_until_they_are_read() -> None:
    bus = MemoryBus(groups={VIDEO_RENDERED: ("encoder",)}, limits={VIDEO_RENDERED: LIMIT})
    producer, consumer = bus.producer(), bus.consumer("encoder", [VIDEO_RENDERED])
    assert fill(producer, rendered(30)) == 3
    consumer.poll(0.0, max_records=2)
    assert fill(producer, rendered(30)) == 2


def test_i7_small_records_count_more_than_their_payload() -> None:
    bus = MemoryBus(groups=READERS, limit=LIMIT)
    assert fill(bus.producer(), source(b"")) < 400


def test_the_slowest_group_fills_the_topic() -> None:
    bus = MemoryBus(groups=READERS, limit=LIMIT)
    producer = bus.producer()
    renderer, vault = bus.consumer("renderer", [VIDEO_SOURCE]), bus.consumer("vault", [VIDEO_SOURCE])
    assert fill(producer, source(bytes(20 * KB))) == 4
    renderer.poll(0.0)
    with pytest.raises(BusFull, match=r"video\.source"):
        producer.publish(source(bytes(20 * KB)))
    vault.poll(0.0)
    producer.publish(source(bytes(20 * KB)))


def test_a_declared_group_is_waited_for_before_it_comes_and_after_it_left() -> None:
    bus = MemoryBus(groups={VIDEO_SOURCE: ("renderer",)}, limit=LIMIT)
    producer = bus.producer()
    taken = fill(producer, source(bytes(20 * KB)))
    consumer = bus.consumer("renderer", [VIDEO_SOURCE])
    assert len(consumer.poll(0.0)) == taken
    consumer.close()
    assert fill(producer, source(bytes(20 * KB))) == taken


def test_another_group_is_waited_for_only_while_it_has_a_member() -> None:
    bus = MemoryBus(limit=LIMIT)
    producer, viewer = bus.producer(), bus.consumer("viewer", [VIDEO_SOURCE])
    fill(producer, source(bytes(20 * KB)))
    viewer.close()
    for number in range(100):
        producer.publish(source(bytes([number]) * 20 * KB))
    assert values(bus.consumer("viewer", [VIDEO_SOURCE]).poll(0.0))[-1] == bytes([99]) * 20 * KB


def test_a_topic_that_nobody_reads_never_blocks_and_keeps_its_newest_bytes() -> None:
    bus = MemoryBus(limit=LIMIT)
    producer = bus.producer()
    for number in range(100):
        producer.publish(source(bytes([number]) * 20 * KB))
    tail = bus.consumer("late", [VIDEO_SOURCE]).poll(0.0)
    assert [value[0] for value in values(tail)] == [96, 97, 98, 99]
    assert tail[0].position.offset == 96


def test_the_tail_of_several_partitions_expires_oldest_first() -> None:
    ticks = iter(range(1000))
    bus = MemoryBus(partitions=4, limit=LIMIT, clock=lambda: next(ticks))
    producer = bus.producer()
    for number in range(100):
        producer.publish(source(bytes([number]) * 20 * KB, key=f"camera-{number % 7}"))
    tail = bus.consumer("late", [VIDEO_SOURCE]).poll(0.0)
    assert sorted(value[0] for value in values(tail)) == [96, 97, 98, 99]


def test_a_reader_that_never_commits_does_not_stop_the_line() -> None:
    """A group of pictures may be longer than the limit, and a renderer commits only at its next keyframe."""
    bus = MemoryBus(groups={VIDEO_SOURCE: ("renderer",)}, limit=LIMIT)
    producer, consumer = bus.producer(), bus.consumer("renderer", [VIDEO_SOURCE])
    for number in range(100):
        producer.publish(source(bytes([number]) * 20 * KB))
        assert len(consumer.poll(0.0)) == 1
    consumer.close()
    replay = bus.consumer("renderer", [VIDEO_SOURCE]).poll(0.0)
    assert [value[0] for value in values(replay)] == [96, 97, 98, 99]


def test_what_is_kept_for_a_replay_takes_no_room_from_what_waits() -> None:
    bus = MemoryBus(groups={VIDEO_SOURCE: ("renderer",)}, limit=LIMIT)
    producer, consumer = bus.producer(), bus.consumer("renderer", [VIDEO_SOURCE])
    producer.publish(source(b"keyframe" + bytes(60 * KB)))
    consumer.poll(0.0)
    fill(producer, source(bytes(20 * KB)))
    consumer.close()
    assert values(bus.consumer("renderer", [VIDEO_SOURCE]).poll(0.0))[0].startswith(b"keyframe")


def test_a_committed_record_is_let_go() -> None:
    bus = MemoryBus(groups={VIDEO_SOURCE: ("renderer",)})
    producer, consumer = bus.producer(), bus.consumer("renderer", [VIDEO_SOURCE])
    for number in range(3):
        producer.publish(source(bytes([number])))
    commit(consumer, consumer.poll(0.0)[1])
    assert values(bus.consumer("late", [VIDEO_SOURCE]).poll(0.0)) == [b"\x02"]


def test_a_record_larger_than_the_limit_is_refused_while_another_waits() -> None:
    bus = MemoryBus(groups={VIDEO_SOURCE: ("renderer",)}, limit=LIMIT)
    producer, consumer = bus.producer(), bus.consumer("renderer", [VIDEO_SOURCE])
    producer.publish(source(b"small"))
    with pytest.raises(BusFull):
        producer.publish(source(bytes(2 * LIMIT)))
    consumer.poll(0.0)
    producer.publish(source(bytes(2 * LIMIT)))
    consumer.poll(0.0)
    consumer.close()
    assert len(bus.consumer("renderer", [VIDEO_SOURCE]).poll(0.0)) == 1, "alone it stays for a replay"


def test_a_refused_record_left_nothing_behind() -> None:
    bus = MemoryBus(groups={VIDEO_SOURCE: ("renderer",)}, limit=LIMIT)
    producer, consumer = bus.producer(), bus.consumer("renderer", [VIDEO_SOURCE])
    taken = fill(producer, source(bytes(20 * KB)))
    assert [message.position.offset for message in consumer.poll(0.0)] == list(range(taken))


def test_a_commit_past_what_was_read_makes_room() -> None:
    bus = MemoryBus(groups={VIDEO_SOURCE: ("renderer",)}, limit=LIMIT)
    producer, consumer = bus.producer(), bus.consumer("renderer", [VIDEO_SOURCE])
    taken = fill(producer, source(bytes(20 * KB)))
    (place,) = consumer.assignment()
    consumer.commit({place: Committable(taken)})
    assert consumer.lag() == {place: 0}
    assert fill(producer, source(bytes(20 * KB))) == taken


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_wait_returns_as_soon_as_the_refused_record_fits() -> None:
    bus = MemoryBus(groups={VIDEO_SOURCE: ("renderer",)}, limit=LIMIT)
    producer, consumer = bus.producer(), bus.consumer("renderer", [VIDEO_SOURCE])
    fill(producer, source(bytes(20 * KB)))
    timer = threading.Timer(0.1, lambda: consumer.poll(0.0, max_records=1))
    timer.start()
    started = time.monotonic()
    producer.wait(10.0)
    timer.join()
    assert 0.05 < time.monotonic() - started < 5.0
    producer.publish(source(bytes(20 * KB)))


def test_wait_ends_after_its_timeout_and_at_once_when_nothing_was_refused() -> None:
    bus = MemoryBus(groups={VIDEO_SOURCE: ("renderer",)}, limit=LIMIT)
    producer = bus.producer()
    started = time.monotonic()
    producer.wait(10.0)
    producer.publish(source(bytes(60 * KB)))
    producer.wait(10.0)
    assert time.monotonic() - started < 5.0
    fill(producer, source(bytes(20 * KB)))
    started = time.monotonic()
    producer.wait(0.1)
    assert 0.08 < time.monotonic() - started < 5.0


def test_close_wakes_a_waiting_producer() -> None:
    bus = MemoryBus(groups={VIDEO_SOURCE: ("renderer",)}, limit=LIMIT)
    producer = bus.producer()
    fill(producer, source(bytes(20 * KB)))
    timer = threading.Timer(0.1, bus.close)
    timer.start()
    started = time.monotonic()
    with pytest.raises(BusClosed):
        producer.wait(10.0)
    timer.join()
    assert time.monotonic() - started < 5.0


# --- groups -----------------------------------------------------------------------------------------------------------


def test_a_commit_past_the_end_is_refused() -> None:
    bus = MemoryBus()
    consumer = bus.consumer("g", [VIDEO_SOURCE])
    bus.producer().publish(source(b"1"))
    (message,) = consumer.poll(0.0)
    with pytest.raises(ValueError, match="offset 2"):
        consumer.commit({message.position.source: Committable(2)})


def test_a_member_keeps_its_partitions_until_it_polls() -> None:
    bus = MemoryBus(partitions=4)
    first = bus.consumer("g", [VIDEO_SOURCE])
    second = bus.consumer("g", [VIDEO_SOURCE])
    assert (len(first.assignment()), len(second.assignment())) == (4, 0)
    first.poll(0.0)
    second.poll(0.0)
    assert (len(first.assignment()), len(second.assignment())) == (2, 2)


def test_a_waiting_poll_gives_up_partitions_to_a_newcomer() -> None:
    bus = MemoryBus(partitions=2)
    first = bus.consumer("g", [VIDEO_SOURCE])
    waiting = threading.Thread(target=first.poll, args=(1.0,))
    waiting.start()
    time.sleep(0.1)
    second = bus.consumer("g", [VIDEO_SOURCE])
    second.poll(0.3)
    assert len(second.assignment()) == 1
    waiting.join()


def test_a_waiting_newcomer_takes_a_partition_as_soon_as_it_is_free() -> None:
    bus = MemoryBus(partitions=2)
    first, second = bus.consumer("g", [VIDEO_SOURCE]), bus.consumer("g", [VIDEO_SOURCE])
    for camera in range(10):
        bus.producer().publish(source(b"", key=f"camera-{camera}"))
    timer = threading.Timer(0.1, lambda: first.poll(0.0))
    timer.start()
    started = time.monotonic()
    assert second.poll(10.0)
    timer.join()
    assert time.monotonic() - started < 5.0


def test_a_partition_comes_back_unpaused() -> None:
    bus = MemoryBus(partitions=2)
    first = bus.consumer("g", [VIDEO_SOURCE])
    first.pause(first.assignment())
    second = bus.consumer("g", [VIDEO_SOURCE])
    first.poll(0.0)
    second.poll(0.0)
    (moved,) = second.assignment()
    second.close()
    for camera in range(10):
        bus.producer().publish(source(b"", key=f"camera-{camera}"))
    assert {message.position.source for message in first.poll(0.0)} == {moved}


def test_timestamps_come_from_the_clock() -> None:
    bus = MemoryBus(clock=lambda: 1234)
    bus.producer().publish(source(b"1"))
    assert bus.consumer("g", [VIDEO_SOURCE]).poll(0.0)[0].timestamp_us == 1234


def test_a_bus_without_partitions_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one partition"):
        MemoryBus(partitions=0)
