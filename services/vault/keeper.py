"""What the vault does by itself beside storing: it lets expire what is due, clears up, and hands over audit events."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from services.audit.rows import Unpublished
from services.bus.clock import Clock
from services.policy.model import PolicyBook, PolicyUnavailable
from services.vault import metrics
from services.vault.errors import VaultError
from services.vault.events import Events
from services.vault.index import SegmentIndex
from services.vault.purge import Purger
from services.vault.segment import HOUR_US
from services.vault.settings import VaultSettings
from services.vault.store import Store

_log = logging.getLogger(__name__)

_TURN_S = 1.0
_SETTLE_S = 600.0
# Far longer than a record may be on its way: then it has arrived, or the bus was lost and this keeper with it.
_ARRIVES_S = 60.0


class SteadyClock:
    """Tells whether the wall clock can be trusted with what can't be undone.

    A clock that leaps, or that differs by more than an hour from the newest entry in the index when the process starts,
    has to stay as it is for ten minutes: time enough for whoever keeps it to set it right.
    """

    def __init__(self, clock: Clock, monotonic: Callable[[], float], step_s: float, newest_us: int | None) -> None:
        self._clock, self._monotonic, self._step_s = clock, monotonic, step_s
        self._wall, self._mono = clock(), monotonic()
        strange = newest_us is not None and abs(self._wall - newest_us) > HOUR_US
        self._until = self._mono + _SETTLE_S if strange else self._mono

    def settled(self) -> bool:
        """To be asked again and again: it compares with the last time."""
        wall, mono = self._clock(), self._monotonic()
        if abs((wall - self._wall) / 1e6 - (mono - self._mono)) > self._step_s:
            _log.warning("the clock has leapt by %.0f s: nothing expires until it settles", (wall - self._wall) / 1e6)
            self._until = mono + _SETTLE_S
        self._wall, self._mono = wall, mono
        metrics.CLOCK_UNSETTLED.set(mono < self._until)
        return mono >= self._until


class Keeper:
    """A thread of its own.

    Args:
        settings: how often.
        policies: how long each camera's originals are kept now.
        cameras: those this process has heard of.
        clock: microseconds since 1970.
        monotonic: seconds.
    """

    def __init__(
        self,
        settings: VaultSettings,
        index: SegmentIndex,
        store: Store,
        purger: Purger,
        events: Events,
        policies: PolicyBook,
        cameras: Callable[[], Iterable[str]],
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._index, self._store, self._purger = settings, index, store, purger
        self._events, self._policies, self._cameras = events, policies, cameras
        self._clock, self._monotonic = clock, monotonic
        self._watch = events.watch(policies)
        self._steady = SteadyClock(clock, monotonic, settings.clock_step_s, index.newest_us())
        self._stop = threading.Event()
        self._waiting: deque[Unpublished] = deque()
        self._sent: deque[tuple[float, int]] = deque()
        self._newest = 0  # event that was handed over last
        self._swept: float | None = None
        self._thread = threading.Thread(target=self._run, name="vault-keeper", daemon=True)

    def start(self) -> None:
        """Clears up what the last process left, then begins. Raises Unavailable."""
        self._clear_orphans(mine=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; one access to the store or the index may still have to end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(self._settings.store_timeout_s)

    def take_events(self) -> list[Unpublished]:
        """Events for the bus, oldest first, each once in the life of this keeper."""
        taken = []
        while self._waiting:
            event = self._waiting.popleft()
            self._sent.append((self._monotonic(), event.number))
            taken.append(event)
        return taken

    def sweep(self) -> None:
        """Lets expire what is due, and tells of policies that have changed. Raises Unavailable."""
        self._events.look(self._watch, self._cameras())
        self._purger.resume()
        for camera_id in self._cameras():
            try:
                hours = self._policies.policy_for(camera_id).retention_hours
            except PolicyUnavailable:
                # What was promised when it was recorded holds.
                continue
            self._purger.shorten(camera_id, hours * HOUR_US)
        if self._steady.settled():
            metrics.PURGED.inc(self._purger.expire())
            self._purger.bury_tombstones(self._settings.tombstones_days)
        self._clear_orphans(mine=False)
        due = self._index.oldest_due_us()
        metrics.OVERDUE_S.set(0 if due is None else max(0.0, (self._clock() - due) / 1e6))
        metrics.STORED.set(self._index.used_bytes())

    def _run(self) -> None:
        while not self._stop.wait(_TURN_S):
            try:
                self._publish()
                if self._swept is None or self._monotonic() - self._swept >= self._settings.sweep_s:
                    self.sweep()
                    self._swept = self._monotonic()
            except VaultError as error:
                metrics.SWEEPS_FAILED.inc()
                _log.warning("the vault's keeping waits: %s", error)
                self._stop.wait(min(self._settings.sweep_s, self._settings.retry_max_s))

    def _publish(self) -> None:
        arrived = []
        while self._sent and self._monotonic() - self._sent[0][0] > _ARRIVES_S:
            arrived.append(self._sent.popleft()[1])
        if arrived:
            self._events.mark_published(arrived)
        if not self._waiting:
            for event in self._events.unpublished(self._newest):
                self._newest = event.number
                self._waiting.append(event)

    def _clear_orphans(self, *, mine: bool) -> None:
        """Removes files that were begun and never finished; nobody could read them anyway."""
        for name in self._index.orphans(self._clock() - HOUR_US, mine=mine):
            self._store.delete(name)
            self._index.forget(name)
