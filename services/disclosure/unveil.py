"""One frame of a disclosure: everything that was found in it is masked but the subject; where in doubt, all of it.

Nothing is ever drawn over a mask, so that masking wins wherever boxes overlap: the subject is what was left as it is.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from services.disclosure.covers import EVIDENT, PEOPLE, Boxes, Cover, Covers, kind_of
from services.disclosure.request import Correction, Sight
from services.disclosure.screening import Shot
from services.media.masks import DRAWN, Shades, Zone, close_picture, mask, outer_bounds
from services.media.picture import Picture
from services.policy.model import Kind, Policy

LOOK_AHEAD_S = 2.0
"""Of the profile `evidence`: how far before it was first found something is masked, whatever its camera's profile."""

_PADDING = 0.15
_USUAL_RATE = 25.0


@dataclass(frozen=True, slots=True, eq=False)
class Unveiled:
    """A frame that may be shown.

    Attributes:
        picture: masked, or closed.
        why: why it is closed, one sentence; empty where it is not.
        masks: how many of each kind were drawn.
        subject: the subject is in it, and was left as it is.
        policy: fingerprint of the one under which it was looked at; empty where that is not known.
    """

    picture: Picture
    why: str
    masks: Mapping[Kind, int]
    subject: bool
    policy: str


@dataclass(frozen=True, slots=True, eq=False)
class _Early:
    """The first box of a track: where it must have come from."""

    seq: int
    track: int
    kind: Kind
    box: tuple[float, float, float, float]


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

    def shows(self, track: int, kind: Kind, origin: int, seq: int, policy: Policy) -> bool:
        """Whether this box is the subject's, and known to be: found there, not held or drawn back in time.

        What moves is one box for all that moves together: it counts only where people are found by themselves too.
        """
        if origin not in EVIDENT or not self.is_own(track, kind, seq):
            return False
        return kind is not Kind.MOTION or bool(PEOPLE & policy.kinds.keys())


class Unveiler:
    """Draws the frames of one epoch.

    Args:
        subject: is shown.
        covers: what is known of the epoch's frames, all of it that touches what is drawn.
        corrections: more to mask.
    """

    def __init__(self, subject: Subject, covers: Covers, corrections: Sequence[Correction] = ()) -> None:
        self._subject, self._covers = subject, covers
        self._corrections = corrections
        self._shades = Shades()
        self._early = [
            early for early in _first_boxes(covers) if not subject.is_own(early.track, early.kind, early.seq)
        ]
        self._early_seqs = [early.seq for early in self._early]
        self._labels: dict[int, str] = {}
        self._zones: dict[tuple[str, int, int], tuple[Zone, ...]] = {}

    def unveil(self, shot: Shot) -> Unveiled:
        """The frame as it may be shown. Its picture is written into."""
        cover = self._covers.of(shot.seq)
        why = shot.why or ("Nothing is known of what is in this frame." if cover is None else cover.fault)
        why = why or self._closed_by_hand(shot.seq)
        if why or shot.picture is None or cover is None or cover.policy is None:
            known = "" if cover is None or cover.policy is None else self._label(cover.policy)
            return Unveiled(closed(shot), why or "There is no picture of this frame.", {}, subject=False, policy=known)
        masks, subject = self._mask(shot, shot.picture, cover, cover.policy)
        return Unveiled(shot.picture, "", masks, subject, self._label(cover.policy))

    def _mask(self, shot: Shot, picture: Picture, cover: Cover, policy: Policy) -> tuple[Mapping[Kind, int], bool]:
        places = cover.at(shot.seq)
        shown = [
            self._subject.shows(track, kind_of(kind), origin, shot.seq, policy)
            for track, kind, origin in zip(cover.tracks, cover.kinds, cover.origins, strict=True)
        ]
        hidden = [index for index, is_subject in enumerate(shown) if not is_subject]
        boxes = [places[index] for index in hidden]
        tracks = [(cover.tracks[index], kind_of(cover.kinds[index])) for index in hidden]
        for early, box in self._coming(shot, policy, set(cover.tracks)):
            boxes.append(box)
            tracks.append((early.track, early.kind))
        by_hand = [one.box for one in self._corrections if one.box and one.first_seq <= shot.seq <= one.last_seq]
        drawn = self._draw(picture, policy, boxes, tracks, by_hand)
        return drawn, any(shown)

    def _draw(
        self,
        picture: Picture,
        policy: Policy,
        boxes: Sequence[Boxes],
        tracks: Sequence[tuple[int, Kind]],
        by_hand: Sequence[tuple[float, float, float, float]],
    ) -> Mapping[Kind, int]:
        count, kinds = len(boxes) + len(by_hand), [kind for _, kind in tracks]
        drawn: Counter[Kind] = Counter()
        if count:
            every = np.array([*boxes, *by_hand], np.float64).reshape(count, 4)
            padding = np.array([_padding(policy, kind) for kind in kinds] + [0.0] * len(by_hand))
            bounds = outer_bounds(every, padding, picture.width, picture.height)
            keys: list[Hashable] = [*tracks, *((-1, index) for index in range(len(by_hand)))]
            modes = [_mode(policy, kind) for kind in kinds] + ["solid"] * len(by_hand)
            touched = mask(picture, bounds, keys, modes, policy.strength, self._shades)
            drawn.update(kinds[index] for index in touched if index < len(kinds))
        for zone in self._zones_of(policy, picture):
            zone.draw(picture)
        return drawn

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
        closing = (one for one in self._corrections if one.box is None and one.first_seq <= seq <= one.last_seq)
        return next((f"A review closed it: {one.why}" for one in closing), "")

    def _label(self, policy: Policy) -> str:
        known = self._labels.get(id(policy))
        if known is None:
            known = self._labels[id(policy)] = policy.fingerprint
        return known

    def _zones_of(self, policy: Policy, picture: Picture) -> tuple[Zone, ...]:
        polygons = [zone.polygon for zone in policy.zones if zone.use == "mask"]
        if not polygons:
            return ()
        key = self._label(policy), picture.width, picture.height
        if key not in self._zones:
            self._zones[key] = tuple(Zone(polygon, picture.width, picture.height) for polygon in polygons)
        return self._zones[key]


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


def _joined(parts: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The parts in order, those that touch as one."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(parts):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return tuple(found)
