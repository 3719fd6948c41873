"""What a person changed: two readings of the same tracks, compared frame by frame."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from services.review.folder import State
from services.review.identity import MOVED_PX, area, overlap
from services.review.model import ByHand, Review
from services.review.tracks import Boxes, Frames, Range, ReviewedTrack, count, ranges_of, say

What = Literal[
    "added",
    "removed",
    "gap",
    "shortened",
    "filled",
    "extended",
    "moved",
    "kind",
    "mode",
    "renumbered",
    "opened",
    "closed",
]

_UNCOVERED = 0.02
"""Share of a box that no longer lies in its moved box: less is an edge that the padding covers."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs from the export.

    Attributes:
        track: its number; None for whole frames.
        frames: where.
        text: one sentence.
        before, after: plain JSON values.
        uncovered: frames in which something that was masked no longer is by this track.
        box: what was masked in the middle one of those frames, x1, y1, x2, y2; None where nothing is uncovered.
    """

    what: What
    track: int | None
    frames: tuple[Range, ...]
    text: str
    before: Any
    after: Any
    uncovered: tuple[Range, ...] = ()
    box: tuple[float, float, float, float] | None = None

    @property
    def reveals(self) -> bool:
        """True where something becomes visible."""
        return bool(self.uncovered)

    @property
    def example(self) -> int:
        """A frame in the middle of what is uncovered; its box is `box`."""
        return middle(self.uncovered)


def changes(base: State, edited: State) -> list[Change]:
    """Everything that differs, tracks first."""
    found: list[Change] = []
    now_of = {was: now for now, was in edited.same.items()}
    for number, was in base.tracks.items():
        if number in now_of:
            found += _compare(was, edited.tracks[now_of[number]])
    found += [_removed(was) for number, was in base.tracks.items() if number not in now_of]
    found += [_added(now) for number, now in edited.tracks.items() if number not in edited.same]
    found += _frames(base.review, edited.review)
    return found


def middle(ranges: Sequence[Range]) -> int:
    """The frame in the middle of stretches."""
    left = (count(ranges) - 1) // 2
    for a, b in ranges:
        if left <= b - a:
            return a + left
        left -= b - a + 1
    raise ValueError("no frames")


def _compare(was: ReviewedTrack, now: ReviewedTrack) -> Iterator[Change]:
    track = now.track_id
    whole = ((now.first, now.last),)
    if was.track_id != track:
        text = f"Track {was.track_id} is now track {track}."
        yield Change("renumbered", track, whole, text, was.track_id, track)
    if was.kind is not now.kind:
        text = f"Track {track} is now a {now.kind}, no longer a {was.kind}."
        yield Change("kind", track, whole, text, was.kind.value, now.kind.value)
    if was.mode is not now.mode:
        text = f"Track {track}, a {now.kind}, is masked as {now.mode}, no longer as {was.mode}."
        yield Change("mode", track, whole, text, was.mode.value, now.mode.value)
    frames_a, boxes_a = was.masked()
    frames_b, boxes_b = now.masked()
    lost = np.setdiff1d(frames_a, frames_b, assume_unique=True)
    inside = (lost > now.first) & (lost < now.last)
    yield from _lost(was, now, lost[inside], "gap")
    yield from _lost(was, now, lost[~inside], "shortened")
    won = np.setdiff1d(frames_b, frames_a, assume_unique=True)
    inside = (won > was.first) & (won < was.last)
    yield from _won(was, now, won[inside], "filled")
    yield from _won(was, now, won[~inside], "extended")
    frames, at_a, at_b = np.intersect1d(frames_a, frames_b, assume_unique=True, return_indices=True)
    yield from _moved(now, frames, boxes_a[at_a], boxes_b[at_b])


def _lost(was: ReviewedTrack, now: ReviewedTrack, frames: Frames, what: Literal["gap", "shortened"]) -> list[Change]:
    if not len(frames):
        return []
    ranges = tuple(ranges_of(frames))
    text = f"Track {now.track_id}, a {now.kind}, is no longer masked in {say(ranges)}."
    return [Change(what, now.track_id, ranges, text, _facts(was), _facts(now), ranges, was.at(middle(ranges)))]


def _won(was: ReviewedTrack, now: ReviewedTrack, frames: Frames, what: Literal["filled", "extended"]) -> list[Change]:
    if not len(frames):
        return []
    ranges = tuple(ranges_of(frames))
    text = f"Track {now.track_id}, a {now.kind}, is masked in {say(ranges)} too."
    return [Change(what, now.track_id, ranges, text, _facts(was), _facts(now))]


def _moved(now: ReviewedTrack, frames: Frames, before: Boxes, after: Boxes) -> list[Change]:
    shift = np.abs(after - before).max(axis=1, initial=0)
    moved = shift > MOVED_PX
    if not moved.any():
        return []
    ranges = tuple(ranges_of(frames[moved]))
    bare = moved & (1 - overlap(before, after) / np.maximum(area(before), 1e-9) > _UNCOVERED)
    uncovered = tuple(ranges_of(frames[bare]))
    most = int(np.argmax(shift))
    at = int(np.searchsorted(frames, middle(uncovered))) if uncovered else most
    text = (
        f"Track {now.track_id}, a {now.kind}, is moved in {say(ranges)}, by up to {shift[most]:.0f} pixels"
        f" (frame {frames[most]})."
    )
    x1, y1, x2, y2 = before[at].tolist()
    return [
        Change(
            "moved",
            now.track_id,
            ranges,
            text,
            _box(before[most]),
            _box(after[most]),
            uncovered,
            (x1, y1, x2, y2) if uncovered else None,
        )
    ]


def _removed(was: ReviewedTrack) -> Change:
    ranges = tuple(ranges_of(was.masked()[0]))
    text = f"Track {was.track_id}, a {was.kind}, is removed from {say(ranges)}."
    return Change("removed", was.track_id, ranges, text, _facts(was), None, ranges, was.at(middle(ranges)))


def _added(now: ReviewedTrack) -> Change:
    ranges = tuple(ranges_of(now.masked()[0]))
    text = f"Track {now.track_id} is added: a {now.kind}, masked as {now.mode}, in {say(ranges)}."
    return Change("added", now.track_id, ranges, text, None, _facts(now))


def _frames(base: Review, edited: Review) -> list[Change]:
    found = []
    for one in edited.opened_frames:
        why = next((closed.why for closed in base.closed_frames if closed.first <= one.first <= closed.last), "")
        text = f"{say([one.pair]).capitalize()}, closed before, may be seen: {one.reason.strip()}"
        found.append(Change("opened", None, (one.pair,), text, why, _reason(one), (one.pair,)))
    for one in edited.frames_to_close:
        verb = "is" if one.first == one.last else "are"
        text = f"{say([one.pair]).capitalize()} {verb} masked whole: {one.reason.strip()}"
        found.append(Change("closed", None, (one.pair,), text, None, _reason(one)))
    return found


def _reason(one: ByHand) -> dict[str, Any]:
    return {"reason": one.reason.strip()}


def _facts(track: ReviewedTrack) -> dict[str, Any]:
    masked = ranges_of(track.masked()[0])
    return {"kind": track.kind.value, "mode": track.mode.value, "frames": [list(pair) for pair in masked[:50]]}


def _box(box: NDArray[np.float64]) -> list[float]:
    """x, y, w, h as in gt.txt."""
    x1, y1, x2, y2 = box.tolist()
    return [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)]
