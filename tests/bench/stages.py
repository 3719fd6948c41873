"""What each stage of the line costs on one clip: the real stages with the messages of a broker, one after the other.

Every stage gets all of its input before the next begins, so that CPU time of the process is the stage's own. Payloads
travel as they do between processes: sealed, looks as JPEG. What the client of the broker takes is not in here.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from services.bus.interface import Message, Position, Record, TopicPartition
from services.decoder.epoch import EpochWriter
from services.decoder.settings import DecoderSettings
from services.detect.interface import Boxes, Image
from services.encoder.settings import EncoderSettings
from services.encoder.stage import EncoderStage
from services.envelope import KeyFolder, Opener, Sealer
from services.inference.settings import InferenceSettings
from services.inference.stage import InferenceStage
from services.media.demux import Demuxer
from services.media.order import SourceUnit
from services.policy.model import Policy
from services.renderer.settings import RendererSettings
from services.renderer.stage import RendererStage
from services.runtime.stage import Backpressure, Stage
from services.schema import pb
from services.tracker.settings import TrackerSettings
from services.tracker.stage import TrackerStage

CAMERA = "camera-1"
_PATIENCE_S = 600.0
_PAUSE_S = 0.02


@dataclass(frozen=True)
class Run:
    """One clip through the line.

    Attributes:
        frames, looks: how many there were.
        width, height: of the frames.
        look_width, look_height: of the pictures that detectors see.
        cpu_s: CPU seconds by stage; `decoder` is without looks, `look` what the decoder does for them beside.
        records, size: number and bytes of the records of each topic.
        payload: bytes of the camera's own access units.
    """

    frames: int
    looks: int
    width: int
    height: int
    look_width: int
    look_height: int
    cpu_s: Mapping[str, float]
    records: Mapping[str, int]
    size: Mapping[str, int]
    payload: int

    @property
    def megapixels(self) -> float:
        return self.width * self.height / 1e6

    @property
    def look_megapixels(self) -> float:
        return self.look_width * self.look_height / 1e6


class _OneBook:
    """The same policy for everybody."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def policy_for(self, camera_id: str) -> Policy:
        return self._policy


class _Finds:
    """Stands for a network: finds one box in every picture and takes no time over it."""

    def __init__(self, name: str) -> None:
        self.name = self.model = name
        self.version = "0"
        self._kind = pb.KIND_FACE if name == "face" else pb.KIND_PLATE

    def detect(self, images: Sequence[Image], timeout_s: float) -> Sequence[Boxes]:
        return [self._boxes(image) for image in images]

    def _boxes(self, image: Image) -> Boxes:
        height, width, _ = image.shape
        left = width * (0.2 if self._kind == pb.KIND_FACE else 0.6)
        box = [[left, height * 0.25, left + width * 0.08, height * 0.4]]
        return Boxes(np.array(box, np.float32), np.array([0.9], np.float32), np.array([self._kind], np.int32))


def run(clip: Path, policy: Policy, *, attached: bool = False) -> Run:
    """Sends a clip through all stages.

    Args:
        attached: renderer and encoder share a process, so that no picture between them is a JPEG.
    """
    cv2.setNumThreads(1)
    with TemporaryDirectory(prefix="veil-keys-") as folder:
        keys = KeyFolder(Path(folder))
        keys.create()
        return _run(clip, policy, Sealer(keys), Opener(keys), attached=attached)


def _run(clip: Path, policy: Policy, sealer: Sealer, opener: Opener, *, attached: bool) -> Run:
    cpu: dict[str, float] = {}
    bare, _, _ = _decode(clip, None, sealer)
    whole, records, info = _decode(clip, policy, sealer)
    cpu["decoder"], cpu["look"] = bare, max(0.0, whole - bare)
    book = _OneBook(policy)
    finders = {name: _Finds(name) for name in policy.detectors}
    inference = InferenceStage(InferenceSettings(timeout_s=60), finders, opener=opener)
    cpu["inference"], found = _through(inference, _of(records, "frames.detect"))
    cpu["tracker"], told = _through(TrackerStage(TrackerSettings(), book), found)
    renderer = RendererStage(RendererSettings(transport="attached" if attached else "encoded"), book, opener=opener)
    sources = [*_of(told, "redactions"), *_of(records, "video.source")]
    cpu["renderer"], rendered = _through(renderer, sources)
    encoder = EncoderStage(EncoderSettings(reorder=False), {}, book)
    cpu["encoder"], redacted = _through(encoder, rendered)
    everything = [*records, *found, *told, *rendered, *redacted]
    look = next(message.frame for message in map(_detect, _of(records, "frames.detect")) if message.HasField("frame"))
    frames = sum(1 for record in _of(records, "video.source")) - 1
    return Run(
        frames,
        sum(1 for record in _of(records, "frames.detect")) - 1,
        info.width,
        info.height,
        look.width,
        look.height,
        cpu,
        Counter(record.topic.name for record in everything),
        _sizes(everything),
        sum(len(unit.payload) for unit in _units(clip)),
    )


def _decode(clip: Path, policy: Policy | None, sealer: Sealer) -> tuple[float, list[Record], pb.StreamInfo]:
    source = Demuxer(str(clip), live=False)
    records: list[Record] = []
    settings = DecoderSettings(transport="encoded")
    began = time.process_time()
    writer = EpochWriter(
        CAMERA,
        time.time_ns() // 1000,
        source,
        lambda: policy,
        settings,
        lambda entry: records.append(entry.record),
        share=False,
        sealer=sealer,
    )
    for unit in source.units():
        if isinstance(unit, SourceUnit):
            writer.unit(unit)
    writer.end(pb.EndOfStream.FINISHED, "")
    took = time.process_time() - began
    source.close()
    return took, records, source.info


def _units(clip: Path) -> Iterable[SourceUnit]:
    source = Demuxer(str(clip), live=False)
    yield from (unit for unit in source.units() if isinstance(unit, SourceUnit))
    source.close()


def _through(stage: Stage, records: Sequence[Record]) -> tuple[float, list[Record]]:
    """CPU seconds that a stage takes for these records, and what it makes of them."""
    out: list[Record] = []

    def take() -> None:
        for emission in stage.completed():
            out.extend(emission.records)

    began, offsets = time.process_time(), Counter[str]()
    for record in records:
        position = Position(TopicPartition(record.topic.name, 0), offsets[record.topic.name])
        offsets[record.topic.name] += 1
        message = Message(record, position, time.time_ns() // 1000)
        while True:
            try:
                stage.submit(message)
                break
            except Backpressure:
                time.sleep(_PAUSE_S)
                take()
        take()
    deadline = time.monotonic() + _PATIENCE_S
    while not any(_is_end(record) for record in out[-8:]) and time.monotonic() < deadline:
        if stage.has_threads:
            # Asking all the time would count as the stage's work.
            time.sleep(_PAUSE_S)
        take()
    stage.close()
    for emission in stage.join(10.0):
        out.extend(emission.records)
    return time.process_time() - began, out


def _is_end(record: Record) -> bool:
    messages = {
        "detections": pb.DetectionsMessage,
        "redactions": pb.RedactionsMessage,
        "video.rendered": pb.RenderedMessage,
        "video.redacted": pb.RedactedMessage,
    }
    kind = messages.get(record.topic.name)
    return kind is not None and kind.FromString(record.value).HasField("end")


def _of(records: Iterable[Record], topic: str) -> list[Record]:
    return [record for record in records if record.topic.name == topic]


def _detect(record: Record) -> pb.DetectMessage:
    return pb.DetectMessage.FromString(record.value)


def _sizes(records: Iterable[Record]) -> dict[str, int]:
    sizes: Counter[str] = Counter()
    for record in records:
        sizes[record.topic.name] += len(record.value)
    return dict(sizes)
