"""Messages that were fetched and not given yet, shared out fairly between partitions."""

from collections import deque
from collections.abc import Collection, Iterable

from services.bus.interface import Message, TopicPartition


class Buffer:
    """Queues of messages by partition.

    The library gives all it has of one partition before it turns to the next, so that a busy one would starve the
    others. Here a partition that gave some goes to the end of the line.

    Attributes:
        size: bytes of all values held.
        paused: partitions that are left out.
    """

    def __init__(self) -> None:
        self.size = 0
        self.paused: set[TopicPartition] = set()
        self._queues: dict[TopicPartition, deque[Message]] = {}

    def put(self, source: TopicPartition, messages: Iterable[Message]) -> None:
        """Adds messages at the end of their partition."""
        queue = self._queues.setdefault(source, deque())
        for message in messages:
            queue.append(message)
            self.size += message.record.size

    def take(self, most: int) -> list[Message]:
        """At most `most` messages, each partition in order."""
        taken: list[Message] = []
        for source in [source for source in self._queues if source not in self.paused]:
            queue = self._queues.pop(source)
            taken += [queue.popleft() for _ in range(min(most - len(taken), len(queue)))]
            if queue:
                self._queues[source] = queue
            if len(taken) == most:
                break
        self.size -= sum(message.record.size for message in taken)
        return taken

    def drop(self, partitions: Collection[TopicPartition]) -> None:
        """Throws away what is held of these."""
        for source in partitions:
            self.size -= sum(message.record.size for message in self._queues.pop(source, ()))

    def first(self, source: TopicPartition) -> int | None:
        """Offset of the next message of a partition; None where none is held."""
        queue = self._queues.get(source)
        return queue[0].position.offset if queue else None

    @property
    def ready(self) -> bool:
        """True where `take` would give something."""
        return any(source not in self.paused for source in self._queues)
