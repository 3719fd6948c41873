"""Publishes to Kafka: in order, once, within a byte budget, never waiting."""

import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from services.bus.interface import BusClosed, BusFull, BusLost, Record
from services.bus.kafka_client import BusUnreachable, data_options, milliseconds, sentence
from services.bus.kafka_settings import KafkaSettings

_log = logging.getLogger(__name__)

# A key, its place in the batch, and the library's future: measured with tracemalloc on CPython 3.11 at 1.1 KB a record.
_RECORD_OVERHEAD = 1200
# Larger batches mean fewer round trips, as only one of a partition is under way at a time.
_BATCH_BYTES = 1 << 20
_REQUEST_BYTES = 16 << 20
# The first record of a topic asks for the topic's partitions; loopback and LAN answer in a few ms.
_METADATA_S = 0.05
_CLOSE_S = 2.0


class _Sent(NamedTuple):
    topic: str
    size: int
    future: Any


class KafkaBusProducer:
    """One idempotent producer. The library sends from a thread of its own; everything here runs in the caller's.

    What was taken waits in the library, which has no bound of its own, until all copies are written (acks=all). It
    repeats what failed, in order and without doubles, until `delivery_timeout_s` is over.
    """

    def __init__(self, settings: KafkaSettings, forget: Callable[["KafkaBusProducer"], None]) -> None:
        self._forget = forget
        self._budget = settings.budget_mb << 20
        self._delivery_timeout_s = settings.delivery_timeout_s
        try:
            self._client = KafkaProducer(
                acks="all",
                enable_idempotence=True,
                linger_ms=settings.linger_ms,
                batch_size=_BATCH_BYTES,
                max_request_size=_REQUEST_BYTES,
                delivery_timeout_ms=milliseconds(settings.delivery_timeout_s),
                max_block_ms=milliseconds(_METADATA_S),
                **data_options(settings),
            )
        except KafkaError as error:
            raise BusUnreachable(sentence(f"no producer on Kafka at {settings.bootstrap}", error)) from error
        self._under_way: deque[_Sent] = deque()
        self._waiting = 0
        self._acknowledged = 0
        self._loss: str | None = None
        self._unknown_since: dict[str, float] = {}
        self._refused = 0
        self._closed = False

    def publish(self, record: Record) -> None:
        """Takes one record; waits at most 50 ms, for a topic it has not seen.

        Raises BusFull over the byte budget, or while the topic's partitions are not known; BusLost, BusClosed.
        """
        self._check()
        size = record.size + _RECORD_OVERHEAD
        if not self._fits(size):
            self._refused = size
            raise BusFull(f"{self._waiting} of {self._budget} bytes wait for the broker")
        topic = record.topic.name
        try:
            future = self._client.send(topic, record.value, record.key.encode())
        except KafkaTimeoutError:
            self._wait_for_topic(topic)
        except KafkaError as error:
            raise self._lose(topic, error) from error
        self._unknown_since.pop(topic, None)
        self._waiting += size
        self._under_way.append(_Sent(topic, size, future))
        future.add_errback(self._failed, topic)

    @property
    def acknowledged(self) -> int:
        """How many of the records taken all copies hold, in the order of `publish` without a gap. Raises BusLost."""
        self._reap()
        self._check()
        return self._acknowledged

    def wait(self, timeout_s: float) -> None:
        """After BusFull: waits until there may be room for the refused record, at most `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        self._check()
        if not self._refused:
            time.sleep(min(timeout_s, _METADATA_S))
        while not self._fits(self._refused) and self._await_first(deadline):
            self._check()

    def flush(self, timeout_s: float) -> None:
        """Waits until everything taken is acknowledged. Raises TimeoutError, BusLost."""
        deadline = time.monotonic() + timeout_s
        self._check()
        while self._under_way:
            if not self._await_first(deadline):
                raise TimeoutError(f"{len(self._under_way)} records are not acknowledged after {timeout_s:.1f} s")
            self._check()

    def close(self) -> None:
        """Gives up what is not acknowledged within two seconds."""
        if self._closed:
            return
        deadline = time.monotonic() + _CLOSE_S
        while self._under_way and self._loss is None and self._await_first(deadline):
            pass
        self._closed = True
        # Its own close waits for every record, and forgets to force anything once that has timed out.
        self._client._sender.force_close()
        with suppress(KafkaError):
            self._client.close(timeout=_CLOSE_S)
        self._forget(self)

    def _fits(self, size: int) -> bool:
        if self._waiting + size > self._budget:
            self._reap()
        return self._waiting == 0 or self._waiting + size <= self._budget

    def _reap(self) -> None:
        """Counts the oldest records that are settled."""
        while self._under_way and self._under_way[0].future.is_done:
            sent = self._under_way.popleft()
            self._waiting -= sent.size
            self._acknowledged += sent.future.succeeded()

    def _await_first(self, deadline: float) -> bool:
        """Waits for the oldest record to be settled; False if it isn't by the deadline."""
        if not self._under_way:
            return True
        try:
            self._under_way[0].future.get(max(0.0, deadline - time.monotonic()))
        except KafkaError as error:
            if not self._under_way[0].future.is_done:
                return False
            self._lose(self._under_way[0].topic, error)
        self._reap()
        return True

    def _wait_for_topic(self, topic: str) -> None:
        since = self._unknown_since.setdefault(topic, time.monotonic())
        if time.monotonic() - since > self._delivery_timeout_s:
            self._loss = f"Kafka did not name the partitions of {topic} within {self._delivery_timeout_s:.0f} s"
            raise BusLost(self._loss)
        self._refused = 0
        raise BusFull(f"the partitions of {topic} are not known yet")

    def _failed(self, topic: str, error: BaseException) -> None:
        """Runs in the library's thread."""
        self._lose(topic, error)

    def _lose(self, topic: str, error: BaseException) -> BusLost:
        if self._loss is None and not self._closed:
            self._loss = sentence(f"a record of {topic} could not be delivered", error)
        return BusLost(self._loss)

    def _check(self) -> None:
        if self._closed:
            raise BusClosed("the producer is closed")
        if self._loss is not None:
            raise BusLost(self._loss)
