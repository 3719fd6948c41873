"""What every bus promises, held against each implementation."""

import itertools
import random
import threading
import time
from collections.abc import Callable
from contextlib import closing
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.bus.interface import (
    Bus,
    BusClosed,
    BusFull,
    Committable,
    Consumer,
    Message,
    Position,
    Record,
    TopicPartition,
)
from services.bus.memory import MemoryBus
from services.bus.topics import Topic
from tests.support.buses import (
    CAMERAS,
    PARTITIONS,
    PATIENCE_S,
    MakeBus,
    System,
    commit_all,
    numbers_of,
    one_partition,
    publish,
    put,
    read,
    topic_named,
    wait_for_share,
)

# --- order and partitions ---------------------------------------------------------------------------------------------


def test_a_key_keeps_its_order(bus: Bus, topic: Topic) -> None:
    publish(bus, topic, range(300))
    messages = read(bus.consumer("g", [topic]), 300)
    assert len(messages) == 300
    for camera in CAMERAS:
        numbers = numbers_of([message for message in messages if message.record.key == camera])
        assert numbers == sorted(numbers)


def test_offsets_of_a_partition_count_up_from_zero(bus: Bus, topic: Topic) -> None:
    publish(bus, topic, range(100))
    offsets: dict[TopicPartition, list[int]] = {}
    for message in read(bus.consumer("g", [topic]), 100):
        offsets.setdefault(message.position.source, []).append(message.position.offset)
    assert len(offsets) > 1, "the cameras should spread over the partitions"
    assert all(found == list(range(len(found))) for found in offsets.values())


def test_a_key_has_the_same_partition_number_in_every_joined_topic(bus: Bus, fresh_topic: Callable[[], Topic]) -> None:
    topics = [fresh_topic(), fresh_topic()]
    for topic in topics:
        publish(bus, topic, range(len(CAMERAS) * 2))
    places: dict[str, set[int]] = {}
    for message in read(bus.consumer("g", topics), len(CAMERAS) * 4):
        places.setdefault(message.record.key, set()).add(message.position.source.partition)
    assert len(places) == len(CAMERAS)
    assert all(len(numbers) == 1 for numbers in places.values())


def test_two_members_get_the_same_partition_numbers_of_joined_topics(
    bus: Bus, fresh_topic: Callable[[], Topic]
) -> None:
    topics = [fresh_topic(), fresh_topic()]
    members = [bus.consumer("g", topics), bus.consumer("g", topics)]
    wait_for_share(members, 2 * PARTITIONS)
    for member in members:
        by_topic = [{p.partition for p in member.assignment() if p.topic == topic.name} for topic in topics]
        assert by_topic[0] == by_topic[1]
        assert by_topic[0]


def test_a_record_comes_back_as_it_was(bus: Bus, topic: Topic) -> None:
    before_us = time.time_ns() // 1000 - 5_000_000
    producer = bus.producer()
    values = [b"", bytes(range(256)) * 6000, b"\x00\xff\n"]
    for value in values:
        put(producer, Record(topic, "camera-1", value))
    producer.flush(PATIENCE_S)
    messages = read(bus.consumer("g", [topic]), len(values))
    assert [message.record.value for message in messages] == values
    assert {message.record.key for message in messages} == {"camera-1"}
    assert {message.record.topic for message in messages} == {topic}
    assert all(before_us < message.timestamp_us < before_us + 60_000_000 for message in messages)


def test_the_repr_of_a_message_shows_no_payload(bus: Bus, topic: Topic) -> None:
    producer = bus.producer()
    put(producer, Record(topic, "camera-1", b"pixels of a face"))
    producer.flush(PATIENCE_S)
    (message,) = read(bus.consumer("g", [topic]), 1)
    for text in (repr(message), str(message), repr(message.record), f"{[message]}"):
        assert "camera-1" in text
        assert "pixels" not in text


# --- groups and commits -----------------------------------------------------------------------------------------------


def test_groups_do_not_disturb_each_other(bus: Bus, topic: Topic) -> None:
    one, other = bus.consumer("one", [topic]), bus.consumer("other", [topic])
    publish(bus, topic, range(50))
    first = read(one, 50)
    commit_all(one, first)
    assert other.committed(one_partition(first)) is None
    assert sorted(numbers_of(read(other, 50))) == list(range(50))


def test_a_new_group_starts_at_the_oldest_record(bus: Bus, topic: Topic) -> None:
    publish(bus, topic, range(20))
    assert sorted(numbers_of(read(bus.consumer("late", [topic]), 20))) == list(range(20))


def test_after_a_crash_reading_goes_on_at_the_committed_offset(bus: Bus, topic: Topic) -> None:
    publish(bus, topic, range(20), keys=["camera-1"])
    crashed = bus.consumer("g", [topic])
    messages = read(crashed, 20)
    crashed.commit({one_partition(messages): Committable.after(messages[7].position)})
    crashed.close()
    again = read(bus.consumer("g", [topic]), 12)
    assert numbers_of(again) == list(range(8, 20))
    assert again[0].position == messages[8].position


def test_a_commit_names_the_next_offset_and_keeps_its_metadata(bus: Bus, topic: Topic) -> None:
    publish(bus, topic, range(3), keys=["camera-1"])
    consumer = bus.consumer("g", [topic])
    messages = read(consumer, 3)
    place = one_partition(messages)
    assert consumer.committed(place) is None
    consumer.commit({place: Committable.after(messages[1].position, metadata="epoch=7 seq=41")})
    assert consumer.committed(place) == Committable(2, "epoch=7 seq=41")
    consumer.close()
    follower = bus.consumer("g", [topic])
    assert numbers_of(read(follower, 1)) == [2]
    assert follower.committed(place) == Committable(2, "epoch=7 seq=41")


def test_a_commit_below_the_committed_offset_is_refused_whole(bus: Bus, topic: Topic) -> None:
    publish(bus, topic, range(60))
    consumer = bus.consumer("g", [topic])
    messages = read(consumer, 60)
    first, second, *_ = sorted({message.position.source for message in messages})
    consumer.commit({first: Committable(1), second: Committable(3)})
    with pytest.raises(ValueError, match="commit"):
        consumer.commit({first: Committable(2), second: Committable(2)})
    assert consumer.committed(first) == Committable(1)
    assert consumer.committed(second) == Committable(3)
    consumer.commit({first: Committable(1)})  # the same again is no step back


def test_a_partition_of_another_member_cannot_be_committed(bus: Bus, topic: Topic) -> None:
    consumer = bus.consumer("g", [topic])
    read(consumer, 1, patience_s=0.2)
    with pytest.raises(ValueError, match="not assigned"):
        consumer.commit({TopicPartition(topic.name, PARTITIONS + 1): Committable(1)})


def test_lag_counts_what_is_still_to_be_read(bus: Bus, topic: Topic) -> None:
    publish(bus, topic, range(10), keys=["camera-1"])
    consumer = bus.consumer("g", [topic])
    messages: list[Message] = []
    while not messages:
        messages += consumer.poll(0.1, max_records=4)
    assert len(messages) <= 4
    lag = consumer.lag()
    assert lag.keys() == consumer.assignment()
    assert lag[one_partition(messages)] == 10 - len(messages)
    assert sum(lag.values()) == 10 - len(messages)


# --- polling ----------------------------------------------------------------------------------------------------------


def test_a_paused_partition_is_left_out_until_it_is_resumed(bus: Bus, topic: Topic) -> None:
    publish(bus, topic, range(120))
    consumer = bus.consumer("g", [topic])
    first = consumer.poll(PATIENCE_S, max_records=1)
    place = one_partition(first)
    consumer.pause([place])
    others = read(consumer, 119, patience_s=1.0)
    assert place not in {message.position.source for message in others}
    assert place in consumer.assignment()
    consumer.resume([place])
    rest = read(consumer, 119 - len(others))
    assert {message.position.source for message in rest} == {place}
    assert sorted(numbers_of([*first, *others, *rest])) == list(range(120))


def test_a_busy_partition_does_not_starve_the_others(bus: Bus, topic: Topic) -> None:
    publish(bus, topic, range(400))
    consumer = bus.consumer("g", [topic])
    seen: set[TopicPartition] = set()
    for _ in range(40):
        seen |= {message.position.source for message in consumer.poll(0.2, max_records=5)}
    assert len(seen) == PARTITIONS


def test_poll_takes_no_more_than_asked(bus: Bus, topic: Topic) -> None:
    publish(bus, topic, range(50))
    consumer = bus.consumer("g", [topic])
    sizes = [len(consumer.poll(0.1, max_records=7)) for _ in range(25)]
    assert max(sizes) <= 7
    assert sum(sizes) == 50


def test_poll_returns_within_its_timeout(bus: Bus, topic: Topic) -> None:
    consumer = bus.consumer("g", [topic])
    read(consumer, 1, patience_s=0.5)
    started = time.monotonic()
    assert list(consumer.poll(0.2)) == []
    assert 0.15 < time.monotonic() - started < 1.5


def test_a_waiting_poll_gets_a_record_at_once(bus: Bus, topic: Topic) -> None:
    consumer = bus.consumer("g", [topic])
    read(consumer, 1, patience_s=0.5)
    producer = bus.producer()

    def speak() -> None:
        put(producer, Record(topic, "camera-1", b"1"))
        producer.flush(PATIENCE_S)

    timer = threading.Timer(0.2, speak)
    timer.start()
    started = time.monotonic()
    messages = consumer.poll(PATIENCE_S)
    timer.join()
    assert numbers_of(messages) == [1]
    assert time.monotonic() - started < PATIENCE_S / 2


def test_close_wakes_a_waiting_poll(bus: Bus, topic: Topic) -> None:
    consumer = bus.consumer("g", [topic])
    read(consumer, 1, patience_s=0.5)
    timer = threading.Timer(0.2, bus.close)
    timer.start()
    started = time.monotonic()
    with pytest.raises(BusClosed):
        consumer.poll(PATIENCE_S)
    timer.join()
    assert time.monotonic() - started < PATIENCE_S / 2


def test_what_is_closed_refuses_work(bus: Bus, topic: Topic) -> None:
    producer, consumer = bus.producer(), bus.consumer("g", [topic])
    survivor = bus.producer()
    producer.close()
    consumer.close()
    consumer.close()
    with pytest.raises(BusClosed):
        producer.publish(Record(topic, "camera-1", b"1"))
    with pytest.raises(BusClosed):
        consumer.poll(0.0)
    bus.close()
    bus.close()
    for use in (
        lambda: survivor.publish(Record(topic, "camera-1", b"1")),
        bus.producer,
        lambda: bus.consumer("g", [topic]),
    ):
        with pytest.raises(BusClosed):
            use()


# --- backpressure -----------------------------------------------------------------------------------------------------


def test_a_full_bus_refuses_and_takes_again_once_there_is_room(make_bus: MakeBus, topic: Topic) -> None:
    bus = make_bus(1 << 20)
    consumer = bus.consumer("g", [topic])
    producer = bus.producer()
    published, refused = 0, 0
    received: list[Message] = []
    deadline = time.monotonic() + PATIENCE_S
    while published < 64 and time.monotonic() < deadline:
        try:
            producer.publish(Record(topic, "camera-1", published.to_bytes(4, "big") + bytes(200_000)))
        except BusFull:
            refused += 1
            received += consumer.poll(0.05)
            producer.wait(0.05)
        else:
            published += 1
    producer.flush(PATIENCE_S)
    received += read(consumer, 64 - len(received))
    assert refused > 0
    assert [int.from_bytes(message.record.value[:4], "big") for message in received] == list(range(64))


def test_a_record_larger_than_the_limit_passes_alone(make_bus: MakeBus, topic: Topic) -> None:
    bus = make_bus(1000)
    consumer = bus.consumer("g", [topic])
    producer = bus.producer()
    put(producer, Record(topic, "camera-1", bytes(1_500_000)))
    (message,) = read(consumer, 1)
    assert len(message.record.value) == 1_500_000


# --- rebalance --------------------------------------------------------------------------------------------------------


def test_members_share_the_partitions_and_inherit_them(bus: Bus, topic: Topic) -> None:
    first = bus.consumer("g", [topic])
    wait_for_share([first], PARTITIONS)
    second = bus.consumer("g", [topic])
    wait_for_share([first, second], PARTITIONS)
    first.close()
    wait_for_share([second], PARTITIONS)


def test_an_assignment_changes_only_in_poll(bus: Bus, topic: Topic) -> None:
    first = bus.consumer("g", [topic])
    wait_for_share([first], PARTITIONS)
    publish(bus, topic, range(40))
    messages = read(first, 40)
    bus.consumer("g", [topic])
    commit_all(first, messages)
    assert len(first.assignment()) == PARTITIONS


@pytest.mark.parametrize("members", [1, 3])
def test_many_threads_lose_and_repeat_nothing(bus: Bus, topic: Topic, members: int) -> None:
    consumers = [bus.consumer("g", [topic]) for _ in range(members)]
    got: list[list[Message]] = [[] for _ in consumers]
    stop = threading.Event()

    def work(consumer: Consumer, received: list[Message]) -> None:
        while not stop.is_set():
            messages = consumer.poll(0.05)
            received.extend(messages)
            commit_all(consumer, messages)

    def speak(camera: int) -> None:
        publish(bus, topic, range(camera * 200, camera * 200 + 200), keys=[CAMERAS[camera]])

    readers = [threading.Thread(target=work, args=pair) for pair in zip(consumers, got, strict=True)]
    writers = [threading.Thread(target=speak, args=(camera,)) for camera in range(4)]
    for thread in [*readers, *writers]:
        thread.start()
    deadline = time.monotonic() + PATIENCE_S
    while sum(map(len, got)) < 800 and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    for thread in [*readers, *writers]:
        thread.join()
    messages = [message for received in got for message in received]
    assert sorted(numbers_of(messages)) == list(range(800))


# --- once and in order ------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), crash_share=st.floats(0.0, 0.4), batch=st.integers(1, 9))
def test_i6_once_and_in_order_whatever_crashes(seed: int, crash_share: float, batch: int) -> None:
    once_and_in_order(MemoryBus(PARTITIONS), topic_named("t"), random.Random(seed), crash_share, batch, poll_s=0.001)


@pytest.mark.parametrize("seed", range(3))
def test_i6_once_and_in_order_on_a_broker_whatever_crashes(kafka_system: System, seed: int) -> None:
    dice = random.Random(seed)
    name = f"conformance.{uuid4().hex}"
    kafka_system.make_topic(name)
    with closing(kafka_system.make_bus()) as bus:
        once_and_in_order(bus, topic_named(name), dice, dice.uniform(0, 0.3), dice.randint(1, 9), poll_s=0.05)


def once_and_in_order(
    bus: Bus, topic: Topic, dice: random.Random, crash_share: float, batch: int, poll_s: float
) -> None:
    """A reader that dedupes by position and commits only what it handled sees each record once, in order."""
    count = 60
    unsent = iter(range(count))
    handled: dict[str, list[int]] = {camera: [] for camera in CAMERAS}
    newest: dict[TopicPartition, int] = {}
    members: list[Consumer | None] = [None, None]
    deadline = time.monotonic() + 3 * PATIENCE_S
    producer = bus.producer()
    while sum(map(len, handled.values())) < count and time.monotonic() < deadline:
        for number in itertools.islice(unsent, dice.randrange(4)):
            put(producer, Record(topic, CAMERAS[number % len(CAMERAS)], str(number).encode()))
        slot = dice.randrange(2)
        member = members[slot] or bus.consumer("g", [topic])
        members[slot] = member
        messages = member.poll(poll_s, max_records=batch)
        # A crash leaves any number of messages handled and any smaller number committed.
        crash = dice.random() < crash_share
        messages = messages[: dice.randrange(len(messages) + 1)] if crash else messages
        for message in messages:
            position = message.position
            if position.offset > newest.get(position.source, -1):
                assert position.offset == newest.get(position.source, -1) + 1, "a record was left out"
                newest[position.source] = position.offset
                handled[message.record.key].append(int(message.record.value))
        if crash:
            commit_all(member, messages[: dice.randrange(len(messages) + 1)])
            member.close()
            members[slot] = None
        else:
            commit_all(member, messages)
    for member in members:
        if member is not None:
            member.close()
    expected = {camera: [n for n in range(count) if CAMERAS[n % len(CAMERAS)] == camera] for camera in CAMERAS}
    assert handled == expected


def test_a_position_orders_by_partition_then_offset() -> None:
    place = TopicPartition("a", 1)
    assert Position(place, 2) < Position(place, 10) < Position(TopicPartition("a", 2), 0)
