"""What a bus promises: records, positions, and the verbs of producers and consumers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from services.bus.topics import Topic


class BusFull(Exception):
    """The byte budget is used up: keep the record and try again later. Nothing was published."""


class BusClosed(RuntimeError):
    """The bus, or this producer or consumer of it, was closed."""


class BusLost(Exception):
    """The broker was out of reach for longer than a record may wait, or another member took over meanwhile.

    What was under way is uncertain: only a fresh start from the committed offsets is right.
    """


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


@dataclass(frozen=True, slots=True)
class Start:
    """Where a reader without a group begins.

    Attributes:
        at: the oldest record, only new ones, the newest `value` records of each partition, the offset `value`, or the
            first record that is not older than `value` microseconds since 1970.
    """

    at: Literal["oldest", "newest", "last", "offset", "time"]
    value: int = 0


class Producer(Protocol):
    """Publishes records. Not shared between threads."""

    def publish(self, record: Record) -> None:
        """Takes one record without waiting. Raises BusFull over the byte budget, BusLost."""

    @property
    def acknowledged(self) -> int:
        """How many of the records taken are certainly on the bus, counted in the order of `publish` without a gap.

        Raises BusLost once one of them will never be: nothing that depends on it may be committed.
        """

    def wait(self, timeout_s: float) -> None:
        """After BusFull: waits until there may be room for the refused record, at most `timeout_s`."""

    def flush(self, timeout_s: float) -> None:
        """Waits until everything taken is published. Raises TimeoutError, BusLost."""

    def close(self) -> None:
        """Releases what it holds. Records not flushed may be lost."""


class RebalanceListener(Protocol):
    """Told within `poll` how a consumer's partitions change. Both verbs may use the consumer and the producer."""

    def settle(self, partitions: Collection[TopicPartition]) -> None:
        """These may go to another member, and commits still count: publish and commit what is finished, soon."""

    def release(self, partitions: Collection[TopicPartition]) -> None:
        """These are read by another member now: drop what is in hand of them.

        Should one come back, its messages start from the committed offset. It may come without `settle` where the
        group gave this consumer up.
        """


class Consumer(Protocol):
    """Reads the partitions of its group. Not shared between threads.

    A partition is read from the group's committed offset on by whoever takes it over. The assignment changes only in
    `poll`: a partition that is gone afterwards is another member's, its unfinished work is delivered again there. One
    that a member keeps through a rebalance is read on where it stood.
    """

    def poll(self, timeout_s: float, max_records: int = 64) -> Sequence[Message]:
        """Up to `max_records` messages, each partition in order; empty after `timeout_s`. Skips paused partitions."""

    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions this consumer reads now."""

    @property
    def rebalancing(self) -> bool:
        """True where `settle` was called and it is not known yet what goes: nothing more may be published meanwhile.

        Another member that gets a partition goes by what its topics hold by then.
        """

    @property
    def holds(self) -> bool:
        """True while nobody else can have been given these partitions, however long this process slept.

        Who works for its partitions without being given messages goes by this, and stops where it turns False.
        """

    def partition_of(self, topic: Topic, key: str) -> int:
        """Number of the partition, of one of its topics, that records of this key are in."""

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Leaves these out of `poll` until `resume`; the group membership lives on."""

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        """Takes these into `poll` again."""

    def commit(self, offsets: Mapping[TopicPartition, Committable]) -> None:
        """Records what is finished, all or nothing.

        While the broker is out of reach they are kept, and go with the next call. Raises ValueError on a partition
        that is not assigned or an offset that lies below the committed one.
        """

    def committed(self, partition: TopicPartition) -> Committable | None:
        """What the group last committed there."""

    def lag(self) -> Mapping[TopicPartition, int]:
        """Messages between this consumer's position and the end, per assigned partition."""

    def close(self) -> None:
        """Leaves the group; its partitions go to the others."""


class Reader(Protocol):
    """Reads a topic without a group: for those who look on, and for a stage that looks at what it wrote itself."""

    def poll(self, timeout_s: float, max_records: int = 64) -> Sequence[Message]:
        """Up to `max_records` messages, each partition in order; empty after `timeout_s`."""

    @property
    def caught_up(self) -> bool:
        """True once all that was there when the reader was made has been given."""

    def close(self) -> None:
        """Releases what it holds."""


class Bus(Protocol):
    """Makes producers, consumers and readers."""

    def producer(self) -> Producer:
        """A new producer."""

    def consumer(self, group: str, topics: Collection[Topic], listener: RebalanceListener | None = None) -> Consumer:
        """A new member of `group`. A new group starts at the oldest record."""

    def reader(self, topic: Topic, start: Start, partitions: Collection[int] | None = None) -> Reader:
        """A reader of these partitions, of all if there are none named."""

    def close(self) -> None:
        """Ends the bus and everything waiting on it, which raises BusClosed."""
