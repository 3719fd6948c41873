"""Cuts the originals of an epoch into chunks that are drawn each by itself, in any process.

Where a cut falls depends on the footage and the chosen frames alone: the same request gives the same chunks, and so the
same pictures, whoever draws them and in whatever order.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from services.disclosure.footage import Gap, Piece, Unit
from services.disclosure.request import Correction, Sight
from services.disclosure.subject import Subject
from services.policy.model import Policy
from services.schema import pb

_FRAMES = 500  # a chunk ends at the keyframe behind so many frames: twenty seconds of a usual camera
_BYTES = 16 << 20
_FRAMES_MAX = 4000  # a camera that sends no keyframes for this long: the rest of its group can't be decoded, and closes
_BYTES_MAX = 96 << 20
_LEAD_MAX = 300  # frames of the group before, which pictures behind a keyframe may need
_AHEAD = 480  # frames: the look-ahead of the profile `evidence` at 240 a second


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some groups of pictures that follow each other, and all that is needed to draw them.

    Attributes:
        units: access units in decoding order, serialised, each with whether it is to be shown.
        stream: what the newest keyframe before them says of the pictures, serialised.
        spans: that touch these frames or those shortly behind them, serialised, in the order in which they came.
        sights: the subject, in this epoch.
        corrections: that touch these frames, each with its number.
    """

    camera: str
    epoch: int
    first_seq: int
    last_seq: int
    units: tuple[tuple[bytes, bool], ...] = field(repr=False)
    stream: bytes = field(repr=False)
    spans: tuple[bytes, ...] = field(repr=False)
    sights: tuple[Sight, ...]
    corrections: tuple[tuple[int, Correction], ...]
    policies: Mapping[str, Policy] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Epoch:
    """What is to be drawn of one epoch.

    Attributes:
        spans: all that are near the subject, in the order in which they came.
        corrections: of this epoch, each with its number.
    """

    camera: str
    epoch: int
    subject: Subject
    spans: Sequence[pb.RedactionSpan]
    sights: tuple[Sight, ...]
    corrections: tuple[tuple[int, Correction], ...]
    policies: Mapping[str, Policy]

    @classmethod
    def of(
        cls,
        stream: tuple[str, int],
        spans: Iterable[pb.RedactionSpan],
        sights: Iterable[Sight],
        corrections: Sequence[Correction],
        policies: Mapping[str, Policy],
    ) -> "Epoch":
        """Takes of everything what is about this epoch."""
        own = tuple(sight for sight in sights if sight.stream == stream)
        subject = Subject(own)
        near = [span for span in spans if subject.near(span.first_seq, span.last_seq, _AHEAD)]
        mine = tuple((number, one) for number, one in enumerate(corrections) if one.stream == stream)
        return cls(*stream, subject, near, own, mine, policies)

    def chunk(self, units: Collection[tuple[pb.AccessUnit, bool]], stream: pb.StreamInfo) -> Chunk:
        """These units as a chunk; at least one is to be shown."""
        shown = [unit.seq for unit, wanted in units if wanted]
        first, last = min(shown), max(shown)
        spans = [span for span in self.spans if span.first_seq <= last + _AHEAD and span.last_seq >= first]
        return Chunk(
            camera=self.camera,
            epoch=self.epoch,
            first_seq=first,
            last_seq=last,
            units=tuple((unit.SerializeToString(), wanted) for unit, wanted in units),
            stream=stream.SerializeToString(),
            spans=tuple(span.SerializeToString() for span in spans),
            sights=self.sights,
            corrections=tuple(
                (number, one) for number, one in self.corrections if one.first_seq <= last and one.last_seq >= first
            ),
            policies=self.policies,
        )


class Cutter:
    """Takes the pieces of one epoch in order, and gives out chunks."""

    def __init__(self, epoch: Epoch) -> None:
        self._epoch = epoch
        self._group: list[tuple[pb.AccessUnit, bool]] = []
        self._lead: list[tuple[pb.AccessUnit, bool]] = []  # the group before, for the decoder only
        self._chunk: list[tuple[pb.AccessUnit, bool]] = []
        self._shown = self._bytes = self._group_bytes = 0
        self._stream = pb.StreamInfo()  # of the newest keyframe before the chunk

    def take(self, piece: Piece) -> Iterator[Chunk]:
        """Takes the next piece."""
        for each in piece.units:
            if each.unit.keyframe or len(self._group) >= _FRAMES_MAX or self._group_bytes >= _BYTES_MAX:
                yield from self._close_group()
            self._group.append((each.unit, self._shows(each)))
            self._group_bytes += len(each.unit.inline)

    def end(self) -> Iterator[Chunk]:
        """Gives out the rest: the epoch ends here, or a gap begins."""
        yield from self._close_group()
        yield from self._close_chunk()
        self._lead = []

    def _shows(self, each: Unit) -> bool:
        return each.wanted and self._epoch.subject.is_wanted(each.unit.seq)

    def _close_group(self) -> Iterator[Chunk]:
        group, self._group, size, self._group_bytes = self._group, [], self._group_bytes, 0
        shown = sum(wanted for _, wanted in group)
        lead = [(unit, False) for unit, _ in group] if len(group) <= _LEAD_MAX else []
        if not shown:
            yield from self._close_chunk()
            self._lead = lead
            return
        if self._shown >= _FRAMES or self._bytes + size > _BYTES:
            yield from self._close_chunk()
        if not self._chunk:
            self._chunk, self._lead = self._lead, []
        self._chunk += group
        self._shown += shown
        self._bytes += size
        self._lead = lead

    def _close_chunk(self) -> Iterator[Chunk]:
        units, shown, self._chunk, self._shown, self._bytes = self._chunk, self._shown, [], 0, 0
        if shown:
            yield self._epoch.chunk(units, self._stream)
        told = (unit.stream for unit, _ in reversed(units) if unit.keyframe and unit.HasField("stream"))
        self._stream = next(told, self._stream)


def cut(opened: Iterable[Piece | Gap], epochs: Mapping[int, Epoch]) -> Iterator[Chunk | Gap]:
    """The chunks of a camera's range, and its gaps between them, in order."""
    cutter: Cutter | None = None
    epoch = -1
    for piece in opened:
        if cutter is not None and (isinstance(piece, Gap) or piece.epoch != epoch):
            yield from cutter.end()
            cutter = None
        if isinstance(piece, Gap):
            yield piece
        elif piece.epoch in epochs:
            if cutter is None:
                epoch, cutter = piece.epoch, Cutter(epochs[piece.epoch])
            yield from cutter.take(piece)
    if cutter is not None:
        yield from cutter.end()
