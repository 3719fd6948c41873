"""Which tracks of an edited gt.txt are which of the export: editors number them anew, by when they first appear."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from services.review.tracks import Boxes, Frames, ReviewedTrack

MOVED_PX = 0.5
"""A corner that moved less was rounded by an editor."""

_PAIRS_MAX = 4_000_000
"""Comparisons made to find tracks that an editor numbered anew."""

_SAME = 0.5
"""Overlap (IoU) of two boxes of the same subject."""


def same_tracks(base: Mapping[int, ReviewedTrack], edited: Mapping[int, ReviewedTrack]) -> dict[int, int]:
    """Number in the edited text → number in the export, for each track that is in both.

    Where most of a track lies decides, or its frames and sizes where it was moved as a whole, and its number only where
    these say nothing: with one track taken out, an editor gives the number of each to the next.
    """
    gone, new, same = dict(base), dict(edited), dict[int, int]()

    def pair(now: int, was: int) -> None:
        same[now] = was
        del new[now], gone[was]

    for number in base.keys() & edited.keys():
        if base[number].kind is edited[number].kind and _agreement(base[number], edited[number]) > _SAME:
            pair(number, number)
    if len(gone) * len(new) <= _PAIRS_MAX:
        found = [
            (was.kind is now.kind, share, was.track_id == now.track_id, was.track_id, now.track_id)
            for was in gone.values()
            for now in new.values()
            if (share := _agreement(was, now)) > _SAME or _stays(was, now)
        ]
        for _, _, _, was_number, now_number in sorted(found, reverse=True):
            if was_number in gone and now_number in new:
                pair(now_number, was_number)
    for number in gone.keys() & new.keys():
        if _touch(base[number], edited[number]) or _stays(base[number], edited[number]):
            pair(number, number)
    return same


def overlap(a: Boxes, b: Boxes) -> NDArray[np.float64]:
    """(n,) square pixels that lie in both boxes of a row."""
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])
    sides = np.maximum(high - low, 0)
    return np.asarray(sides[:, 0] * sides[:, 1])


def area(boxes: Boxes) -> NDArray[np.float64]:
    """(n,) square pixels."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.asarray(sides[:, 0] * sides[:, 1])


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
    return bool((overlap(a, b) > 0).any())


def _agreement(was: ReviewedTrack, now: ReviewedTrack) -> float:
    """Mean overlap (IoU) over the frames of the longer one."""
    frames, a, b = _common(was, now)
    if not len(frames):
        return 0.0
    cut = overlap(a, b)
    union = area(a) + area(b) - cut
    longest = max(was.last - was.first, now.last - now.first) + 1
    return float((cut / union).sum()) / longest
