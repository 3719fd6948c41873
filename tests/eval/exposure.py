"""Exposed subject-frames and exposed subjects, by kind and size."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from tests.eval.yardstick import HIDDEN_SHARE, Luma, altered_blocks, destroyed_share, true_blocks
from tests.support.scenes import Box, TrueBox, Truth

BANDS: dict[str, tuple[float, ...]] = {"face": (12, 24, 48, 96), "plate": (8, 12, 24, 48), "person": (24, 48, 96)}
"""Lower ends of the size bands, in pixels of height; what is smaller than the first is not counted."""

GOAL_HEIGHT = {"face": 24, "plate": 12, "person": 48}
"""From this height on the product promises to hide a subject."""

VISIBLE = 0.5
"""A subject counts in a frame if at least this share of its box is seen."""

LONG_RUN = 5
"""So many consecutive exposed frames make a look that a viewer can hold."""

_HIDDEN_AREA = 0.7
_EVERY = 5  # frames between two looks at the rest of the picture
_MARGIN = 0.7  # of a true box: masks may reach this far


@dataclass
class Count:
    """What happened in one size band.

    Attributes:
        frames, exposed_frames: subject-frames.
        subjects, exposed_subjects: subjects seen in the band, and those exposed in at least one frame of it.
        long_exposed: subjects exposed in at least `LONG_RUN` frames in a row.
    """

    frames: int = 0
    exposed_frames: int = 0
    subjects: int = 0
    exposed_subjects: int = 0
    long_exposed: int = 0

    def __iadd__(self, other: "Count") -> "Count":
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)
        return self


@dataclass
class Exposure:
    """The result of one program on one or more videos."""

    counts: dict[tuple[str, float], Count] = field(default_factory=dict)
    rest: int = 0
    rest_masked: float = 0.0

    def __iadd__(self, other: "Exposure") -> "Exposure":
        for key, count in other.counts.items():
            self.counts.setdefault(key, Count()).__iadd__(count)
        self.rest += other.rest
        self.rest_masked += other.rest_masked
        return self

    @property
    def over_masked(self) -> float:
        """Share of the picture that was masked without a subject there."""
        return self.rest_masked / self.rest if self.rest else 0.0

    def total(self, kind: str | None = None, *, goal: bool = False) -> Count:
        """Sum over bands; with `goal` only over those that the promise covers."""
        total = Count()
        for (counted, band), count in self.counts.items():
            if kind in (None, counted) and (not goal or band >= GOAL_HEIGHT[counted]):
                total += count
        return total

    def recall(self, kind: str | None = None) -> float:
        """Share of subject-frames at and above the goal's height that are hidden."""
        total = self.total(kind, goal=True)
        return 1 - total.exposed_frames / total.frames if total.frames else 1.0


def by_pixels(source: Path, output: Path, truth: Truth, *, cut: bool = False) -> Exposure:
    """Compares two videos frame by frame.

    Args:
        source: before.
        output: after.
        truth: of both.
        cut: the output may end early; what it does not show counts as hidden.

    Raises:
        ValueError: if their lengths or sizes differ.
    """
    rest, masked = 0, 0

    def hidden() -> Iterator[list[bool]]:
        nonlocal rest, masked
        for number, (before, after, boxes) in enumerate(zip_longest(lumas(source), lumas(output), truth.frames)):
            if cut and after is None and boxes is not None:
                yield [True] * len(boxes)
                continue
            if before is None or after is None or boxes is None:
                raise ValueError(f"{output.name} has not as many frames as its source, or as its truth")
            if before.shape != after.shape:
                raise ValueError(f"{output.name} is {after.shape} where its source is {before.shape}")
            yield [not counts(box) or destroyed_share(before, after, box.box) >= HIDDEN_SHARE for box in boxes]
            if number % _EVERY == 0:
                outside = ~true_blocks(before.shape, [box.box for box in boxes], _MARGIN)
                rest += int(outside.sum())
                masked += int((altered_blocks(before, after) & outside).sum())

    tallied = tally(truth, hidden())
    return Exposure(tallied, rest, masked)


def by_geometry(regions: Sequence[Sequence[Box]], truth: Truth) -> Exposure:
    """Judges masked regions, one list for each frame, by the share of each true box that lies inside them."""
    if len(regions) != len(truth.frames):
        raise ValueError(f"regions of {len(regions)} frames for a truth of {len(truth.frames)}")
    covered = np.zeros((truth.height, truth.width), np.bool_)

    def hidden() -> Iterator[list[bool]]:
        for masks, boxes in zip(regions, truth.frames, strict=True):
            covered[:] = False
            for mask in masks:
                covered[_inside(mask, truth)] = True
            yield [not counts(box) or _mean(covered[_inside(box.box, truth)]) >= _HIDDEN_AREA for box in boxes]

    return Exposure(tally(truth, hidden()))


def tally(truth: Truth, hidden: Iterable[Sequence[bool]]) -> dict[tuple[str, float], Count]:
    """Counts from one verdict for each true box of each frame."""
    counted: dict[tuple[str, float], Count] = {}
    history: dict[tuple[int, str, float], list[tuple[int, bool]]] = {}
    for number, (boxes, verdicts) in enumerate(zip(truth.frames, hidden, strict=True)):
        for box, verdict in zip(boxes, verdicts, strict=True):
            if counts(box):
                history.setdefault((box.id, box.kind, band_of(box)), []).append((number, not verdict))
    for (_, kind, band), frames in history.items():
        exposed = [number for number, shown in frames if shown]
        counted.setdefault((kind, band), Count()).__iadd__(
            Count(len(frames), len(exposed), 1, bool(exposed), _longest_run(exposed) >= LONG_RUN)
        )
    return counted


def counts(box: TrueBox) -> bool:
    """Whether this subject is large and visible enough in this frame to be counted."""
    return box.visible >= VISIBLE and box.height >= BANDS[box.kind][0]


def band_of(box: TrueBox) -> float:
    """Lower end of its size band."""
    return max(low for low in BANDS[box.kind] if box.height >= low)


def lumas(path: Path) -> Iterator[Luma]:
    """The luma planes of a video, all in one range, as the codec stored them."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            yield np.ascontiguousarray(frame.reformat(format="yuv420p").to_ndarray()[: frame.height])


def _longest_run(numbers: Sequence[int]) -> int:
    longest = run = 0
    previous = -2
    for number in numbers:
        run = run + 1 if number == previous + 1 else 1
        longest, previous = max(longest, run), number
    return longest


def _inside(box: Sequence[float], truth: Truth) -> tuple[slice, slice]:
    x1, x2 = (min(max(round(v), 0), truth.width) for v in (box[0], box[2]))
    y1, y2 = (min(max(round(v), 0), truth.height) for v in (box[1], box[3]))
    return slice(y1, y2), slice(x1, x2)


def _mean(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if values.size else 1.0
