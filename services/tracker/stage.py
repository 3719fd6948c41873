"""The tracker's stage: hands each camera's messages to its epoch, and passes on what comes out."""

import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from services.bus.clock import Clock, now_us
from services.bus.interface import InvalidMessage, Message, TopicPartition
from services.bus.topics import DETECTIONS, METADATA_STATS, METADATA_TRACKS, REDACTIONS, Topic
from services.policy.model import PolicyBook, PolicyUnavailable
from services.runtime.stage import Backpressure, Emission
from services.schema import pb
from services.tracker import metrics
from services.tracker.checks import check_end, check_jump, check_look
from services.tracker.epoch import Epoch, unseen
from services.tracker.rules import Rules
from services.tracker.settings import TrackerSettings

_log = logging.getLogger(__name__)

_SWEEP_EVERY_S = 1.0


@dataclass(slots=True)
class _Camera:
    """What is known of one camera.

    Attributes:
        camera_id: its name.
        partition: that its messages come from.
        heard: when the last one came, in the stage's seconds.
        epoch: the one that runs, if any.
        ended: the newest one that has ended, 0 before.
        rules: of its policy as it was last read.
    """

    camera_id: str
    partition: int
    heard: float
    epoch: Epoch | None = None
    ended: int = 0
    rules: Rules | None = None


class TrackerStage:
    """Detections in; redaction spans and anonymous metadata out.

    Args:
        settings: bounds and intervals.
        policies: where each camera's policy is looked up, at every look.
        clock: seconds, monotonic; only to notice cameras that fell silent.
        wall: microseconds since 1970.
    """

    name = "tracker"
    inputs: tuple[Topic, ...] = (DETECTIONS,)
    outputs: tuple[Topic, ...] = (REDACTIONS, METADATA_TRACKS, METADATA_STATS)
    finished = False  # another camera may come
    remembers: Topic | None = None
    has_threads = False

    def __init__(
        self,
        settings: TrackerSettings,
        policies: PolicyBook,
        clock: Callable[[], float] = time.monotonic,
        wall: Clock = now_us,
    ) -> None:
        self._settings = settings
        self._policies = policies
        self._clock = clock
        self._wall = wall
        self._cameras: OrderedDict[tuple[int, str], _Camera] = OrderedDict()  # the one heard longest ago comes first
        self._swept = clock()
        self._ready: deque[tuple[int, Emission]] = deque()  # with the partition it came from

    def remember(self, message: Message) -> None:
        """It needs to know nothing: readers keep the first span that they get for a frame."""

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Drops the cameras of these partitions, and what they had ready."""
        gone = {source.partition for source in partitions}
        for key in [key for key, camera in self._cameras.items() if camera.partition in gone]:
            del self._cameras[key]
        self._ready = deque((partition, ready) for partition, ready in self._ready if partition not in gone)

    def submit(self, message: Message) -> None:
        """Takes one message; its span comes out when its look-ahead is over. Raises Backpressure, InvalidMessage."""
        if len(self._ready) >= self._settings.emissions_max:
            raise Backpressure
        body = pb.DetectionsMessage()
        try:
            body.ParseFromString(message.record.value)
        except DecodeError:
            raise InvalidMessage("not a DetectionsMessage") from None
        if body.HasField("detections"):
            check_look(body.detections, message, self._wall())
            camera = self._camera(message)
            self._look(camera, body.detections, message)
        elif body.HasField("end"):
            check_end(body.end, message, self._wall())
            camera = self._camera(message)
            self._end(camera, body.end, message)
        else:
            raise InvalidMessage("a DetectionsMessage without a body")
        camera.heard = self._clock()
        self._cameras.move_to_end((camera.partition, camera.camera_id))

    def completed(self) -> Sequence[Emission]:
        """What is ready."""
        self._sweep()
        ready = [emission for _, emission in self._ready]
        self._ready.clear()
        return ready

    def close(self) -> None:
        """Nothing to do: what is buffered waits for its look-ahead, and a restarted tracker reads it again."""

    def join(self, timeout_s: float) -> Sequence[Emission]:  # noqa: ARG002, there is nothing to wait for
        """What is ready; there are no threads."""
        return self.completed()

    def _camera(self, message: Message) -> _Camera:
        """The camera of a message. Where there are too many, the one that was silent longest makes room."""
        key = message.position.source.partition, message.record.key
        camera = self._cameras.get(key)
        if camera is None:
            camera = self._cameras[key] = _Camera(message.record.key, key[0], self._clock())
            if len(self._cameras) > self._settings.cameras_max:
                self._drop(next(iter(self._cameras)))
        return camera

    def _look(self, camera: _Camera, look: pb.Detections, message: Message) -> None:
        epoch = camera.epoch
        if look.epoch <= camera.ended or (epoch is not None and look.epoch < epoch.number):
            self._ready.append((camera.partition, Emission(done=[message.position])))
            return
        if epoch is not None and look.epoch > epoch.number:
            self._give_up(camera)
            epoch = None
        elif epoch is not None:
            check_jump(look, epoch.newest)
        if epoch is None:
            epoch = camera.epoch = Epoch(look, self._settings, self._wall)
        epoch.add(look, message.position, self._rules_of(camera))
        self._take(camera, epoch)

    def _end(self, camera: _Camera, end: pb.EndOfStream, message: Message) -> None:
        done = camera.partition, Emission(done=[message.position])
        if end.epoch <= camera.ended or (camera.epoch is not None and end.epoch < camera.epoch.number):
            self._ready.append(done)
            return
        if camera.epoch is not None and camera.epoch.number < end.epoch:
            self._give_up(camera)
        if camera.epoch is None:
            self._ready.append((camera.partition, Emission(unseen(end))))
        else:
            camera.epoch.end(end)
            self._take(camera, camera.epoch)
            camera.epoch = None
        camera.ended = end.epoch
        self._ready.append(done)

    def _rules_of(self, camera: _Camera) -> Rules | None:
        """The rules of the policy in force now, None where it can't be read."""
        try:
            policy = self._policies.policy_for(camera.camera_id)
        except PolicyUnavailable:
            return None
        if camera.rules is None or camera.rules.policy is not policy:
            camera.rules = Rules.of(policy)
        return camera.rules

    def _give_up(self, camera: _Camera) -> None:
        """Ends an epoch whose end was not heard: frames after its last look keep without a span, that is, closed."""
        if camera.epoch is not None:
            camera.epoch.end(None)
            self._take(camera, camera.epoch)
            camera.epoch = None

    def _take(self, camera: _Camera, epoch: Epoch) -> None:
        emission = epoch.take()
        if emission.records or emission.done:
            self._ready.append((camera.partition, emission))

    def _drop(self, key: tuple[int, str]) -> None:
        self._give_up(self._cameras.pop(key))

    def _sweep(self) -> None:
        """Now and then: lets go of cameras that fell silent, since their looks hold back everybody's commits."""
        now = self._clock()
        if now - self._swept < _SWEEP_EVERY_S:
            return
        self._swept = now
        silent = [key for key, camera in self._cameras.items() if now - camera.heard > self._settings.silent_max_s]
        for key in silent:
            if self._cameras[key].epoch is not None:
                _log.warning("camera %s fell silent, its epoch is given up", key[1])
            self._drop(key)
        metrics.ACTIVE.set(sum(camera.epoch.tracks for camera in self._cameras.values() if camera.epoch is not None))
