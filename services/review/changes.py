"""What a person changed: two readings of the same tracks, compared frame by frame."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from services.review.folder import State
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

MOVED_PX = 0.5
"""A corner that moved less was rounded by an editor."""

_UNCOVERED = 0.02
"""Share of a box that no longer lies in its moved box: less is an edge that the padding covers."""

_PAIRS_MAX = 4_000_000
"""Comparisons made to find tracks that an editor numbered anew."""

_SAME = 0.5
"""Overlap (IoU) of two boxes of the same subject."""


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
    pairs, removed, added = _matched(base, edited)
    for was, now in pairs:
        found += _compare(was, now)
    found += [_removed(was) for was in removed]
    found += [_added(now) for now in added]
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


def _matched(
    base: State, edited: State
) -> tuple[list[tuple[ReviewedTrack, ReviewedTrack]], list[ReviewedTrack], list[ReviewedTrack]]:
    """Tracks before and after that are the same, those that are gone, and new ones.

    The same number stands for the same track unless the two never touch; an editor may number tracks anew.
    """
    pairs, gone, new = [], dict(base.tracks), dict(edited.tracks)
    renumbered = any(not _touch(was, edited.tracks[n]) for n, was in base.tracks.items() if n in edited.tracks)
    for number, was in base.tracks.items():
        now = edited.tracks.get(number)
        if now is not None and (_touch(was, now) or _stays(was, now)):
            pairs.append((was, now))
            del gone[number], new[number]
    if (renumbered or gone) and len(gone) * len(new) <= _PAIRS_MAX:
        for number, was in tuple(gone.items()):
            best = max(new.values(), key=lambda now: _agreement(was, now), default=None)
            if best is not None and _agreement(was, best) > _SAME:
                pairs.append((was, best))
                del gone[number], new[best.track_id]
    return pairs, list(gone.values()), list(new.values())


def _stays(was: ReviewedTrack, now: ReviewedTrack) -> bool:
    """True for a track that was moved elsewhere as a whole: same frames, same sizes."""
    return (
        (was.first, was.last, was.kind) == (now.first, now.last, now.kind)
        and len(was.frames) == len(now.frames)
        and bool(np.allclose(was.boxes[:, 2:] - was.boxes[:, :2], now.boxes[:, 2:] - now.boxes[:, :2], atol=MOVED_PX))
    )


def _common(was: ReviewedTrack, now: ReviewedTrack) -> tuple[Frames, Boxes, Boxes]:
    """Frames in which both are masked, and the boxes of both."""
    if was.last < now.first or now.last < was.first:
        return np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros((0, 4))
    frames_a, boxes_a = was.masked()
    frames_b, boxes_b = now.masked()
    frames, at_a, at_b = np.intersect1d(frames_a, frames_b, assume_unique=True, return_indices=True)
    return frames, boxes_a[at_a], boxes_b[at_b]


def _touch(was: ReviewedTrack, now: ReviewedTrack) -> bool:
    _, a, b = _common(was, now)
    return bool((_overlap(a, b) > 0).any())


def _agreement(was: ReviewedTrack, now: ReviewedTrack) -> float:
    """Mean overlap (IoU) over the frames of the longer one."""
    frames, a, b = _common(was, now)
    if not len(frames):
        return 0.0
    cut = _overlap(a, b)
    union = _area(a) + _area(b) - cut
    longest = max(was.last - was.first, now.last - now.first) + 1
    return float((cut / union).sum()) / longest


def _overlap(a: Boxes, b: Boxes) -> NDArray[np.float64]:
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])
    sides = np.maximum(high - low, 0)
    return np.asarray(sides[:, 0] * sides[:, 1])


def _area(boxes: Boxes) -> NDArray[np.float64]:
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.asarray(sides[:, 0] * sides[:, 1])


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
    bare = moved & (1 - _overlap(before, after) / np.maximum(_area(before), 1e-9) > _UNCOVERED)
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
