"""The auditor stage: video.redacted in, an event on the audit topic for each suspect."""

import logging
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from services.audit_chain import chained
from services.auditor import metrics
from services.auditor.camera import CameraGroup, Sample, decoder_for, info_of
from services.auditor.examine import Examiner
from services.auditor.eyes import Eyes
from services.auditor.settings import AuditorSettings
from services.auditor.suspects import Suspect
from services.bus.clock import Clock, now_us
from services.bus.interface import Message, Record, TopicPartition
from services.bus.topics import AUDIT, VIDEO_REDACTED, Topic
from services.consume.view import RedactedView
from services.detect.interface import DetectorError
from services.media.decoding import PictureMaker
from services.runtime.stage import Emission
from services.schema import pb

_log = logging.getLogger(__name__)

ACTOR = "auditor"


@dataclass(slots=True)
class _Camera:
    group: CameraGroup
    examiner: Examiner
    partition: int
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class _Look:
    """A look under way: what it is of, and what it will say."""

    camera_id: str
    sample: Sample
    partition: int
    suspects: Future[list[Suspect]]


class AuditorStage:
    """Looks at a picture of every camera every so often, one at a time on a thread of its own.

    A message is done when it is taken: after a restart the auditor goes on with what is new. A look that is due while
    another one runs is left out and counted: nothing ever waits for the auditor.

    Args:
        settings: of the stage.
        eyes: what it sees with.
        clock: microseconds since 1970.
    """

    name = "auditor"
    inputs: tuple[Topic, ...] = (VIDEO_REDACTED,)
    outputs: tuple[Topic, ...] = (AUDIT,)
    remembers: Topic | None = AUDIT
    has_threads = True
    finished = False

    def __init__(self, settings: AuditorSettings, eyes: Eyes, clock: Clock = now_us) -> None:
        self._settings, self._eyes, self._clock = settings, eyes, clock
        self._view = RedactedView()
        self._cameras: OrderedDict[str, _Camera] = OrderedDict()  # the one silent for longest comes first
        self._tails: dict[str, bytes] = {}
        self._thread = ThreadPoolExecutor(1, "auditor")
        self._look: _Look | None = None
        self._done: deque[Emission] = deque()

    def remember(self, message: Message) -> None:
        """Takes note of the newest link of a camera's chain."""
        try:
            event = pb.AuditEvent.FromString(message.record.value)
        except DecodeError:
            return
        if event.actor == ACTOR:
            self._tails[message.record.key] = event.hash

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Drops the cameras of these partitions, and the look at one of them."""
        numbers = {source.partition for source in partitions}
        for camera_id in [key for key, camera in self._cameras.items() if camera.partition in numbers]:
            del self._cameras[camera_id]
            self._tails.pop(camera_id, None)
        if self._look is not None and self._look.partition in numbers:
            self._look.suspects.cancel()
            self._look = None

    def submit(self, message: Message) -> None:
        """Takes one message. What is no frame is passed over: the auditor may write no dead letters."""
        self._done.append(Emission(done=(message.position,)))
        item = self._view.take(message)
        if not isinstance(item, pb.RedactedUnit):
            return
        camera = self._camera(item, message.position.source.partition)
        sample = camera.group.take(item)
        if sample is None:
            return
        if item.closed:
            metrics.CLOSED.inc()
        elif self._look is not None:
            metrics.SKIPPED.labels("busy").inc()
        else:
            future = self._thread.submit(_examined, camera.examiner, sample)
            self._look = _Look(item.camera_id, sample, camera.partition, future)

    def completed(self) -> Sequence[Emission]:
        """What was taken, and the events of the look that has ended."""
        ready = list(self._done)
        self._done.clear()
        if self._look is not None and self._look.suspects.done():
            look, self._look = self._look, None
            ready += self._told(look)
        return ready

    def close(self) -> None:
        """The look under way is still finished."""

    def join(self, timeout_s: float) -> Sequence[Emission]:
        """Waits for the look under way."""
        if self._look is not None:
            try:
                self._look.suspects.exception(timeout_s)
            except TimeoutError:
                self._look = None
        self._thread.shutdown(cancel_futures=True)
        return self.completed()

    def _camera(self, unit: pb.RedactedUnit, partition: int) -> _Camera:
        camera = self._cameras.pop(unit.camera_id, None)
        if camera is None:
            if len(self._cameras) >= self._settings.cameras_max:
                self._cameras.popitem(last=False)
            group = CameraGroup(self._settings.every_s, self._settings.group_mb << 20)
            camera = _Camera(group, self._examiner(), partition)
        elif camera.epoch != unit.epoch:
            camera.examiner = self._examiner()
        camera.epoch = unit.epoch
        self._cameras[unit.camera_id] = camera
        return camera

    def _examiner(self) -> Examiner:
        return Examiner(self._eyes, self._settings.sure, evidence=False)

    def _told(self, look: _Look) -> list[Emission]:
        try:
            suspects = look.suspects.result()
        except (DetectorError, TimeoutError) as error:
            metrics.SKIPPED.labels("failed").inc()
            _log.warning("a picture of %s could not be looked at: %s", look.camera_id, error)
            return []
        return [self._event(look, suspect) for suspect in suspects]

    def _event(self, look: _Look, suspect: Suspect) -> Emission:
        unit = look.sample.newest
        metrics.SUSPECTS.labels(look.camera_id, suspect.kind).inc()
        _log.warning(
            "%s shows what looks like a %s, epoch %d frame %d", look.camera_id, suspect.kind, unit.epoch, unit.seq
        )
        event = pb.AuditEvent(
            event_id=str(uuid.uuid4()),
            at_us=self._clock(),
            actor=ACTOR,
            role="service",
            action="leak.suspected",
            object=f"{look.camera_id}/{unit.epoch}/{suspect.seq}",
            purpose="independent leak check",
            details={
                "kind": suspect.kind,
                "score": f"{suspect.score:.3f}",
                "box": ",".join(str(round(value)) for value in suspect.box),
                "seconds": f"{suspect.t_s:.3f}",
                "looks": str(suspect.sightings),
            },
        )
        linked = chained(event, self._tails.get(look.camera_id, b""))
        self._tails[look.camera_id] = linked.hash
        return Emission((Record(AUDIT, look.camera_id, linked.SerializeToString(deterministic=True)),))


def _examined(examiner: Examiner, sample: Sample) -> list[Suspect]:
    """Decodes up to the newest picture of a sample and looks at it. Raises DetectorError, TimeoutError."""
    began = time.monotonic()
    unit = sample.newest
    decoder = decoder_for(sample.units[0])
    units = [
        decoded for one in sample.units for decoded in decoder.decode(one.payload, one.seq, keyframe=one.keyframe)
    ] + decoder.flush()
    # Units are in decoding order: with B-frames, the newest picture of a group is not the last unit's.
    wanted = next((one for one in units if one.seq == unit.seq and not one.corrupt), None)
    if wanted is None or wanted.frame is None:
        metrics.SKIPPED.labels("undecodable").inc()
        return []
    maker = PictureMaker(info_of(unit))
    picture, image = maker.picture(wanted.frame), maker.rgb(wanted.frame, max(unit.width, unit.height))
    closed = examiner.closed
    suspects = examiner.take(picture, image, unit.seq, sample.t_s)
    metrics.LOOK_S.observe(time.monotonic() - began)
    (metrics.LOOKS if examiner.closed == closed else metrics.CLOSED).inc()
    return suspects
