"""What the inference tests share: scripted detectors, frames for them, and what comes out."""

import threading
import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from services.bus.interface import Message, Position, Record, TopicPartition
from services.bus.topics import FRAMES_DETECT
from services.detect.interface import Boxes, Image
from services.inference import InferenceStage
from services.runtime.stage import Emission
from services.schema import pb

SIZE = (48, 64)
Make = Callable[..., InferenceStage]


class Scripted:
    """A detector that answers each batch as `script` says."""

    def __init__(self, name: str, script: Callable[[Sequence[Image]], Sequence[Boxes]]) -> None:
        self.name, self.model, self.version = name, f"{name}-net", "1+abc"
        self.script = script
        self.batches: list[int] = []
        self.inside = 0
        self.most_inside = 0

    def detect(self, images: Sequence[Image], timeout_s: float) -> Sequence[Boxes]:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self.batches.append(len(images))
        try:
            return self.script(images)
        finally:
            self.inside -= 1


def box(x1: float, y1: float, x2: float, y2: float, score: float = 0.5, kind: int = pb.KIND_FACE) -> Boxes:
    return Boxes(np.array([[x1, y1, x2, y2]], np.float32), np.array([score], np.float32), np.array([kind], np.int32))


def nothing(images: Sequence[Image]) -> Sequence[Boxes]:
    return [Boxes.empty() for _ in images]


def brightness(images: Sequence[Image]) -> Sequence[Boxes]:
    """A box whose right edge is the picture's brightness: tells which picture was looked at."""
    return [box(0, 0, float(image.mean()) / 4, 10) for image in images]


_offsets = iter(range(10**6))


def message_of(body: pb.DetectMessage, attachment: np.ndarray | None = None, partition: int = 0) -> Message:
    camera_id = (body.frame if body.HasField("frame") else body.end).camera_id
    record = Record(FRAMES_DETECT, camera_id, body.SerializeToString(), attachment)
    return Message(record, Position(TopicPartition("frames.detect", partition), next(_offsets)), 0)


def frame(
    seq: int = 0,
    detectors: Sequence[str] = ("face",),
    value: int = 80,
    camera: str = "cam",
    partition: int = 0,
    **fields: object,
) -> Message:
    """A frame that comes attached, all of one brightness."""
    height, width = SIZE
    values = {
        "width": width,
        "height": height,
        "source_width": 2 * width,
        "source_height": 3 * height,
        "attached": True,
    }
    values |= {"camera_id": camera, "epoch": 5, "seq": seq, "detectors": list(detectors)} | fields
    picture = np.full((height, width, 3), value, np.uint8)
    return message_of(pb.DetectMessage(frame=pb.DetectFrame(**values)), picture, partition)


def end(camera: str = "cam", partition: int = 0) -> Message:
    return message_of(pb.DetectMessage(end=pb.EndOfStream(camera_id=camera, epoch=5, frames=7)), None, partition)


def wait(stage: InferenceStage, count: int, timeout_s: float = 5) -> list[pb.DetectionsMessage]:
    """Polls as the runner does until `count` results are there."""
    emissions: list[Emission] = []
    until = time.monotonic() + timeout_s
    while len(emissions) < count:
        assert time.monotonic() < until, f"{len(emissions)} of {count} results in time"
        emissions += stage.completed()
        time.sleep(0.002)
    return [pb.DetectionsMessage.FromString(emission.records[0].value) for emission in emissions]


def statuses(message: pb.DetectionsMessage) -> dict[str, int]:
    return {result.detector: result.status for result in message.detections.results}


class Stuck(Scripted):
    """Hangs on its first call until released."""

    def __init__(self, name: str) -> None:
        super().__init__(name, self._script)
        self.release = threading.Event()

    def _script(self, images: Sequence[Image]) -> Sequence[Boxes]:
        if len(self.batches) == 1:
            self.release.wait(10)
            return [box(1, 1, 2, 2) for _ in images]
        return brightness(images)


def jpeg(picture: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", picture)[1].tobytes()
