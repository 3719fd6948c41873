"""What was fetched and not given yet is shared out fairly, in order, and held back where it is paused."""

from collections.abc import Collection

from services.bus.interface import Message, Position, Record, TopicPartition
from services.bus.kafka_buffer import Buffer
from tests.support.buses import topic_named

TOPIC = topic_named("t")
ONE, OTHER = TopicPartition("t", 1), TopicPartition("t", 2)


def messages(source: TopicPartition, offsets: Collection[int]) -> list[Message]:
    return [Message(Record(TOPIC, "camera-1", bytes(100)), Position(source, offset), 0) for offset in offsets]


def offsets(taken: Collection[Message], source: TopicPartition) -> list[int]:
    return [message.position.offset for message in taken if message.position.source == source]


def test_a_partition_that_gave_some_goes_to_the_end_of_the_line() -> None:
    buffer = Buffer()
    buffer.put(ONE, messages(ONE, range(100)))
    buffer.put(OTHER, messages(OTHER, range(3)))
    assert offsets(buffer.take(5), ONE) == [0, 1, 2, 3, 4]
    taken = buffer.take(5)
    assert (offsets(taken, OTHER), offsets(taken, ONE)) == ([0, 1, 2], [5, 6])


def test_each_partition_stays_in_order() -> None:
    buffer = Buffer()
    got: list[Message] = []
    for start in range(0, 30, 10):
        buffer.put(ONE, messages(ONE, range(start, start + 10)))
        buffer.put(OTHER, messages(OTHER, range(start, start + 10)))
        got += buffer.take(7)
    while buffer:
        got += buffer.take(7)
    assert offsets(got, ONE) == offsets(got, OTHER) == list(range(30))


def test_a_paused_partition_is_held_back() -> None:
    buffer = Buffer()
    buffer.put(ONE, messages(ONE, range(3)))
    buffer.paused.add(ONE)
    assert not buffer
    assert buffer.take(10) == []
    assert (buffer.ready, buffer.held_back) == (0, 300)
    assert buffer.first(ONE) == 0
    buffer.paused.clear()
    assert offsets(buffer.take(10), ONE) == [0, 1, 2]


def test_what_is_dropped_is_gone_and_every_byte_is_counted() -> None:
    buffer = Buffer()
    buffer.put(ONE, messages(ONE, range(3)))
    buffer.put(OTHER, messages(OTHER, range(2)))
    assert buffer.ready == 500
    buffer.take(1)
    assert buffer.ready == 400
    buffer.drop([ONE])
    assert buffer.ready == 200
    assert buffer.first(ONE) is None
    assert offsets(buffer.take(10), OTHER) == [0, 1]
    assert buffer.ready == 0
    assert not buffer
