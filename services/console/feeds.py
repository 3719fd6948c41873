"""Where the console reads: a broker's topic without a group, or a group on the memory bus of one process."""

from collections.abc import Sequence

from services.bus.clock import now_us
from services.bus.interface import Bus, Committable, Message, Start
from services.bus.topics import Topic
from services.console.hub import READS

GROUP = "console"
# Longer than a group of pictures: a console that has just started can show every camera at once.
_BACK_US = 5_000_000
_RECORDS = 256


class BrokerFeed:
    """Every partition of a topic, from a moment ago on. Raises BusLost."""

    def __init__(self, bus: Bus, topic: Topic = READS) -> None:
        self._reader = bus.reader(topic, Start("time", now_us() - _BACK_US))

    def poll(self, timeout_s: float) -> Sequence[Message]:
        """What is there, waiting at most `timeout_s` for the first."""
        return self._reader.poll(timeout_s, _RECORDS)

    def close(self) -> None:
        """Leaves the broker."""
        self._reader.close()


class MemoryFeed:
    """A group on a memory bus, to be made before the line starts: the bus waits for it, so it must be polled."""

    def __init__(self, bus: Bus, topic: Topic = READS, group: str = GROUP) -> None:
        self._consumer = bus.consumer(group, (topic,))

    def poll(self, timeout_s: float) -> Sequence[Message]:
        """What is there, waiting at most `timeout_s` for the first."""
        messages = self._consumer.poll(timeout_s, _RECORDS)
        ends = {message.position.source: Committable.after(message.position) for message in messages}
        if ends:
            self._consumer.commit(ends)
        return messages

    def close(self) -> None:
        """Leaves the bus, which waits for it no longer."""
        self._consumer.close()
