"""The topic table as Kafka sees it, and the difference between that and what a broker has."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from services.bus.kafka_admin import Found, Plan, difference
from services.bus.kafka_settings import KafkaSettings
from services.bus.kafka_table import (
    PICTURES,
    Acl,
    KafkaTopic,
    all_topics,
    as_plain_data,
    kafka_acls,
    kafka_topics,
    principals,
)
from services.bus.topics import AUDIT, TOPICS
from services.schema import pb

SETTINGS = KafkaSettings(partitions=6, replication=3)
ROGUE = Acl("User:analytics", "TOPIC", "video.source", "READ")


def topics_by_name(settings: KafkaSettings = SETTINGS) -> dict[str, KafkaTopic]:
    return {topic.name: topic for topic in kafka_topics(settings)}


def plan_for(topics: Mapping[str, KafkaTopic] | None = None, acls: frozenset[Acl] | None = None) -> Plan:
    found = Found(topics_by_name() if topics is None else topics, kafka_acls() if acls is None else acls)
    return difference(kafka_topics(SETTINGS), kafka_acls(), found)


def holds_bytes(message: Descriptor) -> bool:
    return any(
        field.type == FieldDescriptor.TYPE_BYTES or (field.message_type and holds_bytes(field.message_type))
        for field in message.fields
    )


def test_every_topic_expires_by_age_and_size_and_the_brokers_clock() -> None:
    for topic, wanted in zip(all_topics(), kafka_topics(SETTINGS), strict=True):
        keep = int(wanted.configs["retention.ms"])
        assert keep == topic.retention / timedelta(milliseconds=1)
        assert int(wanted.configs["segment.ms"]) <= keep / 10
        assert int(wanted.configs["segment.bytes"]) >= int(wanted.configs["max.message.bytes"])
        assert wanted.configs["message.timestamp.type"] == "LogAppendTime"
        assert wanted.configs["cleanup.policy"] == "delete"


def test_source_pictures_are_off_the_disk_soon_after_they_expire() -> None:
    for topic, wanted in zip(all_topics(), kafka_topics(SETTINGS), strict=True):
        if topic.sensitive:
            assert int(wanted.configs["segment.ms"]) <= 60_000
            assert int(wanted.configs["file.delete.delay.ms"]) <= 1000


def test_a_large_keyframe_fits_wherever_pictures_travel() -> None:
    # The hashes of the audit chain are bytes too.
    with_pictures = {t for t in TOPICS if t != AUDIT and holds_bytes(pb.DESCRIPTOR.message_types_by_name[t.message])}
    assert {*PICTURES} == with_pictures
    large = {name for name, topic in topics_by_name().items() if int(topic.configs["max.message.bytes"]) > 8 << 20}
    assert large == {topic.name for topic in with_pictures}


def test_joined_topics_have_one_number_of_partitions() -> None:
    assert {topic.partitions for topic in kafka_topics(SETTINGS) if topic.joined} == {6}


@pytest.mark.parametrize(("replication", "in_sync"), [(1, "1"), (2, "1"), (3, "2")])
def test_a_write_needs_all_copies_but_one(replication: int, in_sync: str) -> None:
    topics = kafka_topics(KafkaSettings(replication=replication))
    assert {(topic.replication, topic.configs["min.insync.replicas"]) for topic in topics} == {(replication, in_sync)}


def test_i4_access_is_given_by_name_and_never_refused_by_exception() -> None:
    for acl in kafka_acls():
        assert acl.permission == "ALLOW"
        assert acl.name != "*"
        assert acl.principal.removeprefix("User:") in principals()
        assert acl.resource in {"TOPIC", "GROUP"}
        assert acl.operation in {"READ", "WRITE", "DESCRIBE"}
        assert acl.pattern == "LITERAL" or acl.resource == "GROUP"


def test_i4_a_group_is_open_to_its_own_stage_only() -> None:
    for acl in kafka_acls():
        if acl.resource == "GROUP":
            assert acl.name == acl.principal.removeprefix("User:")


def test_i4_a_fused_process_does_not_touch_the_topic_between_its_stages() -> None:
    rights = {(a.name, a.operation) for a in kafka_acls() if a.principal == "User:renderer-encoder"}
    assert rights - {(name, "DESCRIBE") for name, _ in rights} == {
        ("video.source", "READ"),
        ("redactions", "READ"),
        ("video.redacted", "READ"),
        ("video.redacted", "WRITE"),
        ("video.source.dlq", "WRITE"),
        ("redactions.dlq", "WRITE"),
        ("video.rendered.dlq", "WRITE"),
        ("renderer-encoder", "READ"),
    }


def test_a_broker_that_agrees_needs_nothing() -> None:
    assert plan_for().empty


def test_an_empty_broker_needs_everything() -> None:
    plan = plan_for({}, frozenset())
    assert plan == Plan(create=kafka_topics(SETTINGS), add=tuple(sorted(kafka_acls())))


def test_a_changed_setting_is_found() -> None:
    topics = topics_by_name()
    source = topics["video.source"]
    changed = replace(source, configs=source.configs | {"retention.ms": "-1", "segment.index.bytes": "7"})
    plan = plan_for(topics | {"video.source": changed})
    assert plan == Plan(configs={"video.source": {"retention.ms": "600000"}})


@pytest.mark.parametrize(
    "acl",
    [
        ROGUE,
        Acl("User:mallory", "TOPIC", "frames.detect", "READ"),
        Acl("User:mallory", "TOPIC", "video.", "READ", "PREFIXED"),
        Acl("User:mallory", "TOPIC", "*", "ALL"),
        Acl("User:mallory", "GROUP", "trac", "READ", "PREFIXED"),
        Acl("User:*", "TOPIC", "other", "READ"),
        Acl("User:analytics", "CLUSTER", "kafka-cluster", "ALTER"),
        Acl("User:decoder", "TOPIC", "video.source", "WRITE", host="10.0.0.1"),
        Acl("User:decoder", "TOPIC", "video.source", "WRITE", permission="DENY"),
    ],
    ids=str,
)
def test_i4_access_too_much_is_taken_away(acl: Acl) -> None:
    assert plan_for(acls=kafka_acls() | {acl}) == Plan(remove=(acl,))


@pytest.mark.parametrize(
    "acl",
    [
        Acl("User:billing", "TOPIC", "invoices", "READ"),
        Acl("User:billing", "TOPIC", "inv", "READ", "PREFIXED"),
        Acl("User:billing", "GROUP", "billing", "READ"),
        Acl("User:CN=broker", "CLUSTER", "kafka-cluster", "CLUSTER_ACTION"),
    ],
    ids=str,
)
def test_what_others_on_the_cluster_may_do_is_left_alone(acl: Acl) -> None:
    assert plan_for(acls=kafka_acls() | {acl}).empty


def test_joined_topics_that_do_not_match_are_a_problem() -> None:
    topics = topics_by_name()
    plan = plan_for(topics | {"redactions": replace(topics["redactions"], partitions=7)})
    assert len(plan.problems) == 2
    assert "frames would miss their masks" in plan.problems[0]
    assert "redactions 7" in plan.problems[0]
    assert "VEIL_KAFKA_PARTITIONS" in plan.problems[1]


def test_another_number_of_copies_is_a_problem() -> None:
    topics = topics_by_name()
    plan = plan_for(topics | {"audit": replace(topics["audit"], replication=1)})
    (problem,) = plan.problems
    assert "audit 1" in problem
    assert "VEIL_KAFKA_REPLICATION" in problem


def test_topics_and_access_are_plain_data_in_a_fixed_order() -> None:
    data = as_plain_data(SETTINGS)
    assert [topic["name"] for topic in data["topics"]] == [topic.name for topic in all_topics()]
    assert data["acls"] == sorted(data["acls"], key=lambda acl: tuple(acl.values()))
    assert len(data["acls"]) == len(kafka_acls())
