"""A bus with redacted video and metadata on it, as cameras and trackers would leave it."""

from collections.abc import Iterable
from fractions import Fraction

from services.bus.interface import Message, Position, Record, Start, TopicPartition
from services.bus.memory import MemoryBus
from services.bus.topics import METADATA_TRACKS, VIDEO_REDACTED, Topic
from services.consume.view import Item
from services.media.encoding import H264Encoder, H264Options
from services.schema import pb
from tests.support.rendered import picture

CAMERA = "gate"
FIRST, SECOND = 1_700_000_000_000_000, 1_700_000_900_000_000
TICKS = Fraction(1, 12800)
STEP = 512
"""25 pictures a second."""


def film(
    count: int, epoch: int = FIRST, camera: str = CAMERA, size: tuple[int, int] = (160, 96), closed: Iterable[int] = ()
) -> list[pb.RedactedUnit]:
    """Real H.264 of `count` pictures, a keyframe every ten."""
    width, height = size
    options = H264Options("ultrafast", keyframe_s=0.4)
    encoder = H264Encoder(width, height, TICKS, frame_rate=25, live=True, options=options)
    return [
        pb.RedactedUnit(
            camera_id=camera,
            epoch=epoch,
            seq=seq,
            keyframe=unit.keyframe,
            pts=unit.pts,
            dts=unit.dts,
            duration=STEP,
            time_base_num=TICKS.numerator,
            time_base_den=TICKS.denominator,
            width=width,
            height=height,
            captured_us=epoch + seq * 40_000,
            closed=seq in closed,
            payload=unit.payload,
        )
        for seq in range(count)
        for unit in encoder.encode(picture(seq, width, height), seq * STEP)
    ]


def end(frames: int, epoch: int = FIRST, camera: str = CAMERA) -> pb.EndOfStream:
    return pb.EndOfStream(camera_id=camera, epoch=epoch, frames=frames, reason=pb.EndOfStream.FINISHED)


def track(number: int, camera: str = CAMERA) -> pb.TrackRecord:
    return pb.TrackRecord(
        camera_id=camera,
        epoch=FIRST,
        track_id=number,
        kind=pb.KIND_FACE,
        first_us=FIRST,
        last_us=FIRST + 40_000 * number,
        box=[1.5, 2.25, 30.1, 40],
        dwell_s=0.1,
        zones=["door"],
    )


def record(body: Item | pb.TrackRecord) -> Record:
    if isinstance(body, pb.TrackRecord):
        return Record(METADATA_TRACKS, body.camera_id, body.SerializeToString())
    name = {"RedactedUnit": "unit", "AudioUnit": "audio", "EndOfStream": "end"}[type(body).__name__]
    return Record(VIDEO_REDACTED, body.camera_id, pb.RedactedMessage(**{name: body}).SerializeToString())


def message(body: Item | pb.TrackRecord, offset: int = 0, timestamp_us: int = 0) -> Message:
    made = record(body)
    return Message(made, Position(TopicPartition(made.topic.name, 0), offset), timestamp_us)


def fill(bus: MemoryBus, bodies: Iterable[Item | pb.TrackRecord]) -> None:
    producer = bus.producer()
    for body in bodies:
        producer.publish(record(body))
    producer.close()


class MemoryConnection:
    """What `connect` makes of Kafka, on a bus in memory with one partition."""

    def __init__(self, bus: MemoryBus) -> None:
        self.bus = bus

    def partitions(self, topic: Topic) -> int:
        return 1

    def partition_of(self, topic: Topic, camera_id: str) -> int:
        return 0

    def close(self) -> None:
        """The test closes its bus."""


OLDEST = Start("oldest")
