"""Feeds a tracker stage by hand and reads back what it says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from services.bus.interface import Message, Position, Record, TopicPartition
from services.bus.topics import DETECTIONS, METADATA_STATS, METADATA_TRACKS, REDACTIONS
from services.policy.model import Policy
from services.runtime.stage import Emission
from services.schema import pb
from services.tracker.settings import TrackerSettings
from services.tracker.stage import TrackerStage
from tests.support.book import Book

CAMERA = "gate-1"
EPOCH = 1_700_000_000_000_000
RATE = 25

Found = tuple[float, float, float, float, float]
"""x1, y1, x2, y2, score."""


def policy(**keys: object) -> Policy:
    """Faces only, unless said otherwise."""
    return Policy.model_validate({"name": "test", "kinds": {"face": {}}} | keys)


def result(
    found: Iterable[Found] = (),
    detector: str = "face",
    kind: pb.Kind = pb.KIND_FACE,
    status: pb.DetectorResult.Status = pb.DetectorResult.RAN,
) -> pb.DetectorResult:
    """What one detector says."""
    rows = list(found)
    boxes = pb.Boxes(
        xyxy=[value for row in rows for value in row[:4]], score=[row[4] for row in rows], kind=[kind] * len(rows)
    )
    return pb.DetectorResult(detector=detector, status=status, boxes=boxes)


@dataclass
class Harness:
    """A stage, and everything it emitted so far."""

    book: Book
    settings: TrackerSettings = field(default_factory=TrackerSettings)
    camera_id: str = CAMERA
    epoch: int = EPOCH
    partition: int = 0
    wall_us: int = EPOCH

    def __post_init__(self) -> None:
        self.now = 0.0
        self.stage = TrackerStage(self.settings, self.book, clock=lambda: self.now, wall=lambda: self.wall_us)
        self.redactions: list[pb.RedactionsMessage] = []
        self.tracks: list[pb.TrackRecord] = []
        self.stats: list[pb.StatsRecord] = []
        self.done: list[int] = []
        self.offset = 0
        self.previous: int | None = None

    @property
    def spans(self) -> list[pb.RedactionSpan]:
        return [message.span for message in self.redactions if message.HasField("span")]

    def look(self, seq: int, *results: pb.DetectorResult, **fields: object) -> None:
        """One look, chained to the one before."""
        keys: dict[str, object] = {
            "camera_id": self.camera_id,
            "epoch": self.epoch,
            "seq": seq,
            "has_previous": self.previous is not None,
            "previous_seq": self.previous or 0,
            "pts": seq,
            "source_width": 1280,
            "source_height": 720,
            "time_base_num": 1,
            "time_base_den": RATE,
            "frame_rate": RATE,
            "results": results or (result(),),
        }
        self.previous = seq
        self.send(pb.DetectionsMessage(detections=pb.Detections(**(keys | fields))))

    def looks(self, seqs: Sequence[int], *found: Found) -> None:
        """Looks that all find the same faces."""
        for seq in seqs:
            self.look(seq, result(found))

    def end(self, frames: int) -> None:
        """The end of the stream."""
        message = pb.EndOfStream(camera_id=self.camera_id, epoch=self.epoch, frames=frames)
        self.send(pb.DetectionsMessage(end=message))

    def send(self, message: pb.DetectionsMessage, key: str | None = None) -> None:
        record = Record(DETECTIONS, key or self.camera_id, message.SerializeToString())
        self.stage.submit(Message(record, Position(TopicPartition("detections", self.partition), self.offset), 0))
        self.offset += 1
        self.drain()

    def drain(self) -> None:
        for emission in self.stage.completed():
            self._take(emission)

    def _take(self, emission: Emission) -> None:
        for record in emission.records:
            if record.topic is REDACTIONS:
                self.redactions.append(pb.RedactionsMessage.FromString(record.value))
            elif record.topic is METADATA_TRACKS:
                self.tracks.append(pb.TrackRecord.FromString(record.value))
            elif record.topic is METADATA_STATS:
                self.stats.append(pb.StatsRecord.FromString(record.value))
        self.done += [position.offset for position in emission.done]


def masks_at(spans: Sequence[pb.RedactionSpan], seq: int) -> list[tuple[float, float, float, float]]:
    """Boxes of all tracks at a frame."""
    (span,) = [span for span in spans if span.first_seq <= seq <= span.last_seq]
    share = (seq - span.first_seq) / max(1, span.last_seq - span.first_seq)
    boxes = []
    for track in span.tracks:
        x1, y1, x2, y2 = (a + (b - a) * share for a, b in zip(track.first, track.last, strict=True))
        boxes.append((x1, y1, x2, y2))
    return boxes


def covered(box: Sequence[float], masks: Iterable[Sequence[float]]) -> float:
    """Largest share of a box's area that lies in one mask."""
    x1, y1, x2, y2 = box
    best = 0.0
    for a1, b1, a2, b2 in masks:
        w, h = min(x2, a2) - max(x1, a1), min(y2, b2) - max(y1, b1)
        if w > 0 and h > 0:
            best = max(best, w * h / ((x2 - x1) * (y2 - y1)))
    return best
