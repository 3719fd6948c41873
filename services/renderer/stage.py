"""The renderer stage: joins access units with spans by identity, and lets nothing out that is not covered."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from itertools import chain

from google.protobuf.message import DecodeError

from services.bus.interface import InvalidMessage, Message, Position, TopicPartition
from services.bus.topics import REDACTIONS, VIDEO_RENDERED, VIDEO_SOURCE, Topic
from services.envelope import Opener
from services.policy.model import PolicyBook
from services.renderer import metrics
from services.renderer.camera import Camera
from services.renderer.checks import check_identity, check_span, check_unit
from services.renderer.epoch import Epoch, Hold
from services.renderer.rules import RuleBook
from services.renderer.settings import RendererSettings
from services.renderer.spans import Span
from services.runtime.stage import Backpressure, Emission
from services.schema import pb

_SWEEP_EVERY_S = 1.0

_log = logging.getLogger(__name__)

_Key = tuple[int, str]


class RendererStage:
    """Masks frames as their spans say; see README.md for what closes a frame.

    Args:
        settings: bounds and deadlines.
        policies: what each camera may show.
        clock: seconds since 1970.
        opener: decrypts payloads; without one, frames with sealed payloads stay closed.
    """

    name = "renderer"
    inputs: tuple[Topic, ...] = (VIDEO_SOURCE, REDACTIONS)
    outputs: tuple[Topic, ...] = (VIDEO_RENDERED,)
    finished = False
    remembers: Topic | None = None
    has_threads = False

    def __init__(
        self,
        settings: RendererSettings,
        policies: PolicyBook,
        clock: Callable[[], float] = time.time,
        opener: Opener | None = None,
    ) -> None:
        self._settings = settings
        self._rules = RuleBook(policies)
        self._clock = clock
        self._opener = opener
        self._hold = Hold()
        self._cameras: OrderedDict[_Key, Camera] = OrderedDict()  # the one heard longest ago comes first
        self._busy: dict[_Key, Camera] = {}
        self._done: list[Position] = []  # of messages that need no answer
        self._full_since: float | None = None
        self._swept = clock()

    def remember(self, message: Message) -> None:
        """It needs to know nothing: frames that go out again after a restart are known by their identity."""

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Drops the cameras of these partitions."""
        gone = {source.partition for source in partitions}
        for key in [key for key in self._cameras if key[0] in gone]:
            self._cameras.pop(key).drop()
            self._busy.pop(key, None)
        self._done = [position for position in self._done if position.source.partition not in gone]

    def submit(self, message: Message) -> None:
        """Takes one message. Raises Backpressure where a file's frames fill the hold, InvalidMessage."""
        if message.record.topic.name == VIDEO_SOURCE.name:
            self._submit_source(message)
        else:
            self._submit_redactions(message)

    def completed(self) -> Sequence[Emission]:
        """A few frames, from all cameras in turn."""
        self._relieve()
        self._sweep()
        emissions = []
        if self._done:
            emissions.append(Emission((), tuple(self._done)))
            self._done.clear()
        turn = list(self._busy.items())
        budget = self._settings.frames_per_turn
        while turn and budget > 0:
            moved = []
            for key, camera in turn:
                emission = camera.step(self._rules.rules_for(camera.camera_id))
                if emission is not None:
                    emissions.append(emission)
                    moved.append((key, camera))
                    budget -= 1
                elif not camera.waiting:
                    del self._busy[key]
            turn = moved
        metrics.HELD.set(self._hold.bytes)
        return emissions

    def close(self) -> None:
        """No more submits. Frames without a span are left out: they are not done, and a replay brings them again."""

    def join(self, timeout_s: float) -> Sequence[Emission]:
        """What can still go out in time."""
        deadline = time.monotonic() + timeout_s
        emissions: list[Emission] = []
        while True:
            more = self.completed()
            emissions += more
            if not more or time.monotonic() >= deadline:
                return emissions

    def _submit_source(self, message: Message) -> None:
        try:
            body = pb.SourceMessage.FromString(message.record.value)
        except DecodeError:
            raise InvalidMessage("not a SourceMessage") from None
        match body.WhichOneof("body"):
            case "unit":
                check_unit(body.unit)
                self._submit_unit(body.unit, message)
            case "audio":
                self._submit_audio(body.audio, message)
            case "end":
                epoch = self._epoch(body.end.camera_id, body.end.epoch, message)
                if epoch is not None:
                    epoch.end_source(body.end, message.position)
            case _:
                raise InvalidMessage("an empty SourceMessage")

    def _submit_unit(self, unit: pb.AccessUnit, message: Message) -> None:
        epoch = self._epoch(unit.camera_id, unit.epoch, message)
        if epoch is None:
            return
        live = unit.stream.live if unit.HasField("stream") else epoch.live
        if not live:
            self._require_room(message)
        if not epoch.add_unit(unit, message):
            self._done.append(message.position)
        if live:
            self._shed(self._settings.hold_bytes)

    def _submit_audio(self, unit: pb.AudioUnit, message: Message) -> None:
        epoch = self._epoch(unit.camera_id, unit.epoch, message)
        if epoch is None:
            return
        rules = self._rules.rules_for(unit.camera_id)
        if rules is None or not rules.keep_sound:
            self._done.append(message.position)
            return
        if not epoch.live:
            self._require_room(message)
        if not epoch.add_audio(unit, message):
            self._done.append(message.position)
        if epoch.live:
            self._shed(self._settings.hold_bytes)

    def _submit_redactions(self, message: Message) -> None:
        try:
            body = pb.RedactionsMessage.FromString(message.record.value)
        except DecodeError:
            raise InvalidMessage("not a RedactionsMessage") from None
        match body.WhichOneof("body"):
            case "span":
                check_span(body.span)
                self._submit_span(body.span, message)
            case "end":
                epoch = self._epoch(body.end.camera_id, body.end.epoch, message)
                if epoch is not None:
                    epoch.end_redactions(message.position)
            case _:
                raise InvalidMessage("an empty RedactionsMessage")

    def _submit_span(self, span: pb.RedactionSpan, message: Message) -> None:
        epoch = self._epoch(span.camera_id, span.epoch, message)
        if epoch is None:
            metrics.LATE_SPANS.inc()
            return
        if epoch.spans_full:
            raise Backpressure("too many spans wait for their frames")
        if not epoch.add_span(Span.read(span, message.position)):
            metrics.LATE_SPANS.inc()
            self._done.append(message.position)

    def _epoch(self, camera_id: str, number: int, message: Message) -> Epoch | None:
        """The epoch that a message belongs to; None, and the message is done, where that is over."""
        check_identity(camera_id, number, message, int(self._clock() * 1e6))
        key = message.position.source.partition, camera_id
        camera = self._cameras.get(key)
        if camera is None:
            camera = Camera(camera_id, self._settings, self._clock, self._hold, self._opener)
            self._cameras[key] = camera
            if len(self._cameras) > self._settings.cameras_max:
                self._drop_oldest()
        epoch = camera.epoch(number)
        camera.heard = self._clock()
        self._cameras.move_to_end(key)
        if epoch is None:
            self._done.append(message.position)
        else:
            self._busy[key] = camera
        return epoch

    def _require_room(self, message: Message) -> None:
        """Raises Backpressure where a file's message does not fit into the hold."""
        held = self._hold.bytes
        if held and held + message.record.size > self._settings.hold_bytes:
            self._full_since = self._full_since or self._clock()
            raise Backpressure(f"{held} bytes wait for their spans")
        self._full_since = None

    def _relieve(self) -> None:
        """A file waits for room, but not for ever: if the spans it waits for depend on what is refused, none comes."""
        if self._full_since is not None and self._clock() - self._full_since > self._settings.overflow_wait_s:
            self._shed(self._settings.hold_bytes // 2)
            self._full_since = None

    def _shed(self, limit: int) -> None:
        """Closes the frames that have waited longest until no more than `limit` bytes are held, then drops sound."""
        while self._hold.bytes > limit:
            waiting = [(epoch.waiting_since, epoch) for epoch in self._epochs()]
            since = [(began, epoch) for began, epoch in waiting if began is not None]
            if not since:
                self._done += chain.from_iterable(epoch.shed_sound() for epoch in self._epochs())
                return
            min(since, key=lambda pair: pair[0])[1].shed_oldest()

    def _epochs(self) -> list[Epoch]:
        return list(chain.from_iterable(camera.epochs for camera in self._busy.values()))

    def _drop_oldest(self) -> None:
        key, camera = self._cameras.popitem(last=False)
        self._busy.pop(key, None)
        self._done += camera.drop()
        _log.warning("camera %s is dropped: there are more than %d", camera.camera_id, self._settings.cameras_max)

    def _sweep(self) -> None:
        """Now and then: cameras that fell silent no longer hold back everybody's commits."""
        now = self._clock()
        if now - self._swept < _SWEEP_EVERY_S:
            return
        self._swept = now
        for camera in self._cameras.values():
            if now - camera.heard <= self._settings.silent_max_s:
                return
            self._done += camera.rest()
