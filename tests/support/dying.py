"""A bus that ends the process that uses it, at the n-th thing it does, without a word to anybody."""

from collections.abc import Collection, Mapping, Sequence

from services.bus.interface import (
    Bus,
    Committable,
    Consumer,
    Message,
    Producer,
    Reader,
    RebalanceListener,
    Record,
    Start,
    TopicPartition,
)
from services.bus.topics import Topic


class Killed(Exception):
    """kill -9: nothing is drained, nothing more is committed."""


class DyingBus:
    """Passes everything on to `bus` until it has been used `uses` times."""

    def __init__(self, bus: Bus, uses: int) -> None:
        self.bus = bus
        self.left = uses

    def use(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def producer(self) -> "_Producer":
        return _Producer(self, self.bus.producer())

    def consumer(self, group: str, topics: Collection[Topic], listener: RebalanceListener | None = None) -> "_Consumer":
        return _Consumer(self, self.bus.consumer(group, topics, listener))

    def reader(self, topic: Topic, start: Start, partitions: Collection[int] | None = None) -> Reader:
        return self.bus.reader(topic, start, partitions)

    def close(self) -> None:
        raise AssertionError("a killed process closes nothing")


class _Producer:
    def __init__(self, bus: DyingBus, inner: Producer) -> None:
        self._bus, self._inner = bus, inner

    def publish(self, record: Record) -> None:
        self._bus.use()
        self._inner.publish(record)

    @property
    def acknowledged(self) -> int:
        return self._inner.acknowledged

    def wait(self, timeout_s: float) -> None:
        self._inner.wait(timeout_s)

    def flush(self, timeout_s: float) -> None:
        self._bus.use()
        self._inner.flush(timeout_s)

    def close(self) -> None:
        self._inner.close()


class _Consumer:
    rebalancing = False

    def __init__(self, bus: DyingBus, inner: Consumer) -> None:
        self._bus, self._inner = bus, inner

    def poll(self, timeout_s: float, max_records: int = 64) -> Sequence[Message]:
        self._bus.use()
        return self._inner.poll(timeout_s, max_records)

    def commit(self, offsets: Mapping[TopicPartition, Committable]) -> None:
        self._bus.use()
        self._inner.commit(offsets)

    def assignment(self) -> frozenset[TopicPartition]:
        return self._inner.assignment()

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        self._inner.pause(partitions)

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        self._inner.resume(partitions)

    def committed(self, partition: TopicPartition) -> Committable | None:
        return self._inner.committed(partition)

    def lag(self) -> Mapping[TopicPartition, int]:
        return self._inner.lag()

    def close(self) -> None:
        """The group notices that the member is gone."""
        self._inner.close()
