"""The sharp edges of kafka-python, on a real broker: refusals, sizes, garbage, lost sessions."""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import kafka as library
import pytest
from kafka import KafkaAdminClient
from kafka.admin import MemberToRemove
from kafka.partitioner.default import murmur2

from deploy.stack.certificates import make_certificates
from deploy.stack.kafka import KafkaServer
from services.bus import kafka_client
from services.bus.interface import Bus, BusFull, BusLost, Committable, Message, Producer, Record, Start, TopicPartition
from services.bus.kafka import KafkaBus
from services.bus.kafka_client import BusUnreachable, client_options
from services.bus.kafka_settings import KafkaSettings
from services.bus.topics import DETECTIONS, METADATA_TRACKS, VIDEO_SOURCE, Topic
from tests.support.buses import PARTITIONS, PATIENCE_S, publish, put, read, topic_named, wait_for_share

_MIB = 1 << 20


@pytest.fixture
def admin(kafka: KafkaServer) -> Iterator[KafkaAdminClient]:
    with closing(KafkaAdminClient(**client_options(kafka.settings("admin")))) as client:
        yield client


@pytest.fixture
def fresh_topic(admin: KafkaAdminClient) -> Callable[..., Topic]:
    def make(**configs: str) -> Topic:
        name = f"edges.{uuid4().hex}"
        wanted = {"num_partitions": PARTITIONS, "replication_factor": 1, "configs": configs}
        admin.create_topics({name: wanted}, wait_for_metadata=True)
        return topic_named(name)

    return make


@pytest.fixture
def topic(fresh_topic: Callable[..., Topic]) -> Topic:
    return fresh_topic()


@pytest.fixture
def connect(kafka: KafkaServer) -> Iterator[Callable[..., KafkaBus]]:
    """Makes buses of a principal that are closed after the test."""
    made: list[KafkaBus] = []

    def make(principal: str = "admin", **changes: object) -> KafkaBus:
        made.append(KafkaBus(kafka.settings(principal).model_copy(update=changes)))
        return made[-1]

    yield make
    for bus in made:
        bus.close()


def insist(producer: Producer, record: Record) -> None:
    """Publishes a record and waits until it has arrived."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            producer.publish(record)
        except BusFull:
            producer.wait(0.1)
        else:
            producer.flush(PATIENCE_S)
            return


def lost(producer: Producer, record: Record) -> str:
    """Publishes what can't arrive; returns the sentence that says so."""
    with pytest.raises(BusLost) as caught:
        insist(producer, record)
    for use in (lambda: producer.publish(record), lambda: producer.flush(1), lambda: producer.acknowledged):
        with pytest.raises(BusLost):
            use()
    return str(caught.value)


# --- refusals at the start --------------------------------------------------------------------------------------------


def refusal(settings: KafkaSettings) -> str:
    began = time.monotonic()
    with pytest.raises(BusUnreachable) as caught:
        KafkaBus(settings)
    assert time.monotonic() - began < 10
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_broker_that_is_not_there(kafka: KafkaServer) -> None:
    text = refusal(KafkaSettings(bootstrap="127.0.0.1:9"))
    assert "127.0.0.1:9" in text


def test_a_wrong_password(kafka: KafkaServer, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("hunter2\n")
    text = refusal(kafka.settings("renderer").model_copy(update={"password_file": wrong}))
    assert "refuses user renderer" in text
    assert "hunter2" not in text


def test_an_authority_that_did_not_sign_the_brokers_certificate(kafka: KafkaServer, tmp_path: Path) -> None:
    make_certificates(tmp_path, "broker")
    text = refusal(kafka.settings("renderer").model_copy(update={"ca_file": tmp_path / "ca.pem"}))
    assert f"its certificate does not pass {tmp_path / 'ca.pem'}" in text


def test_plain_text_to_a_broker_with_tls(kafka: KafkaServer) -> None:
    assert kafka.bootstrap in refusal(KafkaSettings(bootstrap=kafka.bootstrap))


@pytest.mark.parametrize("name", ["ca_file", "password_file"])
def test_a_file_that_is_not_there(kafka: KafkaServer, tmp_path: Path, name: str) -> None:
    text = refusal(kafka.settings("renderer").model_copy(update={name: tmp_path / "none"}))
    assert str(tmp_path / "none") in text


# --- refusals afterwards ----------------------------------------------------------------------------------------------


def test_publishing_without_the_right_to(connect: Callable[..., KafkaBus]) -> None:
    text = lost(connect("renderer").producer(), Record(DETECTIONS, "camera-1", b"pixels"))
    assert "detections" in text
    assert "AuthorizationFailed" in text
    assert "pixels" not in text


def test_reading_without_the_right_to(connect: Callable[..., KafkaBus]) -> None:
    bus = connect("analytics")
    for attempt in (
        lambda: bus.reader(VIDEO_SOURCE, Start("oldest")),
        lambda: bus.consumer("analytics", [VIDEO_SOURCE]),
    ):
        began = time.monotonic()
        with pytest.raises(BusUnreachable, match=r"analytics may not read video\.source"):
            attempt()
        assert time.monotonic() - began < 10
    with closing(bus.reader(METADATA_TRACKS, Start("newest"))) as reader:
        assert reader.caught_up


def test_joining_the_group_of_another_principal(connect: Callable[..., KafkaBus]) -> None:
    consumer = connect("renderer").consumer("tracker", [VIDEO_SOURCE])
    with pytest.raises(BusLost, match="tracker"):
        read(consumer, 1)


def test_a_topic_that_is_not_there(connect: Callable[..., KafkaBus], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_client, "_TOPIC_S", 0.5)
    bus = connect(delivery_timeout_s=2, request_timeout_s=1)
    missing = topic_named("edges.missing")
    for attempt in (lambda: bus.reader(missing, Start("oldest")), lambda: bus.consumer("g", [missing])):
        with pytest.raises(BusUnreachable, match=r"edges\.missing"):
            attempt()
    producer = bus.producer()
    began = time.monotonic()
    with pytest.raises(BusFull):
        producer.publish(Record(missing, "camera-1", b"1"))
    assert time.monotonic() - began < 0.3, "the loop would stand still"
    assert "edges.missing" in lost(producer, Record(missing, "camera-1", b"1"))


# --- sizes and shapes -------------------------------------------------------------------------------------------------


def test_a_keyframe_of_eight_mib_passes(connect: Callable[..., KafkaBus]) -> None:
    picture = bytes(range(256)) * (8 * _MIB // 256)
    producer = connect("decoder").producer()
    reader = connect("renderer").reader(VIDEO_SOURCE, Start("newest"))
    put(producer, Record(VIDEO_SOURCE, "camera-1", picture))
    producer.flush(PATIENCE_S)
    deadline = time.monotonic() + PATIENCE_S
    messages: list[Message] = []
    while not messages and time.monotonic() < deadline:
        messages += reader.poll(0.1)
    assert messages[0].record.value == picture


def test_large_records_pass_a_consumer_with_a_small_fetch(connect: Callable[..., KafkaBus], topic: Topic) -> None:
    bus = connect(fetch_mb=1)
    producer = bus.producer()
    for number in range(20):
        put(producer, Record(topic, "camera-1", bytes([number]) * (2 * _MIB)))
    producer.flush(PATIENCE_S)
    messages = read(bus.consumer("g", [topic]), 20)
    assert [message.record.value[0] for message in messages] == list(range(20))


def test_a_record_that_the_broker_finds_too_large(
    connect: Callable[..., KafkaBus], fresh_topic: Callable[..., Topic]
) -> None:
    topic = fresh_topic(**{"max.message.bytes": "100000"})
    text = lost(connect().producer(), Record(topic, "camera-1", b"pixels" * 50_000))
    assert topic.name in text
    assert "pixels" not in text


def test_many_records_in_batches_larger_than_the_topic_takes(
    connect: Callable[..., KafkaBus], fresh_topic: Callable[..., Topic]
) -> None:
    topic = fresh_topic(**{"max.message.bytes": "300000"})
    bus = connect()
    producer = bus.producer()
    for number in range(60):
        put(producer, Record(topic, "camera-1", number.to_bytes(2, "big") + bytes(50_000)))
    producer.flush(PATIENCE_S)
    assert producer.acknowledged == 60
    messages = read(bus.consumer("g", [topic]), 60)
    assert [int.from_bytes(message.record.value[:2], "big") for message in messages] == list(range(60))


def test_a_record_larger_than_any_request(connect: Callable[..., KafkaBus], topic: Topic) -> None:
    assert topic.name in lost(connect().producer(), Record(topic, "camera-1", bytes(17 * _MIB)))


def test_a_missing_key_or_value_comes_as_an_empty_one(
    kafka: KafkaServer, connect: Callable[..., KafkaBus], topic: Topic
) -> None:
    with closing(library.KafkaProducer(**client_options(kafka.settings("admin")))) as foreign:
        foreign.send(topic.name, key=None, value=b"1", partition=0)
        foreign.send(topic.name, key=b"camera-1", value=None, partition=0)
        foreign.send(topic.name, key=b"\xff\xfe", value=b"3", headers=[("h", b"x")], partition=0)
        foreign.flush(PATIENCE_S)
    messages = read(connect().consumer("g", [topic]), 3)
    assert [message.record.value for message in messages] == [b"1", b"", b"3"]
    assert [message.record.key for message in messages] == ["", "camera-1", "\ufffd\ufffd"]


def test_keys_go_where_every_other_client_sends_them(connect: Callable[..., KafkaBus], topic: Topic) -> None:
    bus = connect()
    publish(bus, topic, range(12))
    for message in read(bus.consumer("g", [topic]), 12):
        expected = (murmur2(message.record.key.encode()) & 0x7FFFFFFF) % PARTITIONS
        assert message.position.source.partition == expected


def test_a_record_is_with_its_reader_within_a_moment(connect: Callable[..., KafkaBus], topic: Topic) -> None:
    bus = connect()
    producer, consumer = bus.producer(), bus.consumer("g", [topic])
    wait_for_share([consumer], PARTITIONS)
    took = []
    for _ in range(60):
        began = time.monotonic()
        put(producer, Record(topic, "camera-1", bytes(20_000)))
        assert read(consumer, 1)
        took.append(time.monotonic() - began)
    assert sorted(took)[len(took) // 2] < 0.05, "measured: 6 ms on an idle machine"


# --- lost sessions ----------------------------------------------------------------------------------------------------


class Journal:
    """Notes what a member is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, frozenset[TopicPartition]]] = []

    def settle(self, partitions: Collection[TopicPartition]) -> None:
        self.events.append(("settle", frozenset(partitions)))

    def release(self, partitions: Collection[TopicPartition]) -> None:
        self.events.append(("release", frozenset(partitions)))


def expel(admin: KafkaAdminClient, group: str) -> None:
    """Removes every member of the group, as the end of its session does."""
    described = admin.describe_groups([group])[group]
    members = [MemberToRemove(member_id=member["member_id"]) for member in described["members"]]
    assert members
    admin.remove_group_members(group, members)


def test_a_member_that_was_given_up_releases_and_starts_at_the_committed_offset(
    connect: Callable[..., KafkaBus], topic: Topic, admin: KafkaAdminClient
) -> None:
    bus: Bus = connect()
    publish(bus, topic, range(20), keys=["camera-1"])
    journal, group = Journal(), uuid4().hex
    consumer = bus.consumer(group, [topic], journal)
    messages = read(consumer, 20)
    place = messages[0].position.source
    consumer.commit({place: Committable.after(messages[4].position)})
    read(consumer, 1, patience_s=0.3)
    expel(admin, group)
    again = read(consumer, 15)
    assert [message.position for message in again] == [message.position for message in messages[5:]]
    assert journal.events == [("release", frozenset(TopicPartition(topic.name, n) for n in range(PARTITIONS)))]
    consumer.commit({place: Committable.after(again[-1].position)})


def test_a_commit_after_the_member_was_given_up_is_dropped(
    connect: Callable[..., KafkaBus], topic: Topic, admin: KafkaAdminClient
) -> None:
    bus = connect()
    publish(bus, topic, range(20), keys=["camera-1"])
    group = uuid4().hex
    consumer = bus.consumer(group, [topic])
    messages = read(consumer, 20)
    place = messages[0].position.source
    expel(admin, group)
    consumer.commit({place: Committable.after(messages[9].position)})
    assert [message.position for message in read(consumer, 20)] == [message.position for message in messages]
    consumer.commit({place: Committable.after(messages[2].position)})
    consumer.close()
    assert bus.consumer(group, [topic]).committed(place) == Committable(3)
