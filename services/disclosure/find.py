"""Finds who is in a range of footage, from what the spans say alone: no picture is opened, so that a day takes seconds.

Nothing is remembered of how anyone looks: a track is its kind, its times and its places.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from services.disclosure.claims import Claims
from services.disclosure.covers import EVIDENT, kind_of
from services.disclosure.errors import Invalid
from services.disclosure.footage import Footage, Outline
from services.disclosure.request import SUBJECT_KINDS, Sight
from services.policy.model import Kind, Policy
from services.policy.wire import KINDS
from services.schema import pb

FOUND_MAX = 50_000
"""Tracks of one search; more are nothing to choose from."""

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the camera's picture."""

_WITHIN = 0.8  # share of a face's box that lies in the person it belongs to
_EVERY = 12  # frames between two looks at where a track is: half a second of a usual camera
_VOTE_EVERY = 36  # frames between two looks at which faces lie in which bodies
_MOMENTS_MAX = 8
_FAR = 1e6  # pixels; no box is out there
_SUBJECTS = {int(wire) for kind, wire in KINDS.items() if kind in SUBJECT_KINDS}
_BODIES = {int(wire) for kind, wire in KINDS.items() if kind.is_body}
_PARTS = {int(KINDS[Kind.FACE]), int(KINDS[Kind.HEAD])}


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a track was found at some time; the time is within some frames."""

    seq: int
    at_us: int
    box: Box


@dataclass(frozen=True, slots=True)
class Found:
    """One track of the range.

    Attributes:
        number: in this search, from 1, in order of time.
        start_us, end_us: capture times of its first and its last frame, microseconds since 1970, within some frames.
        evident: frames in which it was found, not guessed.
        best: where it is largest.
        moments: a few moments in which it was found, in order.
        belongs: numbers of tracks that are most likely the same person's: the face of a body, the body of a face.
    """

    number: int
    camera: str
    epoch: int
    track: int
    kind: Kind
    first_seq: int
    last_seq: int
    start_us: int
    end_us: int
    evident: int
    best: Moment
    moments: tuple[Moment, ...]
    belongs: tuple[int, ...]

    @property
    def sight(self) -> Sight:
        """All of it, as a part of a subject."""
        return Sight(
            camera=self.camera,
            epoch=self.epoch,
            track=self.track,
            kind=self.kind,
            first_seq=self.first_seq,
            last_seq=self.last_seq,
        )


@dataclass(frozen=True, slots=True)
class Search:
    """A range to look through; who looks, and what for."""

    cameras: Sequence[str]
    start_us: int
    end_us: int
    policies: Mapping[str, Policy]
    who: str
    purpose: str
    role: str = "officer"


_Key = tuple[int, int]
"""Track, and kind as a value of veil.v1."""


@dataclass(slots=True)
class _Track:
    """What is known of a track so far."""

    camera: str
    epoch: int
    key: _Key
    first_seq: int
    last_seq: int
    times: "_Times"
    evident: int = 0
    best: tuple[float, int, Box] = (-1.0, 0, (0.0, 0.0, 0.0, 0.0))
    moments: list[tuple[int, Box]] = field(default_factory=list)
    next_seq: int = 0  # from which its place is looked at again
    stride: int = _EVERY
    number: int = 0
    belongs: list["_Track"] = field(default_factory=list)

    def place(self, seq: int, box: Box) -> None:
        """Takes a place in which it was found; of all places, a few stay that are spread over its time."""
        size = (box[2] - box[0]) * (box[3] - box[1])
        if size > self.best[0]:
            self.best = size, seq, box
        if not self.moments or seq - self.moments[-1][0] >= self.stride:
            self.moments.append((seq, box))
        if len(self.moments) > _MOMENTS_MAX:
            del self.moments[1::2]
            self.stride *= 2

    def told(self) -> Found:
        """As it is listed, once all have their numbers."""
        _, seq, box = self.best
        return Found(
            number=self.number,
            camera=self.camera,
            epoch=self.epoch,
            track=self.key[0],
            kind=kind_of(self.key[1]),
            first_seq=self.first_seq,
            last_seq=self.last_seq,
            start_us=self.times.of(self.first_seq),
            end_us=self.times.of(self.last_seq),
            evident=self.evident,
            best=Moment(seq, self.times.of(seq), box),
            moments=tuple(Moment(at, self.times.of(at), where) for at, where in self.moments),
            belongs=tuple(sorted(other.number for other in self.belongs)),
        )


class _Times:
    """When the frames of an epoch were taken."""

    def __init__(self, outline: Outline) -> None:
        self._runs = sorted(outline.runs, key=lambda run: run.first_seq)
        self._firsts = [run.first_seq for run in self._runs]

    def within(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """What there is of these frames."""
        at = max(0, bisect_right(self._firsts, first) - 1)
        while at < len(self._runs) and self._runs[at].first_seq <= last:
            low, high = max(first, self._runs[at].first_seq), min(last, self._runs[at].last_seq)
            if low <= high:
                yield low, high
            at += 1

    def of(self, seq: int) -> int:
        """Microseconds since 1970, within some frames."""
        run = self._runs[max(0, bisect_right(self._firsts, seq) - 1)]
        share = (seq - run.first_seq) / max(1, run.last_seq - run.first_seq)
        return run.start_us + round((run.end_us - run.start_us) * min(1.0, max(0.0, share)))


def find(footage: Footage, search: Search) -> list[Found]:
    """The tracks of a range that could be somebody's own, in order of time. Raises Invalid where there are too many."""
    tracks: list[_Track] = []
    for camera in search.cameras:
        outlines = footage.outline(
            camera, search.start_us, search.end_us, purpose=search.purpose, who=search.who, role=search.role
        )
        for outline in outlines:
            tracks += _of_epoch(outline)
            if len(tracks) > FOUND_MAX:
                raise Invalid(f"There are more than {FOUND_MAX} tracks: ask for a shorter time.")
    tracks.sort(key=lambda one: (one.times.of(one.first_seq), one.camera, one.epoch, one.key))
    for number, one in enumerate(tracks, 1):
        one.number = number
    return [one.told() for one in tracks]


def _of_epoch(outline: Outline) -> list[_Track]:
    times, claims = _Times(outline), Claims()
    tracks: dict[_Key, _Track] = {}
    votes: dict[_Key, Counter[_Key]] = {}
    voted = -_VOTE_EVERY
    for span in outline.spans():
        for low, high in times.within(span.first_seq, span.last_seq):
            for first, last in claims.claim(low, high):
                _take(tracks, outline, times, span, first, last)
                if first - voted >= _VOTE_EVERY:
                    voted = first
                    _vote(votes, span)
        if len(tracks) > FOUND_MAX:
            raise Invalid(f"There are more than {FOUND_MAX} tracks: ask for a shorter time.")
    for part, bodies in votes.items():
        of, body = tracks.get(part), tracks.get(bodies.most_common(1)[0][0])
        if of is not None and body is not None and of.evident and body.evident:
            of.belongs.append(body)
            body.belongs.append(of)
    return [one for one in tracks.values() if one.evident]


def _take(
    tracks: dict[_Key, _Track], outline: Outline, times: _Times, span: pb.RedactionSpan, first: int, last: int
) -> None:
    """Adds what a span says of some frames."""
    middle = (first + last) // 2
    for segment in span.tracks:
        wire = segment.kind
        if wire not in _SUBJECTS:
            continue
        key = segment.track_id, wire
        one = tracks.get(key)
        if one is None:
            one = tracks[key] = _Track(outline.camera_id, outline.epoch, key, first, last, times)
        elif first < one.first_seq:
            one.first_seq = first
        if last > one.last_seq:
            one.last_seq = last
        if segment.origin not in EVIDENT:
            continue
        if middle >= one.next_seq:
            box = _box_at(span, segment, middle)
            if box is None:
                continue
            one.place(middle, box)
            one.next_seq = middle + _EVERY
        one.evident += last - first + 1


def _vote(votes: dict[_Key, Counter[_Key]], span: pb.RedactionSpan) -> None:
    """Counts for each face and head of a span the one body that it lies in, where there is only one."""
    parts = [segment for segment in span.tracks if segment.kind in _PARTS]
    if not parts:
        return
    bodies = [
        (segment, box)
        for segment in span.tracks
        if segment.kind in _BODIES and (box := _box_at(span, segment, span.first_seq)) is not None
    ]
    for part in parts:
        place = _box_at(span, part, span.first_seq)
        if place is None:
            continue
        around = [segment for segment, box in bodies if _within(place, box)]
        for kind in (Kind.PERSON, Kind.MOTION):
            alone = [body for body in around if kind_of(body.kind) is kind]
            if len(alone) == 1:
                counted = votes.setdefault((part.track_id, part.kind), Counter())
                counted[alone[0].track_id, alone[0].kind] += 1
                break


def _box_at(span: pb.RedactionSpan, segment: pb.TrackSegment, seq: int) -> Box | None:
    """Where a track is in a frame of its span; None where that can't be read."""
    share = (seq - span.first_seq) / max(1, span.last_seq - span.first_seq)
    if len(segment.first) != 4 or len(segment.last) != 4:
        return None
    x1, y1, x2, y2 = (a + (b - a) * share for a, b in zip(segment.first, segment.last, strict=True))
    # Written so that it is false for what is no number.
    if not (-_FAR < x1 <= x2 < _FAR and -_FAR < y1 <= y2 < _FAR):
        return None
    return x1, y1, x2, y2


def _within(part: Box, body: Box) -> bool:
    across = min(part[2], body[2]) - max(part[0], body[0])
    down = min(part[3], body[3]) - max(part[1], body[1])
    own = (part[2] - part[0]) * (part[3] - part[1])
    return across > 0 and down > 0 and own > 0 and across * down >= _WITHIN * own
