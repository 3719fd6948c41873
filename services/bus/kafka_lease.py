"""Until when a member of a group can be sure that nobody else was given its partitions."""

import math
import threading
import time
from typing import Any

from kafka.coordinator.heartbeat import Heartbeat
from kafka.structs import MemberState

# By how much a member takes its session to be shorter than the group does: time to stop what it is at.
_MARGIN_S = 1.0


class Lease(Heartbeat):  # type: ignore[misc]  # the library has no types
    """The library's record of heartbeats, put in its place, which also knows what an answer to one is worth.

    The group gives a member up once it has heard nothing of it for its session. It counts from when a heartbeat reached
    it, which is later than when it was sent: until a session after that moment the partitions are this member's,
    whatever happens on the way. When the answer came says nothing, since a process that was frozen finds it waiting.

    Args:
        coordinator: the library's, of one consumer.
    """

    def __init__(self, coordinator: Any) -> None:
        super().__init__(**coordinator.config)
        self._coordinator = coordinator
        self._length_s = coordinator.config["session_timeout_ms"] / 1000 - _MARGIN_S
        self._sent = self._until = -math.inf
        self._answered = threading.Event()

    @property
    def holds(self) -> bool:
        """True while this member's partitions are certainly its own."""
        return self._coordinator.state is MemberState.STABLE and _now() < self._until

    def wait_for_answer(self, timeout_s: float) -> None:
        """Waits until the first heartbeat of a membership was answered, one way or the other."""
        self._answered.wait(timeout_s)

    def sent_heartbeat(self) -> None:
        """Called by the library as it sends one; it sends the next only after the answer."""
        super().sent_heartbeat()
        self._sent = _now()

    def received_heartbeat(self) -> None:
        """Called by the library once the group has answered.

        An answer that asks to join anew is worth nothing: who doesn't is given up in the end, heartbeats or not.
        """
        super().received_heartbeat()
        if not self._coordinator.rejoin_needed:
            self._until = self._sent + self._length_s
        self._answered.set()

    def fail_heartbeat(self) -> None:
        """Called by the library where the group does not answer, or says no."""
        super().fail_heartbeat()
        self._answered.set()

    def reset_timeouts(self) -> None:
        """Called by the library at the beginning of a membership."""
        super().reset_timeouts()
        self._answered.clear()

    def time_to_next_heartbeat(self) -> float:
        """The first one of a membership goes at once: before it is answered the member holds nothing."""
        return 0.0 if self.last_send < self.last_reset else float(super().time_to_next_heartbeat())


def _now() -> float:
    """Seconds that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
