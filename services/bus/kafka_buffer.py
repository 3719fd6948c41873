"""Messages that were fetched and not given yet, shared out fairly between partitions."""

from collections import deque
from collections.abc import Collection, Iterable

from services.bus.interface import Message, TopicPartition


class _Queue:
    """Messages of one partition, and the bytes of their values."""

    __slots__ = ("messages", "size")

    def __init__(self) -> None:
        self.messages: deque[Message] = deque()
        self.size = 0


class Buffer:
    """Queues of messages by partition.

    The library gives all it has of one partition before it turns to the next, so that a busy one would starve the
    others. Here a partition that gave some goes to the end of the line.

    Attributes:
        paused: partitions that are left out.
    """

    def __init__(self) -> None:
        self.paused: set[TopicPartition] = set()
        self._queues: dict[TopicPartition, _Queue] = {}

    def put(self, source: TopicPartition, messages: Iterable[Message]) -> None:
        """Adds messages, at least one, at the end of their partition."""
        queue = self._queues.setdefault(source, _Queue())
        for message in messages:
            queue.messages.append(message)
            queue.size += message.record.size

    def take(self, most: int) -> list[Message]:
        """At most `most` messages, each partition in order."""
        taken: list[Message] = []
        for source in [source for source in self._queues if source not in self.paused]:
            queue = self._queues.pop(source)
            while queue.messages and len(taken) < most:
                message = queue.messages.popleft()
                queue.size -= message.record.size
                taken.append(message)
            if queue.messages:
                self._queues[source] = queue
            if len(taken) == most:
                break
        return taken

    def drop(self, partitions: Collection[TopicPartition]) -> None:
        """Throws away what is held of these."""
        for source in partitions:
            self._queues.pop(source, None)

    def first(self, source: TopicPartition) -> int | None:
        """Offset of the next message of a partition; None where none is held."""
        queue = self._queues.get(source)
        return None if queue is None else queue.messages[0].position.offset

    @property
    def ready(self) -> int:
        """Bytes of the values that `take` would give."""
        return sum(queue.size for source, queue in self._queues.items() if source not in self.paused)

    @property
    def held_back(self) -> int:
        """Bytes of the values in paused partitions."""
        return sum(queue.size for source, queue in self._queues.items() if source in self.paused)

    def __bool__(self) -> bool:
        """True where `take` would give something."""
        return any(source not in self.paused for source in self._queues)
