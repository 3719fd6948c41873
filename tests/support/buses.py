"""Buses to hold the same tests against, and the verbs these tests share."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from typing import NamedTuple, Protocol

from kafka import KafkaAdminClient

from services.bus.interface import Bus, BusFull, Committable, Consumer, Message, Producer, Record, TopicPartition
from services.bus.kafka import KafkaBus
from services.bus.kafka_settings import KafkaSettings
from services.bus.memory import MemoryBus
from services.bus.topics import Topic

PATIENCE_S = 10.0
PARTITIONS = 4
CAMERAS = tuple(f"camera-{number}" for number in range(12))


class MakeBus(Protocol):
    """Makes a bus with PARTITIONS partitions a topic whose producers hold about `limit` bytes."""

    def __call__(self, limit: int = 64 << 20) -> Bus: ...


class System(NamedTuple):
    """One implementation of the bus, and how a topic comes into being there."""

    make_bus: MakeBus
    make_topic: Callable[[str], None]


def memory() -> System:
    """The bus of one process."""

    def make_bus(limit: int = 64 << 20) -> Bus:
        return MemoryBus(PARTITIONS, limit=limit)

    return System(make_bus, lambda _: None)


@contextmanager
def kafka(settings: KafkaSettings) -> Iterator[System]:
    """The bus on a broker that these settings reach."""

    def make_bus(limit: int = 64 << 20) -> Bus:
        return KafkaBus(settings.model_copy(update={"budget_mb": max(1, limit >> 20)}))

    with closing(KafkaAdminClient(bootstrap_servers=settings.bootstrap)) as admin:
        yield System(make_bus, partial(make_topic, admin))


def make_topic(admin: KafkaAdminClient, name: str) -> None:
    """Makes a topic with PARTITIONS partitions."""
    admin.create_topics({name: {"num_partitions": PARTITIONS, "replication_factor": 1}}, wait_for_metadata=True)


def topic_named(name: str) -> Topic:
    """A topic outside the table."""
    return Topic(name, "DeadLetter", ("a",), ("b",), False, timedelta(minutes=10), True)


def put(producer: Producer, record: Record) -> None:
    """Publishes one record however often it is refused."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            producer.publish(record)
        except BusFull:
            assert time.monotonic() < deadline, "the bus stays full"
            producer.wait(0.1)
        else:
            return


def publish(bus: Bus, topic: Topic, numbers: Collection[int], keys: Sequence[str] = CAMERAS) -> None:
    """Publishes one record for each number; number n goes to camera n modulo their count."""
    producer = bus.producer()
    for number in numbers:
        put(producer, Record(topic, keys[number % len(keys)], str(number).encode()))
    producer.flush(PATIENCE_S)
    producer.close()


def read(consumer: Consumer, count: int, patience_s: float = PATIENCE_S) -> list[Message]:
    """Polls until `count` messages have come or patience is at an end."""
    messages: list[Message] = []
    deadline = time.monotonic() + patience_s
    while len(messages) < count and time.monotonic() < deadline:
        messages += consumer.poll(0.1)
    return messages


def numbers_of(messages: Collection[Message]) -> list[int]:
    return [int(message.record.value) for message in messages]


def commit_all(consumer: Consumer, messages: Collection[Message]) -> None:
    consumer.commit({message.position.source: Committable.after(message.position) for message in messages})


def one_partition(messages: Sequence[Message]) -> TopicPartition:
    return messages[0].position.source


def wait_for_share(members: Sequence[Consumer], partitions: int) -> None:
    """Polls all members, which must get nothing, until every one has a part and nobody shares one."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for member in members:
            assert not member.poll(0.02)
        shares = [member.assignment() for member in members]
        if all(shares) and sum(map(len, shares)) == len(frozenset().union(*shares)) == partitions:
            return
    raise AssertionError("the members never shared the partitions among them")
