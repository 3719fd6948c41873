"""A broker that goes away and comes back: nothing lost, doubled or out of order, and nobody stands still for long."""

import gc
import logging
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient

from deploy.stack.kafka import KafkaServer
from services.bus.interface import BusFull, BusLost, Committable, Message, Record, Start
from services.bus.kafka import KafkaBus
from services.bus.kafka_client import client_options
from services.bus.topics import Topic
from tests.support.buses import PATIENCE_S, commit_all, make_topic, numbers_of, publish, put, read, topic_named
from tests.support.servers import kafka_server

OUTAGE_S = 12.0  # longer than the session of a consumer


# The library leaves the sockets of failed connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """What the library logs holds on to these sockets, and what is captured of it lives as long as the session."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)


@pytest.fixture(autouse=True, scope="module")
def _collect_what_the_library_left() -> Iterator[None]:
    yield
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker that may be stopped."""
    with kafka_server(tmp_path_factory.mktemp("kafka"), secure=False) as server:
        yield server


@pytest.fixture
def topic(server: KafkaServer) -> Topic:
    name = f"outage.{uuid4().hex}"
    with closing(KafkaAdminClient(**client_options(server.settings("anyone")))) as admin:
        make_topic(admin, name)
    return topic_named(name)


@pytest.fixture
def connect(server: KafkaServer) -> Iterator[Callable[..., KafkaBus]]:
    """Makes buses that are closed after the test."""
    made: list[KafkaBus] = []

    def make(**changes: float) -> KafkaBus:
        made.append(KafkaBus(server.settings("anyone").model_copy(update=changes)))
        return made[-1]

    yield make
    for bus in made:
        bus.close()


@contextmanager
def stopped(server: KafkaServer) -> Iterator[None]:
    """The broker is killed, and comes back with what it had on disk."""
    server.kill()
    try:
        yield
    finally:
        server.start()


class Stopwatch:
    """The longest that each verb took."""

    def __init__(self) -> None:
        self.longest: dict[str, float] = {}

    @contextmanager
    def time(self, verb: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.longest[verb] = max(self.longest.get(verb, 0.0), time.monotonic() - began)


def test_i6_producer_and_consumer_survive_a_killed_broker(
    server: KafkaServer, connect: Callable[..., KafkaBus], topic: Topic
) -> None:
    bus = connect(delivery_timeout_s=120, budget_mb=1)
    producer, consumer = bus.producer(), bus.consumer("g", [topic])
    watch = Stopwatch()
    received: list[Message] = []
    sent, refused = 0, 0
    restart: threading.Thread | None = None

    def turn() -> None:
        nonlocal sent, refused
        with watch.time("publish"):
            try:
                producer.publish(Record(topic, f"camera-{sent % 5}", str(sent).encode() + b" " * 20_000))
                sent += 1
            except BusFull:
                refused += 1
        with watch.time("poll"):
            messages = consumer.poll(0.02)
        received.extend(messages)
        with watch.time("commit"):
            commit_all(consumer, messages)
        with watch.time("lag"):
            consumer.lag()
        with watch.time("acknowledged"):
            assert producer.acknowledged <= sent

    while len(received) < 60:
        turn()
    server.kill()
    back_at = time.monotonic() + OUTAGE_S
    deadline = back_at + 90
    end = sent + 200
    while (sent < end or len(received) < sent) and time.monotonic() < deadline:
        if restart is None and time.monotonic() > back_at:
            restart = threading.Thread(target=server.start)
            restart.start()
        if sent < end:
            turn()
        else:
            messages = consumer.poll(0.1)
            commit_all(consumer, messages)
            received.extend(messages)
    assert restart is not None
    restart.join()
    received += read(consumer, 1, patience_s=1.0)
    producer.flush(PATIENCE_S)
    assert producer.acknowledged == sent
    assert refused, "the budget never filled, so that the outage was not felt"
    assert sorted(numbers_of(received)) == list(range(sent)), "lost or doubled"
    for camera in range(5):
        numbers = numbers_of([message for message in received if message.record.key == f"camera-{camera}"])
        assert numbers == sorted(numbers)
    assert max(watch.longest.values()) < 1.0, f"something stood still: {watch.longest}"
    consumer.close()
    assert not read(bus.consumer("g", [topic]), 1, patience_s=1.5), "what was committed came again"


def test_commits_and_readers_go_on_after_an_outage(
    server: KafkaServer, connect: Callable[..., KafkaBus], topic: Topic
) -> None:
    bus = connect()
    publish(bus, topic, range(20), keys=["camera-1"])
    consumer, reader = bus.consumer("g", [topic]), bus.reader(topic, Start("oldest"))
    messages = read(consumer, 20)
    place = messages[0].position.source
    seen: list[Message] = []
    while not reader.caught_up:
        seen += reader.poll(0.1)
    with stopped(server):
        began = time.monotonic()
        consumer.commit({place: Committable.after(messages[4].position, "during")})
        assert time.monotonic() - began < 0.5
        consumer.poll(0.2)
        consumer.commit({place: Committable.after(messages[6].position, "later")})
        assert consumer.committed(place) == Committable(7, "later")
        assert list(reader.poll(0.5)) == []
    other = connect()
    publish(other, topic, range(20, 30), keys=["camera-1"])
    deadline = time.monotonic() + 60
    while len(seen) < 30 and time.monotonic() < deadline:
        seen += reader.poll(0.1)
    assert numbers_of(seen) == list(range(30))
    committed = None
    while committed is None:
        assert time.monotonic() < deadline, "the commit never arrived"
        consumer.poll(0.1)
        with closing(other.consumer("g", [topic])) as looking_on:
            committed = looking_on.committed(place)
    assert committed == Committable(7, "later")


def test_what_can_not_be_delivered_ends_in_time(
    server: KafkaServer, connect: Callable[..., KafkaBus], topic: Topic
) -> None:
    bus = connect(delivery_timeout_s=5, request_timeout_s=2)
    impatient, producer, consumer = bus.producer(), bus.producer(), bus.consumer("g", [topic])
    for each in (impatient, producer):
        put(each, Record(topic, "camera-1", b"0"))
        each.flush(PATIENCE_S)
    assert len(read(consumer, 2)) == 2
    with stopped(server):
        producer.publish(Record(topic, "camera-1", b"pixels"))
        impatient.publish(Record(topic, "camera-1", b"pixels"))
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            impatient.flush(0.5)
        impatient.close()
        assert time.monotonic() - began < 5, "closing gives up what did not arrive"
        with pytest.raises(BusLost, match=topic.name) as caught:
            producer.flush(PATIENCE_S)
        assert time.monotonic() - began < 9
        assert "pixels" not in str(caught.value)
        with pytest.raises(BusLost):
            producer.publish(Record(topic, "camera-1", b"1"))
        with pytest.raises(BusLost):
            _ = producer.acknowledged
        assert list(consumer.poll(0.2)) == [], "an outage alone does not end a consumer"
        began = time.monotonic()
        bus.close()
        assert time.monotonic() - began < 10
