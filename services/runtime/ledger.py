"""Keeps count of which messages are finished, so that only a contiguous run of them is ever committed."""

from collections import deque
from collections.abc import Iterable, Mapping

from services.bus.interface import Committable, Position, TopicPartition


class Ledger:
    """Positions handed to a stage, in the order of their partitions, and which of them came back finished."""

    def __init__(self) -> None:
        self._open: dict[TopicPartition, deque[int]] = {}
        self._finished: dict[TopicPartition, set[int]] = {}
        self._ready: dict[TopicPartition, Committable] = {}

    def deliver(self, position: Position) -> None:
        """Notes that the stage was given this message. Offsets of a partition must rise."""
        queue = self._open.setdefault(position.source, deque())
        if queue and queue[-1] >= position.offset:
            raise ValueError(f"offset {position.offset} of {position.source} was delivered out of order")
        queue.append(position.offset)

    def finish(self, positions: Iterable[Position]) -> None:
        """Notes that these messages will not be needed again; those that are not open here are passed over."""
        touched = set()
        for position in positions:
            queue = self._open.get(position.source)
            if queue and position.offset >= queue[0]:
                self._finished.setdefault(position.source, set()).add(position.offset)
                touched.add(position.source)
        for source in touched:
            self._advance(source)

    def take_commits(self) -> Mapping[TopicPartition, Committable]:
        """What can be committed now and was not taken before."""
        ready, self._ready = self._ready, {}
        return ready

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Drops partitions that went to another member of the group."""
        for source in partitions:
            for table in (self._open, self._finished, self._ready):
                table.pop(source, None)

    @property
    def unfinished(self) -> int:
        """Messages handed out and not finished, over all partitions."""
        return sum(len(queue) for queue in self._open.values())

    def _advance(self, source: TopicPartition) -> None:
        queue, finished = self._open[source], self._finished[source]
        while queue and queue[0] in finished:
            offset = queue.popleft()
            finished.discard(offset)
            self._ready[source] = Committable.after(Position(source, offset))
