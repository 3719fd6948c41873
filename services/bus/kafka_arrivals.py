"""Knows whether the library has anything new, so that it need not be asked each time."""

import threading
import time
from typing import Any

import kafka

# Asking takes three trips to the library's thread, measured at 1.3 ms of a core, and an idle stage asks sixty times a
# second. The group, which is looked after in the same call, can wait this long.
_LOOK_EVERY_S = 0.25


class Arrivals:
    """Watches the fetches that are under way. Of the library it needs the futures of these fetches."""

    def __init__(self, client: kafka.KafkaConsumer) -> None:
        self._fetcher = client._fetcher
        self._ended = threading.Event()
        self._watched: list[Any] = []
        self._look_at = 0.0

    @property
    def under_way(self) -> bool:
        """True while a fetch is on its way; without one only the library knows what to wait for."""
        return any(not fetch.is_done for fetch in self._watched)

    def wait(self, timeout_s: float) -> bool:
        """Waits until the library should be asked, at most `timeout_s`; True if so."""
        if self.under_way:
            self._ended.wait(min(timeout_s, max(0.0, self._look_at - time.monotonic())))
            if not self._ended.is_set() and time.monotonic() < self._look_at:
                return False
        self._ended.clear()
        return True

    def asked(self, *, more: bool) -> None:
        """After the library was asked: watches what it has sent out since; `more` where it may have something left."""
        fetches = list(self._fetcher._fetch_futures)
        for fetch in fetches:
            if fetch not in self._watched:
                fetch.add_both(self._note_end)
        self._watched = fetches
        self._look_at = time.monotonic() + _LOOK_EVERY_S
        if more:
            self._ended.set()

    def _note_end(self, _: object) -> None:
        """Runs in the library's thread, or at once where the fetch has ended meanwhile."""
        self._ended.set()
