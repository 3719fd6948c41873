"""How many requests one account or address may make."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from services.accounts.errors import TooMany

_KEYS_MAX = 10_000


class Rate:
    """A bucket of requests for each key, which fills evenly; the keys that were silent for longest are forgotten.

    Args:
        per_minute: requests; half a minute's may come at once.
        clock: seconds.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._most = per_minute / 60, max(1.0, per_minute / 2)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> None:
        """One request. Raises TooMany."""
        now = self._clock()
        with self._lock:
            left, at = self._buckets.pop(key, (self._most, now))
            left = min(self._most, left + (now - at) * self._per_s)
            good = left >= 1
            self._buckets[key] = (left - 1 if good else left), now
            while len(self._buckets) > _KEYS_MAX:
                self._buckets.popitem(last=False)
        if not good:
            seconds = int((1 - left) / self._per_s) + 1
            raise TooMany(f"Too many requests: wait {seconds} s.", seconds)
