"""How alike people are dressed: colours of torso and legs, for as long as one question takes, and never kept.

It is a help to find the same person again behind a gap or on another camera, among those who are there anyway. It is no
face recognition: faces, heads and the upper part of every body are blackened before anything is looked at, and what is
compared are two coarse histograms of colours, which many people share.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from services.disclosure.covers import Cover, kind_of
from services.disclosure.find import Box, Found, Moment, Search
from services.disclosure.footage import Footage
from services.disclosure.moments import Wanted, shots
from services.media.picture import Picture
from services.policy.model import Kind

Colours = NDArray[np.float32]
"""Square roots of shares: torso and legs, each by hue and saturation, then by brightness."""

COMPARED_MAX = 200
"""Tracks that one question compares: those nearest in time."""

_MOMENTS = 3  # of each track
_HEAD = 0.2  # share of a body's height, from above, that is never looked at
_REGIONS = ((0.2, 0.52), (0.55, 0.92))  # torso and legs, as shares of the height
_SIDES = 0.15  # share of the width, at either side, that is mostly street
_FACE_PADDING = 0.3
_SEEN = 0.3  # share of a region that must be free of faces and of other people
_HUES, _SATURATIONS, _VALUES = 16, 4, 8
_GREY = 40  # saturation below which a hue means nothing
_SMALLEST_PX = 8


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A track that may show the same person.

    Attributes:
        number: of the track, as `find` listed it.
        likeness: 0 (nothing in common) to 1 (the same colours); only its order means something.
    """

    number: int
    likeness: float


def suggest(
    footage: Footage, search: Search, found: Sequence[Found], like: Sequence[Found]
) -> tuple[list[Suggestion], int]:
    """Other tracks of a search, those dressed most alike first; and how many were compared.

    A track that is seen at the same time as one of `like`, on the same camera, is somebody else and left out. Nothing
    of how anyone looks outlives the call.
    """
    asked = _bodies(like, found)
    others = _candidates(asked, found)
    colours = _colours(footage, search, (*asked, *others))
    mine = [colours[one.number] for one in asked if one.number in colours]
    if not mine:
        return [], 0
    compared = [
        Suggestion(one.number, round(max(likeness(each, colours[one.number]) for each in mine), 3))
        for one in others
        if one.number in colours
    ]
    return sorted(compared, key=lambda one: (-one.likeness, one.number)), len(compared)


def colours_of(picture: Picture, box: Box, unseen: Iterable[Box], others: Iterable[Box] = ()) -> Colours | None:
    """The colours of one body; None where too little of it is to be seen.

    Args:
        picture: of the camera.
        box: of the body.
        unseen: faces and heads, anybody's; they are blackened before anything is looked at.
        others: bodies of other people, whose pixels don't count.
    """
    x1, y1, x2, y2 = _even(box, picture)
    if x2 - x1 < _SMALLEST_PX or y2 - y1 < 3 * _SMALLEST_PX:
        return None
    counts = np.ones((y2 - y1, x2 - x1), np.uint8)
    top = box[1] + _HEAD * (box[3] - box[1])
    hidden = [_grown(face) for face in unseen] + [(box[0], box[1], box[2], top)]
    for a, b, c, d in (*hidden, *others):
        rows, columns = _within(b, d, y1, y2), _within(a, c, x1, x2)
        counts[rows, columns] = 0
    crop = np.concatenate(
        [
            (picture.y[y1:y2, x1:x2] * counts).reshape(-1),
            picture.u[y1 // 2 : y2 // 2, x1 // 2 : x2 // 2].reshape(-1),
            picture.v[y1 // 2 : y2 // 2, x1 // 2 : x2 // 2].reshape(-1),
        ]
    ).reshape((y2 - y1) * 3 // 2, x2 - x1)
    hsv = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_YUV2BGR_I420), cv2.COLOR_BGR2HSV).astype(np.uint8, copy=False)
    regions = [_region(hsv, counts, low, high) for low, high in _REGIONS]
    if any(region is None for region in regions):
        return None
    return np.concatenate([region for region in regions if region is not None])


def joined(colours: Sequence[Colours]) -> Colours:
    """The colours of several moments as one."""
    total: Colours = np.sum(np.stack(colours), axis=0, dtype=np.float32)
    total *= np.float32(np.sqrt(2 * len(_REGIONS)) / np.linalg.norm(total))
    return total


def likeness(one: Colours, other: Colours) -> float:
    """From 0 to 1: the mean Bhattacharyya coefficient of the histograms."""
    return float(one @ other) / (2 * len(_REGIONS))


def _region(hsv: NDArray[np.uint8], counts: NDArray[np.uint8], low: float, high: float) -> Colours | None:
    height, width = counts.shape
    rows = slice(round(low * height), round(high * height))
    columns = slice(round(_SIDES * width), round((1 - _SIDES) * width))
    part, free = hsv[rows, columns], counts[rows, columns] > 0
    if free.mean() < _SEEN:
        return None
    hue, saturation, value = (part[..., index][free].astype(np.int64) for index in range(3))
    tones = np.where(saturation < _GREY, 0, hue * _HUES // 180)
    steps = saturation * _SATURATIONS // 256
    colour = np.bincount(tones * _SATURATIONS + steps, minlength=_HUES * _SATURATIONS)
    # Neighbouring hues and steps of brightness are nearly the same under another light.
    circle = colour.reshape(_HUES, _SATURATIONS).astype(np.float32)
    soft = 0.5 * circle + 0.25 * (np.roll(circle, 1, 0) + np.roll(circle, -1, 0))
    light = np.bincount(value * _VALUES // 256, minlength=_VALUES).astype(np.float32)
    padded = np.pad(light, 1, mode="edge")
    dim = 0.5 * padded[1:-1] + 0.25 * (padded[:-2] + padded[2:])
    return np.concatenate([np.sqrt(each / each.sum()).reshape(-1) for each in (soft, dim)]).astype(np.float32)


def _colours(footage: Footage, search: Search, tracks: Sequence[Found]) -> Mapping[int, Colours]:
    """Number → mean colours of a track's moments."""
    wanted: dict[tuple[str, int, int], list[Found]] = {}
    places: list[Wanted] = []
    for one in tracks:
        for moment in _spread(one):
            key = one.camera, one.epoch, moment.seq
            if key not in wanted:
                places.append(Wanted(one.camera, one.epoch, moment))
            wanted.setdefault(key, []).append(one)
    seen: dict[int, list[Colours]] = {}
    for shot, covers in shots(footage, search, places):
        cover = covers.of(shot.seq)
        if shot.picture is None or cover is None or cover.fault:
            continue
        for one in wanted[shot.camera, shot.epoch, shot.seq]:
            colours = _at(shot.picture, cover, shot.seq, one)
            if colours is not None:
                seen.setdefault(one.number, []).append(colours)
    return {number: joined(each) for number, each in seen.items()}


def _at(picture: Picture, cover: Cover, seq: int, one: Found) -> Colours | None:
    """Colours of a track in a frame, with every face and head of that frame out of sight."""
    places = [(x1, y1, x2, y2) for x1, y1, x2, y2 in cover.at(seq).tolist()]
    named = list(zip(cover.tracks, map(kind_of, cover.kinds), places, strict=True))
    mine = next((place for track, kind, place in named if (track, kind) == (one.track, one.kind)), None)
    if mine is None:
        return None
    faces = [place for _, kind, place in named if kind in (Kind.FACE, Kind.HEAD)]
    others = [place for track, kind, place in named if kind is Kind.PERSON and track != one.track]
    return colours_of(picture, mine, faces, others)


def _bodies(like: Sequence[Found], found: Sequence[Found]) -> list[Found]:
    """The bodies of these tracks: a face or head stands for the body that it belongs to."""
    by_number = {one.number: one for one in found}
    bodies: dict[int, Found] = {}
    for one in like:
        for each in (one, *(by_number[number] for number in one.belongs if number in by_number)):
            if each.kind is Kind.PERSON:
                bodies[each.number] = each
    return list(bodies.values())


def _candidates(asked: Sequence[Found], found: Sequence[Found]) -> list[Found]:
    """Bodies that may be the same person's, those nearest in time first, as many as are compared."""

    def is_possible(one: Found) -> bool:
        together = (
            (one.camera, one.epoch) == (each.camera, each.epoch)
            and one.first_seq <= each.last_seq
            and one.last_seq >= each.first_seq
            for each in asked
        )
        return one.kind is Kind.PERSON and not any(together)

    def away_us(one: Found) -> int:
        return min((max(one.start_us - each.end_us, each.start_us - one.end_us, 0) for each in asked), default=0)

    possible = [one for one in found if is_possible(one)]
    return sorted(possible, key=lambda one: (away_us(one), one.number))[:COMPARED_MAX]


def _spread(one: Found) -> Sequence[Moment]:
    """A few of its moments, over all of its time."""
    count = min(_MOMENTS, len(one.moments))
    return [one.moments[(2 * index + 1) * len(one.moments) // (2 * count)] for index in range(count)]


def _even(box: Box, picture: Picture) -> tuple[int, int, int, int]:
    """The box within the picture, on even corners."""
    x1, y1 = (max(0, int(value) // 2 * 2) for value in box[:2])
    x2 = min(picture.width, int(box[2]) // 2 * 2)
    y2 = min(picture.height, int(box[3]) // 2 * 2)
    return x1, y1, x2, y2


def _grown(box: Box) -> Box:
    across, down = _FACE_PADDING * (box[2] - box[0]), _FACE_PADDING * (box[3] - box[1])
    return box[0] - across, box[1] - down, box[2] + across, box[3] + down


def _within(low: float, high: float, start: int, end: int) -> slice:
    """The pixels from low to high, rounded outwards, of those from start to end."""
    first = min(max(int(np.floor(low)) - start, 0), end - start)
    return slice(first, min(max(int(np.ceil(high)) - start, first), end - start))
