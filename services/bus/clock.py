"""The wall clock as a value, so that tests can put another in its place."""

import time
from collections.abc import Callable

Clock = Callable[[], int]


def now_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000
