"""The subject of a disclosure: which tracks are theirs, and in which frames."""

from collections import defaultdict
from collections.abc import Iterable

from services.disclosure.request import Sight
from services.policy.model import Kind


class Subject:
    """The tracks that show one person, or whatever is theirs, in one epoch."""

    def __init__(self, sights: Iterable[Sight]) -> None:
        self._sights: dict[tuple[int, Kind], list[tuple[int, int]]] = defaultdict(list)
        for sight in sights:
            self._sights[sight.track, sight.kind].append((sight.first_seq, sight.last_seq))
        self.stretches = _joined([part for parts in self._sights.values() for part in parts])

    def is_wanted(self, seq: int) -> bool:
        """Whether a frame lies where the subject is: no other is rendered."""
        return any(first <= seq <= last for first, last in self.stretches)

    def near(self, first: int, last: int, ahead: int) -> bool:
        """Whether something of these frames, or of those up to `ahead` before them, is wanted."""
        return any(first - ahead <= b and last >= a for a, b in self.stretches)

    def is_own(self, track: int, kind: Kind, seq: int) -> bool:
        """Whether a track is the subject's in a frame."""
        return any(a <= seq <= b for a, b in self._sights.get((track, kind), ()))


def _joined(parts: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The parts in order, those that touch as one."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(parts):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return tuple(found)
