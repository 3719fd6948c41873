"""The vault stage: access units and spans in, encrypted segments in the store; done is what is durable there."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence

from google.protobuf.message import DecodeError

from services.bus.clock import Clock, now_us
from services.bus.interface import InvalidMessage, Message, Position, Record, TopicPartition
from services.bus.topics import AUDIT, REDACTIONS, VIDEO_SOURCE, Topic
from services.envelope import Opener
from services.policy.model import PolicyBook, PolicyUnavailable
from services.runtime.stage import Backpressure, Emission
from services.schema import pb
from services.vault import metrics
from services.vault.batch import Batch, Item, Lane, mark_of
from services.vault.keeper import Keeper
from services.vault.lanes import Lanes
from services.vault.segment import HOUR_US, Kind
from services.vault.storer import Storer
from services.vault.vault import Vault

_log = logging.getLogger(__name__)

_TICK_S = 0.5
_AHEAD_US = HOUR_US
_FRAMES_MAX = 1 << 40
_SKEW_US = HOUR_US


class VaultStage:
    """Keeps the originals of cameras whose policies say so.

    An input is done once the segment that holds it is durable in store and index, and no sooner. Where that can't be,
    it takes nothing more (`wait`), or leaves out what comes and counts it (`shed`). Sound is never kept.

    Args:
        vault: store, index and keys.
        policies: what is kept of each camera, and for how long.
        opener: opens payloads as they travel.
        clock: microseconds since 1970.
        monotonic: seconds.
    """

    name = "vault"
    inputs: tuple[Topic, ...] = (VIDEO_SOURCE, REDACTIONS)
    outputs: tuple[Topic, ...] = (AUDIT,)
    remembers: Topic | None = None
    has_threads = True
    finished = False

    def __init__(
        self,
        vault: Vault,
        policies: PolicyBook,
        opener: Opener | None,
        clock: Clock = now_us,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._policies = vault.settings, policies
        self._clock, self._monotonic = clock, monotonic
        self._open: dict[Lane, Batch] = {}  # the one opened first comes first
        self._bytes = 0  # of open batches
        self._done: list[Position] = []
        self._kept: dict[str, int | None] = {}  # camera → hours its originals are kept, as last known
        self._cameras_lock = threading.Lock()
        self._ticked = monotonic()
        self._keeper = Keeper(
            vault.settings,
            vault.index,
            vault.store,
            vault.purger,
            vault.events,
            policies,
            self._cameras,
            clock,
            monotonic,
        )
        self._keeper.start()
        storer = Storer(vault.settings, vault.store, vault.index, vault.hours, opener, clock, monotonic)
        self._lanes = Lanes(storer, vault.settings.threads, vault.settings.retry_max_s)

    def remember(self, message: Message) -> None:
        """It needs to know nothing: the index says what is stored."""

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Drops what waits of these partitions: another process stores it."""
        gone = {source.partition for source in partitions}
        for lane in [lane for lane, batch in self._open.items() if batch.partition in gone]:
            self._bytes -= self._open.pop(lane).bytes
        self._lanes.drop(gone)
        self._done = [position for position in self._done if position.source.partition not in gone]

    def submit(self, message: Message) -> None:
        """Takes one message. Raises Backpressure while there is no room for it, InvalidMessage."""
        if message.record.topic.name == VIDEO_SOURCE.name:
            self._submit_source(message)
        else:
            self._submit_redactions(message)

    def completed(self) -> Sequence[Emission]:
        """What became durable, and events for the topic `audit`."""
        self._tick()
        emissions = [Emission((), tuple(batch.positions)) for batch in self._lanes.take()]
        if self._done:
            emissions.append(Emission((), tuple(self._done)))
            self._done.clear()
        events = self._keeper.take_events()
        if events:
            emissions.append(Emission(tuple(Record(AUDIT, each.camera_id, each.event) for each in events)))
        return emissions

    def close(self) -> None:
        """What waits is stored as it is."""
        for lane in list(self._open):
            self._cut(lane)

    def join(self, timeout_s: float) -> Sequence[Emission]:
        """Waits for the store; what is not durable by then comes again."""
        self._lanes.stop(timeout_s)
        self._keeper.stop()
        return self.completed()

    def _submit_source(self, message: Message) -> None:
        try:
            body = pb.SourceMessage.FromString(message.record.value)
        except DecodeError:
            raise InvalidMessage("not a SourceMessage") from None
        match body.WhichOneof("body"):
            case "unit":
                unit = body.unit
                self._check(unit.camera_id, unit.epoch, unit.seq, message)
                at_us = _plausible(unit.captured_us, message.timestamp_us)
                item = Item(unit.seq, unit.seq, unit.seq, at_us, unit.keyframe, unit)
                self._take("video", unit.camera_id, unit.epoch, item, message)
            case "audio":
                self._done.append(message.position)
            case "end":
                self._check(body.end.camera_id, body.end.epoch, 0, message)
                self._end("video", body.end, message)
            case _:
                raise InvalidMessage("an empty SourceMessage")

    def _submit_redactions(self, message: Message) -> None:
        try:
            body = pb.RedactionsMessage.FromString(message.record.value)
        except DecodeError:
            raise InvalidMessage("not a RedactionsMessage") from None
        match body.WhichOneof("body"):
            case "span":
                span = body.span
                self._check(span.camera_id, span.epoch, span.last_seq, message)
                if span.last_seq < span.first_seq:
                    raise InvalidMessage(f"a span from {span.first_seq} to {span.last_seq}")
                at_us = _plausible(span.trace[0].received_us if span.trace else 0, message.timestamp_us)
                mark = mark_of(message.record.value)
                item = Item(mark, span.first_seq, span.last_seq, at_us, keyframe=False, message=span)
                self._take("spans", span.camera_id, span.epoch, item, message)
            case "end":
                self._check(body.end.camera_id, body.end.epoch, 0, message)
                self._end("spans", body.end, message)
            case _:
                raise InvalidMessage("an empty RedactionsMessage")

    def _check(self, camera_id: str, epoch: int, seq: int, message: Message) -> None:
        """Raises InvalidMessage where a message can't be of the camera, epoch and frame it names."""
        if not camera_id or camera_id != message.record.key:
            raise InvalidMessage("the camera_id is not the key")
        if epoch > max(self._clock(), message.timestamp_us) + _AHEAD_US:
            raise InvalidMessage(f"epoch {epoch} lies in the future")
        if seq >= _FRAMES_MAX:
            raise InvalidMessage(f"frame {seq} is beyond every epoch")

    def _take(self, kind: Kind, camera_id: str, epoch: int, item: Item, message: Message) -> None:
        hours = self._hours_kept(camera_id)
        if hours is None:
            self._done.append(message.position)
            return
        lane: Lane = (camera_id, kind, epoch)
        batch = self._open.get(lane)
        size = message.record.size
        settings = self._settings
        if batch is not None and (
            batch.ends_before(item, settings.segment_s, settings.segment_max_s)
            or batch.bytes + size > settings.segment_mb << 20
        ):
            self._cut(lane)
            batch = None
        if not self._has_room(size):
            if settings.when_full == "wait":
                raise Backpressure("the vault has no room for more until segments are stored")
            metrics.DROPPED.labels("full").inc()
            self._done.append(message.position)
            return
        if batch is None or lane not in self._open:
            batch = self._opened(lane, message, hours)
        batch.items.append(item)
        batch.positions.append(message.position)
        batch.bytes += size
        self._bytes += size

    def _end(self, kind: Kind, end: pb.EndOfStream, message: Message) -> None:
        hours = self._hours_kept(end.camera_id)
        if hours is None:
            self._done.append(message.position)
            return
        lane: Lane = (end.camera_id, kind, end.epoch)
        batch = self._open.get(lane) or self._opened(lane, message, hours)
        batch.positions.append(message.position)
        if kind == "video":
            batch.end = end
        self._cut(lane)

    def _opened(self, lane: Lane, message: Message, hours: int) -> Batch:
        camera_id, kind, epoch = lane
        partition = message.position.source.partition
        batch = Batch(camera_id, kind, epoch, partition, hours * HOUR_US, self._monotonic())
        self._open[lane] = batch
        return batch

    def _cut(self, lane: Lane) -> None:
        batch = self._open.pop(lane)
        self._bytes -= batch.bytes
        self._lanes.add(batch)

    def _has_room(self, size: int) -> bool:
        """Whether a message may wait too; where not, what has waited longest is stored now."""
        bound = self._settings.hold_mb << 20
        while (held := self._bytes + self._lanes.bytes) + size > bound and held:
            # Segments on their way make room by themselves; half of it for them is enough to keep the store busy.
            if not self._open or self._lanes.bytes > bound // 2:
                return False
            self._cut(next(iter(self._open)))
        return True

    def _tick(self) -> None:
        """Now and then: what has waited long enough is stored, whether more comes or not."""
        now = self._monotonic()
        if now - self._ticked < _TICK_S:
            return
        self._ticked = now
        for lane, batch in list(self._open.items()):
            if now - batch.opened_s < self._settings.segment_max_s:
                break
            self._cut(lane)
        metrics.HELD.set(self._bytes + self._lanes.bytes)
        metrics.FULL.set(self._lanes.full)

    def _hours_kept(self, camera_id: str) -> int | None:
        """How long a camera's originals are kept; None where they are not.

        While its policy can't be read, what it said last holds; where it never said anything, nothing is kept.
        """
        try:
            policy = self._policies.policy_for(camera_id)
        except PolicyUnavailable:
            return self._kept.get(camera_id)
        hours = policy.retention_hours if policy.originals == "keep" else None
        if camera_id not in self._kept or self._kept[camera_id] != hours:
            with self._cameras_lock:
                self._kept[camera_id] = hours
        return hours

    def _cameras(self) -> list[str]:
        with self._cameras_lock:
            return list(self._kept)


def _plausible(captured_us: int, arrived_us: int) -> int:
    """When a picture was captured; when it came where a decoder's clock must be wrong.

    Footage must not live longer, nor go sooner, because a clock was wrong.
    """
    return captured_us if abs(captured_us - arrived_us) <= _SKEW_US else arrived_us
