"""Reads originals again: in order, across segments, epochs and gaps, with the spans that say what is on them."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from services.bus.clock import Clock
from services.schema import pb
from services.vault.index import Segment, SegmentIndex
from services.vault.unsealing import SegmentReader, readable

_SPANS_KEPT = 16
_TOLERATED_US = 2_000_000
"""Nothing before the first or behind the last picture for less than this is no gap: slow cameras look that seldom."""

_REORDERED = 16
"""H.264 and H.265 send a picture at most so many pictures late: a segment may hold what the one before it left out."""

_ENDED = {
    "finished": "the source came to its end",
    "lost": "the camera broke off",
    "stopped": "an operator stopped it",
}


@dataclass(frozen=True, slots=True)
class Unit:
    """An access unit with its payload inline.

    Attributes:
        wanted: it lies in the range that was asked for. Others are there for the decoder only, and never to be shown.
    """

    unit: pb.AccessUnit = field(repr=False)
    wanted: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """What one segment holds of the range.

    Attributes:
        units: in decoding order.
        spans: all that touch these frames, in the order in which they came. Of those that hold a frame the first
            counts; a span may be in several pieces. A frame without one was never covered.
        keyframe: decoding can start here. Otherwise it goes on from the piece before, if no gap lies between.
    """

    camera_id: str
    epoch: int
    number: int
    start_us: int
    end_us: int
    keyframe: bool
    units: tuple[Unit, ...]
    spans: tuple[pb.RedactionSpan, ...] = field(repr=False)

    def span_of(self, seq: int) -> pb.RedactionSpan | None:
        """The span that says what is masked in a frame; None where there is none."""
        return next((span for span in self.spans if span.first_seq <= seq <= span.last_seq), None)


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of the range of which nothing can be given.

    Attributes:
        start_us, end_us: from the last picture before it to the first behind it; microseconds since 1970.
        kind: reconnect (a new epoch follows), frames (numbers are missing within an epoch), gone (expired or purged),
            removed (the index lacks a segment that was there), range (before the first or behind the last picture).
        why: one sentence.
        frames: how many are missing, where that is known.
    """

    start_us: int
    end_us: int
    kind: str
    why: str
    frames: int | None = None


class Opened:
    """A range that was opened: iterate over it, once or again. Raises Tampered, Unavailable while it goes.

    Args:
        index: of segments.
        reader: opens them.
        clock: microseconds since 1970.
        event: the audit event that tells of the opening.
    """

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
        self._spans: OrderedDict[int, tuple[pb.RedactionSpan, ...]] = OrderedDict()

    def __iter__(self) -> Iterator[Piece | Gap]:
        """Pieces in order of epoch and number; gaps of all kinds between them."""
        walk = _Walk(self.start_us, self.end_us)
        for segment in self._index.in_time(self.camera_id, self.start_us, self.end_us):
            yield from walk.up_to(segment, self._why_ended)
            if not readable(self._index, segment, self._clock()):
                walk.lacks(segment)
                continue
            units = self._reader.units(segment)
            if units is None:
                walk.lacks(segment)
                continue
            fresh = walk.unseen(units)
            yield from walk.gaps(segment, fresh)
            chosen = _trimmed(fresh, self.start_us, self.end_us)
            if chosen:
                yield Piece(
                    camera_id=self.camera_id,
                    epoch=segment.epoch,
                    number=segment.number,
                    start_us=segment.start_us,
                    end_us=segment.end_us,
                    keyframe=chosen[0].unit.keyframe,
                    units=chosen,
                    spans=self._spans_of(segment),
                )
        yield from walk.rest()

    def _spans_of(self, segment: Segment) -> tuple[pb.RedactionSpan, ...]:
        found: list[pb.RedactionSpan] = []
        for each in self._index.spans_of(self.camera_id, segment.epoch, segment.first_seq, segment.last_seq):
            spans = self._read_spans(each)
            found += (
                span for span in spans if span.first_seq <= segment.last_seq and span.last_seq >= segment.first_seq
            )
        return tuple(found)

    def _read_spans(self, segment: Segment) -> tuple[pb.RedactionSpan, ...]:
        known = self._spans.get(segment.id)
        if known is None:
            read = self._reader.spans(segment)
            if read is None:
                return ()
            known = self._spans[segment.id] = read
            while len(self._spans) > _SPANS_KEPT:
                self._spans.popitem(last=False)
        return known

    def _why_ended(self, epoch: int) -> str:
        reason = self._index.endings(self.camera_id, [epoch]).get(epoch, "")
        return _ENDED.get(reason, "nobody said why it broke off")


class _Walk:
    """Follows segments along a range and tells what lies between them."""

    def __init__(self, start_us: int, end_us: int) -> None:
        self._start_us, self._end_us = start_us, end_us
        self._before: Segment | None = None
        self._newest_us = start_us
        self._seen: set[int] = set()  # numbers of frames of this epoch that a later segment could bring again
        self._newest_seq: int | None = None
        self._lacking: Gap | None = None
        self._missing: dict[int, tuple[int, int]] = {}  # numbers that may still come: between which times

    def up_to(self, segment: Segment, why_ended: Callable[[int], str]) -> Iterator[Gap]:
        """What lies between the segment before and this one, as the index tells it."""
        before, self._before = self._before, segment
        if before is None or before.epoch != segment.epoch:
            self._seen, self._newest_seq = set(), None
        if before is None:
            return
        if before.epoch != segment.epoch:
            yield from self._all_told()
            why = why_ended(before.epoch)
            yield Gap(self._newest_us, segment.start_us, "reconnect", f"A new epoch begins: {why}.")
        elif segment.number != before.number + 1:
            yield from self._all_told()
            missing = segment.number - before.number - 1
            why = f"{missing} segments that were there are not in the index any more."
            yield Gap(before.end_us, segment.start_us, "removed", why)
            self._newest_seq = None

    def lacks(self, segment: Segment) -> None:
        """Notes that a segment is gone."""
        start_us = self._newest_us if self._lacking is None else self._lacking.start_us
        frames = segment.messages + (0 if self._lacking is None else self._lacking.frames or 0)
        self._lacking = Gap(start_us, segment.end_us, "gone", "It has expired, or was purged.", frames)
        self._newest_us = max(self._newest_us, segment.end_us)
        self._newest_seq = segment.last_seq
        self._missing = {seq: times for seq, times in self._missing.items() if seq < segment.first_seq}

    def unseen(self, units: list[pb.AccessUnit]) -> list[pb.AccessUnit]:
        """Those that did not come before: two writers that overlapped may both have stored some."""
        fresh = [unit for unit in units if unit.seq not in self._seen]
        self._seen = {unit.seq for unit in units}
        return fresh

    def gaps(self, segment: Segment, units: list[pb.AccessUnit]) -> Iterator[Gap]:
        """What is missing before these units, and, once later ones can't bring it any more, between them."""
        yield from self._flush()
        if self._newest_us == self._start_us and segment.start_us > self._start_us + _TOLERATED_US:
            yield Gap(self._start_us, segment.start_us, "range", "Nothing is kept before this.")
        if units:
            seqs = {unit.seq for unit in units}
            yield from self._missed(segment, seqs, begins=units[0].keyframe)
            self._newest_seq = max(*seqs, self._newest_seq or 0)
        yield from self._lost(self._newest_seq)
        self._newest_us = max(self._newest_us, segment.end_us)

    def rest(self) -> Iterator[Gap]:
        """What lies behind the last one."""
        yield from self._all_told()
        if self._newest_us + _TOLERATED_US < self._end_us:
            yield Gap(self._newest_us, self._end_us, "range", "Nothing is kept behind this.")

    def _missed(self, segment: Segment, seqs: set[int], *, begins: bool) -> Iterator[Gap]:
        """Notes numbers that these leave out. A segment within a group of pictures lacks what the one before it has."""
        for seq in seqs & self._missing.keys():
            del self._missing[seq]
        first = min(seqs)
        newest = self._newest_seq
        if newest is None:
            since = first if begins else first + _REORDERED
        else:
            since = newest + 1
            if first > since + _REORDERED:
                frames = first - since
                yield Gap(self._newest_us, segment.start_us, "frames", _never_came(frames), frames)
                since = first
        for seq in range(since, max(seqs)):
            if seq not in seqs:
                self._missing[seq] = (self._newest_us if seq < first else segment.start_us, segment.end_us)

    def _lost(self, newest: int | None) -> Iterator[Gap]:
        """What is missing for good once `newest` has come; with None, all that is."""
        lost = [seq for seq in self._missing if newest is None or seq + _REORDERED < newest]
        if lost:
            times = [self._missing.pop(seq) for seq in lost]
            start_us, end_us = min(start for start, _ in times), max(end for _, end in times)
            yield Gap(start_us, end_us, "frames", _never_came(len(lost)), len(lost))

    def _all_told(self) -> Iterator[Gap]:
        yield from self._flush()
        yield from self._lost(None)

    def _flush(self) -> Iterator[Gap]:
        if self._lacking is not None:
            yield self._lacking
            self._lacking = None


def _never_came(frames: int) -> str:
    return f"{frames} frame{'' if frames == 1 else 's'} never came."


def _trimmed(units: list[pb.AccessUnit], start_us: int, end_us: int) -> tuple[Unit, ...]:
    """Marks those of the range, and leaves out all behind the last of them."""
    marked = [Unit(unit, start_us <= unit.captured_us < end_us) for unit in units]
    while marked and not marked[-1].wanted and marked[-1].unit.captured_us >= end_us:
        marked.pop()
    return tuple(marked)
