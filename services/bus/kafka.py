"""The bus between processes: Apache Kafka, with every promise of the interface."""

import threading
from collections.abc import Collection
from typing import TypeVar

from services.bus.interface import BusClosed, RebalanceListener, Start
from services.bus.kafka_client import check_broker, prepare_process
from services.bus.kafka_consumer import KafkaBusConsumer
from services.bus.kafka_producer import KafkaBusProducer
from services.bus.kafka_reader import KafkaBusReader
from services.bus.kafka_settings import KafkaSettings
from services.bus.topics import Topic

Made = TypeVar("Made", KafkaBusProducer, KafkaBusConsumer, KafkaBusReader)


class KafkaBus:
    """Producers, consumers and readers of one principal. Any thread may use the bus, each of them belongs to one.

    Raises BusUnreachable, within about ten seconds and with one clear sentence, where no broker answers, the password
    is wrong or the broker's certificate is not signed by the CA; RuntimeError without the package crc32c.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        prepare_process()
        check_broker(settings)
        self._settings = settings
        self._lock = threading.Lock()
        self._closed = False
        self._made: set[KafkaBusProducer | KafkaBusConsumer | KafkaBusReader] = set()

    def producer(self) -> KafkaBusProducer:
        """A new producer. Raises BusUnreachable."""
        self._check_open()
        return self._keep(KafkaBusProducer(self._settings, self._forget))

    def consumer(
        self, group: str, topics: Collection[Topic], listener: RebalanceListener | None = None
    ) -> KafkaBusConsumer:
        """A new member of `group`, which joins in its first `poll`. A new group starts at the oldest record.

        Raises BusUnreachable where a topic is missing or may not be read.
        """
        self._check_open()
        return self._keep(KafkaBusConsumer(self._settings, group, topics, listener, self._forget))

    def reader(self, topic: Topic, start: Start, partitions: Collection[int] | None = None) -> KafkaBusReader:
        """A reader of these partitions, of all if there are none named. Raises BusLost."""
        self._check_open()
        return self._keep(KafkaBusReader(self._settings, topic, start, partitions, self._forget))

    def close(self) -> None:
        """Ends everything made here; whoever waits gets BusClosed. Takes a few seconds at most for each."""
        with self._lock:
            self._closed = True
            made = list(self._made)
        for each in made:
            each.close()

    def _check_open(self) -> None:
        if self._closed:
            raise BusClosed("the bus is closed")

    def _keep(self, made: Made) -> Made:
        with self._lock:
            self._made.add(made)
        return made

    def _forget(self, made: KafkaBusProducer | KafkaBusConsumer | KafkaBusReader) -> None:
        with self._lock:
            self._made.discard(made)
