"""Spans of one epoch: what the tracker said about which frames."""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.bus.interface import InvalidMessage, Position
from services.schema import pb

Boxes = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """One RedactionSpan as arrays.

    Attributes:
        valid: every segment has two finite, upright boxes and a kind. Otherwise the arrays are empty.
        complete: coverage is COMPLETE; unspecified and unknown values are not.
        start: (n, 4) x1, y1, x2, y2 at first_seq.
        end: (n, 4) at last_seq.
        kinds: values of veil.v1 Kind, n of them.
        tracks: track ids, n of them.
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
    position: Position

    @classmethod
    def read(cls, span: pb.RedactionSpan, position: Position) -> "Span":
        """Reads the message. Raises InvalidMessage where it holds no frame at all."""
        if span.last_seq < span.first_seq:
            raise InvalidMessage(f"a span from {span.first_seq} to {span.last_seq}")
        start, end = _boxes([track.first for track in span.tracks]), _boxes([track.last for track in span.tracks])
        kinds = tuple(track.kind for track in span.tracks)
        valid = start is not None and end is not None and pb.KIND_UNSPECIFIED not in kinds
        return cls(
            first_seq=span.first_seq,
            last_seq=span.last_seq,
            valid=valid,
            complete=span.coverage == pb.COMPLETE,
            why=span.why,
            policy=span.policy,
            start=_NONE if start is None else start,
            end=_NONE if end is None else end,
            kinds=kinds,
            tracks=tuple(track.track_id for track in span.tracks),
            position=position,
        )

    def progress(self, seq: int) -> float:
        """Where a frame lies in the span: 0 at its first, 1 at its last."""
        return (seq - self.first_seq) / max(1, self.last_seq - self.first_seq)


_NONE: Boxes = np.zeros((0, 4))


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
    """The spans of one epoch whose frames are not all out yet."""

    def __init__(self) -> None:
        self._spans: list[Span] = []  # by first_seq

    def add(self, span: Span) -> None:
        """Keeps it until `release` passes its last frame."""
        insort(self._spans, span, key=lambda other: other.first_seq)

    def __len__(self) -> int:
        return len(self._spans)

    def covering(self, seq: int) -> list[Span]:
        """Every span that holds this frame."""
        found = []
        for span in self._spans:
            if span.first_seq > seq:
                break
            if span.last_seq >= seq:
                found.append(span)
        return found

    def beyond(self, seq: int) -> bool:
        """True where a span lies behind this frame: spans come in order, none will hold it any more."""
        return bool(self._spans) and self._spans[-1].first_seq > seq

    def release(self, next_seq: int) -> list[Position]:
        """Lets go of the spans whose frames all lie below `next_seq`, and says where they stood."""
        if not self._spans or self._spans[0].last_seq >= next_seq:
            return []
        gone = [span.position for span in self._spans if span.last_seq < next_seq]
        self._spans = [span for span in self._spans if span.last_seq >= next_seq]
        return gone

    def clear(self) -> list[Position]:
        """Lets go of all."""
        gone = [span.position for span in self._spans]
        self._spans.clear()
        return gone
