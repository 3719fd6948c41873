"""The inference stage: detect frames in, one result for each wanted detector out."""

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from services.bus.interface import Message, Position, Record, TopicPartition
from services.bus.topics import DETECTIONS, FRAMES_DETECT, Topic
from services.detect.interface import Detector
from services.envelope import Opener
from services.inference import metrics
from services.inference.frames import read
from services.inference.job import FrameJob
from services.inference.pool import DetectorPool
from services.inference.settings import InferenceSettings
from services.runtime.metrics import frame_left
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
    whoever needs that detector keeps the frame closed. The results of a partition leave in the order of its
    frames; no partition waits for another.

    Args:
        settings: deadlines and bounds.
        detectors: by the name that policies use; each is called from one thread at a time.
        clock: seconds, monotonic.
        opener: decrypts sealed pictures, which fail without one.
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
        opener: Opener | None = None,
    ) -> None:
        self._budget = settings.in_flight_mb * 1_000_000
        self._clock = clock
        self._opener = opener
        self._in_flight = 0
        self._queues: dict[TopicPartition, deque[FrameJob | _End]] = {}
        self._pool = DetectorPool(detectors, settings, clock)

    remembers: Topic | None = None
    has_threads = True

    def remember(self, message: Message) -> None:
        """It needs to know nothing."""

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Drops the frames of these partitions; what detectors still say of them is not listened to."""
        dropped = [item for source in partitions for item in self._queues.pop(source, ())]
        self._pool.drop([item for item in dropped if isinstance(item, FrameJob)])
        self._add_in_flight(-sum(item.size for item in dropped))

    def submit(self, message: Message) -> None:
        """Takes a frame or an end of stream. Raises Backpressure over the byte budget, InvalidMessage."""
        item = self._parse(message)
        if self._in_flight and self._in_flight + item.size > self._budget:
            raise Backpressure(f"{self._in_flight} bytes in hand")
        self._queues.setdefault(item.position.source, deque()).append(item)
        self._add_in_flight(item.size)
        if isinstance(item, FrameJob):
            self._pool.add(item)

    def completed(self) -> Sequence[Emission]:
        """What is ready, up to the first frame of each partition that is not."""
        self._pool.expire()
        ready = []
        for queue in self._queues.values():
            while queue and (isinstance(queue[0], _End) or queue[0].done):
                item = queue.popleft()
                self._add_in_flight(-item.size)
                record = _of_end(item.end) if isinstance(item, _End) else _of_frame(item)
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
        body = read(message)
        if isinstance(body, pb.EndOfStream):
            return _End(message.position, body, message.record.size)
        return FrameJob(message, body, self._clock(), self._opener)

    def _add_in_flight(self, size: int) -> None:
        self._in_flight += size
        metrics.IN_FLIGHT.set(self._in_flight)


def _of_end(end: pb.EndOfStream) -> Record:
    return Record(DETECTIONS, end.camera_id, pb.DetectionsMessage(end=end).SerializeToString())


def _of_frame(job: FrameJob) -> Record:
    frame = job.frame
    now_us = time.time_ns() // 1000
    frame_left("inference", frame.camera_id, frame.captured_us, now_us)
    detections = pb.Detections(
        camera_id=frame.camera_id,
        epoch=frame.epoch,
        seq=frame.seq,
        has_previous=frame.has_previous,
        previous_seq=frame.previous_seq,
        pts=frame.pts,
        source_width=frame.source_width,
        source_height=frame.source_height,
        captured_us=frame.captured_us,
        results=[*frame.results, *(job.results[name] for name in job.wanted)],
        time_base_num=frame.time_base_num,
        time_base_den=frame.time_base_den,
        frame_rate=frame.frame_rate,
        trace=[*frame.trace, pb.Hop(stage="inference", received_us=job.received_us, sent_us=now_us)],
    )
    return Record(DETECTIONS, frame.camera_id, pb.DetectionsMessage(detections=detections).SerializeToString())
