"""What one camera has ready for the bus: bounded in bytes and age; files wait for room, live cameras shed."""

import math
import threading
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from services.bus.interface import Record
from services.decoder import metrics


class Kind(Enum):
    """What a record is, as far as shedding goes."""

    KEYFRAME = auto()
    PICTURE = auto()
    SOUND = auto()
    DETECTION = auto()
    END = auto()


_SHED_AS = {Kind.KEYFRAME: "frames", Kind.PICTURE: "frames", Kind.SOUND: "sound", Kind.DETECTION: "detection"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One record, what it is, and when its picture was captured: 0 where it holds none."""

    kind: Kind
    record: Record
    captured_us: int = 0


class Outbox:
    """A queue between a reader thread and the runner's thread.

    Args:
        limit: bytes it holds; one record alone may be larger, and an end always fits.
        sheds: make room by dropping detection pictures, then whole groups from the oldest on. Otherwise `put` waits.
        max_age_s: a camera that sheds also drops groups that begin longer than this before its newest picture: after
            an outage those who watch want to see what is, and what was soon after.
    """

    def __init__(self, limit: int, *, sheds: bool, max_age_s: float = 10.0) -> None:
        self._limit = limit
        self._sheds = sheds
        self._max_age_us = max_age_s * 1e6
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._skipping = False
        self._open = True
        self._changed = threading.Condition()

    def put(self, entry: Entry) -> None:
        """Adds a record. Waits for room if it does not shed, until `release`."""
        with self._changed:
            if entry.kind is Kind.KEYFRAME:
                self._skipping = False
            if self._skipping and entry.kind in (Kind.PICTURE, Kind.SOUND):
                _count_shed(entry)
                return
            if self._sheds:
                if not self._make_room(entry):
                    _count_shed(entry)
                    return
            else:
                self._changed.wait_for(lambda: self._fits(entry) or not self._open)
            self._entries.append(entry)
            self._bytes += entry.record.size

    def drain(self, most: float = math.inf) -> list[Entry]:
        """Takes about `most` bytes from the oldest on, without waiting: the last record may exceed it."""
        taken: list[Entry] = []
        with self._changed:
            left = most
            while self._entries and left > 0:
                entry = self._entries.popleft()
                taken.append(entry)
                left -= entry.record.size
                self._bytes -= entry.record.size
            self._changed.notify_all()
        return taken

    def release(self) -> None:
        """Lets `put` wait no more: the reader is to end, and the little it still has is taken over the limit."""
        with self._changed:
            self._open = False
            self._changed.notify_all()

    @property
    def size(self) -> int:
        """Bytes it holds."""
        return self._bytes

    def __bool__(self) -> bool:
        return bool(self._entries)

    def _fits(self, entry: Entry) -> bool:
        return not self._entries or entry.kind is Kind.END or self._bytes + entry.record.size <= self._limit

    def _is_fresh(self, entry: Entry) -> bool:
        oldest_us = next((kept.captured_us for kept in self._entries if kept.captured_us), entry.captured_us)
        return entry.captured_us - oldest_us <= self._max_age_us

    def _make_room(self, entry: Entry) -> bool:
        """Sheds until the entry fits and nothing is too old beside it. False if it must be shed itself."""
        if not self._fits(entry):
            if entry.kind is Kind.DETECTION:
                return False
            self._keep([kept.kind is not Kind.DETECTION for kept in self._entries])
        while not (self._fits(entry) and self._is_fresh(entry)):
            kinds = [kept.kind for kept in self._entries]
            oldest = next((at for at, kind in enumerate(kinds) if kind is not Kind.END), None)
            if oldest is None:
                return True
            after = next((at for at in range(oldest + 1, len(kinds)) if kinds[at] is Kind.KEYFRAME), len(kinds))
            self._keep([kind is Kind.END or not oldest <= at < after for at, kind in enumerate(kinds)])
            if after == len(kinds) and entry.kind is not Kind.KEYFRAME:
                # The group that this record belongs to is gone: the rest of it is of no use.
                self._skipping = True
                return False
        return True

    def _keep(self, flags: list[bool]) -> None:
        for entry, kept in zip(self._entries, flags, strict=True):
            if not kept:
                _count_shed(entry)
        self._entries = deque(entry for entry, kept in zip(self._entries, flags, strict=True) if kept)
        self._bytes = sum(entry.record.size for entry in self._entries)


def _count_shed(entry: Entry) -> None:
    metrics.SHED.labels(_SHED_AS[entry.kind]).inc()
