"""The bus of one process: the promises of a broker, kept in memory, with pictures passed by reference."""

import threading
import time
from collections.abc import Collection, Mapping, Sequence

from services.bus.clock import Clock, now_us
from services.bus.interface import (
    BusClosed,
    Committable,
    Message,
    RebalanceListener,
    Record,
    Start,
    TopicPartition,
)
from services.bus.memory_group import Group, Member
from services.bus.memory_log import PartitionLog, TopicLog
from services.bus.memory_reader import MemoryReader
from services.bus.topics import Topic

# Ten seconds of a 50 Mbit/s stream, or twenty pictures of 1080p in 4:2:0.
DEFAULT_LIMIT = 64 << 20


class MemoryBus:
    """Topics, groups and their offsets in one process. Any thread may use it.

    Args:
        partitions: of every topic, so that all can be joined.
        groups: groups that must read a topic. Its records wait for them even before they have a member, or while they
            have none. Any other group is waited for while it has a member.
        limits: bytes that may wait in a topic, where that is not `limit`.
        limit: bytes that may wait in any other topic.
        clock: wall clock of the messages' timestamps, in microseconds.
    """

    def __init__(
        self,
        partitions: int = 1,
        groups: Mapping[Topic, Collection[str]] | None = None,
        limits: Mapping[Topic, int] | None = None,
        limit: int = DEFAULT_LIMIT,
        clock: Clock = now_us,
    ) -> None:
        if partitions < 1:
            raise ValueError(f"a topic needs at least one partition, not {partitions}")
        self.partitions = partitions
        self.clock = clock
        self.lock = threading.RLock()
        self.space = threading.Condition(self.lock)
        self.closed = False
        self._limits = {topic.name: bytes_ for topic, bytes_ in (limits or {}).items()}
        self._limit = limit
        self._logs: dict[str, TopicLog] = {}
        self._groups: dict[str, Group] = {}
        for topic, names in (groups or {}).items():
            for name in names:
                self._groups.setdefault(name, Group()).declare(topic.name)
            self.log(topic)

    def producer(self) -> "MemoryProducer":
        """A new producer."""
        with self.lock:
            self.check_open()
            return MemoryProducer(self)

    def consumer(
        self, group: str, topics: Collection[Topic], listener: RebalanceListener | None = None
    ) -> "MemoryConsumer":
        """A new member of `group`. A new group starts at the oldest record."""
        with self.lock:
            self.check_open()
            for topic in topics:
                self.log(topic)
            member = Member(frozenset(topic.name for topic in topics), self.lock)
            joined = self._groups.setdefault(group, Group())
            joined.join(member, self.partitions)
            self.regroup(member.topics)
            return MemoryConsumer(self, joined, member, listener)

    def reader(self, topic: Topic, start: Start, partitions: Collection[int] | None = None) -> MemoryReader:
        """A reader of what the topic still holds."""
        with self.lock:
            self.check_open()
            return MemoryReader(self, topic, start, partitions)

    def close(self) -> None:
        """Ends the bus: whatever waits on it, or uses it afterwards, gets BusClosed."""
        with self.lock:
            self.closed = True
            self.space.notify_all()
            for group in self._groups.values():
                for member in group.members:
                    member.wake.notify()

    def check_open(self) -> None:
        """Raises BusClosed."""
        if self.closed:
            raise BusClosed("the bus is closed")

    def log(self, topic: Topic) -> TopicLog:
        """The records of a topic, which comes into being here."""
        log = self._logs.get(topic.name)
        if log is None:
            log = TopicLog(topic, self.partitions, self._limits.get(topic.name, self._limit))
            self._logs[topic.name] = log
            log.regroup(self._groups.values())
        return log

    def partition(self, source: TopicPartition) -> PartitionLog:
        """The log of an assigned partition."""
        return self._logs[source.topic].partitions[source.partition]

    def settle(self, source: TopicPartition) -> None:
        """Frees what the groups have read or committed, and tells those who wait for room."""
        self._logs[source.topic].settle(self.partition(source))
        self.space.notify_all()

    def regroup(self, topics: Collection[str]) -> None:
        """Counts the groups of these topics anew."""
        for name in topics:
            self._logs[name].regroup(self._groups.values())
        self.space.notify_all()

    def wake_readers(self, source: TopicPartition) -> None:
        """Wakes the consumers that own a partition."""
        for group in self._groups.values():
            member = group.owners.get(source)
            if member is not None and source not in member.paused:
                member.wake.notify()


class MemoryProducer:
    """Publishes into a MemoryBus."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self._closed = False
        self._refused: Record | None = None
        self._published = 0

    @property
    def acknowledged(self) -> int:
        """All that was published."""
        return self._published

    def publish(self, record: Record) -> None:
        """Puts one record at the end of its partition. Raises BusFull where too many bytes wait in its topic."""
        bus = self._bus
        with bus.lock:
            self._check_open()
            self._refused = record  # unless the next line succeeds
            partition = bus.log(record.topic).append(record, bus.clock())
            self._refused = None
            self._published += 1
            bus.wake_readers(partition.source)

    def wait(self, timeout_s: float) -> None:
        """After BusFull: waits until the refused record would fit, at most `timeout_s`."""
        with self._bus.lock:
            self._check_open()
            record = self._refused
            if record is not None:
                log = self._bus.log(record.topic)
                self._bus.space.wait_for(lambda: self._bus.closed or log.fits(record), timeout_s)
                self._check_open()

    def flush(self, timeout_s: float) -> None:  # noqa: ARG002 - nothing is ever under way here
        """Returns at once: what was taken is published."""
        with self._bus.lock:
            self._check_open()

    def close(self) -> None:
        """Refuses further records."""
        self._closed = True

    def _check_open(self) -> None:
        self._bus.check_open()
        if self._closed:
            raise BusClosed("the producer is closed")


class MemoryConsumer:
    """Reads from a MemoryBus as one member of a group."""

    rebalancing = False  # over before `poll` returns
    holds = True  # a partition goes only once its owner has polled, or closed

    def __init__(self, bus: MemoryBus, group: Group, member: Member, listener: RebalanceListener | None) -> None:
        self._listener = listener
        self._bus = bus
        self._group = group
        self._member = member
        self._closed = False

    def poll(self, timeout_s: float, max_records: int = 64) -> Sequence[Message]:
        """Up to `max_records` messages, each partition in order; empty after `timeout_s`. Skips paused partitions."""
        deadline = time.monotonic() + timeout_s
        with self._bus.lock:
            while True:
                self._check_open()
                self._rebalance()
                messages = self._take(max_records)
                left = deadline - time.monotonic()
                if messages or left <= 0:
                    return messages
                self._member.wake.wait(left)

    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions this consumer reads now."""
        with self._bus.lock:
            self._check_open()
            return frozenset(self._member.positions)

    def partition_of(self, topic: Topic, key: str) -> int:
        """The partition that records of this key are in."""
        with self._bus.lock:
            self._check_open()
            return self._bus.log(topic).partition_of(key)

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Leaves these out of `poll` until `resume`; those of other members are passed over."""
        with self._bus.lock:
            self._check_open()
            self._member.paused |= self._member.positions.keys() & partitions

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        """Takes these into `poll` again."""
        with self._bus.lock:
            self._check_open()
            self._member.paused -= set(partitions)

    def commit(self, offsets: Mapping[TopicPartition, Committable]) -> None:
        """Records what is finished, all or nothing.

        Raises ValueError on a partition that is not assigned, or an offset below the committed one or past the end.
        """
        with self._bus.lock:
            self._check_open()
            for source, committable in offsets.items():
                self._check_commit(source, committable.next_offset)
            for source, committable in offsets.items():
                self._group.committed[source] = committable
                self._group.note_given(source, committable.next_offset)
                self._bus.settle(source)

    def committed(self, partition: TopicPartition) -> Committable | None:
        """What the group last committed there."""
        with self._bus.lock:
            self._check_open()
            return self._group.committed.get(partition)

    def lag(self) -> Mapping[TopicPartition, int]:
        """Messages between this consumer's position and the end, per assigned partition."""
        with self._bus.lock:
            self._check_open()
            return {source: self._lag(source, position) for source, position in self._member.positions.items()}

    def close(self) -> None:
        """Leaves the group; its partitions go to the others, who read on from the committed offsets."""
        with self._bus.lock:
            if not self._closed:
                self._closed = True
                self._group.leave(self._member, self._bus.partitions)
                self._bus.regroup(self._member.topics)
                self._member.wake.notify()

    def _rebalance(self) -> None:
        leaving = self._group.leaving(self._member)
        if leaving and self._listener is not None:
            self._listener.settle(leaving)
        self._group.settle(self._member)
        if leaving and self._listener is not None:
            self._listener.release(leaving)

    def _take(self, max_records: int) -> list[Message]:
        """The next messages; a partition that gave some goes to the end of the queue, so that none starves."""
        messages: list[Message] = []
        positions = self._member.positions
        for source in tuple(positions):
            if source in self._member.paused:
                continue
            partition = self._bus.partition(source)
            first = max(positions[source], partition.start)
            last = min(partition.end, first + max_records - len(messages))
            if first < last:
                messages += [partition.messages[offset] for offset in range(first, last)]
                del positions[source]
                positions[source] = last
                self._group.note_given(source, last)
                self._bus.settle(source)
        return messages

    def _check_commit(self, source: TopicPartition, next_offset: int) -> None:
        if source not in self._member.positions:
            raise ValueError(f"{source} is not assigned to this consumer")
        partition = self._bus.partition(source)
        lowest = self._group.next_offset(source)
        if not lowest <= next_offset <= partition.end:
            raise ValueError(f"{source}: can't commit offset {next_offset} outside of {lowest} to {partition.end}")

    def _lag(self, source: TopicPartition, position: int) -> int:
        partition = self._bus.partition(source)
        return partition.end - max(position, partition.start)

    def _check_open(self) -> None:
        self._bus.check_open()
        if self._closed:
            raise BusClosed("the consumer is closed")
