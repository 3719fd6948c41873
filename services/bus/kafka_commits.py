"""The offsets a consumer commits: kept until the broker has confirmed them, sent without waiting."""

import logging
import time
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import kafka
from kafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    KafkaError,
    RebalanceInProgressError,
    RetriableError,
    UnknownMemberIdError,
)

from services.bus.interface import BusLost, Committable, TopicPartition
from services.bus.kafka_client import milliseconds, sentence

_log = logging.getLogger(__name__)

# The group moves on without this member. What it may still commit afterwards is sent again, the rest is dropped when
# the partitions go.
_OVERTAKEN = (CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError)

Offsets = dict[TopicPartition, Committable]


class Commits:
    """What the group has committed of this member's partitions, and what is on the way.

    Args:
        client: the library's consumer.
        group: its group, for messages.
        timeout_s: after which an unanswered commit is sent again.
    """

    def __init__(self, client: kafka.KafkaConsumer, group: str, timeout_s: float) -> None:
        self._client = client
        self._group = group
        self._timeout_s = timeout_s
        self._patience_ends = 0.0
        self._committed: dict[TopicPartition, Committable | None] = {}
        self._wanted: Offsets = {}
        self._sent: Offsets = {}
        self._loss: str | None = None

    def known(self, source: TopicPartition) -> bool:
        """True where `committed` answers without asking the broker."""
        return source in self._committed

    def committed(self, source: TopicPartition) -> Committable | None:
        """The last commit of a known partition."""
        return self._committed[source]

    def learn(self, source: TopicPartition, committed: Committable | None) -> None:
        """Notes what the broker said."""
        self._committed[source] = committed

    def add(self, offsets: Mapping[TopicPartition, Committable]) -> None:
        """Takes offsets to commit, all or nothing. Raises ValueError where one would go back, BusLost."""
        for source, committable in offsets.items():
            last = self._committed.get(source)
            if last is not None and committable.next_offset < last.next_offset:
                raise ValueError(f"{source}: can't commit offset {committable.next_offset} below {last.next_offset}")
        self._committed.update(offsets)
        self._wanted.update(offsets)
        self.send()

    def send(self) -> None:
        """Sends what is wanted, if nothing is on the way. Raises BusLost where committing is not allowed."""
        if self._loss is not None:
            raise BusLost(self._loss)
        if not self._wanted or (self._sent and time.monotonic() < self._patience_ends):
            return
        self._sent, self._wanted = self._sent | self._wanted, {}
        self._patience_ends = time.monotonic() + self._timeout_s
        self._client.commit_async(_of_library(self._sent), callback=partial(self._answered, self._sent))

    def finish(self, timeout_s: float) -> None:
        """Sends what is wanted or on the way and waits for it; what did not arrive goes with the next."""
        self._wanted = self._sent | self._wanted
        self._sent = {}
        if not self._wanted:
            return
        try:
            self._client.commit(_of_library(self._wanted), timeout_ms=milliseconds(timeout_s))
        except KafkaError as error:
            self._note(error)
        else:
            self._wanted = {}

    def drop(self, partitions: Collection[TopicPartition]) -> None:
        """Forgets partitions that are another member's now."""
        for source in partitions:
            self._committed.pop(source, None)
            self._wanted.pop(source, None)
            self._sent.pop(source, None)

    def _answered(self, sent: Offsets, offsets: Any, answer: Any) -> None:  # noqa: ARG002, the library's shape
        """Called by the library within `poll` and `commit_async`, in the caller's thread."""
        if sent is not self._sent:
            return
        if isinstance(answer, Exception):
            self._wanted = self._sent | self._wanted
            self._note(answer)
        self._sent = {}

    def _note(self, error: Exception) -> None:
        if isinstance(error, (*_OVERTAKEN, RetriableError)):
            _log.info("a commit of group %s waits: %s", self._group, type(error).__name__)
        else:
            self._loss = sentence(f"group {self._group} can't commit", error)


def _of_library(offsets: Offsets) -> dict[kafka.TopicPartition, kafka.OffsetAndMetadata]:
    """With no leader epoch: it only guards against logs that lose what they had acknowledged."""
    return {
        kafka.TopicPartition(source.topic, source.partition): kafka.OffsetAndMetadata(
            committable.next_offset, committable.metadata, -1
        )
        for source, committable in offsets.items()
    }
