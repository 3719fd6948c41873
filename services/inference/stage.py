"""The inference stage: detect frames in, one result for each wanted detector out."""

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from services.bus.interface import InvalidMessage, Message, Position, Record, TopicPartition
from services.bus.topics import DETECTIONS, FRAMES_DETECT, Topic
from services.detect.interface import Detector
from services.inference import metrics
from services.inference.job import FrameJob
from services.inference.pool import DetectorPool
from services.inference.settings import InferenceSettings
from services.runtime.stage import Backpressure, Emission
from services.schema import pb


@dataclass(frozen=True, slots=True)
class _End:
    """An end of stream in its place behind the camera's frames."""

    position: Position
    end: pb.EndOfStream
    size: int


class InferenceStage:
    """Looks at detect frames and says for each detector whether it ran and what it found.

    A frame is never lost: a detector that is absent, fails, hangs or answers garbage yields a result that says so, and
    whoever needs that detector keeps the frame closed. Results leave in the order in which the frames came.

    Args:
        settings: deadlines and bounds.
        detectors: by the name that policies use; each is called from one thread at a time.
        clock: seconds, monotonic.
    """

    name = "inference"
    inputs: tuple[Topic, ...] = (FRAMES_DETECT,)
    outputs: tuple[Topic, ...] = (DETECTIONS,)
    finished = False

    def __init__(
        self,
        settings: InferenceSettings,
        detectors: Mapping[str, Detector],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budget = settings.in_flight_mb * 1_000_000
        self._clock = clock
        self._in_flight = 0
        self._queue: deque[FrameJob | _End] = deque()
        self._pool = DetectorPool(detectors, settings, clock)

    remembers: Topic | None = None

    def remember(self, message: Message) -> None:
        """It needs to know nothing."""

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Drops the cameras of these partitions."""

    def submit(self, message: Message) -> None:
        """Takes a frame or an end of stream. Raises Backpressure over the byte budget, InvalidMessage."""
        item = self._parse(message)
        if self._in_flight and self._in_flight + item.size > self._budget:
            raise Backpressure(f"{self._in_flight} bytes in hand")
        self._queue.append(item)
        self._add_in_flight(item.size)
        if isinstance(item, FrameJob):
            self._pool.add(item)

    def completed(self) -> Sequence[Emission]:
        """What is ready, up to the first frame that is not."""
        self._pool.expire()
        ready = []
        while self._queue and (isinstance(self._queue[0], _End) or self._queue[0].done):
            item = self._queue.popleft()
            self._add_in_flight(-item.size)
            value = _detections(item) if isinstance(item, FrameJob) else pb.DetectionsMessage(end=item.end)
            camera_id = item.frame.camera_id if isinstance(item, FrameJob) else item.end.camera_id
            record = Record(DETECTIONS, camera_id, value.SerializeToString())
            ready.append(Emission((record,), (item.position,)))
        return ready

    def close(self) -> None:
        """No more submits; frames in hand are still looked at."""
        self._pool.close()

    def join(self, timeout_s: float) -> Sequence[Emission]:
        """What was in hand. Frames not looked at in time are left out: they are not done, and a replay brings them."""
        self._pool.join(timeout_s)
        return self.completed()

    def _parse(self, message: Message) -> FrameJob | _End:
        try:
            body = pb.DetectMessage.FromString(message.record.value)
        except DecodeError:
            raise InvalidMessage("not a DetectMessage") from None
        if body.HasField("end"):
            return _End(message.position, body.end, message.record.size)
        frame = body.frame
        if not frame.camera_id:
            raise InvalidMessage("a detect frame without a camera_id")
        if not (frame.width and frame.height and frame.source_width and frame.source_height):
            raise InvalidMessage("a detect frame without a size")
        return FrameJob(message, frame, self._clock())

    def _add_in_flight(self, size: int) -> None:
        self._in_flight += size
        metrics.IN_FLIGHT.set(self._in_flight)


def _detections(job: FrameJob) -> pb.DetectionsMessage:
    frame = job.frame
    return pb.DetectionsMessage(
        detections=pb.Detections(
            camera_id=frame.camera_id,
            epoch=frame.epoch,
            seq=frame.seq,
            has_previous=frame.has_previous,
            previous_seq=frame.previous_seq,
            pts=frame.pts,
            source_width=frame.source_width,
            source_height=frame.source_height,
            captured_us=frame.captured_us,
            results=[job.results[name] for name in job.wanted],
            time_base_num=frame.time_base_num,
            time_base_den=frame.time_base_den,
            frame_rate=frame.frame_rate,
        )
    )
