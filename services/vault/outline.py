"""What is known of a range without its pictures: which frames there are, when they were taken, and their spans.

Only segments of spans are opened, which are a hundredth of the pictures' size: a day is read in seconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from services.bus.clock import Clock
from services.schema import pb
from services.vault.index import Segment, SegmentIndex
from services.vault.unsealing import SegmentReader, readable


@dataclass(frozen=True, slots=True)
class Run:
    """Frames that are kept, one behind the other; times between both ends are evenly spread, within some frames.

    Attributes:
        first_seq, last_seq: numbers in the epoch, both included.
        start_us, end_us: when these two were taken, microseconds since 1970.
    """

    first_seq: int
    last_seq: int
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """One epoch of a camera, as far as it lies in a range and can be read.

    Attributes:
        runs: what there is, in order.
    """

    camera_id: str
    epoch: int
    runs: tuple[Run, ...]
    _index: SegmentIndex = field(repr=False)
    _reader: SegmentReader = field(repr=False)

    def spans(self) -> Iterator[pb.RedactionSpan]:
        """All that touch these frames, in the order in which they came. Raises Tampered, Unavailable."""
        first, last = self.runs[0].first_seq, self.runs[-1].last_seq
        for segment in self._index.spans_within(self.camera_id, self.epoch, first, last):
            for span in self._reader.spans(segment) or ():
                if span.first_seq <= last and span.last_seq >= first:
                    yield span


class Outlined:
    """A range that was opened for its spans: iterate over its epochs. Raises Tampered, Unavailable while it goes."""

    def __init__(
        self,
        index: SegmentIndex,
        reader: SegmentReader,
        clock: Clock,
        camera_id: str,
        start_us: int,
        end_us: int,
        event: pb.AuditEvent,
    ) -> None:
        self._index, self._reader, self._clock = index, reader, clock
        self.camera_id, self.start_us, self.end_us, self.event = camera_id, start_us, end_us, event

    def __iter__(self) -> Iterator[Outline]:
        """Epochs in order, those without a readable frame left out."""
        segments = self._index.in_time(self.camera_id, self.start_us, self.end_us)
        for epoch, group in groupby(segments, key=lambda segment: segment.epoch):
            now_us = self._clock()
            may = (segment for segment in group if readable(self._index, segment, now_us))
            runs = tuple(run for segment in may if (run := _clipped(segment, self.start_us, self.end_us)) is not None)
            if runs:
                yield Outline(self.camera_id, epoch, runs, self._index, self._reader)


def _clipped(segment: Segment, start_us: int, end_us: int) -> Run | None:
    """What of a segment lies in a range; at the range's own ends within some frames."""
    first, last = segment.first_seq, segment.last_seq
    if segment.start_us >= start_us and segment.end_us < end_us:
        return Run(first, last, segment.start_us, segment.end_us)
    if segment.end_us < start_us or segment.start_us >= end_us:
        return None
    step_us = max(1.0, (segment.end_us - segment.start_us) / max(1, last - first))
    low = min(last, first + max(0, round((start_us - segment.start_us) / step_us)))
    high = max(low, first + min(last - first, int((end_us - 1 - segment.start_us) / step_us)))
    return Run(
        low, high, segment.start_us + round((low - first) * step_us), segment.start_us + round((high - first) * step_us)
    )
