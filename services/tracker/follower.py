"""Follows the subjects of one epoch from look to look."""

import hashlib
from collections.abc import Iterator, Sequence

from services.schema import pb
from services.tracker import metrics
from services.tracker.association import gate, match
from services.tracker.faults import Fault
from services.tracker.look import Candidates, Look
from services.tracker.motion import Box, Track
from services.tracker.rules import KindRules

_ID_BYTES = 6
"""Of a hash over the epoch and the track's beginning: a replay gives the same ids, two epochs have none in common.
Short enough for every reader's integers."""

_YOUNG = 3
"""Sights up to which a track's past is looked for: by then its velocity is known."""

_PAST_MAX_S = 1.0
"""Longest stretch without a sight that is bridged backwards."""


class Follower:
    """The tracks of one epoch, kinds apart from each other.

    Args:
        stream: camera and epoch, which ids are made of.
        tracks_max: most tracks at once; what is found beyond them makes its look overflow.
    """

    def __init__(self, stream: str, tracks_max: int) -> None:
        self._stream = stream
        self._tracks_max = tracks_max
        self._live: dict[int, list[Track]] = {}
        self._past: list[Track] = []

    def __iter__(self) -> Iterator[Track]:
        for tracks in self._live.values():
            yield from tracks
        yield from self._past

    def __len__(self) -> int:
        return sum(map(len, self._live.values())) + len(self._past)

    def follow(self, look: Look, before: Sequence[Look], rate: float, *, resuming: bool) -> list[Track]:
        """Takes in a look, in two rounds as ByteTrack does, and returns the tracks it saw.

        Boxes over the starting threshold are matched first, then weaker ones with the tracks left over. Strong boxes
        that no track claims start tracks at once: waiting for a second sight would expose the first. Weak ones are
        kept for those that a track may claim later as its past.

        Args:
            look: the newest look.
            before: looks whose spans are not emitted yet, oldest first.
            rate: frames per second.
            resuming: tracks that began before the first look that is known may still be there. Weak boxes count as
                strong then: they may go on with one of those, and must not lose it to a strong box close by.
        """
        seen: list[Track] = []
        for rules in look.rules.kinds if look.rules is not None else ():
            seen += self._follow_kind(rules, look, before, rate, resuming)
        return seen

    def retire(self, unseen_since: float) -> list[Track]:
        """Gives up tracks not seen from this frame on; they can still be masked for a while."""
        ended = []
        for kind, tracks in self._live.items():
            gone = [track for track in tracks if track.last_seq < unseen_since]
            if gone:
                self._live[kind] = [track for track in tracks if track.last_seq >= unseen_since]
                ended += gone
        self._past += ended
        return ended

    def forget(self, before: int, hold: float) -> None:
        """Drops what no frame from `before` on depends on."""
        if self._past:
            self._past = [track for track in self._past if track.last_seq + hold >= before]
        for track in self:
            track.forget(before)

    def _follow_kind(
        self, rules: KindRules, look: Look, before: Sequence[Look], rate: float, resuming: bool
    ) -> list[Track]:
        tracks = self._live.setdefault(rules.kind, [])
        found = look.found.get(rules.kind)
        if found is None:
            return []
        threshold = rules.keep if resuming else rules.threshold
        strong = [row for row in found if row[4] >= threshold]
        weak = [row for row in found if rules.keep <= row[4] < threshold]
        seen, tracks_left, strong_left = _continue(tracks, strong, look.seq, rate)
        again, _, weak_left = _continue(tracks_left, weak, look.seq, rate)
        seen += again
        for number, (x, y, w, h, score) in enumerate(strong_left):
            if len(self) >= self._tracks_max:
                look.overflow = Fault(pb.Closing.TOO_MANY, f"More than {self._tracks_max} tracks at frame {look.seq}.")
                break
            track_id = self._id(rules.kind, look.seq, number)
            track = Track(track_id, rules.kind, look.seq, Box(x, y, w, h), score, resumed=resuming)
            metrics.TRACKS.labels(rules.name).inc()
            tracks.append(track)
            seen.append(track)
        if weak_left:
            look.spare[rules.kind] = weak_left
        for track in seen:
            if track.sights <= _YOUNG:
                _find_past(track, before, rate)
        return seen

    def _id(self, kind: pb.Kind, seq: int, number: int) -> int:
        digest = hashlib.blake2b(f"{self._stream}/{kind}/{seq}/{number}".encode(), digest_size=_ID_BYTES).digest()
        return int.from_bytes(digest)


def _continue(
    tracks: Sequence[Track], found: Candidates, seq: int, rate: float
) -> tuple[list[Track], Sequence[Track], Candidates]:
    """Adds sights to tracks: those seen, those not, and the candidates that none of them took."""
    if not tracks or not found:
        return [], tracks, found
    predicted = [track.predict(seq) for track in tracks]
    gates = [gate(track.sights, (seq - track.last_seq) / rate) for track in tracks]
    taken = dict(match(predicted, gates, found))
    seen, left = [], []
    for index, track in enumerate(tracks):
        if index in taken:
            x, y, w, h, score = found[taken[index]]
            track.see(seq, Box(x, y, w, h), score)
            seen.append(track)
        else:
            left.append(track)
    used = set(taken.values())
    return seen, left, [row for index, row in enumerate(found) if index not in used]


def _find_past(track: Track, before: Sequence[Look], rate: float) -> None:
    """Follows a new track back through weak boxes of the looks not emitted yet."""
    for look in reversed(before):
        if look.seq >= track.born:
            continue
        seconds = (track.born - look.seq) / rate
        if seconds > _PAST_MAX_S:
            break
        spare = look.spare.get(track.kind)
        if not spare:
            continue
        pairs = match([track.predict(look.seq)], [gate(track.sights, seconds)], spare)
        if pairs:
            ((_, index),) = pairs
            x, y, w, h, _ = spare.pop(index)
            track.see_before(look.seq, Box(x, y, w, h))
