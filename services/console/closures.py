"""Remembers when each camera's frames were closed, and why: the newest stretches of each, in bounds."""

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass

_STRETCHES = 200
_CAMERAS = 32_768
_WHY_MAX = 300
# Frames that are closed for the same reason within this time of each other are one stretch.
_GAP_US = 2_000_000


@dataclass(frozen=True, slots=True)
class Closure:
    """A stretch of closed frames; times are microseconds since 1970, as they came to the console."""

    from_us: int
    to_us: int
    frames: int
    why: str


class Closures:
    """Stretches of closed frames since it was made. Safe to share between threads.

    Args:
        since_us: when it was made.
    """

    def __init__(self, since_us: int) -> None:
        self.since_us = since_us
        self._lock = threading.Lock()
        self._cameras: OrderedDict[str, deque[Closure]] = OrderedDict()

    def note(self, camera_id: str, at_us: int, why: str) -> None:
        """A frame came that is closed."""
        why = why[:_WHY_MAX]
        with self._lock:
            found = self._cameras.get(camera_id)
            if found is None:
                found = self._cameras[camera_id] = deque(maxlen=_STRETCHES)
                if len(self._cameras) > _CAMERAS:
                    self._cameras.popitem(last=False)
            newest = found[-1] if found else None
            if newest is not None and newest.why == why and at_us - newest.to_us <= _GAP_US:
                found[-1] = Closure(newest.from_us, at_us, newest.frames + 1, why)
            else:
                found.append(Closure(at_us, at_us, 1, why))

    def of(self, camera_id: str) -> list[Closure]:
        """The newest stretches of a camera, oldest first."""
        with self._lock:
            return list(self._cameras.get(camera_id, ()))
