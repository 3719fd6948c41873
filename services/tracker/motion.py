"""Where a track is at any frame: between its sights, before the first and after the last."""

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import NamedTuple

from services.schema import pb

XYXY = tuple[float, float, float, float]

_FIT = 4
"""Sights that a velocity is fitted to: evens out a detector's jitter and the bobbing of a walk."""


class Box(NamedTuple):
    """A box by its centre and size, in pixels."""

    x: float
    y: float
    w: float
    h: float

    def xyxy(self, grow_w: float = 0.0, grow_h: float = 0.0) -> XYXY:
        """Corners, after adding this many pixels to the width and the height."""
        half_w, half_h = (self.w + grow_w) / 2, (self.h + grow_h) / 2
        return self.x - half_w, self.y - half_h, self.x + half_w, self.y + half_h


@dataclass(frozen=True, slots=True)
class Reach:
    """How far in time and space a track is masked around its sights. Times are frames.

    Attributes:
        back: before the first sight.
        hold: after the last sight.
        once: at most for both, for a track that was seen once only: it may be a false alarm.
        growth: of an unseen box per frame, share of its size.
        settle: after which a lost track's velocity has fallen to 1/e.
        drift: added on each side for each pixel that an unseen track is moved: its speed is not known exactly.
    """

    back: float
    hold: float
    once: float
    growth: float
    settle: float
    drift: float


class Segment(NamedTuple):
    """A track during a span: corners at its first and last frame."""

    first: XYXY
    last: XYXY
    origin: pb.TrackSegment.Origin


class Track:
    """The sights of one subject, oldest first.

    Attributes:
        track_id: says nothing outside its epoch.
        kind: what it is.
        born: seq of the oldest sight, also when that is no longer kept.
        sights: how often it was seen.
        score: highest so far.
        resumed: it may have begun before anything that is known: one sight does not make it a false alarm.
    """

    __slots__ = ("_back", "_boxes", "_forward", "_seqs", "born", "kind", "resumed", "score", "sights", "track_id")

    def __init__(
        self, track_id: int, kind: pb.Kind, seq: int, box: Box, score: float, *, resumed: bool = False
    ) -> None:
        self.track_id = track_id
        self.kind = kind
        self.born = seq
        self.sights = 1
        self.score = score
        self.resumed = resumed
        self._seqs = [seq]
        self._boxes = [box]
        self._forward = self._back = (0.0, 0.0)

    @property
    def last_seq(self) -> int:
        """Seq of the newest sight."""
        return self._seqs[-1]

    @property
    def box(self) -> Box:
        """Box of the newest sight."""
        return self._boxes[-1]

    @property
    def velocity(self) -> tuple[float, float]:
        """Pixels per frame at the newest sight; (0, 0) where it was seen once only."""
        return self._forward

    def see(self, seq: int, box: Box, score: float) -> None:
        """Adds a sight newer than all others."""
        self._seqs.append(seq)
        self._boxes.append(box)
        self.sights += 1
        self.score = max(self.score, score)
        self._forward = _slope(self._seqs[-_FIT:], self._boxes[-_FIT:])
        if len(self._seqs) <= _FIT:
            self._back = _slope(self._seqs, self._boxes)

    def see_before(self, seq: int, box: Box) -> None:
        """Adds a sight older than all others."""
        self._seqs.insert(0, seq)
        self._boxes.insert(0, box)
        self.born = seq
        self.sights += 1
        self._back = _slope(self._seqs[:_FIT], self._boxes[:_FIT])
        if len(self._seqs) <= _FIT:
            self._forward = self._back

    def forget(self, before: int) -> None:
        """Drops sights that no frame from `before` on depends on."""
        spare = min(bisect_right(self._seqs, before) - 1, len(self._seqs) - _FIT)
        if spare > 16:
            del self._seqs[:spare], self._boxes[:spare]

    def predict(self, seq: int) -> Box:
        """Where it would be at a frame outside its sights if its velocity lasted."""
        at, box, (vx, vy) = (
            (self._seqs[-1], self._boxes[-1], self._forward)
            if seq >= self._seqs[-1]
            else (self._seqs[0], self._boxes[0], self._back)
        )
        return Box(box.x + vx * (seq - at), box.y + vy * (seq - at), box.w, box.h)

    def segment(self, first: int, end: int, reach: Reach) -> Segment | None:
        """The track from frame `first` to the one before `end`, or None if it is not masked there.

        No sight may lie between the two: spans run from look to look, and the last one from a look to the end.
        """
        most = reach.once if self.sights == 1 and not self.resumed else math.inf
        if end <= self.born - min(reach.back, most) or first > self.last_seq + min(reach.hold, most):
            return None
        if first >= self.last_seq:
            origin = pb.TrackSegment.PREDICTED
        elif first < self.born:
            origin = pb.TrackSegment.BACKFILLED
        else:
            at = bisect_right(self._seqs, first)
            seen = self._seqs[at - 1] == first and self._seqs[at] == end
            origin = pb.TrackSegment.DETECTED if seen else pb.TrackSegment.INTERPOLATED
        a, b = self._corners(first, reach), self._corners(end, reach)
        share = (end - 1 - first) / (end - first)
        return Segment(a, _between(a, b, share), origin)

    def _corners(self, seq: int, reach: Reach) -> XYXY:
        """Corners at a frame, widened by what is not known."""
        seqs, boxes = self._seqs, self._boxes
        after = bisect_right(seqs, seq)
        if after == 0:
            return _unseen(boxes[0], self._back, seq - seqs[0], reach)
        before = after - 1
        if seqs[before] == seq:
            return boxes[before].xyxy()
        if after == len(seqs):
            return _unseen(boxes[before], self._forward, seq - seqs[before], reach)
        p, q = boxes[before], boxes[after]
        share = (seq - seqs[before]) / (seqs[after] - seqs[before])
        box = Box(*(u + (v - u) * share for u, v in zip(p, q, strict=True)))
        grow = reach.growth * min(seq - seqs[before], seqs[after] - seq)
        return box.xyxy(grow * box.w, grow * box.h)


def _between(a: XYXY, b: XYXY, share: float) -> XYXY:
    keep = 1 - share
    return (
        a[0] * keep + b[0] * share,
        a[1] * keep + b[1] * share,
        a[2] * keep + b[2] * share,
        a[3] * keep + b[3] * share,
    )


def _unseen(box: Box, velocity: tuple[float, float], frames: int, reach: Reach) -> XYXY:
    """Corners `frames` away from the nearest sight, negative for before it."""
    # Backwards it keeps its speed: whoever is seen for the first time has mostly walked in from the edge.
    travel = reach.settle * (1 - math.exp(-frames / reach.settle)) if frames > 0 else frames
    dx, dy = velocity[0] * travel, velocity[1] * travel
    drift = 2 * reach.drift * math.hypot(dx, dy)
    grow = reach.growth * abs(frames)
    moved = Box(box.x + dx, box.y + dy, box.w, box.h)
    return moved.xyxy(grow * box.w + drift, grow * box.h + drift)


def _slope(seqs: list[int], boxes: list[Box]) -> tuple[float, float]:
    """Least-squares velocity of the centres, pixels per frame."""
    mid = sum(seqs) / len(seqs)
    spread = x = y = 0.0
    for seq, box in zip(seqs, boxes, strict=True):
        offset = seq - mid
        spread += offset * offset
        x += offset * box[0]
        y += offset * box[1]
    return x / spread, y / spread
