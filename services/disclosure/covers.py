"""What the spans say of a frame: which boxes there are on it, on what grounds, and whether that is all there is."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.disclosure.claims import Claims
from services.policy.model import Kind, Policy
from services.policy.wire import KINDS
from services.schema import pb

Boxes = NDArray[np.float64]

_TRACKS_MAX = 10_000
_NONE: Boxes = np.zeros((0, 4))
_KIND_OF: Mapping[int, Kind] = {int(wire): kind for kind, wire in KINDS.items()}

PEOPLE = frozenset({Kind.FACE, Kind.HEAD, Kind.PERSON})
"""Whoever is in a picture is found by one of these, each by themselves; what moves may be two people in one box."""

EVIDENT = frozenset({pb.TrackSegment.DETECTED, pb.TrackSegment.INTERPOLATED})
"""Origins with a detection at both ends. Boxes that were held, grown or drawn back in time may be anyone's by now."""


@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """One span as arrays.

    Attributes:
        policy: the one it was made under; None where it is not at hand.
        fault: why frames of it can't be shown; empty if they can.
        start, end: (n, 4) x1, y1, x2, y2 at its first and its last frame.
        tracks, kinds, origins: n of each; kinds are values of veil.v1.
    """

    first_seq: int
    last_seq: int
    policy: Policy | None
    fault: str
    start: Boxes
    end: Boxes
    tracks: tuple[int, ...]
    kinds: tuple[int, ...]
    origins: tuple[int, ...]

    @classmethod
    def read(cls, span: pb.RedactionSpan, policies: Mapping[str, Policy]) -> "Cover":
        """Reads a span; `policies` are those at hand, by fingerprint."""
        few = len(span.tracks) <= _TRACKS_MAX
        tracks = span.tracks if few else ()
        start, end = _boxes([track.first for track in tracks]), _boxes([track.last for track in tracks])
        policy = policies.get(span.policy)
        valid = few and start is not None and end is not None
        valid = valid and span.first_seq <= span.last_seq and all(track.kind in _KIND_OF for track in tracks)
        return cls(
            first_seq=span.first_seq,
            last_seq=span.last_seq,
            policy=policy,
            fault=_fault(span, policy, valid=valid),
            start=_NONE if start is None or end is None else start,
            end=_NONE if start is None or end is None else end,
            tracks=tuple(track.track_id for track in tracks) if valid else (),
            kinds=tuple(int(track.kind) for track in tracks) if valid else (),
            origins=tuple(int(track.origin) for track in tracks) if valid else (),
        )

    def at(self, seq: int) -> Boxes:
        """(n, 4) boxes in a frame, straight between both ends."""
        share = (seq - self.first_seq) / max(1, self.last_seq - self.first_seq)
        return self.start + (self.end - self.start) * share


class Covers:
    """The spans of one epoch, and which of them says what is in each frame.

    Args:
        spans: in the order in which they came. Of those that hold a frame the first counts: a tracker that was
            restarted says things again, and knows less.
        policies: those at hand, by fingerprint.
    """

    def __init__(self, spans: Iterable[pb.RedactionSpan], policies: Mapping[str, Policy]) -> None:
        claims, known = Claims(), set[bytes]()
        self._covers: list[Cover] = []
        parts: list[tuple[int, int, Cover]] = []
        for span in spans:
            digest = hashlib.sha256(span.SerializeToString(deterministic=True)).digest()
            if digest in known:
                continue
            known.add(digest)
            cover = Cover.read(span, policies)
            self._covers.append(cover)
            parts += [(first, last, cover) for first, last in claims.claim(cover.first_seq, cover.last_seq)]
        self._covers.sort(key=lambda cover: cover.first_seq)
        self._parts = sorted(parts, key=lambda part: part[0])
        self._firsts = [first for first, _, _ in self._parts]

    def __iter__(self) -> Iterator[Cover]:
        """In order of their first frames."""
        return iter(self._covers)

    def of(self, seq: int) -> Cover | None:
        """What is said of a frame; None where nothing was."""
        at = bisect_right(self._firsts, seq) - 1
        if at < 0 or seq > self._parts[at][1]:
            return None
        return self._parts[at][2]


def kind_of(wire: int) -> Kind:
    """The kind of a value of veil.v1 that a valid cover holds."""
    return _KIND_OF[wire]


def _fault(span: pb.RedactionSpan, policy: Policy | None, *, valid: bool) -> str:
    if not valid:
        return "What was found in this frame can't be read."
    if span.coverage != pb.COMPLETE:
        return "It is not certain that everything in this frame was found."
    if policy is None:
        return "The policy under which this frame was looked at is not at hand."
    if not PEOPLE & policy.kinds.keys():
        return "Nobody looked for people one by one in this frame."
    return ""


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
