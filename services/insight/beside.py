"""Counts beside a line on a memory bus: the line never waits for the statistics."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

from services.bus.interface import Bus, BusClosed, Committable, Consumer
from services.insight import metrics
from services.insight.counts import TOPICS
from services.insight.stage import GROUP, InsightStage
from services.runtime.stage import Backpressure

_TURN_S = 0.25
_RECORDS = 512
_STOP_S = 10.0


@contextmanager
def counting_beside(bus: Bus, stage: InsightStage) -> Iterator[None]:
    """Counts while the block runs; to be entered before the line starts.

    What the database can't take in time is left out and counted: masking must not wait for statistics.
    """
    consumer, stop = bus.consumer(GROUP, TOPICS), threading.Event()
    thread = threading.Thread(target=_count, args=(consumer, stage, stop), name="insight", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_STOP_S)
        stage.close()
        stage.join(_STOP_S)


def _count(consumer: Consumer, stage: InsightStage, stop: threading.Event) -> None:
    with closing(consumer):
        while not stop.is_set():
            try:
                messages = consumer.poll(_TURN_S, _RECORDS)
                for message in messages:
                    try:
                        stage.submit(message)
                    except Backpressure:
                        metrics.PASSED.labels("shed").inc()
                ends = {message.position.source: Committable.after(message.position) for message in messages}
                if ends:
                    consumer.commit(ends)
            except BusClosed:
                return
            stage.completed()
