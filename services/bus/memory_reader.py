"""Looks at a topic in memory without a group: only at what it still holds."""

import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from services.bus.interface import BusClosed, Message, Start
from services.bus.memory_log import PartitionLog
from services.bus.topics import Topic

if TYPE_CHECKING:
    from services.bus.memory import MemoryBus

_LOOK_EVERY_S = 0.005


class MemoryReader:
    """Reads partitions of a MemoryBus from a start on. Records that every group has finished are gone."""

    def __init__(self, bus: "MemoryBus", topic: Topic, start: Start, partitions: Collection[int] | None) -> None:
        self._bus = bus
        self._closed = False
        logs = bus.log(topic).partitions
        self._logs = [log for number, log in enumerate(logs) if partitions is None or number in partitions]
        self._positions = {log.source: _first(log, start) for log in self._logs}
        self._ends = {log.source: log.end for log in self._logs}

    def poll(self, timeout_s: float, max_records: int = 64) -> Sequence[Message]:
        """Up to `max_records` messages, each partition in order; empty after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while True:
            with self._bus.lock:
                self._bus.check_open()
                if self._closed:
                    raise BusClosed("the reader is closed")
                messages = self._take(max_records)
            if messages or time.monotonic() >= deadline:
                return messages
            time.sleep(_LOOK_EVERY_S)

    @property
    def caught_up(self) -> bool:
        """True once all that was there when the reader was made has been given."""
        return all(self._positions[source] >= end for source, end in self._ends.items())

    def close(self) -> None:
        """Refuses to read on."""
        self._closed = True

    def _take(self, max_records: int) -> list[Message]:
        messages: list[Message] = []
        for log in self._logs:
            first = max(self._positions[log.source], log.start)
            last = min(log.end, first + max_records - len(messages))
            messages += [log.messages[offset] for offset in range(first, last)]
            self._positions[log.source] = max(first, last)
        return messages


def _first(log: PartitionLog, start: Start) -> int:
    match start.at:
        case "oldest":
            return log.start
        case "newest":
            return log.end
        case "last":
            return max(log.start, log.end - start.value)
        case "offset":
            return min(log.end, max(log.start, start.value))
        case "time":
            late = (offset for offset in range(log.start, log.end) if log.messages[offset].timestamp_us >= start.value)
            return next(late, log.end)
