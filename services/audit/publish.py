"""Brings events from the tables they are written in to the topic `audit`: at least once, each chain in its order."""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Protocol

from services.audit.rows import Unpublished
from services.bus.interface import BusClosed, BusFull, BusLost, Producer, Record
from services.bus.topics import AUDIT

_log = logging.getLogger(__name__)

_TURN_S = 1.0
_WAIT_S = 10.0
_PAUSE_MAX_S = 30.0


class Outbox(Protocol):
    """Where events wait for the bus: an `AuditLog`, a vault's events, a store of requests."""

    def unpublished(self, after: int = 0) -> Sequence[Unpublished]:
        """The oldest events behind row `after` that are not on the bus yet, some at a time."""

    def mark_published(self, numbers: Sequence[int]) -> None:
        """They are on the bus."""


class Publisher:
    """A thread that publishes what waits in some outboxes, each once in its life unless the bus is lost meanwhile.

    A row is marked once the bus has its event for certain. A crash between both sends it again, with the same
    `event_id`: whoever reads the topic takes the first of each. So does a second publisher of the same outbox. In
    either case the first of each event comes behind the first of the one before it. At most one batch is on its way.

    Args:
        outboxes: in the order in which they are emptied.
        connect: makes a producer; raises BusLost where no broker answers.
        errors: what outboxes raise when they can't be read now: to be tried again.
        turn_s: pause where nothing waits.
    """

    def __init__(
        self,
        outboxes: Sequence[Outbox],
        connect: Callable[[], Producer],
        errors: tuple[type[Exception], ...] = (),
        turn_s: float = _TURN_S,
    ) -> None:
        self._outboxes, self._connect, self._turn_s = tuple(outboxes), connect, turn_s
        self._errors: tuple[type[Exception], ...] = (BusLost, BusClosed, TimeoutError, *errors)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit-publisher", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self, timeout_s: float = _WAIT_S) -> None:
        """Ends after the batch under way; what still waits is published by the next publisher."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        pause_s = self._turn_s
        while not self._stop.is_set():
            try:
                with closing(self._connect()) as producer:
                    while not self._stop.is_set():
                        if publish(self._outboxes, producer) == 0:
                            self._stop.wait(self._turn_s)
                        pause_s = self._turn_s
            except self._errors as error:
                _log.warning("audit events wait for the bus: %s", error)
                self._stop.wait(pause_s)
                pause_s = min(2 * pause_s, _PAUSE_MAX_S)


def publish(outboxes: Sequence[Outbox], producer: Producer) -> int:
    """Publishes the oldest batch of each outbox and marks it; how many events. Raises BusLost, TimeoutError."""
    count = 0
    for outbox in outboxes:
        waiting = outbox.unpublished()
        for event in waiting:
            _put(producer, Record(AUDIT, event.camera_id, event.event))
        if waiting:
            producer.flush(_WAIT_S)
            outbox.mark_published([event.number for event in waiting])
        count += len(waiting)
    return count


def _put(producer: Producer, record: Record) -> None:
    try:
        producer.publish(record)
    except BusFull:
        producer.wait(_WAIT_S)
        try:
            producer.publish(record)
        except BusFull:
            raise TimeoutError("the bus takes no more") from None
