"""The topic table is the one agreed on: who may write and read, and which topics hold source pixels."""

import ast
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from services.bus.kafka_table import kafka_acls
from services.bus.topics import TOPICS, Topic, dead_letters_of
from services.schema import pb

# Name, writers, readers, audience, sensitive, joined. Who may read a picture that is not masked is decided here alone.
AGREED = {
    ("cameras", "decoder", "decoder", "", False, False),
    ("video.source", "decoder", "renderer vault", "", True, True),
    ("frames.detect", "decoder", "inference", "", True, True),
    ("detections", "inference", "tracker", "", False, True),
    ("redactions", "tracker", "renderer vault", "", False, True),
    ("video.rendered", "renderer", "encoder", "", False, True),
    ("video.redacted", "encoder", "", "control-centre console auditor encoder", False, True),
    ("metadata.tracks", "tracker", "", "analytics console", False, False),
    ("metadata.stats", "tracker", "", "analytics console", False, False),
    ("audit", "vault disclosure console auditor", "", "auditor", False, False),
}
TRUSTED_WITH_PIXELS = {"decoder", "inference", "renderer", "vault", "disclosure"}
WITHOUT_PIXELS = ("cameras", "detections", "redactions", "metadata.tracks", "metadata.stats")

each_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)


def holds_bytes(message: Descriptor) -> bool:
    return any(
        field.type == FieldDescriptor.TYPE_BYTES or (field.message_type and holds_bytes(field.message_type))
        for field in message.fields
    )


def test_i4_the_table_is_the_agreed_one() -> None:
    table = {
        (t.name, " ".join(t.writers), " ".join(t.readers), " ".join(t.audience), t.sensitive, t.joined) for t in TOPICS
    }
    assert table == AGREED
    assert len(TOPICS) == len(AGREED)


def test_i4_only_trusted_services_touch_source_pixels() -> None:
    for topic in TOPICS:
        if topic.sensitive:
            assert {*topic.writers, *topic.readers, *topic.audience} <= TRUSTED_WITH_PIXELS


@each_topic
def test_the_message_of_every_topic_exists(topic: Topic) -> None:
    assert topic.message in pb.DESCRIPTOR.message_types_by_name
    assert dead_letters_of(topic).message in pb.DESCRIPTOR.message_types_by_name


@each_topic
def test_i3_dead_letters_hold_no_bytes_and_have_a_bounded_life(topic: Topic) -> None:
    letters = dead_letters_of(topic)
    assert letters.name == f"{topic.name}.dlq"
    assert letters.writers == topic.readers
    assert not letters.sensitive
    assert not holds_bytes(pb.DESCRIPTOR.message_types_by_name[letters.message])
    assert topic.retention.total_seconds() > 0


@pytest.mark.parametrize("name", WITHOUT_PIXELS)
def test_i3_metadata_has_no_field_that_could_hold_a_picture(name: str) -> None:
    (topic,) = (topic for topic in TOPICS if topic.name == name)
    assert not holds_bytes(pb.DESCRIPTOR.message_types_by_name[topic.message])


def test_a_source_picture_is_gone_from_the_broker_within_the_hour() -> None:
    assert all(topic.retention.total_seconds() <= 3600 for topic in TOPICS if topic.sensitive)


def test_i4_the_console_reads_what_is_masked_or_anonymous_and_nothing_else() -> None:
    everything = (*TOPICS, *map(dead_letters_of, TOPICS))
    assert {topic.name for topic in everything if "console" in (*topic.readers, *topic.audience)} == {
        "video.redacted",
        "metadata.tracks",
        "metadata.stats",
    }
    assert {topic.name for topic in everything if "console" in topic.writers} == {"audit"}
    assert {acl.name for acl in kafka_acls() if acl.principal == "User:console" and acl.resource == "TOPIC"} == {
        "video.redacted",
        "metadata.tracks",
        "metadata.stats",
        "audit",
    }


def test_i4_the_consoles_code_names_no_other_topic() -> None:
    allowed = {"VIDEO_REDACTED", "METADATA_TRACKS", "METADATA_STATS", "Topic"}
    for path in (Path(__file__).parents[2] / "services" / "console").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "services.bus.topics":
                assert {name.name for name in node.names} <= allowed, path
            assert not (isinstance(node, ast.Import) and any(name.name == "services.bus.topics" for name in node.names))
