"""Says which cameras there are when the one that was asked for doesn't show up."""

import time
from collections.abc import Callable, Collection, Mapping

from services.bus.clock import Clock, now_us
from services.bus.interface import Bus, Start
from services.bus.topics import Topic
from services.consume.progress import Progress, duration_words

# The newest records of each partition: enough to name the cameras that are running.
_NEWEST = 40
_LOOK_S = 4.0
_POLL_S = 0.25
_AFTER_S = 5.0
_MOST_NAMED = 12


class Lookout:
    """Passes on to `progress` whether anything came, and looks around once where nothing did.

    Args:
        progress: tells.
        wanted: cameras that were asked for; empty if all are welcome.
        bus: looked at.
        topic: the one that is read.
        now: seconds, monotonic.
        clock: microseconds since 1970.
    """

    def __init__(
        self,
        progress: Progress,
        wanted: Collection[str],
        bus: Bus,
        topic: Topic,
        now: Callable[[], float] = time.monotonic,
        clock: Clock = now_us,
    ) -> None:
        self._progress, self._wanted, self._bus, self._topic = progress, wanted, bus, topic
        self._now, self._clock = now, clock
        self._look_at: float | None = now() + _AFTER_S if wanted else None

    def __call__(self, heard: bool) -> None:
        """To be called several times a second. What the bus raises passes through."""
        self._progress(heard)
        if heard:
            self._look_at = None
        elif self._look_at is not None and self._now() >= self._look_at:
            self._look_at = None
            seen = cameras_on(self._bus, self._topic)
            self._progress.tell(absence(self._wanted, self._topic.name, seen, self._clock()))


def cameras_on(bus: Bus, topic: Topic) -> dict[str, int]:
    """camera_id → time of its newest record in microseconds since 1970, of those among the newest of the topic.

    Takes at most a few seconds. What the bus raises passes through.
    """
    seen: dict[str, int] = {}
    deadline = time.monotonic() + _LOOK_S
    reader = bus.reader(topic, Start("last", _NEWEST))
    try:
        while not reader.caught_up and time.monotonic() < deadline:
            for message in reader.poll(_POLL_S):
                key = message.record.key
                seen[key] = max(message.timestamp_us, seen.get(key, 0))
    finally:
        reader.close()
    return seen


def absence(wanted: Collection[str], topic: str, seen: Mapping[str, int], now_us: int) -> str:
    """The sentence about cameras of which nothing came, with those that were seen: camera_id → newest record."""
    names = ", ".join(sorted(wanted))
    last = max((seen[camera_id] for camera_id in wanted if camera_id in seen), default=None)
    if last is not None:
        return f"{names}: silent, the newest record is {duration_words((now_us - last) / 1e6)} old; waiting"
    others = sorted(seen)
    if not others:
        return f"{names}: nothing yet, nor from any other camera on {topic}; waiting"
    more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
    return f"{names}: nothing yet; the newest of {topic} are from {', '.join(others[:_MOST_NAMED])}{more}; waiting"
