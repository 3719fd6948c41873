"""Topics and access on a real broker: as the table says, found when they differ, mended, and expired for real."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    ConfigResourceType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
)

from deploy.stack.kafka import KafkaServer
from services.bus.kafka_admin import AdminError, KafkaAdmin
from services.bus.kafka_client import client_options
from services.bus.kafka_table import Acl, kafka_topics
from services.bus.topics import TOPICS

WAIT_S = 10
MARK = b"a picture that has to go, 0123456789abcdef"
ROGUE = ACL(
    "User:analytics",
    "*",
    ACLOperation.READ,
    ACLPermissionType.ALLOW,
    ResourcePattern(ResourceType.TOPIC, "video.source", ACLResourcePatternType.LITERAL),
)


@pytest.fixture
def client(kafka: KafkaServer) -> Iterator[KafkaAdminClient]:
    with closing(KafkaAdminClient(**client_options(kafka.settings("admin")))) as client:
        yield client


@pytest.fixture
def admin(kafka: KafkaServer) -> Iterator[KafkaAdmin]:
    with KafkaAdmin(kafka.settings("admin")) as admin:
        yield admin


def configs(client: KafkaAdminClient, name: str) -> dict[str, str]:
    answer = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all")
    return {key: entry["value"] for key, entry in answer["topic"][name].items()}


def test_topics_on_the_broker_are_those_of_the_table(kafka: KafkaServer, client: KafkaAdminClient) -> None:
    wanted = kafka_topics(kafka.settings("admin"))
    there = {topic["name"]: topic for topic in client.describe_topics() if not topic["is_internal"]}
    assert {*there} >= {topic.name for topic in wanted}
    for topic in wanted:
        assert len(there[topic.name]["partitions"]) == topic.partitions
        assert configs(client, topic.name).items() >= topic.configs.items()


def test_retention_on_the_broker_is_that_of_the_table(client: KafkaAdminClient) -> None:
    for topic in TOPICS:
        assert int(configs(client, topic.name)["retention.ms"]) == topic.retention.total_seconds() * 1000


def test_a_prepared_broker_needs_nothing(kafka: KafkaServer, admin: KafkaAdmin) -> None:
    assert admin.plan().empty
    kafka.prepare()
    assert admin.plan().empty


def test_i4_one_rule_too_many_is_found_and_removed(client: KafkaAdminClient, admin: KafkaAdmin) -> None:
    client.create_acls([ROGUE])
    plan = admin.plan()
    assert plan.remove == (Acl("User:analytics", "TOPIC", "video.source", "READ"),)
    assert not plan.add
    admin.apply(plan)
    assert admin.plan().empty


def test_a_missing_rule_and_a_changed_setting_are_mended(client: KafkaAdminClient, admin: KafkaAdmin) -> None:
    decoder = ResourcePattern(ResourceType.TOPIC, "video.source", ACLResourcePatternType.LITERAL)
    client.delete_acls([ACLFilter("User:decoder", "*", ACLOperation.WRITE, ACLPermissionType.ALLOW, decoder)])
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "video.source", {"retention.ms": "-1"})])
    plan = admin.plan()
    assert plan.add == (Acl("User:decoder", "TOPIC", "video.source", "WRITE"),)
    assert plan.configs == {"video.source": {"retention.ms": "600000"}}
    admin.apply(plan)
    assert admin.plan().empty


def test_another_number_of_partitions_is_refused_and_nothing_is_changed(
    kafka: KafkaServer, client: KafkaAdminClient, admin: KafkaAdmin
) -> None:
    client.create_acls([ROGUE])
    with KafkaAdmin(kafka.settings("admin").model_copy(update={"partitions": 4})) as other:
        plan = other.plan()
        with pytest.raises(AdminError, match="VEIL_KAFKA_PARTITIONS"):
            other.apply(plan)
    still = admin.plan()
    assert still.remove
    admin.apply(still)


def test_who_is_not_the_administrator_gets_a_sentence(kafka: KafkaServer) -> None:
    with KafkaAdmin(kafka.settings("decoder")) as admin, pytest.raises(AdminError, match="could not be read"):
        admin.plan()


def test_i8_a_source_picture_is_gone_from_the_brokers_disk_after_its_retention(
    kafka: KafkaServer, client: KafkaAdminClient
) -> None:
    """The settings of video.source, only faster; nothing more is written, so the open segment itself has to go."""
    (source,) = (topic for topic in kafka_topics(kafka.settings("admin")) if topic.name == "video.source")
    faster = source.configs | {"retention.ms": "1000", "segment.ms": "100"}
    client.create_topics(
        {"expiry": {"num_partitions": 1, "replication_factor": 1, "configs": faster}}, wait_for_metadata=True
    )
    try:
        with closing(KafkaProducer(**client_options(kafka.settings("admin")))) as producer:
            producer.send("expiry", MARK).get(timeout=WAIT_S)
        assert on_disk(kafka, MARK)
        deadline = time.monotonic() + 25
        while on_disk(kafka, MARK):
            assert time.monotonic() < deadline, "the picture is still on the disk"
            time.sleep(0.5)
    finally:
        client.delete_topics(["expiry"])


def on_disk(kafka: KafkaServer, mark: bytes) -> bool:
    for folder in kafka.data_folders:
        for path in folder.rglob("*.log*"):
            try:
                found = mark in path.read_bytes()
            except FileNotFoundError:
                continue
            if found:
                return True
    return False


def test_i6_a_broker_that_was_killed_goes_on_with_its_data(kafka: KafkaServer) -> None:
    partition = TopicPartition("audit", 0)
    options = client_options(kafka.settings("admin"))
    with closing(KafkaProducer(**options, acks="all")) as producer:
        offset = producer.send("audit", b"before", partition=0).get(timeout=WAIT_S).offset
    kafka.kill()
    kafka.start()
    with closing(KafkaConsumer(**options, group_id=None)) as consumer:
        consumer.assign([partition])
        consumer.seek(partition, offset)
        (record,) = consumer.poll(timeout_ms=WAIT_S * 1000)[partition]
    assert (record.offset, record.value) == (offset, b"before")
    with KafkaAdmin(kafka.settings("admin")) as admin:
        assert admin.plan().empty
