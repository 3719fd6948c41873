"""The stage that counts: metadata.tracks and metadata.stats in, nothing out but rows in the database."""

import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from services.bus.clock import Clock, now_us
from services.bus.interface import Message, Position, TopicPartition
from services.bus.topics import Topic
from services.insight import metrics
from services.insight.counts import TOPICS, Told, parse
from services.insight.errors import Unavailable
from services.insight.settings import InsightSettings
from services.insight.store import InsightStore, Taken
from services.runtime.stage import Backpressure, Emission

_log = logging.getLogger(__name__)

GROUP = "analytics-insight"
"""Group on the bus: it reads as the user analytics, whose groups begin with that name."""

# A file's times run ahead of the clock where it is read faster than it plays.
_AHEAD_US = 24 * 3600 * 1_000_000
_SWEEP_S = 300.0
_RETRY_S = 5.0
_CAMERAS_MAX = 32_768


_Each = tuple[Told, Position]


class InsightStage:
    """Writes a batch at a time on a thread of its own. A message is done when its counts are durable.

    Args:
        store: where to.
        settings: pace and bounds.
        clock: microseconds since 1970.
        monotonic: seconds.
    """

    name = GROUP
    inputs: tuple[Topic, ...] = TOPICS
    outputs: tuple[Topic, ...] = ()
    remembers: Topic | None = None
    has_threads = True
    finished = False

    def __init__(
        self,
        store: InsightStore,
        settings: InsightSettings,
        clock: Clock = now_us,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._settings, self._clock, self._monotonic = store, settings, clock, monotonic
        self._thread = ThreadPoolExecutor(1, "insight")
        self._waiting: deque[_Each] = deque()
        self._passed: list[Position] = []
        self._writing: tuple[list[_Each], Future[Taken]] | None = None
        self._closing = False
        self._next_s = self._swept_s = monotonic()
        self._began_s = monotonic()
        self._heard: OrderedDict[str, float] = OrderedDict()  # the one silent for longest comes first
        self._sweep: Future[None] | None = None

    def remember(self, message: Message) -> None:
        """Needs nothing of its past: the database has it."""

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Drops what waits of these partitions; what is being written is counted once wherever it comes again."""
        gone = set(partitions)
        self._waiting = deque(each for each in self._waiting if each[1].source not in gone)
        self._passed = [position for position in self._passed if position.source not in gone]
        if self._writing is not None:
            batch, written = self._writing
            self._writing = ([each for each in batch if each[1].source not in gone], written)

    def submit(self, message: Message) -> None:
        """Takes one message. What is no record is passed over: who looks on may write no dead letters."""
        if len(self._waiting) >= self._settings.waiting_max:
            raise Backpressure("the statistics wait for their database")
        told = parse(message, self._clock() + _AHEAD_US)
        if told is None:
            metrics.PASSED.labels("invalid").inc()
            self._passed.append(message.position)
            return
        metrics.TAKEN.labels(message.record.topic.name).inc()
        self._waiting.append((told, message.position))
        self._heard[told.camera_id] = self._monotonic()
        self._heard.move_to_end(told.camera_id)
        if len(self._heard) > _CAMERAS_MAX:
            self._heard.popitem(last=False)

    def completed(self) -> Sequence[Emission]:
        """The positions of what is durable; begins to write what waits."""
        done = self._passed
        self._passed = []
        done += self._written()
        now = self._monotonic()
        if self._writing is None and self._waiting and (now >= self._next_s or self._closing):
            self._write()
        if now - self._swept_s >= _SWEEP_S and (self._sweep is None or self._sweep.done()):
            self._swept_s = now
            self._sweep = self._thread.submit(self._sweep_now)
        metrics.WAITING.set(len(self._waiting))
        return [Emission(done=tuple(done))] if done else []

    def close(self) -> None:
        """What waits is written at once."""
        self._closing = True

    def join(self, timeout_s: float) -> Sequence[Emission]:
        """Writes what waits, within `timeout_s`; what is not durable by then comes again."""
        deadline = self._monotonic() + timeout_s
        done = list(self.completed())
        while self._writing is not None and (left := deadline - self._monotonic()) > 0:
            wait((self._writing[1],), left)
            done += self.completed()
        self._thread.shutdown(wait=False, cancel_futures=True)
        return done

    def _write(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._settings.batch))]
        self._writing = (batch, self._thread.submit(self._store.take, [told for told, _ in batch]))

    def _written(self) -> Sequence[Position]:
        if self._writing is None or not self._writing[1].done():
            return ()
        batch, written = self._writing
        try:
            taken = written.result()
        except Unavailable as error:
            metrics.FAILED.inc()
            _log.warning("counts could not be written and are tried again: %s", error)
            self._next_s, self._closing, self._writing = self._monotonic() + _RETRY_S, False, None
            self._waiting.extendleft(reversed(batch))
            return ()
        self._writing = None
        self._next_s = self._monotonic() + self._settings.every_s
        metrics.PASSED.labels("repeated").inc(taken.repeated)
        metrics.PASSED.labels("late").inc(taken.late)
        return [position for _, position in batch]

    def _sweep_now(self) -> None:
        now = self._monotonic()
        try:
            silent = [camera for camera in self._store.open_cameras() if self._is_silent(camera, now)]
            self._store.settle(silent)
            self._store.purge()
        except Unavailable as error:
            metrics.FAILED.inc()
            _log.warning("intervals could not be closed: %s", error)

    def _is_silent(self, camera_id: str, now: float) -> bool:
        return now - self._heard.get(camera_id, self._began_s) >= self._settings.silent_s
