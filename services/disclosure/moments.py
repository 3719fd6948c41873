"""Single frames of a range, each with what is known of it: opened around their times only, decoded group by group."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from services.disclosure.covers import Covers
from services.disclosure.find import Moment, Search
from services.disclosure.footage import Footage, Gap, Piece
from services.disclosure.screening import Screening, Shot
from services.policy.model import Policy

_AROUND_US = 12_000_000
"""Times of moments are exact to some frames; no segment of pictures is much longer than this."""

_BEHIND_US = 5_000_000  # more than the look-ahead
_APART_US = 60_000_000  # what lies closer together is opened together

Stream = tuple[str, int]
"""Camera and epoch."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A frame that somebody wants to see."""

    camera: str
    epoch: int
    moment: Moment

    @property
    def stream(self) -> Stream:
        """Camera and epoch."""
        return self.camera, self.epoch


def shots(footage: Footage, search: Search, wanted: Collection[Wanted]) -> Iterator[tuple[Shot, Covers]]:
    """These frames, each once, in order of camera and time; what is not there any more is left out."""
    for camera in dict.fromkeys(one.camera for one in wanted):
        here = sorted((one for one in wanted if one.camera == camera), key=lambda one: one.moment.at_us)
        while here:
            group = [here.pop(0)]
            while here and here[0].moment.at_us - group[-1].moment.at_us < _APART_US:
                group.append(here.pop(0))
            yield from _together(footage, search, camera, group)


def _together(
    footage: Footage, search: Search, camera: str, group: Collection[Wanted]
) -> Iterator[tuple[Shot, Covers]]:
    times = [one.moment.at_us for one in group]
    start_us = max(search.start_us, min(times) - _AROUND_US)
    end_us = min(search.end_us, max(times) + _AROUND_US)
    who = {"purpose": search.purpose, "who": search.who, "role": search.role}
    covers = _covers(footage, camera, start_us, end_us + _BEHIND_US, search.policies, who)
    seqs: dict[int, set[int]] = {}
    for one in group:
        seqs.setdefault(one.epoch, set()).add(one.moment.seq)
    for shot in _screened(footage, camera, start_us, end_us, seqs, who):
        yield shot, covers.get(shot.epoch) or Covers((), {})


def _covers(
    footage: Footage, camera: str, start_us: int, end_us: int, policies: Mapping[str, Policy], who: Mapping[str, str]
) -> Mapping[int, Covers]:
    outlines = footage.outline(camera, start_us, end_us, purpose=who["purpose"], who=who["who"], role=who["role"])
    return {outline.epoch: Covers(outline.spans(), policies) for outline in outlines}


def _screened(
    footage: Footage,
    camera: str,
    start_us: int,
    end_us: int,
    seqs: Mapping[int, Collection[int]],
    who: Mapping[str, str],
) -> Iterator[Shot]:
    opened = footage.open(camera, start_us, end_us, purpose=who["purpose"], who=who["who"], role=who["role"])
    screening: Screening | None = None
    epoch = -1
    for piece in opened:
        if screening is not None and (isinstance(piece, Gap) or piece.epoch != epoch):
            yield from screening.end()
            screening = None
        if isinstance(piece, Piece) and piece.epoch in seqs:
            if screening is None:
                epoch, screening = piece.epoch, Screening(seqs[piece.epoch].__contains__)
            yield from screening.take(piece)
    if screening is not None:
        yield from screening.end()
