"""Remembers when each camera's frames were closed, and why: the newest stretches of each, in bounds."""

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any

from services.schema import pb

_STRETCHES = 200
_CAMERAS = 32_768
_WHY_MAX = 300
_DETECTOR_MAX = 64
# Frames that are closed for the same reason within this time of each other are one stretch.
_GAP_US = 2_000_000


@dataclass(frozen=True, slots=True)
class Why:
    """Why a frame is closed.

    Attributes:
        sentence: in English.
        reason: the code of it for pages in other languages, such as detector_failed; empty where nobody gave one.
        detector: that the reason is about, empty where it is about none.
    """

    sentence: str
    reason: str = ""
    detector: str = ""

    @classmethod
    def of(cls, unit: pb.RedactedUnit) -> "Why":
        """Of a frame that is closed. Codes that this version does not know are left to the sentence."""
        code, known = unit.closing.reason, pb.Closing.Reason.values()
        reason = pb.Closing.Reason.Name(code).lower() if code in known and code else ""
        sentence = (unit.why or "closed")[:_WHY_MAX]
        return cls(sentence, reason, unit.closing.detector[:_DETECTOR_MAX] if reason else "")

    def same(self, other: "Why") -> bool:
        """Whether both say the same: sentences name frames, codes do not."""
        if self.reason or other.reason:
            return (self.reason, self.detector) == (other.reason, other.detector)
        return self.sentence == other.sentence

    def as_json(self) -> dict[str, Any]:
        """For the page."""
        return {"why": self.sentence, "reason": self.reason, "detector": self.detector}


@dataclass(frozen=True, slots=True)
class Closure:
    """A stretch of closed frames; times are microseconds since 1970, as they came to the console."""

    from_us: int
    to_us: int
    frames: int
    why: Why


class Closures:
    """Stretches of closed frames since it was made. Safe to share between threads.

    Args:
        since_us: when it was made.
    """

    def __init__(self, since_us: int) -> None:
        self.since_us = since_us
        self._lock = threading.Lock()
        self._cameras: OrderedDict[str, deque[Closure]] = OrderedDict()

    def note(self, camera_id: str, at_us: int, why: Why) -> None:
        """A frame came that is closed."""
        with self._lock:
            found = self._cameras.get(camera_id)
            if found is None:
                found = self._cameras[camera_id] = deque(maxlen=_STRETCHES)
                if len(self._cameras) > _CAMERAS:
                    self._cameras.popitem(last=False)
            newest = found[-1] if found else None
            if newest is not None and newest.why.same(why) and at_us - newest.to_us <= _GAP_US:
                found[-1] = Closure(newest.from_us, at_us, newest.frames + 1, newest.why)
            else:
                found.append(Closure(at_us, at_us, 1, why))

    def of(self, camera_id: str) -> list[Closure]:
        """The newest stretches of a camera, oldest first."""
        with self._lock:
            return list(self._cameras.get(camera_id, ()))
