"""Spans of one epoch: what the tracker said about which frames."""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.bus.interface import Position
from services.policy.model import Kind, Mode
from services.policy.wire import KINDS
from services.renderer.trace import copied, since_inference
from services.schema import pb

Boxes = NDArray[np.float64]

_TRACKS_MAX = 10_000
"""Of one span: drawing as many takes a fifth of a second."""

_WHY_MAX = 300
"""Characters: a reason is one sentence."""
_DETECTOR_MAX = 64


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """One RedactionSpan as arrays.

    Attributes:
        valid: every segment has two finite, upright boxes, a kind, and no mode that does not suit it. Otherwise
            nothing of it is drawn.
        complete: coverage is COMPLETE; unspecified and unknown values are not.
        start: (n, 4) x1, y1, x2, y2 at first_seq.
        end: (n, 4) at last_seq.
        kinds: values of veil.v1 Kind, n of them.
        tracks: track ids, n of them.
        modes: how each is masked, n of them; None for the policy's way.
        trace: of the look that completed it, from inference on.
        closing: why it is not complete, as a code; empty where nobody said.
    """

    first_seq: int
    last_seq: int
    valid: bool
    complete: bool
    why: str
    policy: str
    start: Boxes
    end: Boxes
    kinds: tuple[pb.Kind, ...]
    tracks: tuple[int, ...]
    modes: tuple[str | None, ...]
    position: Position
    trace: tuple[pb.Hop, ...]
    closing: pb.Closing

    @classmethod
    def read(cls, span: pb.RedactionSpan, position: Position) -> "Span":
        """Reads the message."""
        tracks = span.tracks if len(span.tracks) <= _TRACKS_MAX else ()
        start, end = _boxes([track.first for track in tracks]), _boxes([track.last for track in tracks])
        kinds = tuple(track.kind for track in tracks)
        valid = start is not None and end is not None and pb.KIND_UNSPECIFIED not in kinds
        valid &= len(tracks) == len(span.tracks) and all(_suits(track) for track in tracks)
        return cls(
            first_seq=span.first_seq,
            last_seq=span.last_seq,
            valid=valid,
            complete=span.coverage == pb.COMPLETE,
            why=span.why[:_WHY_MAX],
            policy=span.policy,
            start=_NONE if start is None else start,
            end=_NONE if end is None else end,
            kinds=kinds,
            tracks=tuple(track.track_id for track in tracks),
            modes=tuple(track.mode or None for track in tracks),
            position=position,
            trace=since_inference(copied(span.trace)),
            closing=pb.Closing(reason=span.closing.reason, detector=span.closing.detector[:_DETECTOR_MAX]),
        )

    def progress(self, seq: int) -> float:
        """Where a frame lies in the span: 0 at its first, 1 at its last."""
        return (seq - self.first_seq) / max(1, self.last_seq - self.first_seq)


_NONE: Boxes = np.zeros((0, 4))
_MODES = frozenset(mode.value for mode in Mode)
_SHAPES = frozenset(mode.value for mode in Mode if mode.shows_body)
_BODIES = frozenset(KINDS[kind] for kind in Kind if kind.is_body)


def _suits(track: pb.TrackSegment) -> bool:
    """False where a mode of its own is unknown, or would keep the shape of what has no body."""
    return not track.mode or (track.mode in _MODES and (track.mode not in _SHAPES or track.kind in _BODIES))


def _boxes(rows: Sequence[Sequence[float]]) -> Boxes | None:
    """(n, 4), or None unless each is four finite numbers with x1 <= x2 and y1 <= y2."""
    if not rows:
        return _NONE
    if any(len(row) != 4 for row in rows):
        return None
    boxes = np.array(rows, np.float64)
    if not np.isfinite(boxes).all() or (boxes[:, :2] > boxes[:, 2:]).any():
        return None
    return boxes


class SpanStore:
    """The spans of one epoch whose frames are not all out yet.

    A tracker that was restarted says some things again, and knows less than the first time: of the spans that hold a
    frame, the one that came first counts.
    """

    def __init__(self) -> None:
        self._spans: list[Span] = []  # by first_seq
        self._first_end = 0  # of the one that ends first

    def __len__(self) -> int:
        return len(self._spans)

    def add(self, span: Span) -> None:
        """Keeps it until `release` passes its last frame."""
        self._first_end = min(self._first_end, span.last_seq) if self._spans else span.last_seq
        insort(self._spans, span, key=lambda other: other.first_seq)

    def covering(self, seq: int) -> Span | None:
        """The span that says what becomes of this frame."""
        found: Span | None = None
        for span in self._spans:
            if span.first_seq > seq:
                break
            if span.last_seq >= seq and (found is None or span.position < found.position):
                found = span
        return found

    def beyond(self, seq: int) -> bool:
        """True where a span lies behind this frame: spans come in order, none will hold it any more."""
        return bool(self._spans) and self._spans[-1].first_seq > seq

    def release(self, next_seq: int) -> list[Span]:
        """Lets go of the spans whose frames all lie below `next_seq`, and gives them out."""
        if not self._spans or self._first_end >= next_seq:
            return []
        gone = [span for span in self._spans if span.last_seq < next_seq]
        self._spans = [span for span in self._spans if span.last_seq >= next_seq]
        self._first_end = min((span.last_seq for span in self._spans), default=0)
        return gone

    def clear(self) -> list[Span]:
        """Lets go of all."""
        gone, self._spans = self._spans, []
        return gone
