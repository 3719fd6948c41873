"""The renderer stage: joins access units with spans by identity, and lets nothing out that is not covered."""

import time
from collections.abc import Callable, Collection, Sequence
from itertools import chain

from google.protobuf.message import DecodeError

from services.bus.interface import InvalidMessage, Message, Position, TopicPartition
from services.bus.topics import REDACTIONS, VIDEO_RENDERED, VIDEO_SOURCE, Topic
from services.policy.model import PolicyBook
from services.renderer import metrics
from services.renderer.camera import Camera
from services.renderer.epoch import Epoch
from services.renderer.rules import RuleBook
from services.renderer.settings import RendererSettings
from services.renderer.spans import Span
from services.runtime.stage import Backpressure, Emission
from services.schema import pb


class RendererStage:
    """Masks frames as their spans say; see README.md for what closes a frame.

    Args:
        settings: bounds and deadlines.
        policies: what each camera may show.
        clock: seconds since 1970.
    """

    name = "renderer"
    inputs: tuple[Topic, ...] = (VIDEO_SOURCE, REDACTIONS)
    outputs: tuple[Topic, ...] = (VIDEO_RENDERED,)
    finished = False

    def __init__(
        self, settings: RendererSettings, policies: PolicyBook, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._rules = RuleBook(policies)
        self._clock = clock
        self._cameras: dict[str, Camera] = {}
        self._done: list[Position] = []  # of messages that need no answer
        self._full_since: float | None = None

    remembers: Topic | None = None

    def remember(self, message: Message) -> None:
        """It needs to know nothing."""

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Drops the cameras of these partitions."""

    def submit(self, message: Message) -> None:
        """Takes one message. Raises Backpressure where a file's frames fill the hold, InvalidMessage."""
        if message.record.topic.name == VIDEO_SOURCE.name:
            self._submit_source(message)
        else:
            self._submit_redactions(message)

    def completed(self) -> Sequence[Emission]:
        """A few frames, from all cameras in turn."""
        now = self._clock()
        emissions = []
        if self._done:
            emissions.append(Emission((), tuple(self._done)))
            self._done.clear()
        self._relieve(now)
        cameras = list(self._cameras.values())
        budget = self._settings.frames_per_turn
        while cameras and budget > 0:
            moved = []
            for camera in cameras:
                emission = camera.step(self._rules.rules_for(camera.camera_id), now)
                if emission is not None:
                    emissions.append(emission)
                    moved.append(camera)
                    budget -= 1
            cameras = moved
        metrics.HELD.set(self._held)
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

    @property
    def _held(self) -> int:
        return sum(epoch.held_bytes for epoch in self._epochs())

    def _epochs(self) -> list[Epoch]:
        return list(chain.from_iterable(camera.epochs for camera in self._cameras.values()))

    def _epoch(self, camera_id: str, number: int, message: Message) -> Epoch | None:
        """The epoch that a message belongs to; None, and the message is done, where that is over."""
        if not camera_id:
            raise InvalidMessage("a message without a camera_id")
        camera = self._cameras.get(camera_id)
        if camera is None:
            camera = self._cameras[camera_id] = Camera(camera_id, self._settings)
        epoch = camera.epoch(number, self._clock())
        if epoch is None:
            self._done.append(message.position)
        return epoch

    def _submit_source(self, message: Message) -> None:
        try:
            body = pb.SourceMessage.FromString(message.record.value)
        except DecodeError:
            raise InvalidMessage("not a SourceMessage") from None
        match body.WhichOneof("body"):
            case "unit":
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
        now = self._clock()
        live = unit.stream.live if unit.HasField("stream") else epoch.live
        held = self._held
        if not live and held and held + message.record.size > self._settings.hold_bytes:
            self._full_since = self._full_since or now
            raise Backpressure(f"{held} bytes wait for their spans")
        epoch.add_unit(unit, message, now)
        if live:
            self._shed(self._settings.hold_bytes)
        else:
            self._full_since = None

    def _submit_audio(self, unit: pb.AudioUnit, message: Message) -> None:
        epoch = self._epoch(unit.camera_id, unit.epoch, message)
        if epoch is None:
            return
        rules = self._rules.rules_for(unit.camera_id)
        if rules is not None and rules.keep_sound:
            epoch.add_audio(unit, message)
        else:
            self._done.append(message.position)

    def _submit_redactions(self, message: Message) -> None:
        try:
            body = pb.RedactionsMessage.FromString(message.record.value)
        except DecodeError:
            raise InvalidMessage("not a RedactionsMessage") from None
        match body.WhichOneof("body"):
            case "span":
                span = Span.read(body.span, message.position)
                epoch = self._epoch(body.span.camera_id, body.span.epoch, message)
                if epoch is None:
                    metrics.LATE_SPANS.inc()
                elif epoch.spans_full:
                    raise Backpressure("too many spans wait for their frames")
                elif not epoch.add_span(span, self._clock()):
                    metrics.LATE_SPANS.inc()
                    self._done.append(message.position)
            case "end":
                epoch = self._epoch(body.end.camera_id, body.end.epoch, message)
                if epoch is not None:
                    epoch.end_redactions(message.position)
            case _:
                raise InvalidMessage("an empty RedactionsMessage")

    def _relieve(self, now: float) -> None:
        """A file waits for room, but not for ever: if the spans it waits for depend on what is refused, none comes."""
        if self._full_since is not None and now - self._full_since > self._settings.overflow_wait_s:
            self._shed(self._settings.hold_bytes // 2)
            self._full_since = None

    def _shed(self, limit: int) -> None:
        """Closes the frames that have waited longest until no more than `limit` bytes are held."""
        while self._held > limit:
            waiting = [(epoch.waiting_since, epoch) for epoch in self._epochs()]
            since = [(began, epoch) for began, epoch in waiting if began is not None]
            if not since:
                return
            min(since, key=lambda pair: pair[0])[1].shed_oldest()
