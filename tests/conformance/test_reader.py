"""What a reader without a group promises."""

import time

import pytest

from services.bus.interface import Bus, BusClosed, Message, Reader, Record, Start
from services.bus.topics import Topic
from tests.support.buses import PARTITIONS, PATIENCE_S, numbers_of, publish, put, read


def read_to_the_end(reader: Reader) -> list[Message]:
    messages: list[Message] = []
    deadline = time.monotonic() + PATIENCE_S
    while not reader.caught_up:
        assert time.monotonic() < deadline, "the reader never caught up"
        messages += reader.poll(0.1)
    return messages


def start(bus: Bus, topic: Topic, at: Start) -> list[int]:
    reader = bus.reader(topic, at)
    try:
        return numbers_of(read_to_the_end(reader))
    finally:
        reader.close()


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (Start("oldest"), range(10)),
        (Start("newest"), ()),
        (Start("last", 3), range(7, 10)),
        (Start("last", 0), ()),
        (Start("last", 99), range(10)),
        (Start("offset", 4), range(4, 10)),
        (Start("offset", 99), ()),
        (Start("time", 0), range(10)),
        (Start("time", 2**52), ()),
    ],
    ids=lambda value: f"{value.at}-{value.value}" if isinstance(value, Start) else "",
)
def test_a_reader_starts_where_it_is_told(bus: Bus, topic: Topic, at: Start, expected: range) -> None:
    publish(bus, topic, range(10), keys=["camera-1"])
    assert start(bus, topic, at) == list(expected)


def test_a_reader_starts_at_a_time(bus: Bus, topic: Topic) -> None:
    for number in range(6):
        publish(bus, topic, [number], keys=["camera-1"])
        time.sleep(0.01)
    reader = bus.reader(topic, Start("oldest"))
    messages = read_to_the_end(reader)
    assert len({message.timestamp_us for message in messages}) == 6
    assert start(bus, topic, Start("time", messages[2].timestamp_us)) == [2, 3, 4, 5]
    assert start(bus, topic, Start("time", messages[2].timestamp_us + 1)) == [3, 4, 5]


def test_a_reader_goes_on_with_what_comes_later(bus: Bus, topic: Topic) -> None:
    publish(bus, topic, range(5), keys=["camera-1"])
    reader = bus.reader(topic, Start("newest"))
    assert reader.caught_up
    publish(bus, topic, range(5, 8), keys=["camera-1"])
    assert reader.caught_up, "what comes later does not count"
    messages: list[Message] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(messages) < 3 and time.monotonic() < deadline:
        messages += reader.poll(0.1, max_records=2)
    assert numbers_of(messages) == [5, 6, 7]
    assert {message.record.topic for message in messages} == {topic}


def test_a_reader_of_an_offset_past_the_end_does_not_start_at_the_beginning(bus: Bus, topic: Topic) -> None:
    publish(bus, topic, range(5), keys=["camera-1"])
    reader = bus.reader(topic, Start("offset", 7))
    publish(bus, topic, range(5, 10), keys=["camera-1"])
    messages = reader.poll(PATIENCE_S)
    assert numbers_of(messages)[0] == 5


def test_a_reader_of_some_partitions_sees_no_others(bus: Bus, topic: Topic) -> None:
    publish(bus, topic, range(60))
    everything = read_to_the_end(bus.reader(topic, Start("oldest")))
    wanted = {message.position.source.partition for message in everything[:1]}
    some = read_to_the_end(bus.reader(topic, Start("oldest"), wanted))
    assert {message.position.source.partition for message in some} == wanted
    assert sorted(numbers_of(some)) == sorted(
        number
        for number, message in zip(numbers_of(everything), everything, strict=True)
        if message.position.source.partition in wanted
    )
    assert {message.position.source.partition for message in everything} <= set(range(PARTITIONS))


def test_an_empty_topic_is_caught_up_with_at_once(bus: Bus, topic: Topic) -> None:
    reader = bus.reader(topic, Start("oldest"))
    assert reader.caught_up
    assert list(reader.poll(0.05)) == []


def test_a_reader_takes_no_more_than_asked(bus: Bus, topic: Topic) -> None:
    publish(bus, topic, range(40))
    reader = bus.reader(topic, Start("oldest"))
    sizes = []
    deadline = time.monotonic() + PATIENCE_S
    while sum(sizes) < 40 and time.monotonic() < deadline:
        sizes.append(len(reader.poll(0.1, max_records=7)))
    assert max(sizes) <= 7
    assert sum(sizes) == 40


def test_a_reader_does_not_disturb_a_group(bus: Bus, topic: Topic) -> None:
    publish(bus, topic, range(20))
    consumer = bus.consumer("g", [topic])
    assert len(read_to_the_end(bus.reader(topic, Start("oldest")))) == 20
    assert sorted(numbers_of(read(consumer, 20))) == list(range(20))
    assert len(consumer.assignment()) == PARTITIONS


def test_a_closed_reader_refuses_work(bus: Bus, topic: Topic) -> None:
    reader, survivor = bus.reader(topic, Start("oldest")), bus.reader(topic, Start("oldest"))
    reader.close()
    reader.close()
    with pytest.raises(BusClosed):
        reader.poll(0.0)
    bus.close()
    with pytest.raises(BusClosed):
        survivor.poll(0.0)
    with pytest.raises(BusClosed):
        bus.reader(topic, Start("oldest"))


# --- acknowledgements -------------------------------------------------------------------------------------------------


def test_acknowledged_counts_the_records_that_arrived(bus: Bus, topic: Topic) -> None:
    producer = bus.producer()
    assert producer.acknowledged == 0
    counts = []
    for number in range(50):
        put(producer, Record(topic, f"camera-{number % 3}", bytes(1000)))
        counts.append(producer.acknowledged)
    assert all(count <= number + 1 for number, count in enumerate(counts))
    assert counts == sorted(counts)
    producer.flush(PATIENCE_S)
    assert producer.acknowledged == 50
    assert len(read_to_the_end(bus.reader(topic, Start("oldest")))) == 50


def test_acknowledged_grows_without_a_flush(bus: Bus, topic: Topic) -> None:
    producer = bus.producer()
    put(producer, Record(topic, "camera-1", b"1"))
    deadline = time.monotonic() + PATIENCE_S
    while producer.acknowledged < 1 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert producer.acknowledged == 1
