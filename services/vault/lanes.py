"""Threads that store batches, those of one lane in order, and try again what could not be stored."""

import heapq
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection

from services.vault import metrics
from services.vault.batch import Batch, Lane
from services.vault.errors import Conflict, Full, Unavailable

_log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.5


class Lanes:
    """Takes batches and gives them back when they are stored. Nothing is ever given up but by `drop`.

    Args:
        store: stores one batch; raises Unavailable or Conflict where it is to be tried again.
        threads: batches stored at a time.
        retry_max_s: longest pause between two tries.
    """

    def __init__(self, store: Callable[[Batch], None], threads: int, retry_max_s: float) -> None:
        self._store, self._retry_max_s = store, retry_max_s
        self._changed = threading.Condition()
        self._lanes: dict[Lane, deque[Batch]] = {}
        self._ready: list[tuple[float, int, Lane]] = []  # when, and in which order
        self._order = itertools.count()
        self._stored: deque[Batch] = deque()
        self._bytes = 0
        self._stopping = False
        self._error: BaseException | None = None
        self.full = False
        self._threads = [threading.Thread(target=self._work, name=f"vault-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    @property
    def bytes(self) -> int:
        """Of batches that are not stored yet."""
        with self._changed:
            return self._bytes

    @property
    def waiting(self) -> int:
        """How many batches are not stored yet."""
        with self._changed:
            return sum(map(len, self._lanes.values()))

    def add(self, batch: Batch) -> None:
        """Stores it when its turn comes."""
        with self._changed:
            self._bytes += batch.bytes
            lane = self._lanes.setdefault(batch.lane, deque())
            lane.append(batch)
            if len(lane) == 1:
                self._schedule(batch.lane, 0.0)

    def take(self) -> list[Batch]:
        """Batches that are stored since the last call. Raises what no retry can mend."""
        with self._changed:
            if self._error is not None:
                raise self._error
            stored = list(self._stored)
            self._stored.clear()
        return [batch for batch in stored if not batch.dropped]

    def drop(self, partitions: Collection[int]) -> None:
        """Batches of these partitions are another process's now; one that is being stored is not given back."""
        with self._changed:
            for queue in self._lanes.values():
                for batch in queue:
                    batch.dropped |= batch.partition in partitions
            for batch in self._stored:
                batch.dropped |= batch.partition in partitions

    def stop(self, timeout_s: float) -> None:
        """Waits until all is stored, at most that long, and ends the threads."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            self._changed.wait_for(lambda: not self._lanes or self._error is not None, max(0.0, timeout_s))
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(max(1.0, deadline - time.monotonic()))

    def _schedule(self, lane: Lane, pause_s: float) -> None:
        heapq.heappush(self._ready, (time.monotonic() + pause_s, next(self._order), lane))
        self._changed.notify()

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            pause_s = 0.0
            try:
                if not batch.dropped:
                    self._store(batch)
                stored = True
            except (Unavailable, Conflict) as error:
                stored, pause_s = False, self._failed(batch, error)
            except BaseException as error:  # noqa: BLE001, it ends the process, in the thread that can
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            self._finish(batch, pause_s, stored=stored)

    def _next(self) -> Batch | None:
        with self._changed:
            while not self._stopping:
                if self._ready and self._ready[0][0] <= time.monotonic():
                    _, _, lane = heapq.heappop(self._ready)
                    return self._lanes[lane][0]
                self._changed.wait(self._ready[0][0] - time.monotonic() if self._ready else None)
        return None

    def _failed(self, batch: Batch, error: Exception) -> float:
        """Notes why, and says how long to wait."""
        batch.tries += 1
        self.full = isinstance(error, Full)
        metrics.FAILURES.labels(
            "full" if self.full else "conflict" if isinstance(error, Conflict) else "unavailable"
        ).inc()
        if batch.tries in (1, 10) or batch.tries % 100 == 0:
            _log.warning("a segment of %s waits, tried %d times: %s", batch.camera_id, batch.tries, error)
        return min(_FIRST_PAUSE_S * float(1 << min(batch.tries - 1, 16)), self._retry_max_s)

    def _finish(self, batch: Batch, pause_s: float, *, stored: bool) -> None:
        with self._changed:
            lane = self._lanes[batch.lane]
            if stored:
                lane.popleft()
                self._bytes -= batch.bytes
                self._stored.append(batch)
                self.full = False
            if lane:
                self._schedule(batch.lane, pause_s)
            else:
                del self._lanes[batch.lane]
            self._changed.notify_all()
