"""What becomes a suspect: a find that is sure, or that is there again in the next picture looked at."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.auditor.find import Box, Find

_MOST_FOLLOWED = 256
_PATIENCE = 2
"""Looks after which a find that has not come again is forgotten."""


@dataclass(slots=True)
class Suspect:
    """Something that looks like a face or a plate and is not masked.

    Attributes:
        kind: face or plate.
        score, box, seq, t_s: of its surest sighting: 0–1, pixels, number of the frame, seconds from the start.
        first_s, last_s: from when to when it was seen.
        sightings: looks in which it was seen.
        evidence: JPEG of the place, the suspect itself masked; empty if none was kept.
    """

    kind: str
    score: float
    box: Box
    seq: int
    t_s: float
    first_s: float
    last_s: float
    sightings: int = 1
    evidence: bytes = field(default=b"", repr=False)


@dataclass(slots=True)
class _Followed:
    suspect: Suspect
    newest: Box
    told: bool = False
    missed: int = 0


class Watch:
    """Follows the finds of one stream from look to look.

    Args:
        sure: kind → score from which one look is enough.
    """

    def __init__(self, sure: dict[str, float]) -> None:
        self._sure = sure
        self._followed: list[_Followed] = []

    def take(self, finds: Sequence[Find], seq: int, t_s: float) -> tuple[list[Suspect], list[Suspect]]:
        """Takes the finds of one look: returns the suspects that are new, and all that were seen surest in this one."""
        best: list[Suspect] = []
        left = list(self._followed)
        for find in sorted(finds, key=lambda find: -find.score):
            followed = next(
                (one for one in left if one.suspect.kind == find.kind and _near(one.newest, find.box)), None
            )
            if followed is None:
                followed = _Followed(Suspect(find.kind, find.score, find.box, seq, t_s, t_s, t_s), find.box)
                if len(self._followed) < _MOST_FOLLOWED:
                    self._followed.append(followed)
                best.append(followed.suspect)
            else:
                left.remove(followed)
                self._again(followed, find, seq, t_s, best)
        for missing in left:
            missing.missed += 1
        self._followed = [one for one in self._followed if one.missed < _PATIENCE]
        return self._news(), best

    def _again(self, followed: _Followed, find: Find, seq: int, t_s: float, best: list[Suspect]) -> None:
        suspect = followed.suspect
        followed.newest, followed.missed = find.box, 0
        suspect.sightings += 1
        suspect.last_s = t_s
        if find.score > suspect.score:
            suspect.score, suspect.box, suspect.seq, suspect.t_s = find.score, find.box, seq, t_s
            best.append(suspect)

    def _news(self) -> list[Suspect]:
        news = [one for one in self._followed if not one.told and self._holds(one.suspect)]
        for one in news:
            one.told = True
        return [one.suspect for one in news]

    def _holds(self, suspect: Suspect) -> bool:
        return suspect.score >= self._sure[suspect.kind] or suspect.sightings > 1


def _near(one: Box, other: Box) -> bool:
    """True where two boxes can be the same subject: centres less than a box apart, sizes within twice each other."""
    sides = [max(box[2] - box[0], box[3] - box[1]) for box in (one, other)]
    if max(sides) > 2 * min(sides):
        return False
    apart = (one[0] + one[2] - other[0] - other[2]) / 2, (one[1] + one[3] - other[1] - other[3]) / 2
    return max(abs(apart[0]), abs(apart[1])) < max(sides)
