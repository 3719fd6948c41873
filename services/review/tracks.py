"""Tracks as a person edits them: boxes at some frames, straight lines in between, and frames left out on purpose."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.policy.model import Kind, Mode

Frames = NDArray[np.int64]
"""(n,) numbers of frames, from 1, ascending."""
Boxes = NDArray[np.float64]
"""(n, 4) x1, y1, x2, y2 in pixels of the upright picture."""
Range = tuple[int, int]
"""First and last frame, both included."""


@dataclass(frozen=True, slots=True, eq=False)
class ReviewedTrack:
    """One track.

    Attributes:
        frames: at which a box is given.
        boxes: those boxes. Between two of them a frame has the box in between, unless it lies in one of the gaps.
        gaps: frames without a mask.
        line: of its first box in gt.txt, from 1.
    """

    track_id: int
    kind: Kind
    mode: Mode
    frames: Frames
    boxes: Boxes
    gaps: tuple[Range, ...]
    line: int

    @property
    def first(self) -> int:
        """Its first frame."""
        return int(self.frames[0])

    @property
    def last(self) -> int:
        """Its last frame."""
        return int(self.frames[-1])

    def at(self, frame: int) -> tuple[float, float, float, float] | None:
        """Its box at a frame; None where it is not masked."""
        if not self.first <= frame <= self.last or any(a <= frame <= b for a, b in self.gaps):
            return None
        before = bisect_right(self.frames, frame) - 1
        box = self.boxes[before]
        if self.frames[before] != frame:
            start, end = int(self.frames[before]), int(self.frames[before + 1])
            box = box + (self.boxes[before + 1] - box) * ((frame - start) / (end - start))
        x1, y1, x2, y2 = box.tolist()
        return x1, y1, x2, y2

    def masked(self) -> tuple[Frames, Boxes]:
        """Every frame in which it is masked, with its boxes."""
        frames = np.arange(self.first, self.last + 1, dtype=np.int64)
        for a, b in self.gaps:
            frames = frames[(frames < a) | (frames > b)]
        boxes = np.stack([np.interp(frames, self.frames, self.boxes[:, i]) for i in range(4)], axis=1)
        return frames, boxes


class Sweep:
    """Gives out the tracks that are masked at each frame, for frames in ascending order.

    Tracks of one frame come in the order in which they were given.
    """

    def __init__(self, tracks: Iterable[ReviewedTrack]) -> None:
        self._coming = sorted(enumerate(tracks), key=lambda pair: (pair[1].first, pair[0]), reverse=True)
        self._active: list[tuple[int, ReviewedTrack]] = []

    def at(self, frame: int) -> list[tuple[ReviewedTrack, tuple[float, float, float, float]]]:
        """Tracks and their boxes at a frame that lies behind those asked for before."""
        began = False
        while self._coming and self._coming[-1][1].first <= frame:
            self._active.append(self._coming.pop())
            began = True
        if began:
            self._active = sorted(((n, one) for n, one in self._active if one.last >= frame), key=lambda pair: pair[0])
        found = ((one, one.at(frame)) for _, one in self._active)
        return [(one, box) for one, box in found if box is not None]


def ranges_of(frames: Frames) -> list[Range]:
    """Ascending frames as stretches without holes."""
    if not len(frames):
        return []
    breaks = np.flatnonzero(np.diff(frames) > 1)
    starts = frames[np.concatenate(([0], breaks + 1))]
    ends = frames[np.concatenate((breaks, [len(frames) - 1]))]
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def count(ranges: Sequence[Range]) -> int:
    """Frames in stretches that do not overlap."""
    return sum(b - a + 1 for a, b in ranges)


def say(ranges: Sequence[Range], most: int = 6) -> str:
    """Stretches in words: `frame 3`, `frames 3–9, 12 and 40–44`."""
    parts = [str(a) if a == b else f"{a}–{b}" for a, b in ranges[:most]]
    if len(ranges) > most:
        parts.append(f"{len(ranges) - most} more stretches")
    one = len(ranges) == 1 and ranges[0][0] == ranges[0][1]
    text = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"frame {text}" if one else f"frames {text}"
