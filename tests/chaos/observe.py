"""Watches the topics while faults happen: what the cameras gave, what came out masked, what was refused."""

import threading
from collections import defaultdict
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from services.bus.interface import Message, Start
from services.bus.kafka import KafkaBus
from services.bus.kafka_settings import KafkaSettings
from services.bus.topics import TOPICS, VIDEO_REDACTED, VIDEO_SOURCE, dead_letters_of
from services.consume.view import parse
from services.schema import pb

Identity = tuple[int, int]
"""Epoch and seq of a frame."""

_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Arrival:
    """One frame as it lay in video.redacted, at the broker's time."""

    unit: pb.RedactedUnit
    at_us: int

    @property
    def identity(self) -> Identity:
        return self.unit.epoch, self.unit.seq


@dataclass(slots=True)
class Camera:
    """What was seen of one camera.

    Attributes:
        sent: frames on video.source, and when each was captured.
        ends: their ends of stream, by epoch.
        arrivals: everything on video.redacted in its order, what came twice included.
    """

    sent: dict[Identity, int] = field(default_factory=dict)
    ends: dict[int, pb.EndOfStream] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    ended: dict[int, int] = field(default_factory=lambda: defaultdict(int))


class Observer:
    """Reads as someone who may read all, from the oldest record on, in a thread of its own.

    Attributes:
        cameras: what was seen, by camera_id. Lists only grow.
        letters: every dead letter as it lay there.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self.cameras: dict[str, Camera] = defaultdict(Camera)
        self.letters: list[bytes] = []
        self._settings = settings
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)

    def __enter__(self) -> "Observer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def check(self) -> None:
        """Raises what the reading stumbled over."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            with ExitStack() as stack:
                bus = stack.enter_context(closing(KafkaBus(self._settings)))
                oldest = Start("oldest")
                source = stack.enter_context(closing(bus.reader(VIDEO_SOURCE, oldest)))
                redacted = stack.enter_context(closing(bus.reader(VIDEO_REDACTED, oldest)))
                refused = [dead_letters_of(topic) for topic in TOPICS if topic.readers]
                letters = [stack.enter_context(closing(bus.reader(topic, oldest))) for topic in refused]
                while not self._stop.is_set():
                    for message in source.poll(_POLL_S, 256):
                        self._take_source(message)
                    for message in redacted.poll(_POLL_S, 256):
                        self._take_redacted(message)
                    for reader in letters:
                        self.letters += [message.record.value for message in reader.poll(0, 256)]
        except BaseException as error:
            self._error = error

    def _take_source(self, message: Message) -> None:
        try:
            body = pb.SourceMessage.FromString(message.record.value)
        except DecodeError:
            return
        if body.HasField("unit") and body.unit.camera_id == message.record.key:
            unit = body.unit
            self.cameras[unit.camera_id].sent.setdefault((unit.epoch, unit.seq), unit.captured_us)
        elif body.HasField("end") and body.end.camera_id == message.record.key:
            self.cameras[body.end.camera_id].ends[body.end.epoch] = body.end

    def _take_redacted(self, message: Message) -> None:
        item = parse(message)
        if isinstance(item, pb.RedactedUnit):
            self.cameras[item.camera_id].arrivals.append(Arrival(item, message.timestamp_us))
        elif isinstance(item, pb.EndOfStream):
            self.cameras[item.camera_id].ended[item.epoch] += 1
