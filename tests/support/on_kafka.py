"""Puts records on a broker as a service would."""

import time
from collections.abc import Iterable

from deploy.stack.kafka import KafkaServer
from services.bus.interface import BusFull, BusLost, Producer, Record
from services.bus.kafka import KafkaBus

_TIMEOUT_S = 60


def publish(kafka: KafkaServer, principal: str, records: Iterable[Record]) -> None:
    """Publishes as `principal`. A broker knows its access rules a moment after they were made: until then, again."""
    records = list(records)
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        bus = KafkaBus(kafka.settings(principal))
        try:
            return _publish(bus.producer(), records, deadline)
        except BusLost:
            assert time.monotonic() < deadline
        finally:
            bus.close()


def _publish(producer: Producer, records: Iterable[Record], deadline: float) -> None:
    for record in records:
        while True:
            try:
                producer.publish(record)
                break
            except BusFull:
                assert time.monotonic() < deadline
                producer.wait(0.5)
    producer.flush(_TIMEOUT_S)
