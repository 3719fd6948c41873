"""The encoder stage: video.rendered in, video.redacted and outputs out."""

import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from functools import partial

from google.protobuf.message import DecodeError

from services.bus.interface import InvalidMessage, Message, Record, TopicPartition
from services.bus.topics import VIDEO_REDACTED, VIDEO_RENDERED, Topic
from services.encoder import metrics
from services.encoder.epoch import Epoch
from services.encoder.outputs import OpenSink, Outputs
from services.encoder.pictures import picture_of
from services.encoder.settings import EncoderSettings
from services.media.picture import Picture
from services.media.sink import Sink, Target
from services.media.sinks import open_sink
from services.policy.model import PolicyBook, PolicyUnavailable
from services.runtime.stage import Backpressure, Emission
from services.schema import pb

_Work = tuple[Message, pb.RenderedMessage, Picture | None]


class EncoderStage:
    """Compresses masked pictures, publishes the access units, and writes them to each camera's outputs.

    Args:
        settings: of the stage.
        outputs: camera_id → where its redacted video goes beside the bus.
        policies: say which cameras keep their sound; without them none does.
        expected: cameras after whose end the stage is finished; None if there is no end.
        open_sink: makes an output.
    """

    name = "encoder"
    inputs: tuple[Topic, ...] = (VIDEO_RENDERED,)
    outputs: tuple[Topic, ...] = (VIDEO_REDACTED,)

    def __init__(
        self,
        settings: EncoderSettings,
        outputs: Mapping[str, Sequence[Target]],
        policies: PolicyBook | None = None,
        expected: Collection[str] | None = None,
        open_sink: OpenSink | None = None,
    ) -> None:
        self._settings = settings
        self._targets = outputs
        self._policies = policies
        self._expected = None if expected is None else frozenset(expected)
        self._open_sink = open_sink or partial(_open_sink, settings)
        self._waiting: deque[_Work] = deque()
        self._waiting_bytes = 0
        self._epochs: dict[str, Epoch] = {}
        self._newest: dict[str, int] = {}
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

    remembers: Topic | None = None

    def remember(self, message: Message) -> None:
        """It needs to know nothing."""

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Drops the cameras of these partitions."""

    def submit(self, message: Message) -> None:
        """Takes one message. Raises Backpressure over the byte budget, InvalidMessage."""
        size = message.record.size
        if self._waiting and self._waiting_bytes + size > self._settings.queue_mb * 1024 * 1024:
            raise Backpressure
        try:
            rendered = pb.RenderedMessage.FromString(message.record.value)
        except DecodeError as error:
            raise InvalidMessage("not a RenderedMessage") from error
        body = rendered.WhichOneof("body")
        if body is None:
            raise InvalidMessage("a message without body")
        if body == "audio" and rendered.audio.WhichOneof("payload") != "inline":
            raise InvalidMessage("sound that is not in the clear")
        picture = None
        if body == "frame":
            if not rendered.frame.time_base_num or not rendered.frame.time_base_den:
                raise InvalidMessage("a frame without time base")
            picture = picture_of(message.record, rendered.frame)
        self._waiting.append((message, rendered, picture))
        self._waiting_bytes += size

    def completed(self) -> Sequence[Emission]:
        """Encodes the next picture, if one waits."""
        if not self._waiting:
            return ()
        message, rendered, picture = self._waiting.popleft()
        self._waiting_bytes -= message.record.size
        body = rendered.WhichOneof("body")
        if body == "frame":
            return self._take_frame(message, rendered.frame, picture)
        if body == "audio":
            return self._take_audio(message, rendered.audio)
        return self._take_end(message, rendered.end)

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

    def _take_frame(self, message: Message, frame: pb.RenderedFrame, picture: Picture | None) -> list[Emission]:
        emissions: list[Emission] = []
        epoch = self._epochs.get(frame.camera_id)
        if epoch is None or epoch.number != frame.epoch:
            if frame.epoch <= self._newest.get(frame.camera_id, -1):
                metrics.DUPLICATES.inc()
                return [Emission(done=(message.position,))]
            if epoch is not None:
                emissions += self._finish(frame.camera_id, whole=epoch.live)
            epoch = self._begin(frame)
        return emissions + epoch.add(frame, picture, message.position)

    def _take_audio(self, message: Message, unit: pb.AudioUnit) -> list[Emission]:
        epoch = self._epochs.get(unit.camera_id)
        if epoch is None or epoch.number != unit.epoch or not self._keeps_sound(unit.camera_id):
            return [Emission(done=(message.position,))]
        return epoch.add_audio(unit, message.position)

    def _take_end(self, message: Message, end: pb.EndOfStream) -> list[Emission]:
        emissions: list[Emission] = []
        epoch = self._epochs.get(end.camera_id)
        if epoch is not None and epoch.number == end.epoch:
            emissions += self._finish(end.camera_id, whole=epoch.live or end.reason == pb.EndOfStream.FINISHED)
        elif end.epoch <= self._newest.get(end.camera_id, -1):
            metrics.DUPLICATES.inc()
            return [Emission(done=(message.position,))]
        self._newest[end.camera_id] = end.epoch
        if end.reason != pb.EndOfStream.LOST:
            self._ended.add(end.camera_id)
        record = Record(VIDEO_REDACTED, end.camera_id, pb.RedactedMessage(end=end).SerializeToString())
        return [*emissions, Emission((record,), (message.position,))]

    def _begin(self, first: pb.RenderedFrame) -> Epoch:
        camera_id = first.camera_id
        outputs = Outputs(
            self._targets.get(camera_id, ()),
            first.live,
            self._keeps_sound(camera_id),
            self._settings.audio_wait_s,
            self._open_sink,
            partial(self._failures.setdefault, camera_id),
        )
        epoch = self._epochs[camera_id] = Epoch(first, self._settings.h264, outputs)
        self._newest[camera_id] = first.epoch
        return epoch

    def _finish(self, camera_id: str, *, whole: bool) -> list[Emission]:
        epoch = self._epochs.pop(camera_id)
        emissions = epoch.flush()
        self._leaving = [sink for sink in self._leaving if not sink.done]
        self._leaving += epoch.outputs.finish() if whole else epoch.outputs.abort()
        return emissions

    def _keeps_sound(self, camera_id: str) -> bool:
        if self._policies is None:
            return False
        try:
            return self._policies.policy_for(camera_id).sound == "keep"
        except PolicyUnavailable:
            return False


def _open_sink(
    settings: EncoderSettings, target: Target, video: pb.RedactedUnit, audio: pb.AudioUnit | None, live: bool
) -> Sink:
    return open_sink(target, video, audio, live, settings.sinks)
