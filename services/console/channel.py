"""One camera as the console has it: the newest group of pictures for those who come, and whether it lives."""

from dataclasses import dataclass
from typing import Literal

from services.console.closures import Why
from services.console.fragments import Part, PartKind

State = Literal["waiting", "live", "closed", "lost", "ended"]
"""waiting: nothing came since the console started; closed: the whole picture is masked; ended: it was a file."""

# A camera whose frames are closed one by one is shown as closed all the while: the words must not flicker.
_CLOSED_FOR_S = 1.0


_NOTHING = Why("")


@dataclass(frozen=True, slots=True)
class Condition:
    """How a camera is, since when (microseconds since 1970), and why where it is closed, lost or ended."""

    state: State
    since_us: int
    why: Why = _NOTHING


class Channel:
    """The state of one camera; all of it is touched by one thread only.

    Args:
        camera_id: whose.
        group_bytes: most that is kept of the newest group of pictures. A longer one is let go: who comes then waits for
            the next keyframe.
        lost_after_s: silence after which the camera counts as lost.
        now_us: the moment, since 1970.
    """

    def __init__(self, camera_id: str, group_bytes: int, lost_after_s: float, now_us: int) -> None:
        self.camera_id = camera_id
        self.condition = Condition("waiting", now_us)
        self.start: Part | None = None
        self.group: list[Part] = []
        self._group_bytes, self._lost_after_s = group_bytes, lost_after_s
        self._bytes = 0
        self._heard_us: int | None = None
        self._closed_us: int | None = None
        self._why = _NOTHING

    def take(self, part: Part) -> None:
        """Keeps a part for those who come."""
        if part.kind is PartKind.START:
            self.start = part
            self._drop()
            return
        if part.keyframe:
            self._drop()
        elif not self.group:
            return
        self.group.append(part)
        self._bytes += len(part.data)
        if self._bytes > self._group_bytes:
            self._drop()

    def heard(self, now_us: int, closed_why: Why | None) -> bool:
        """A frame came, closed for a reason or open. True if the condition changed."""
        self._heard_us = now_us
        if closed_why is not None:
            self._closed_us, self._why = now_us, closed_why
        return self._settle(now_us)

    def ended(self, now_us: int, state: Literal["lost", "ended"], why: str) -> bool:
        """The stream said that it is over. True if the condition changed."""
        self._heard_us = self._closed_us = None
        return self._become(Condition(state, now_us, Why(why)))

    def look(self, now_us: int) -> bool:
        """Time has passed. True if the condition changed."""
        return self._heard_us is not None and self._settle(now_us)

    def _settle(self, now_us: int) -> bool:
        heard_us = self._heard_us or now_us
        if now_us - heard_us > self._lost_after_s * 1e6:
            return self._become(Condition("lost", heard_us))
        if self._closed_us is not None and now_us - self._closed_us <= _CLOSED_FOR_S * 1e6:
            return self._become(Condition("closed", now_us, self._why))
        return self._become(Condition("live", now_us))

    def _become(self, condition: Condition) -> bool:
        if condition.state == self.condition.state and condition.why.same(self.condition.why):
            return False
        if condition.state in ("lost", "ended"):
            # What is old must not be shown to those who come as if it were new.
            self._drop()
        self.condition = condition
        return True

    def _drop(self) -> None:
        self.group = []
        self._bytes = 0
