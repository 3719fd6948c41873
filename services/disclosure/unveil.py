"""One frame of a disclosure: everything that was found in it is masked but the subject; where in doubt, all of it.

Nothing is ever drawn over a mask, so that masking wins wherever boxes overlap: the subject is what was left as it is.
"""

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np

from services.disclosure.covers import EVIDENT, PEOPLE, Boxes, Cover, Covers, kind_of
from services.disclosure.request import Correction
from services.disclosure.screening import Shot
from services.disclosure.subject import Subject
from services.media.masks import DRAWN, Shades, Zone, close_picture, mask, outer_bounds
from services.media.picture import Picture
from services.policy.model import Kind, Policy

LOOK_AHEAD_S = 2.0
"""Of the profile `evidence`: how far before it was first found something is masked, whatever its camera's profile."""

_PADDING = 0.15
_USUAL_RATE = 25.0


class Why(StrEnum):
    """Why something is masked."""

    OTHER = "other"
    GUESS = "guess"
    MANY = "many"
    SOON = "soon"
    ZONE = "zone"
    BOX = "box"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True)
class Mask:
    """One mask on a frame.

    Attributes:
        box: what it covers, x1, y1, x2, y2 in pixels.
        kind: what is under it, as far as a track says; None under a zone, or a box drawn by hand.
        correction: number of the one that asked for it, from 0; None where none did.
    """

    box: tuple[int, int, int, int]
    kind: Kind | None
    why: Why
    correction: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Unveiled:
    """A frame that may be shown.

    Attributes:
        picture: masked, or closed.
        why: why it is closed, one sentence; empty where it is not.
        masks: what was drawn, and why.
        subject: the subject is in it, and was left as it is.
        policy: fingerprint of the one under which it was looked at; empty where that is not known.
    """

    picture: Picture
    why: str
    masks: tuple[Mask, ...]
    subject: bool
    policy: str


@dataclass(frozen=True, slots=True, eq=False)
class _Wanted:
    """A mask that is to be drawn: where, for whom (a key that lasts over frames), how, and why."""

    box: Boxes | tuple[float, float, float, float]
    key: Hashable
    kind: Kind | None
    why: Why
    correction: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Early:
    """The first box of a track: where it must have come from."""

    seq: int
    track: int
    kind: Kind
    box: tuple[float, float, float, float]


class Unveiler:
    """Draws the frames of one epoch.

    Args:
        subject: is shown.
        covers: what is known of the epoch's frames, all of it that touches what is drawn.
        corrections: more to mask, each with its number.
    """

    def __init__(self, subject: Subject, covers: Covers, corrections: Sequence[tuple[int, Correction]] = ()) -> None:
        self._subject, self._covers = subject, covers
        self._corrections = corrections
        self._shades = Shades()
        self._early = [
            early for early in _first_boxes(covers) if not subject.is_own(early.track, early.kind, early.seq)
        ]
        self._early_seqs = [early.seq for early in self._early]
        self._labels: dict[int, str] = {}
        self._zones: dict[tuple[str, int, int], tuple[tuple[tuple[int, int, int, int], Zone], ...]] = {}

    def unveil(self, shot: Shot) -> Unveiled:
        """The frame as it may be shown. Its picture is written into."""
        cover = self._covers.of(shot.seq)
        why = shot.why or ("Nothing is known of what is in this frame." if cover is None else cover.fault)
        why = why or self._closed_by_hand(shot.seq)
        if why or shot.picture is None or cover is None or cover.policy is None:
            known = "" if cover is None or cover.policy is None else self._label(cover.policy)
            return Unveiled(closed(shot), why or "There is no picture of this frame.", (), subject=False, policy=known)
        masks, subject = self._mask(shot, shot.picture, cover, cover.policy)
        return Unveiled(shot.picture, "", masks, subject, self._label(cover.policy))

    def _mask(self, shot: Shot, picture: Picture, cover: Cover, policy: Policy) -> tuple[tuple[Mask, ...], bool]:
        places, wanted, subject = cover.at(shot.seq), list[_Wanted](), False
        for index, (track, wire, origin) in enumerate(zip(cover.tracks, cover.kinds, cover.origins, strict=True)):
            kind = kind_of(wire)
            why, correction = self._reason(track, kind, origin, shot.seq, policy)
            if why is None:
                subject = True
            else:
                wanted.append(_Wanted(places[index], (track, kind), kind, why, correction))
        for early, box in self._coming(shot, policy, set(cover.tracks)):
            wanted.append(_Wanted(box, (early.track, early.kind), early.kind, Why.SOON))
        for number, one in self._corrections:
            if one.box is not None and one.first_seq <= shot.seq <= one.last_seq:
                wanted.append(_Wanted(one.box, (-1, number), None, Why.BOX, number))
        return self._draw(picture, policy, wanted), subject

    def _reason(
        self, track: int, kind: Kind, origin: int, seq: int, policy: Policy
    ) -> tuple[Why, int | None] | tuple[None, None]:
        """Why a box is masked, and which correction asks for it; None where it is the subject's and shown."""
        if not self._subject.is_own(track, kind, seq):
            return Why.OTHER, None
        for number, one in self._corrections:
            if one.track == track and one.kind is kind and one.first_seq <= seq <= one.last_seq:
                return Why.TAKEN, number
        if origin not in EVIDENT:
            return Why.GUESS, None
        # What moves is one box for all that moves together: it counts only where people are found by themselves too.
        if kind is Kind.MOTION and not PEOPLE & policy.kinds.keys():
            return Why.MANY, None
        return None, None

    def _draw(self, picture: Picture, policy: Policy, wanted: Sequence[_Wanted]) -> tuple[Mask, ...]:
        drawn: list[Mask] = []
        if wanted:
            every = np.array([one.box for one in wanted], np.float64).reshape(len(wanted), 4)
            padding = np.array([0.0 if one.kind is None else _padding(policy, one.kind) for one in wanted])
            bounds = outer_bounds(every, padding, picture.width, picture.height)
            modes = ["solid" if one.kind is None else _mode(policy, one.kind) for one in wanted]
            touched = mask(picture, bounds, [one.key for one in wanted], modes, policy.strength, self._shades)
            for index in touched:
                one = wanted[index]
                drawn.append(Mask(bounds[index], one.kind, one.why, one.correction))
        for box, zone in self._zones_of(policy, picture):
            zone.draw(picture)
            drawn.append(Mask(box, None, Why.ZONE))
        return tuple(drawn)

    def _coming(self, shot: Shot, policy: Policy, here: set[int]) -> Iterable[tuple[_Early, Boxes]]:
        """What is first found within the look-ahead behind this frame, grown as it may have moved since."""
        rate = shot.stream.frame_rate if 1 <= shot.stream.frame_rate <= 240 else _USUAL_RATE
        for early in self._early[bisect_right(self._early_seqs, shot.seq) :]:
            ahead = early.seq - shot.seq
            if ahead > LOOK_AHEAD_S * rate:
                break
            if early.track in here:
                continue
            x1, y1, x2, y2 = early.box
            grown = policy.tracking.growth_per_s * ahead / rate / 2
            across, down = (x2 - x1) * grown, (y2 - y1) * grown
            yield early, np.array([x1 - across, y1 - down, x2 + across, y2 + down])

    def _closed_by_hand(self, seq: int) -> str:
        closing = (one for _, one in self._corrections if one.closes and one.first_seq <= seq <= one.last_seq)
        return next((f"A review closed it: {one.why}" for one in closing), "")

    def _label(self, policy: Policy) -> str:
        known = self._labels.get(id(policy))
        if known is None:
            known = self._labels[id(policy)] = policy.fingerprint
        return known

    def _zones_of(self, policy: Policy, picture: Picture) -> tuple[tuple[tuple[int, int, int, int], Zone], ...]:
        polygons = [zone.polygon for zone in policy.zones if zone.use == "mask"]
        if not polygons:
            return ()
        key = self._label(policy), picture.width, picture.height
        if key not in self._zones:
            self._zones[key] = tuple(
                (_around(polygon, picture), Zone(polygon, picture.width, picture.height)) for polygon in polygons
            )
        return self._zones[key]


def _around(polygon: Sequence[tuple[float, float]], picture: Picture) -> tuple[int, int, int, int]:
    """The box around a polygon of shares of the picture, in pixels."""
    across, down = [x * picture.width for x, _ in polygon], [y * picture.height for _, y in polygon]
    return int(min(across)), int(min(down)), round(max(across)), round(max(down))


def closed(shot: Shot) -> Picture:
    """What stands for a frame that may not be seen: nothing of it."""
    return _blank(shot.stream.width, shot.stream.height, shot.stream.full_range)


@lru_cache(maxsize=8)
def _blank(width: int, height: int, full_range: bool) -> Picture:
    picture = Picture(np.full((height * 3 // 2, width), 128, np.uint8), full_range)
    close_picture(picture)
    picture.data.flags.writeable = False
    return picture


def _first_boxes(covers: Covers) -> list[_Early]:
    """Where each track of an epoch begins. One that a gap cuts in two begins twice: who hid may come back elsewhere."""
    found: list[_Early] = []
    before: set[int] = set()
    for cover in covers:
        for index, track in enumerate(cover.tracks):
            if track not in before:
                x1, y1, x2, y2 = cover.start[index].tolist()
                found.append(_Early(cover.first_seq, track, kind_of(cover.kinds[index]), (x1, y1, x2, y2)))
        before = set(cover.tracks)
    return found


def _padding(policy: Policy, kind: Kind) -> float:
    return policy.kinds[kind].padding if kind in policy.kinds else _PADDING


def _mode(policy: Policy, kind: Kind) -> str:
    """The policy's way; but no figure of a bystander, whose pose and build may tell who they are."""
    mode = policy.mode_of(kind).value if kind in policy.kinds else "mosaic"
    return "mosaic" if mode in DRAWN else mode
