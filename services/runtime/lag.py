"""How far a stage is behind its topics in seconds: the age of the oldest message that it has not taken yet."""

from collections.abc import Mapping

from services.bus.interface import Message, TopicPartition


class Lag:
    """Bounds the age of messages that wait, from the times of those that were taken and of the last empty look.

    What waits behind a taken message is not older than that one, and what waits where nothing waited a moment ago is
    not older than that moment: so nothing has to be read ahead. Never too low, but for what clocks of broker and
    service differ.
    """

    def __init__(self) -> None:
        self._not_before_us: dict[TopicPartition, int] = {}

    def took(self, message: Message) -> None:
        """A message was received from its partition."""
        self._not_before_us[message.position.source] = message.timestamp_us

    def look(
        self, waiting: Mapping[TopicPartition, int], carried: Mapping[TopicPartition, Message], now_us: int
    ) -> dict[str, float]:
        """Seconds by topic, the worst of its partitions.

        Args:
            waiting: number of messages behind the last that was received, of every assigned partition.
            carried: oldest message that was received and that the stage could not take, where there is one.
            now_us: wall clock, in microseconds.
        """
        ages: dict[str, float] = {}
        known, self._not_before_us = self._not_before_us, {}
        for source, messages in waiting.items():
            oldest_us = now_us
            if messages:
                oldest_us = known.get(source, now_us)
            self._not_before_us[source] = oldest_us
            if source in carried:
                oldest_us = carried[source].timestamp_us
            ages[source.topic] = max(ages.get(source.topic, 0.0), (now_us - oldest_us) / 1e6)
        return ages
