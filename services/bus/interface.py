"""What a bus promises: records, positions, and the verbs of producers and consumers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.bus.topics import Topic


class BusFull(Exception):
    """The byte budget is used up: keep the record and try again later. Nothing was published."""


class BusClosed(RuntimeError):
    """The bus, or this producer or consumer of it, was closed."""


class InvalidMessage(Exception):
    """A message that no retry can mend: it goes to the dead letters with this text as its reason."""


@dataclass(frozen=True, slots=True)
class Record:
    """One value to publish.

    Attributes:
        key: camera_id; records of one key keep their order.
        value: serialised protobuf message of the topic.
        attachment: pixels passed by reference, on the memory bus only. A reader must be able to do without it where
            the value says so, and never writes into it.
    """

    topic: Topic
    key: str
    value: bytes = field(repr=False)
    attachment: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)

    @property
    def size(self) -> int:
        """Bytes this record occupies in a queue."""
        return len(self.value) + (0 if self.attachment is None else self.attachment.nbytes)


@dataclass(frozen=True, slots=True, order=True)
class TopicPartition:
    """One partition of a topic, by the topic's name."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a message stands."""

    source: TopicPartition
    offset: int


@dataclass(frozen=True, slots=True)
class Message:
    """A record as a consumer gets it. Its repr never shows the payload."""

    record: Record
    position: Position
    timestamp_us: int


@dataclass(frozen=True, slots=True)
class Committable:
    """The next offset to read, never the last one read: the off-by-one can't be written by hand."""

    next_offset: int
    metadata: str = ""

    @classmethod
    def after(cls, position: Position, metadata: str = "") -> "Committable":
        """The commit that says `position` and everything before it is finished."""
        return cls(position.offset + 1, metadata)


class Producer(Protocol):
    """Publishes records. Not shared between threads."""

    def publish(self, record: Record) -> None:
        """Takes one record without waiting. Raises BusFull over the byte budget."""

    def wait(self, timeout_s: float) -> None:
        """After BusFull: waits until there may be room for the refused record, at most `timeout_s`."""

    def flush(self, timeout_s: float) -> None:
        """Waits until everything taken is published. Raises TimeoutError."""

    def close(self) -> None:
        """Releases what it holds. Records not flushed may be lost."""


class Consumer(Protocol):
    """Reads the partitions of its group. Not shared between threads.

    A partition is read from the group's committed offset on by whoever takes it over. The assignment changes only in
    `poll`: a partition that is gone afterwards is another member's, its unfinished work is delivered again there.
    """

    def poll(self, timeout_s: float, max_records: int = 64) -> Sequence[Message]:
        """Up to `max_records` messages, each partition in order; empty after `timeout_s`. Skips paused partitions."""

    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions this consumer reads now."""

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Leaves these out of `poll` until `resume`; the group membership lives on."""

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        """Takes these into `poll` again."""

    def commit(self, offsets: Mapping[TopicPartition, Committable]) -> None:
        """Records what is finished, all or nothing.

        Raises ValueError on a partition that is not assigned or an offset that lies below the committed one.
        """

    def committed(self, partition: TopicPartition) -> Committable | None:
        """What the group last committed there."""

    def lag(self) -> Mapping[TopicPartition, int]:
        """Messages between this consumer's position and the end, per assigned partition."""

    def close(self) -> None:
        """Leaves the group; its partitions go to the others."""


class Bus(Protocol):
    """Makes producers and consumers."""

    def producer(self) -> Producer:
        """A new producer."""

    def consumer(self, group: str, topics: Collection[Topic]) -> Consumer:
        """A new member of `group`. A new group starts at the oldest record."""

    def close(self) -> None:
        """Ends the bus and everything waiting on it, which raises BusClosed."""
