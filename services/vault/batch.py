"""What waits to become a segment: messages of one camera, kind and epoch, in the order in which they came."""

import hashlib
from dataclasses import dataclass, field

from services.bus.interface import Position
from services.schema import pb
from services.vault.segment import HOUR_US, Kind


@dataclass(frozen=True, slots=True)
class Item:
    """One message.

    Attributes:
        mark: its identity within camera, kind and epoch.
        first_seq, last_seq: the frames it is about, both included.
        at_us: when what it tells of was captured.
        keyframe: decoding can start here.
    """

    mark: int
    first_seq: int
    last_seq: int
    at_us: int
    keyframe: bool
    message: pb.AccessUnit | pb.RedactionSpan = field(repr=False)


Lane = tuple[str, Kind, int]
"""Camera, kind, epoch: segments of one lane are written one after the other."""


@dataclass(slots=True)
class Batch:
    """Items that become one segment, or none where all are stored already.

    Attributes:
        partition: of the bus, by number.
        retention_us: how long they are kept.
        opened_s: when the first item came, monotonic.
        positions: of all messages that are done once it is stored, those of duplicates too.
        end: how the epoch ended, where it did.
        tries: how often storing it failed.
        sealed_since: when a payload could not be opened for the first time, monotonic.
        dropped: its partition went to another process.
    """

    camera_id: str
    kind: Kind
    epoch: int
    partition: int
    retention_us: int
    opened_s: float
    items: list[Item] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    bytes: int = 0
    end: pb.EndOfStream | None = None
    tries: int = 0
    sealed_since: float | None = None
    dropped: bool = False

    @property
    def lane(self) -> Lane:
        """Where it queues."""
        return self.camera_id, self.kind, self.epoch

    def ends_before(self, item: Item, segment_s: float, longest_s: float) -> bool:
        """Whether a segment ends before this item: at a keyframe when it is long enough, or where time leaps."""
        if not self.items:
            return False
        passed_s = (item.at_us - self.items[0].at_us) / 1e6
        if not -1.0 <= passed_s <= longest_s:
            return True
        starts = item.keyframe or self.kind == "spans"
        return starts and (passed_s >= segment_s or item.at_us // HOUR_US != self.items[0].at_us // HOUR_US)


def mark_of(value: bytes) -> int:
    """The identity of a message that has no number of its own: 64 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(value).digest()[:8], "big")
