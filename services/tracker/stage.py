"""The tracker's stage: hands each camera's messages to its epoch, and passes on what comes out."""

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence

from google.protobuf.message import DecodeError

from services.bus.interface import InvalidMessage, Message, TopicPartition
from services.bus.topics import DETECTIONS, METADATA_STATS, METADATA_TRACKS, REDACTIONS, Topic
from services.policy.model import PolicyBook, PolicyUnavailable
from services.runtime.stage import Backpressure, Emission
from services.schema import pb
from services.tracker import metrics
from services.tracker.epoch import Epoch, unseen
from services.tracker.rules import Rules
from services.tracker.settings import TrackerSettings

_log = logging.getLogger(__name__)

_SWEEP_EVERY_S = 1.0


class TrackerStage:
    """Detections in; redaction spans and anonymous metadata out.

    Args:
        settings: bounds and intervals.
        policies: where each camera's policy is looked up, at every look.
        clock: seconds, monotonic; only to notice cameras that fell silent.
    """

    def __init__(
        self, settings: TrackerSettings, policies: PolicyBook, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._policies = policies
        self._clock = clock
        self._epochs: dict[str, Epoch] = {}
        self._heard: dict[str, float] = {}
        self._rules: dict[str, Rules] = {}
        self._ended: dict[str, int] = {}
        self._swept = clock()
        self._ready: deque[Emission] = deque()

    @property
    def name(self) -> str:
        """Service name."""
        return "tracker"

    @property
    def inputs(self) -> tuple[Topic, ...]:
        """Topics it reads."""
        return (DETECTIONS,)

    @property
    def outputs(self) -> tuple[Topic, ...]:
        """Topics it writes."""
        return REDACTIONS, METADATA_TRACKS, METADATA_STATS

    @property
    def finished(self) -> bool:
        """Never: another camera may come."""
        return False

    remembers: Topic | None = None

    def remember(self, message: Message) -> None:
        """It needs to know nothing."""

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Drops the cameras of these partitions."""

    def submit(self, message: Message) -> None:
        """Takes one message; its span comes out when its look-ahead is over."""
        if len(self._ready) >= self._settings.emissions_max:
            raise Backpressure
        body = pb.DetectionsMessage()
        try:
            body.ParseFromString(message.record.value)
        except DecodeError:
            raise InvalidMessage("not a DetectionsMessage") from None
        if body.HasField("detections"):
            self._look(body.detections, message)
        elif body.HasField("end"):
            self._end(body.end, message)
        else:
            raise InvalidMessage("a DetectionsMessage without a body")

    def completed(self) -> Sequence[Emission]:
        """What is ready."""
        self._sweep()
        ready = list(self._ready)
        self._ready.clear()
        return ready

    def close(self) -> None:
        """Nothing to do: what is buffered waits for its look-ahead, and a restarted tracker reads it again."""

    def join(self, timeout_s: float) -> Sequence[Emission]:  # noqa: ARG002, there is nothing to wait for
        """What is ready; there are no threads."""
        return self.completed()

    def _look(self, look: pb.Detections, message: Message) -> None:
        camera_id = look.camera_id
        if not camera_id or camera_id != message.record.key:
            raise InvalidMessage("the camera_id is not the key")
        if not look.source_width or not look.source_height:
            raise InvalidMessage("the picture's size is missing")
        epoch = self._epochs.get(camera_id)
        if look.epoch <= self._ended.get(camera_id, 0) or (epoch is not None and look.epoch < epoch.number):
            self._ready.append(Emission(done=[message.position]))
            return
        if epoch is not None and look.epoch > epoch.number:
            self._give_up(epoch)
            epoch = None
        if epoch is None:
            epoch = self._epochs[camera_id] = Epoch(look, self._settings)
        self._heard[camera_id] = self._clock()
        epoch.add(look, message.position, self._rules_of(camera_id))
        self._take(epoch)

    def _end(self, end: pb.EndOfStream, message: Message) -> None:
        camera_id = end.camera_id
        if not camera_id or camera_id != message.record.key:
            raise InvalidMessage("the camera_id is not the key")
        done = Emission(done=[message.position])
        if end.epoch <= self._ended.get(camera_id, 0):
            self._ready.append(done)
            return
        epoch = self._epochs.get(camera_id)
        if epoch is not None and epoch.number < end.epoch:
            self._give_up(epoch)
            epoch = None
        if epoch is None:
            self._ready.append(Emission(unseen(end)))
        else:
            epoch.end(end)
            self._take(epoch)
            self._drop(epoch)
        self._ended[camera_id] = end.epoch
        self._ready.append(done)

    def _rules_of(self, camera_id: str) -> Rules | None:
        """The rules of the policy in force now, None where it can't be read."""
        try:
            policy = self._policies.policy_for(camera_id)
        except PolicyUnavailable:
            return None
        known = self._rules.get(camera_id)
        if known is None or known.policy is not policy:
            known = self._rules[camera_id] = Rules.of(policy)
        return known

    def _give_up(self, epoch: Epoch) -> None:
        """Ends an epoch whose end was not heard: frames after its last look keep without a span, that is, closed."""
        epoch.end(None)
        self._take(epoch)
        self._drop(epoch)

    def _drop(self, epoch: Epoch) -> None:
        del self._epochs[epoch.camera_id], self._heard[epoch.camera_id]

    def _take(self, epoch: Epoch) -> None:
        emission = epoch.take()
        if emission.records or emission.done:
            self._ready.append(emission)

    def _sweep(self) -> None:
        """Now and then: lets go of cameras that fell silent, since their looks hold back everybody's commits."""
        now = self._clock()
        if now - self._swept < _SWEEP_EVERY_S:
            return
        self._swept = now
        for camera_id in [c for c, heard in self._heard.items() if now - heard > self._settings.silent_max_s]:
            _log.warning(
                "camera %s: nothing heard for %.0f s, its epoch is given up", camera_id, now - self._heard[camera_id]
            )
            self._give_up(self._epochs[camera_id])
        metrics.ACTIVE.set(sum(epoch.tracks for epoch in self._epochs.values()))
