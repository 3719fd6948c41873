"""What the topic table means on a Kafka broker: topics with their settings, principals, and who may do what."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from services.bus.kafka_settings import KafkaSettings
from services.bus.topics import (
    FRAMES_DETECT,
    TOPICS,
    VIDEO_REDACTED,
    VIDEO_RENDERED,
    VIDEO_SOURCE,
    Topic,
    dead_letters_of,
)

FUSED = {"renderer-encoder": ("renderer", "encoder")}
"""Principal of a process that runs several stages → these stages. The topics between them stay inside the process."""

PICTURES = (VIDEO_SOURCE, FRAMES_DETECT, VIDEO_RENDERED, VIDEO_REDACTED)
"""Topics whose messages hold a picture."""

_MIB = 1024 * 1024
_MAX_PICTURE = 16 * _MIB
_MAX_MESSAGE = 1 * _MIB
# Kafka deletes whole segments only: a tenth more than its retention is the longest that a record stays.
_SEGMENTS_PER_RETENTION = 10
# Kafka's own default. Small topics that live for years would otherwise be one huge segment, or thousands of files.
_LONGEST_SEGMENT = timedelta(days=7)
_SEGMENT_BYTES = 256 * _MIB
_SENSITIVE_SEGMENT_BYTES = 64 * _MIB
_SENSITIVE_DELETE_DELAY = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class KafkaTopic:
    """A topic as the broker should have it. `configs` are Kafka's names and values."""

    name: str
    partitions: int
    replication: int
    joined: bool
    configs: dict[str, str]


@dataclass(frozen=True, slots=True, order=True)
class Acl:
    """One access rule, in Kafka's words.

    Attributes:
        principal: with its type, such as User:decoder.
        resource: TOPIC, GROUP, CLUSTER, …
        name: of the resource.
        operation: READ, WRITE, DESCRIBE, …
        pattern: LITERAL, or PREFIXED where `name` is how the resource's name begins.
        permission: ALLOW or DENY.
        host: address it holds for; * is any.
    """

    principal: str
    resource: str
    name: str
    operation: str
    pattern: str = "LITERAL"
    permission: str = "ALLOW"
    host: str = "*"


def all_topics() -> tuple[Topic, ...]:
    """The table and the dead letters of every topic that a stage reads."""
    return (*TOPICS, *(dead_letters_of(topic) for topic in TOPICS if topic.readers))


def principals() -> tuple[str, ...]:
    """Everyone who may log in, but for the administrator."""
    named = {name for topic in all_topics() for name in (*topic.writers, *topic.readers, *topic.audience)}
    return (*sorted(named), *FUSED)


def kafka_topics(settings: KafkaSettings) -> tuple[KafkaTopic, ...]:
    """The topics that the broker should have."""
    return tuple(
        KafkaTopic(
            topic.name,
            # Refused messages are rare, and are read best in the order in which they came.
            settings.partitions if topic in TOPICS else 1,
            settings.replication,
            topic.joined,
            _configs(topic, settings.replication),
        )
        for topic in all_topics()
    )


def kafka_acls() -> frozenset[Acl]:
    """The access rules that the broker should have: these and no others.

    WRITE on a topic allows idempotent producing too, since Kafka 3.0.
    """
    return frozenset(acl for topic in all_topics() for acl in _acls(topic))


def as_plain_data(settings: KafkaSettings) -> dict[str, list[dict[str, Any]]]:
    """Topics and access rules as lists of dicts, in a fixed order: to hold other descriptions of a broker against."""
    return {
        "topics": [asdict(topic) for topic in kafka_topics(settings)],
        "acls": [asdict(acl) for acl in sorted(kafka_acls())],
    }


def _configs(topic: Topic, replication: int) -> dict[str, str]:
    segment = min(topic.retention / _SEGMENTS_PER_RETENTION, _LONGEST_SEGMENT)
    configs = {
        "cleanup.policy": "delete",
        "retention.ms": _ms(topic.retention),
        # Only closed segments are deleted: by age and by size, so that a busy and a quiet topic both expire.
        "segment.ms": _ms(segment),
        "segment.bytes": str(_SENSITIVE_SEGMENT_BYTES if topic.sensitive else _SEGMENT_BYTES),
        # The broker's clock decides what is old: a producer with a wrong one can't make its records stay.
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(_MAX_PICTURE if topic in PICTURES else _MAX_MESSAGE),
        # One copy may be missing without stopping a camera; a write is never on one broker alone.
        "min.insync.replicas": str(max(1, replication - 1)),
        # Pictures are compressed already; the producer knows.
        "compression.type": "producer",
    }
    if topic.sensitive:
        # The usual minute between unlinking and deleting is a minute too long.
        configs["file.delete.delay.ms"] = _ms(_SENSITIVE_DELETE_DELAY)
    return configs


def _acls(topic: Topic) -> set[Acl]:
    acls: set[Acl] = set()
    for writer in _with_fused(topic.writers, topic):
        acls |= _on_topic(writer, topic, "WRITE")
    for reader in _with_fused(topic.readers, topic):
        # The group of a stage has the stage's name.
        acls |= _on_topic(reader, topic, "READ") | {Acl(f"User:{reader}", "GROUP", reader, "READ")}
    for viewer in _with_fused(topic.audience, topic):
        # Who looks on may have as many groups as it likes, as long as they carry its name.
        acls |= _on_topic(viewer, topic, "READ") | {Acl(f"User:{viewer}", "GROUP", viewer, "READ", "PREFIXED")}
    return acls


def _with_fused(names: tuple[str, ...], topic: Topic) -> tuple[str, ...]:
    """`names`, and the principals of processes that run one of these stages and meet the topic outside."""
    fused = (
        principal
        for principal, stages in FUSED.items()
        if not {*stages}.isdisjoint(names) and not ({*topic.writers} & {*stages} and {*topic.readers} & {*stages})
    )
    return (*names, *fused)


def _on_topic(principal: str, topic: Topic, operation: str) -> set[Acl]:
    return {Acl(f"User:{principal}", "TOPIC", topic.name, each) for each in (operation, "DESCRIBE")}


def _ms(time: timedelta) -> str:
    return str(round(time.total_seconds() * 1000))
