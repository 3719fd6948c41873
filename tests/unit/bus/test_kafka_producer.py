"""Counts what arrived in the order of publishing, and keeps to its budget."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError, TopicAuthorizationFailedError
from kafka.producer.future import FutureProduceResult, FutureRecordMetadata

from services.bus import kafka_producer
from services.bus.interface import BusClosed, BusFull, BusLost, Record
from services.bus.kafka_producer import KafkaBusProducer
from services.bus.kafka_settings import KafkaSettings
from tests.support.buses import topic_named

TOPIC = topic_named("t")


class Library:
    """The library's producer: the test says when a record has arrived."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.batches: list[FutureProduceResult] = []
        self.raises: Exception | None = None
        self._sender = self

    def send(self, topic: str, value: bytes, key: bytes) -> FutureRecordMetadata:
        if self.raises is not None:
            raise self.raises
        self.batches.append(FutureProduceResult((topic, 0)))
        return FutureRecordMetadata(self.batches[-1], 0, 0, None, len(key), len(value), -1)

    def arrive(self, number: int) -> None:
        self.batches[number].success((number, 0, None))

    def fail(self, number: int, error: Exception) -> None:
        self.batches[number].success((-1, -1, lambda _: error))

    def force_close(self) -> None:
        for batch in self.batches:
            if not batch.is_done:
                batch.success((-1, -1, lambda _: KafkaTimeoutError()))

    def close(self, timeout: float) -> None:
        pass


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Library]]:
    made: list[Library] = []

    def make(**options: Any) -> Library:
        made.append(Library(**options))
        return made[-1]

    monkeypatch.setattr(kafka_producer, "KafkaProducer", make)
    return made


@pytest.fixture
def producer(library: list[Library]) -> KafkaBusProducer:
    return KafkaBusProducer(KafkaSettings(budget_mb=1), lambda _: None)


def record(size: int = 10) -> Record:
    return Record(TOPIC, "camera-1", bytes(size))


def test_acknowledged_counts_without_a_gap(producer: KafkaBusProducer, library: list[Library]) -> None:
    for _ in range(3):
        producer.publish(record())
    library[0].arrive(1)
    assert producer.acknowledged == 0
    library[0].arrive(0)
    assert producer.acknowledged == 2
    library[0].arrive(2)
    assert producer.acknowledged == 3


def test_every_record_is_written_by_all_copies_once(producer: KafkaBusProducer, library: list[Library]) -> None:
    options = library[0].options
    assert options["acks"] == "all"
    assert options["enable_idempotence"] is True
    assert options["max_block_ms"] <= 50


def test_the_budget_holds_back_and_makes_room_again(producer: KafkaBusProducer, library: list[Library]) -> None:
    for _ in range(10):
        producer.publish(record(100_000))
    with pytest.raises(BusFull):
        producer.publish(record(100_000))
    began = time.monotonic()
    producer.wait(0.1)
    assert time.monotonic() - began >= 0.09
    library[0].arrive(0)
    producer.wait(1.0)
    producer.publish(record(100_000))


def test_a_record_larger_than_the_budget_passes_alone(producer: KafkaBusProducer, library: list[Library]) -> None:
    producer.publish(record(2 << 20))
    with pytest.raises(BusFull):
        producer.publish(record())
    library[0].arrive(0)
    producer.publish(record())


@pytest.mark.parametrize("use", ["publish", "acknowledged", "flush", "wait"])
def test_a_failed_record_ends_the_producer(producer: KafkaBusProducer, library: list[Library], use: str) -> None:
    for _ in range(3):
        producer.publish(record())
    library[0].arrive(0)
    library[0].fail(1, TopicAuthorizationFailedError("pixels"))
    library[0].arrive(2)
    uses: dict[str, Callable[[], object]] = {
        "publish": lambda: producer.publish(record()),
        "acknowledged": lambda: producer.acknowledged,
        "flush": lambda: producer.flush(1),
        "wait": lambda: producer.wait(1),
    }
    with pytest.raises(BusLost) as caught:
        uses[use]()
    assert str(caught.value) == "a record of t could not be delivered: TopicAuthorizationFailedError"


def test_flush_waits_no_longer_than_it_is_told(producer: KafkaBusProducer) -> None:
    producer.publish(record())
    producer.publish(record())
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        producer.flush(0.1)
    assert time.monotonic() - began < 0.5


def test_a_record_that_fits_no_request_ends_the_producer(producer: KafkaBusProducer, library: list[Library]) -> None:
    library[0].raises = MessageSizeTooLargeError()
    with pytest.raises(BusLost, match="MessageSizeTooLargeError"):
        producer.publish(record())


def test_a_topic_that_is_not_known_yet_is_no_reason_to_give_up(
    producer: KafkaBusProducer, library: list[Library]
) -> None:
    library[0].raises = KafkaTimeoutError()
    for _ in range(3):
        with pytest.raises(BusFull, match="partitions of t"):
            producer.publish(record())
    producer.wait(0.01)
    library[0].raises = None
    producer.publish(record())
    library[0].arrive(0)
    assert producer.acknowledged == 1


def test_a_topic_that_never_becomes_known_is(library: list[Library]) -> None:
    settings = KafkaSettings().model_copy(update={"delivery_timeout_s": 0.05})
    producer = KafkaBusProducer(settings, lambda _: None)
    library[0].raises = KafkaTimeoutError()
    with pytest.raises(BusFull):
        producer.publish(record())
    time.sleep(0.06)
    with pytest.raises(BusLost, match="partitions of t"):
        producer.publish(record())


def test_closing_gives_up_what_has_not_arrived(
    producer: KafkaBusProducer, library: list[Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_producer, "_CLOSE_S", 0.1)
    producer.publish(record())
    began = time.monotonic()
    producer.close()
    assert time.monotonic() - began < 1
    assert library[0].batches[0].is_done
    with pytest.raises(BusClosed):
        producer.publish(record())
