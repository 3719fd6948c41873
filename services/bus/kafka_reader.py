"""Reads a topic of Kafka without a group."""

import threading
import time
from collections.abc import Callable, Collection, Sequence

import kafka
from kafka.errors import KafkaError

from services.bus.interface import BusClosed, BusLost, Message, Start, TopicPartition
from services.bus.kafka_client import (
    DENIED,
    BusUnreachable,
    check_topics,
    milliseconds,
    sentence,
)
from services.bus.kafka_consumer import fetch_options, messages_of
from services.bus.kafka_settings import KafkaSettings
from services.bus.topics import Topic

_SLICE_S = 0.1
_RETRY_S = 0.1

Offsets = dict[kafka.TopicPartition, int]


class KafkaBusReader:
    """Reads partitions from a start on. Raises BusUnreachable where the topic is missing or may not be read."""

    def __init__(
        self,
        settings: KafkaSettings,
        topic: Topic,
        start: Start,
        partitions: Collection[int] | None,
        forget: Callable[["KafkaBusReader"], None],
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._forget = forget
        self._troubled_since: float | None = None
        self._lock = threading.RLock()
        self._closed = False
        try:
            self._client = kafka.KafkaConsumer(
                group_id=None, enable_auto_commit=False, auto_offset_reset="earliest", **fetch_options(settings)
            )
        except KafkaError as error:
            raise BusUnreachable(sentence(f"no reader on Kafka at {settings.bootstrap}", error)) from error
        try:
            self._next, self._ends = self._begin(start, partitions)
        except KafkaError as error:
            self.close()
            raise BusLost(sentence(f"{topic.name} can't be read", error)) from error
        except BusLost:
            self.close()
            raise

    def poll(self, timeout_s: float, max_records: int = 64) -> Sequence[Message]:
        """Up to `max_records` messages, each partition in order; empty after `timeout_s`. Raises BusLost if refused."""
        deadline = time.monotonic() + timeout_s
        with self._lock:
            while True:
                self._check_open()
                messages = self._fetch(max(0.0, min(deadline - time.monotonic(), _SLICE_S)), max_records)
                if messages or time.monotonic() >= deadline:
                    return messages

    @property
    def caught_up(self) -> bool:
        """True once all that was there when the reader was made has been given, or has expired."""
        self._check_open()
        return all(self._position(place) >= end for place, end in self._ends.items())

    def close(self) -> None:
        """Disconnects."""
        if self._closed:
            return
        self._closed = True
        held = self._lock.acquire(timeout=1.0)
        try:
            self._client.close(autocommit=False)
        finally:
            self._forget(self)
            if held:
                self._lock.release()

    def _begin(self, start: Start, partitions: Collection[int] | None) -> tuple[Offsets, Offsets]:
        """Seeks to the start; returns first and end offsets."""
        topic = self._topic.name
        self._client._cluster.add_topic(topic)
        check_topics(self._client, (topic,))
        numbers = self._client._cluster.partitions_for_topic(topic).intersection(
            self._client._cluster.partitions_for_topic(topic) if partitions is None else partitions
        )
        places = [kafka.TopicPartition(topic, number) for number in sorted(numbers)]
        self._client.assign(places)
        timeout_ms = milliseconds(self._settings.request_timeout_s)
        oldest = self._client.beginning_offsets(places, timeout_ms=timeout_ms)
        ends = self._client.end_offsets(places, timeout_ms=timeout_ms)
        late = dict[kafka.TopicPartition, int]()
        if start.at == "time":
            # Kafka counts milliseconds: the first that is not before the microsecond asked for.
            wanted = dict.fromkeys(places, -(-start.value // 1000))
            found = self._client.offsets_for_times(wanted, timeout_ms=timeout_ms)
            late = {place: ends[place] if hit is None else hit.offset for place, hit in found.items()}
        first = {place: _first(start, oldest[place], ends[place], late.get(place, 0)) for place in places}
        for place, offset in first.items():
            self._client.seek(place, offset)
        return first, ends

    def _fetch(self, wait_s: float, max_records: int) -> list[Message]:
        try:
            batches = self._client.poll(timeout_ms=milliseconds(wait_s), max_records=max_records)
        except KafkaError as error:
            self._note_trouble(error)
            return []
        self._troubled_since = None
        messages: list[Message] = []
        for place, batch in batches.items():
            messages += messages_of(self._topic, TopicPartition(place.topic, place.partition), batch)
            self._next[place] = batch[-1].offset + 1
        return messages

    def _note_trouble(self, error: KafkaError) -> None:
        """Goes on after an error that may pass, from the last message given. Raises BusLost otherwise."""
        now = time.monotonic()
        self._troubled_since = self._troubled_since or now
        if isinstance(error, DENIED) or now - self._troubled_since > self._settings.delivery_timeout_s:
            raise BusLost(sentence(f"{self._topic.name} can't be read", error)) from error
        for place, offset in self._next.items():
            self._client.seek(place, offset)
        time.sleep(_RETRY_S)

    def _position(self, place: kafka.TopicPartition) -> int:
        """Next offset: past the last message given, or further where the log has moved on without records."""
        position = self._client.position(place, timeout_ms=0)
        return self._next[place] if position is None else max(self._next[place], position)

    def _check_open(self) -> None:
        if self._closed:
            raise BusClosed("the reader is closed")


def _first(start: Start, oldest: int, end: int, late: int) -> int:
    match start.at:
        case "oldest":
            return oldest
        case "newest":
            return end
        case "last":
            return max(oldest, end - start.value)
        case "offset":
            return min(end, max(oldest, start.value))
        case "time":
            return late
