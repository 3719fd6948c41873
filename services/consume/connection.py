"""Connects those who look on: settings from the environment, a file or options, and where on the bus a camera lives."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from services.bus.interface import Bus
from services.bus.kafka_settings import KafkaSettings
from services.bus.topics import Topic
from services.consume.errors import ConsumeError

_PREFIX = "VEIL_KAFKA_"


class Connection(Protocol):
    """A bus, and what a reader without a group has to know of it."""

    @property
    def bus(self) -> Bus:
        """To read from."""

    def partitions(self, topic: Topic) -> int:
        """How many the topic has. Raises BusLost."""

    def partition_of(self, topic: Topic, camera_id: str) -> int:
        """Where the records of a camera are. Raises BusLost."""

    def close(self) -> None:
        """Releases what it holds."""


def kafka_settings(env: Path | None, **options: Any) -> KafkaSettings:
    """Settings from the environment, over it those of a file of VEIL_KAFKA_… lines, over both the options given.

    Raises ConsumeError with a sentence.
    """
    given = (_read(env) if env is not None else {}) | {
        key: value for key, value in options.items() if value is not None
    }
    try:
        return KafkaSettings(**given)
    except ValidationError as error:
        problem = error.errors()[0]
        name = str(problem["loc"][0]) if problem["loc"] else ""
        raise ConsumeError(f"{_PREFIX}{name.upper()}: {problem['msg'].lower()}") from error


def connect(settings: KafkaSettings) -> Connection:
    """Connects to Kafka. Raises BusLost with a sentence where no broker answers or it refuses the user."""
    from services.bus.kafka import KafkaBus

    return _KafkaConnection(settings, KafkaBus(settings))


@dataclass(frozen=True, slots=True)
class _KafkaConnection:
    settings: KafkaSettings
    bus: Bus

    def partitions(self, topic: Topic) -> int:
        import kafka

        from services.bus.kafka_client import check_topics, client_options

        client = kafka.KafkaConsumer(group_id=None, **client_options(self.settings))
        with closing(client):
            client._cluster.add_topic(topic.name)
            check_topics(client, (topic.name,))
            return len(client.partitions_for_topic(topic.name))

    def partition_of(self, topic: Topic, camera_id: str) -> int:
        from kafka.partitioner.default import murmur2

        # Kafka's own rule for keys, the same in every client: the hash without its sign.
        hashed: int = murmur2(camera_id.encode()) & 0x7FFFFFFF
        return hashed % self.partitions(topic)

    def close(self) -> None:
        self.bus.close()


def _read(path: Path) -> dict[str, str]:
    """The settings in a file of lines NAME=VALUE; other names are for others."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConsumeError(f"{path}: can't be read") from error
    pairs = (line.strip().removeprefix("export ").split("=", 1) for line in lines if "=" in line)
    found = {
        name.strip().removeprefix(_PREFIX).lower(): value.strip().strip("\"'")
        for name, value in pairs
        if name.strip().startswith(_PREFIX)
    }
    if not found:
        raise ConsumeError(f"{path} holds no line {_PREFIX}…=…")
    return found
