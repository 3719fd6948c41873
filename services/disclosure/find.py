"""Finds who is in a range of footage, so that an officer can point at somebody without seeing anyone's face.

Nothing is remembered of how anyone looks: a track is its kind, its times and its places.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from services.disclosure.covers import EVIDENT, Boxes, Cover, Covers, kind_of
from services.disclosure.errors import Invalid
from services.disclosure.footage import Footage, Gap, Piece
from services.disclosure.request import SUBJECT_KINDS, Sight
from services.disclosure.screening import Screening, Shot
from services.disclosure.unveil import Subject, Unveiler
from services.media.picture import Picture
from services.media.planar_jpeg import PlanarJpegEncoder
from services.policy.model import Kind, Policy

FOUND_MAX = 5000
"""Tracks of one search; more are nothing to choose from."""

_WITHIN = 0.8  # share of a face's box that lies in the person it belongs to
_WIDE_PX = 640
_MARK = 235
_NOBODY = Subject(())


@dataclass(slots=True)
class Found:
    """One track of the range.

    Attributes:
        number: in this search, from 1; 0 until all are known.
        start_us, end_us: capture times of its first and its last frame, microseconds since 1970.
        evident: frames in which it was found, not guessed.
        best_seq, box: where it is largest, x1, y1, x2, y2.
        belongs: tracks that are most likely the same person's: the face of a body, the body of a face.
    """

    camera: str
    epoch: int
    track: int
    kind: Kind
    first_seq: int
    last_seq: int
    start_us: int
    end_us: int
    evident: int
    best_seq: int
    box: tuple[float, float, float, float]
    number: int = 0
    belongs: list["Found"] = field(default_factory=list, repr=False)

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


def find(footage: Footage, search: Search) -> list[Found]:
    """The tracks of a range that could be somebody's own, in order of time. Raises Invalid where there are too many."""
    found: list[Found] = []
    for camera in search.cameras:
        opened = footage.open(
            camera, search.start_us, search.end_us, purpose=search.purpose, who=search.who, role=search.role
        )
        found += _of_camera(opened, search.policies)
        if len(found) > FOUND_MAX:
            raise Invalid(f"There are more than {FOUND_MAX} tracks: ask for a shorter time.")
    found.sort(key=lambda one: (one.start_us, one.camera, one.epoch, one.track, one.kind))
    for number, one in enumerate(found, 1):
        one.number = number
    return found


def thumbnails(footage: Footage, search: Search, found: Sequence[Found], folder: Path) -> dict[int, Path]:
    """Writes a picture for each track: its largest moment with everyone in it masked, and its place marked.

    A frame that is not certain is closed, with the mark alone. Returns number → file.
    """
    written: dict[int, Path] = {}
    encoder = PlanarJpegEncoder(80)
    for camera in dict.fromkeys(one.camera for one in found):
        opened = footage.open(
            camera, search.start_us, search.end_us, purpose=search.purpose, who=search.who, role=search.role
        )
        wanted: dict[tuple[int, int], list[Found]] = {}
        for one in found:
            if one.camera == camera:
                wanted.setdefault((one.epoch, one.best_seq), []).append(one)
        for shot, covers in _moments(opened, wanted.keys(), search.policies):
            base = Unveiler(_NOBODY, covers).unveil(shot).picture
            for one in wanted[shot.epoch, shot.seq]:
                picture = base.copy()
                _mark(picture, one.box)
                path = folder / f"{one.number:04d}.jpg"
                path.write_bytes(encoder.encode(_smaller(picture)))
                written[one.number] = path
    return written


_Key = tuple[int, int, Kind]
"""Epoch, track, kind."""


def _of_camera(opened: Iterable[Piece | Gap], policies: Mapping[str, Policy]) -> list[Found]:
    tracks: dict[_Key, Found] = {}
    votes: dict[_Key, Counter[_Key]] = {}
    for piece in opened:
        if not isinstance(piece, Piece):
            continue
        times = {each.unit.seq: each.unit.captured_us for each in piece.units if each.wanted}
        covers = Covers()
        covers.add(times, piece.spans, policies)
        for cover in covers:
            seqs = [seq for seq in range(cover.first_seq, cover.last_seq + 1) if covers.of(seq) is cover]
            if seqs:
                _take(tracks, piece, cover, seqs, times)
                _vote(votes, piece.epoch, cover, seqs[len(seqs) // 2])
    for part, bodies in votes.items():
        body = tracks.get(bodies.most_common(1)[0][0])
        if part in tracks and body is not None:
            tracks[part].belongs.append(body)
            body.belongs.append(tracks[part])
    return [one for one in tracks.values() if one.evident]


def _take(tracks: dict[_Key, Found], piece: Piece, cover: Cover, seqs: Sequence[int], times: Mapping[int, int]) -> None:
    """Adds what one span says of some frames."""
    middle = seqs[len(seqs) // 2]
    places = cover.at(middle)
    for index, (track, wire, origin) in enumerate(zip(cover.tracks, cover.kinds, cover.origins, strict=True)):
        kind = kind_of(wire)
        if kind not in SUBJECT_KINDS:
            continue
        x1, y1, x2, y2 = places[index].tolist()
        key = piece.epoch, track, kind
        one = tracks.get(key)
        if one is None:
            one = tracks[key] = Found(
                camera=piece.camera_id,
                epoch=piece.epoch,
                track=track,
                kind=kind,
                first_seq=seqs[0],
                last_seq=seqs[-1],
                start_us=times[seqs[0]],
                end_us=times[seqs[-1]],
                evident=0,
                best_seq=middle,
                box=(x1, y1, x2, y2),
            )
        one.first_seq, one.last_seq = min(one.first_seq, seqs[0]), max(one.last_seq, seqs[-1])
        one.start_us, one.end_us = min(one.start_us, times[seqs[0]]), max(one.end_us, times[seqs[-1]])
        if origin in EVIDENT:
            size = (x2 - x1) * (y2 - y1)
            best = one.box
            if not one.evident or size > (best[2] - best[0]) * (best[3] - best[1]):
                one.best_seq, one.box = middle, (x1, y1, x2, y2)
            one.evident += len(seqs)


def _vote(votes: dict[_Key, Counter[_Key]], epoch: int, cover: Cover, seq: int) -> None:
    """Counts for each face and head the one body that it lies in, where there is only one."""
    places = cover.at(seq)
    kinds = [kind_of(wire) for wire in cover.kinds]
    bodies = [index for index, kind in enumerate(kinds) if kind.is_body]
    for index, kind in enumerate(kinds):
        if kind not in (Kind.FACE, Kind.HEAD):
            continue
        around = [body for body in bodies if _within(places[index], places[body])]
        for of_kind in (Kind.PERSON, Kind.MOTION):
            alone = [body for body in around if kinds[body] is of_kind]
            if len(alone) == 1:
                counted = votes.setdefault((epoch, cover.tracks[index], kind), Counter())
                counted[epoch, cover.tracks[alone[0]], of_kind] += 1
                break


def _within(part: Boxes, body: Boxes) -> bool:
    low, high = np.maximum(part[:2], body[:2]), np.minimum(part[2:], body[2:])
    sides, own = np.maximum(high - low, 0), part[2:] - part[:2]
    return bool(sides[0] * sides[1] >= _WITHIN * own[0] * own[1] > 0)


def _moments(
    opened: Iterable[Piece | Gap], wanted: Collection[tuple[int, int]], policies: Mapping[str, Policy]
) -> Iterator[tuple[Shot, Covers]]:
    """Some frames of a camera, each with what is known of it."""
    for piece in opened:
        if not isinstance(piece, Piece):
            continue
        seqs = {seq for epoch, seq in wanted if epoch == piece.epoch}
        here = [each.unit.seq for each in piece.units if each.unit.seq in seqs]
        if not here:
            continue
        covers = Covers()
        covers.add(here, piece.spans, policies)
        screening = Screening(seqs.__contains__)
        for shot in (*screening.take(piece), *screening.end()):
            yield shot, covers


def _mark(picture: Picture, box: tuple[float, float, float, float]) -> None:
    """Draws the outline of a box, bright between two dark lines."""
    corners = [round(value) for value in box]
    width = max(2, picture.width // 320)
    for luma, thickness in ((16, 3 * width), (_MARK, width)):
        cv2.rectangle(picture.y, (corners[0], corners[1]), (corners[2], corners[3]), luma, thickness)


def _smaller(picture: Picture) -> Picture:
    """At most as wide as a thumbnail."""
    if picture.width <= _WIDE_PX:
        return picture
    width = _WIDE_PX
    height = max(4, round(picture.height * width / picture.width / 4) * 4)
    planes = [
        cv2.resize(plane, size, interpolation=cv2.INTER_AREA).reshape(-1)
        for plane, size in (
            (picture.y, (width, height)),
            (picture.u, (width // 2, height // 2)),
            (picture.v, (width // 2, height // 2)),
        )
    ]
    return Picture(np.concatenate(planes).reshape(height * 3 // 2, width).astype(np.uint8), picture.full_range)
