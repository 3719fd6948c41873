"""Brings events from the tables they are written in to the topic `audit`: at least once, each chain in its order."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Protocol

from prometheus_client import Counter

from services.audit.rows import Unpublished
from services.bus.interface import Bus, BusClosed, BusFull, BusLost, Producer, Record
from services.bus.topics import AUDIT

_log = logging.getLogger(__name__)

PUBLISHED = Counter("veil_audit_published_total", "Audit events that are on the topic for certain.")
FAILED = Counter("veil_audit_publish_failures_total", "Times that audit events had to wait for the bus.")

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
                pause_s = self._pause(pause_s)
            except Exception:  # noqa: BLE001, without this thread events would wait until the process is started again
                _log.exception("audit events wait")
                pause_s = self._pause(pause_s)

    def _pause(self, seconds: float) -> float:
        """Waits; returns the next pause."""
        FAILED.inc()
        self._stop.wait(seconds)
        return min(2 * seconds, _PAUSE_MAX_S)


@contextmanager
def publishing(
    outboxes: Sequence[Outbox], make_bus: Callable[[], Bus], errors: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Brings to the topic what waits in the outboxes, while the block runs, whenever a broker answers.

    Nothing here waits for a broker: without one the block runs all the same, and what waits stays in its tables. At the
    end the batch under way is given ten seconds.

    Args:
        outboxes: as for `Publisher`.
        make_bus: connects; raises BusLost where no broker answers. Called in the publisher's thread, until it succeeds.
        errors: as for `Publisher`.
    """
    bus = _LateBus(make_bus)
    publisher = Publisher(outboxes, bus.producer, errors)
    publisher.start()
    try:
        yield
    finally:
        publisher.stop()
        bus.close()


class _LateBus:
    """A bus that is connected to when the first producer is asked for."""

    def __init__(self, make_bus: Callable[[], Bus]) -> None:
        self._make_bus = make_bus
        self._bus: Bus | None = None

    def producer(self) -> Producer:
        """A new producer. Raises BusLost."""
        if self._bus is None:
            self._bus = self._make_bus()
        return self._bus.producer()

    def close(self) -> None:
        """Ends the bus, if there is one."""
        if self._bus is not None:
            self._bus.close()


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
            PUBLISHED.inc(len(waiting))
        count += len(waiting)
    return count


def _put(producer: Producer, record: Record) -> None:
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            return producer.publish(record)
        except BusFull:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("the bus takes no more") from None
            # A topic that the producer has not seen yet counts as full as well: once is not enough.
            producer.wait(left_s)
