"""The encoder stage: video.rendered in, video.redacted and outputs out."""

import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from services.bus.clock import Clock, now_us
from services.bus.interface import Message, Position, Record, TopicPartition
from services.bus.topics import VIDEO_REDACTED, VIDEO_RENDERED, Topic
from services.encoder import metrics
from services.encoder.epoch import Arrival, Epoch
from services.encoder.intake import Body, body_of, sent_of
from services.encoder.outputs import OpenSink, Outputs
from services.encoder.pictures import picture_bytes, picture_of
from services.encoder.progress import Progress
from services.encoder.settings import EncoderSettings
from services.media.picture import Picture
from services.media.sink import Sink, Target
from services.media.sinks import open_sink
from services.policy.model import PolicyBook, PolicyUnavailable
from services.runtime.stage import Backpressure, Emission
from services.schema import pb


@dataclass(frozen=True, slots=True)
class _Work:
    """A message that waits, with its picture where it is a frame that has one."""

    body: Body
    picture: Picture | None
    position: Position
    size: int
    received_us: int


class EncoderStage:
    """Compresses masked pictures, publishes the access units, and writes them to each camera's outputs.

    After a restart, or with cameras taken over from another process, it goes on where video.redacted ends: what is
    there is not encoded again, and the first new picture is an IDR picture.

    Args:
        settings: of the stage.
        outputs: camera_id → where its redacted video goes beside the bus.
        policies: say which cameras keep their sound; without them none does.
        expected: cameras after whose end the stage is finished; None if there is no end.
        open_sink: makes an output.
        clock: microseconds since 1970.
    """

    name = "encoder"
    inputs: tuple[Topic, ...] = (VIDEO_RENDERED,)
    outputs: tuple[Topic, ...] = (VIDEO_REDACTED,)
    remembers: Topic | None = VIDEO_REDACTED
    has_threads = False

    def __init__(
        self,
        settings: EncoderSettings,
        outputs: Mapping[str, Sequence[Target]],
        policies: PolicyBook | None = None,
        expected: Collection[str] | None = None,
        open_sink: OpenSink | None = None,
        clock: Clock = now_us,
    ) -> None:
        self._settings = settings
        self._targets = outputs
        self._policies = policies
        self._expected = None if expected is None else frozenset(expected)
        self._open_sink = open_sink or partial(_open_sink, settings)
        self._clock = clock
        self._waiting: deque[_Work] = deque()
        self._waiting_bytes = 0
        self._partitions: dict[str, int] = {}
        self._progress: dict[str, Progress] = {}
        self._epochs: dict[str, Epoch] = {}  # the one silent for longest comes first
        self._ended: set[str] = set()
        self._failures: dict[str, str] = {}
        self._leaving: list[Sink] = []

    @property
    def finished(self) -> bool:
        """True once every expected camera has ended."""
        return self._expected is not None and self._expected <= self._ended and not self._waiting

    @property
    def failures(self) -> Mapping[str, str]:
        """camera_id → the sentence of its first output that could not be written. Readable from any thread."""
        return dict(self._failures)

    def remember(self, message: Message) -> None:
        """Takes note of a message that was sent before."""
        sent = sent_of(message, self._clock())
        if sent is not None:
            self._partitions[sent.camera_id] = message.position.source.partition
            self._progress_of(sent.camera_id).learn(sent)

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Drops the cameras of these partitions; a recording of a live camera is whole up to here."""
        numbers = {source.partition for source in partitions}
        kept = [work for work in self._waiting if work.position.source.partition not in numbers]
        self._waiting, self._waiting_bytes = deque(kept), sum(work.size for work in kept)
        for camera_id in [camera_id for camera_id, number in self._partitions.items() if number in numbers]:
            del self._partitions[camera_id]
            self._progress.pop(camera_id, None)
            epoch = self._epochs.pop(camera_id, None)
            if epoch is not None:
                self._let_go(epoch, whole=epoch.live)

    def submit(self, message: Message) -> None:
        """Takes one message. Raises Backpressure over the byte budget, InvalidMessage."""
        received_us = self._clock()
        body = body_of(message, received_us)
        frame = body if isinstance(body, pb.RenderedFrame) else None
        size = message.record.size if frame is None else picture_bytes(message.record, frame)
        if self._waiting and self._waiting_bytes + size > self._settings.queue_mb * 1024 * 1024:
            raise Backpressure
        picture = None if frame is None else picture_of(message.record, frame)
        self._waiting.append(_Work(body, picture, message.position, size, received_us))
        self._waiting_bytes += size
        self._partitions[body.camera_id] = message.position.source.partition

    def completed(self) -> Sequence[Emission]:
        """Encodes the next picture, if one waits."""
        if not self._waiting:
            return ()
        work = self._waiting.popleft()
        self._waiting_bytes -= work.size
        if isinstance(work.body, pb.RenderedFrame):
            return self._take_frame(Arrival(work.body, work.position, work.received_us, work.picture))
        if isinstance(work.body, pb.AudioUnit):
            return self._take_audio(work.body, work.position)
        return self._take_end(work.body, work.position)

    def close(self) -> None:
        """What waits is still encoded."""

    def join(self, timeout_s: float) -> Sequence[Emission]:
        """Encodes what waits, ends every epoch, and waits for servers that are still being sent to."""
        deadline = time.monotonic() + timeout_s
        emissions: list[Emission] = []
        while self._waiting and time.monotonic() < deadline:
            emissions += self.completed()
        for camera_id in tuple(self._epochs):
            # A recording of a live camera is whole whenever it stops; a file that was cut short is not.
            emissions += self._finish(camera_id, whole=self._epochs[camera_id].live)
        for sink in self._leaving:
            sink.join(max(0.0, deadline - time.monotonic()))
        self._leaving.clear()
        return emissions

    def _take_frame(self, arrival: Arrival) -> list[Emission]:
        frame = arrival.frame
        camera_id = frame.camera_id
        progress = self._progress_of(camera_id)
        if progress.has_frame(frame.epoch, frame.seq):
            return _duplicate(arrival.position)
        emissions: list[Emission] = []
        epoch = self._epochs.pop(camera_id, None)
        if epoch is not None and epoch.number != frame.epoch:
            emissions = self._end_epoch(epoch, whole=epoch.live)
            epoch = None
        if epoch is None:
            if frame.epoch > progress.epoch:
                progress.begin(frame.epoch)
            emissions += self._make_room()
            epoch = self._begin(frame, progress)
        self._epochs[camera_id] = epoch
        return emissions + epoch.add(arrival)

    def _take_audio(self, unit: pb.AudioUnit, position: Position) -> list[Emission]:
        progress = self._progress_of(unit.camera_id)
        if progress.has_audio(unit.epoch, unit.index):
            return _duplicate(position)
        # Of an epoch without a frame nobody would know what to do with it.
        if unit.epoch != progress.epoch or not self._keeps_sound(unit.camera_id):
            return [Emission(done=(position,))]
        progress.audio = unit.index
        epoch = self._epochs.get(unit.camera_id)
        if epoch is not None:
            epoch.outputs.write_audio(unit)
        return [_emission(unit.camera_id, pb.RedactedMessage(audio=unit), position)]

    def _take_end(self, end: pb.EndOfStream, position: Position) -> list[Emission]:
        progress = self._progress_of(end.camera_id)
        if progress.has_end(end.epoch):
            return _duplicate(position)
        emissions: list[Emission] = []
        epoch = self._epochs.get(end.camera_id)
        if epoch is not None:
            whole = epoch.live or (epoch.number == end.epoch and end.reason == pb.EndOfStream.FINISHED)
            emissions = self._finish(end.camera_id, whole=whole)
        if end.epoch > progress.epoch:
            progress.begin(end.epoch)
        progress.ended = True
        if end.reason != pb.EndOfStream.LOST:
            self._ended.add(end.camera_id)
        return [*emissions, _emission(end.camera_id, pb.RedactedMessage(end=end), position)]

    def _progress_of(self, camera_id: str) -> Progress:
        return self._progress.setdefault(camera_id, Progress())

    def _begin(self, first: pb.RenderedFrame, progress: Progress) -> Epoch:
        camera_id = first.camera_id
        targets = self._targets.get(camera_id, ())
        if first.seq:
            targets = [_continued(target, first) for target in targets]
        outputs = Outputs(
            targets,
            first.live,
            self._keeps_sound(camera_id),
            self._settings.audio_wait_s,
            self._open_sink,
            partial(self._failures.setdefault, camera_id),
        )
        return Epoch(first, progress, self._settings.h264, outputs, reorder=self._settings.reorder, clock=self._clock)

    def _make_room(self) -> list[Emission]:
        """Ends the encoder that was silent for longest where there are too many; it would start anew with an IDR."""
        if len(self._epochs) < self._settings.cameras_max:
            return []
        silent = next(iter(self._epochs))
        return self._finish(silent, whole=self._epochs[silent].live)

    def _finish(self, camera_id: str, *, whole: bool) -> list[Emission]:
        return self._end_epoch(self._epochs.pop(camera_id), whole=whole)

    def _end_epoch(self, epoch: Epoch, *, whole: bool) -> list[Emission]:
        emissions = epoch.flush()
        self._let_go(epoch, whole=whole)
        return emissions

    def _let_go(self, epoch: Epoch, *, whole: bool) -> None:
        self._leaving = [sink for sink in self._leaving if not sink.done]
        self._leaving += epoch.outputs.finish() if whole else epoch.outputs.abort()

    def _keeps_sound(self, camera_id: str) -> bool:
        if self._policies is None:
            return False
        try:
            return self._policies.policy_for(camera_id).sound == "keep"
        except PolicyUnavailable:
            return False


def _duplicate(position: Position) -> list[Emission]:
    metrics.DUPLICATES.inc()
    return [Emission(done=(position,))]


def _emission(camera_id: str, message: pb.RedactedMessage, position: Position) -> Emission:
    return Emission((Record(VIDEO_REDACTED, camera_id, message.SerializeToString()),), (position,))


def _continued(target: Target, first: pb.RenderedFrame) -> Target:
    """Where the rest of an epoch goes: what was written of its beginning must stay."""
    if target.kind == "rtsp" or (target.kind == "hls" and first.live):
        return target
    path = Path(target.location)
    return replace(target, location=str(path.with_stem(f"{path.stem}-from-{first.seq}")))


def _open_sink(
    settings: EncoderSettings, target: Target, video: pb.RedactedUnit, audio: pb.AudioUnit | None, live: bool
) -> Sink:
    return open_sink(target, video, audio, live, settings.sinks)
