"""Presentation order: numbers access units in the order in which they are shown while they travel in decoding order."""

import heapq
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

# H.264 and H.265 keep at most 16 pictures back: a picture that more than 16 others follow is the next one shown.
_MOST_REORDERED = 16

# Seconds: a live camera that is silent for this long is opened anew, so its clock was set if its times say it was.
_LONGEST_PAUSE = 10


@dataclass(slots=True, eq=False)
class SourceUnit:
    """One compressed picture as the source gave it.

    Attributes:
        pts, dts: in the stream's time base; None where the source does not say, filled in with `seq`.
        damaged: the container already says that bytes are missing.
        seq: number in presentation order.
        keyframe_seq: seq of the keyframe that decoding starts from.
    """

    payload: bytes = field(repr=False)
    keyframe: bool
    pts: int | None
    dts: int | None
    duration: int
    captured_us: int
    damaged: bool = False
    seq: int = -1
    keyframe_seq: int = -1


class _Numbering:
    """Units in decoding order, given out once each has its number."""

    def __init__(self) -> None:
        self._waiting: deque[SourceUnit] = deque()
        self._next_seq = 0
        self._last_pts: int | None = None
        self._last_dts: int | None = None
        self._keyframe_seq = -1
        self._previous_keyframe_seq = -1

    def _number(self, unit: SourceUnit, pts: int) -> None:
        if self._last_pts is not None:
            pts = max(pts, self._last_pts + 1)
        unit.pts = self._last_pts = pts
        unit.seq = self._next_seq
        self._next_seq += 1

    def _guessed_dts(self, pts: int, duration: int) -> int:
        """Matroska keeps no dts, and the first ones of a reordered stream stay unknown: counted from a neighbour."""
        if self._last_dts is not None:
            return min(pts, self._last_dts + duration)
        for places, later in enumerate(self._waiting, start=1):
            if later.dts is not None:
                return min(pts, later.dts - places * duration)
        return pts

    def _ready(self) -> Iterator[SourceUnit]:
        while self._waiting and self._waiting[0].seq >= 0:
            unit = self._waiting.popleft()
            assert unit.pts is not None  # noqa: S101 (set together with seq)
            if unit.dts is None:
                unit.dts = self._guessed_dts(unit.pts, max(1, unit.duration))
            self._last_dts = unit.dts
            if unit.keyframe:
                self._previous_keyframe_seq = unit.seq if self._keyframe_seq < 0 else self._keyframe_seq
                self._keyframe_seq = unit.seq
            # A leading picture of an open group is shown before its keyframe and needs the group before it too.
            unit.keyframe_seq = self._keyframe_seq if unit.seq >= self._keyframe_seq else self._previous_keyframe_seq
            yield unit


class OrderByPts(_Numbering):
    """Numbers units by their pts. A number is final once the decoding clock has passed it.

    Clocks that jump back are laid end to end, and so are those of live sources that jump ahead; pts that repeat or come
    too late are moved up by one tick, so that they rise strictly with seq.

    Args:
        second: ticks of the time base in one second.
        reordered: the decoder holds pictures back, so that a missing dts can't be taken to be the pts.
        live: pictures come in their own time, without long pauses.
    """

    def __init__(self, second: int, *, reordered: bool, live: bool = False) -> None:
        super().__init__()
        self._second = second
        self._longest_step = _LONGEST_PAUSE * second if live else math.inf
        self._reordered = reordered
        self._shift = 0
        self._clock: int | None = None
        self._unnumbered: list[tuple[int, int, SourceUnit]] = []
        self._pushed = 0
        self._last_duration = 1

    def push(self, unit: SourceUnit) -> Iterator[SourceUnit]:
        """Takes the next unit in decoding order and gives out those whose number is final, in the same order."""
        pts = unit.dts if unit.pts is None else unit.pts
        pts = self._after_all() if pts is None else pts + self._shift
        clock = None if unit.dts is None else unit.dts + self._shift
        if clock is None and not self._reordered:
            clock = pts
        if clock is not None and self._jumped(clock):
            self._settle()
            jump = self._after_all() - pts
            self._shift, pts, clock = self._shift + jump, pts + jump, clock + jump
            self._clock = clock
        if clock is not None:
            unit.dts = clock
            self._clock = clock if self._clock is None else max(clock, self._clock)
        heapq.heappush(self._unnumbered, (pts, self._pushed, unit))
        self._pushed += 1
        self._waiting.append(unit)
        if self._clock is not None:
            self._settle(self._clock)
        while len(self._unnumbered) > _MOST_REORDERED:
            self._number_next()
        yield from self._ready()

    def flush(self) -> Iterator[SourceUnit]:
        """The source has ended: gives out the rest."""
        self._settle()
        yield from self._ready()

    def _jumped(self, clock: int) -> bool:
        return self._clock is not None and not -self._second <= clock - self._clock <= self._longest_step

    def _settle(self, clock: float = math.inf) -> None:
        while self._unnumbered and self._unnumbered[0][0] <= clock:
            self._number_next()

    def _number_next(self) -> None:
        pts, _, unit = heapq.heappop(self._unnumbered)
        self._number(unit, pts)
        self._last_duration = max(1, unit.duration)

    def _after_all(self) -> int:
        """A pts after every one so far."""
        newest = max((pts for pts, _, _ in self._unnumbered), default=self._last_pts)
        return 0 if newest is None else newest + self._last_duration


class OrderByDecoding(_Numbering):
    """Numbers units by the order in which a decoder shows them, for streams whose pts are absent or wrong.

    Their times are those of a constant rate: the dts in rising order, or multiples of the duration.

    Args:
        shown: feeds one payload with its index to a decoder (None: the end) and returns the indices shown by it.
        delay: pictures that the decoder holds back; the dts are moved that far before the pts.
    """

    def __init__(self, shown: Callable[[bytes | None, int], list[int]], delay: int) -> None:
        super().__init__()
        self._shown = shown
        self._delay = delay
        self._unnumbered: dict[int, SourceUnit] = {}
        self._times: deque[int] = deque()
        self._pushed = 0

    def push(self, unit: SourceUnit) -> Iterator[SourceUnit]:
        """Takes the next unit in decoding order and gives out those whose number is known, in the same order."""
        duration = max(1, unit.duration)
        time = self._pushed * duration if unit.dts is None else unit.dts
        self._times.append(time)
        unit.dts = time - self._delay * duration
        self._unnumbered[self._pushed] = unit
        self._waiting.append(unit)
        self._number_all(self._shown(unit.payload, self._pushed))
        self._pushed += 1
        while len(self._unnumbered) > _MOST_REORDERED + 1:
            self._number_all([min(self._unnumbered)])
        yield from self._ready()

    def flush(self) -> Iterator[SourceUnit]:
        """The source has ended: gives out the rest."""
        self._number_all(self._shown(None, 0))
        self._number_all(list(self._unnumbered))
        yield from self._ready()

    def _number_all(self, indices: list[int]) -> None:
        for index in indices:
            unit = self._unnumbered.pop(index, None)
            if unit is not None:
                self._number(unit, self._times.popleft())
