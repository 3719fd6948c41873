"""What a viewer sees of video.redacted: each frame once and in order, whatever a restart sent twice (I6).

Delivery is at least once, so a frame may come again; its identity (camera, epoch, seq) tells. The view keeps a few
numbers for each camera and never a picture.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, fields

from google.protobuf.message import DecodeError

from services.bus.interface import Message
from services.schema import pb

Item = pb.RedactedUnit | pb.AudioUnit | pb.EndOfStream

# How far back a camera's view can tell a duplicate from a frame that comes too late; beyond, both count as too late.
_EPOCHS_REMEMBERED = 4
_GAPS_REMEMBERED = 256


@dataclass(slots=True)
class Counts:
    """What became of the messages of one camera.

    Attributes:
        frames: given, closed ones included.
        closed: of these, wholly masked.
        epochs: begun.
        ended: epochs whose EndOfStream was given.
        duplicates: left out because they had come before.
        out_of_order: left out because a later one had come before them.
        before_keyframe: left out because a decoder could not have started with them.
        gaps, missing: jumps in seq, and the numbers that never came: frames that were shed or dropped by the policy
            before they were encoded, or lost.
    """

    frames: int = 0
    closed: int = 0
    epochs: int = 0
    ended: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    before_keyframe: int = 0
    gaps: int = 0
    missing: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(Counts)))


class RedactedView:
    """The view of every camera whose messages it is given.

    Args:
        whole: the topic is read from its beginning, so that the first frames of a camera can be missing. Otherwise a
            camera's first message may lie anywhere in an epoch.
    """

    def __init__(self, *, whole: bool = False) -> None:
        self._whole = whole
        self._cameras: dict[str, CameraView] = {}
        self.invalid = 0

    def take(self, message: Message) -> Item | None:
        """The frame, packet of sound or end that `message` adds to what was seen; None if it adds nothing.

        A value that can't be one of the topic is counted in `invalid`.
        """
        item = parse(message)
        if item is None:
            self.invalid += 1
            return None
        camera = self._cameras.get(item.camera_id)
        if camera is None:
            camera = self._cameras[item.camera_id] = CameraView(whole=self._whole)
        return item if camera.take(item) else None

    @property
    def counts(self) -> Mapping[str, Counts]:
        """camera_id → its counts, which go on changing."""
        return {camera_id: camera.counts for camera_id, camera in self._cameras.items()}


class CameraView:
    """The view of one camera, by bodies of RedactedMessage in the order of their partition.

    An epoch lasts until a newer one begins. Within it seq rises; an access unit is given only after a keyframe, so
    that what is given can be decoded from its first byte.

    Args:
        whole: see RedactedView.
    """

    def __init__(self, *, whole: bool = False) -> None:
        self.counts = Counts()
        self._whole = whole
        self._epochs: deque[_Epoch] = deque(maxlen=_EPOCHS_REMEMBERED)

    def take(self, item: Item) -> bool:
        """True where `item` comes next; otherwise it is counted and to be left out."""
        newest = self._epochs[-1] if self._epochs else None
        if newest is None or item.epoch > newest.number:
            # Of an epoch that follows another one in the same partition, the start can't have been missed.
            newest = _Epoch(item.epoch, 0 if newest is not None or self._whole else None)
            self._epochs.append(newest)
            self.counts.epochs += 1
        epoch = next((epoch for epoch in self._epochs if epoch.number == item.epoch), None)
        if epoch is not None and epoch.had(item):
            self.counts.duplicates += 1
        elif epoch is not newest or newest.is_past(item):
            self.counts.out_of_order += 1
        elif isinstance(item, pb.RedactedUnit):
            return self._take_unit(newest, item)
        elif isinstance(item, pb.AudioUnit):
            newest.next_index = item.index + 1
            return newest.decodable
        else:
            self._pass_over(newest, item.frames)
            newest.ended = True
            self.counts.ended += 1
            return True
        return False

    def _take_unit(self, epoch: "_Epoch", unit: pb.RedactedUnit) -> bool:
        self._pass_over(epoch, unit.seq)
        epoch.next_seq = unit.seq + 1
        epoch.decodable |= unit.keyframe
        if not epoch.decodable:
            self.counts.before_keyframe += 1
            return False
        self.counts.frames += 1
        self.counts.closed += unit.closed
        return True

    def _pass_over(self, epoch: "_Epoch", seq: int) -> None:
        """Notes the numbers before `seq` that have not come."""
        if epoch.next_seq is None:
            epoch.passed.append(range(seq))
        elif seq > epoch.next_seq:
            epoch.passed.append(range(epoch.next_seq, seq))
            self.counts.gaps += 1
            self.counts.missing += seq - epoch.next_seq


class _Epoch:
    """How far one epoch has come. `next_seq` is None until the first number is known."""

    __slots__ = ("decodable", "ended", "next_index", "next_seq", "number", "passed")

    def __init__(self, number: int, next_seq: int | None) -> None:
        self.number = number
        self.next_seq = next_seq
        self.next_index = 0
        self.passed: deque[range] = deque(maxlen=_GAPS_REMEMBERED)
        self.decodable = self.ended = False

    def had(self, item: Item) -> bool:
        if isinstance(item, pb.RedactedUnit):
            return self._before(item) and not any(item.seq in numbers for numbers in self.passed)
        if isinstance(item, pb.AudioUnit):
            return item.index < self.next_index
        return self.ended

    def is_past(self, item: Item) -> bool:
        return self.ended or (isinstance(item, pb.RedactedUnit) and self._before(item))

    def _before(self, unit: pb.RedactedUnit) -> bool:
        return self.next_seq is not None and unit.seq < self.next_seq


def parse(message: Message) -> Item | None:
    """The body of a message of video.redacted; None if it is none: unreadable, incomplete, or under another's key."""
    try:
        redacted = pb.RedactedMessage.FromString(message.record.value)
    except DecodeError:
        return None
    item: Item
    match redacted.WhichOneof("body"):
        case "unit":
            item = redacted.unit
            complete = item.payload and item.time_base_num and item.time_base_den and item.width and item.height
        case "audio":
            item = redacted.audio
            complete = item.inline and item.time_base_num and item.time_base_den
        case "end":
            item = redacted.end
            complete = True
        case _:
            return None
    return item if complete and item.camera_id == message.record.key else None
