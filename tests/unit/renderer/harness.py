"""Feeds a renderer stage by hand and reads back what it lets out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.bus.interface import Message, Position, Record, TopicPartition
from services.bus.topics import REDACTIONS, VIDEO_SOURCE, Topic
from services.envelope import Opener
from services.policy.model import Policy
from services.renderer import RendererSettings, RendererStage
from services.runtime.stage import Emission
from services.schema import pb
from tests.support.book import Book

CAMERA = "gate-1"
EPOCH = 1_700_000_000_000_000
WIDTH, HEIGHT = 128, 96
FACE = (40.0, 30.0, 72.0, 70.0)

Box = tuple[float, float, float, float]


def make_policy(**keys: object) -> Policy:
    """Faces and plates, unless said otherwise."""
    return Policy.model_validate({"name": "test", "kinds": ["face", "plate"]} | keys)


def make_stream(*, live: bool = False, width: int = WIDTH, height: int = HEIGHT) -> pb.StreamInfo:
    return pb.StreamInfo(
        codec="h264",
        width=width,
        height=height,
        coded_width=width,
        coded_height=height,
        time_base_num=1,
        time_base_den=25,
        frame_rate=25,
        live=live,
    )


def noise(seq: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """A picture in which every pixel of every plane can be recognised: I420, (height * 3 / 2, width)."""
    return np.random.default_rng(seq).integers(16, 236, (height * 3 // 2, width), np.uint8)


def segment(
    first: Sequence[float] = FACE,
    last: Sequence[float] | None = None,
    *,
    track: int = 1,
    kind: pb.Kind = pb.KIND_FACE,
    mode: str = "",
) -> pb.TrackSegment:
    return pb.TrackSegment(track_id=track, kind=kind, first=first, last=first if last is None else last, mode=mode)


@dataclass
class Out:
    """One frame as it came out."""

    message: pb.RenderedFrame
    pixels: NDArray[np.uint8] | None

    def same_as(self, source: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Which samples of the I420 buffer still hold the source's value."""
        assert self.pixels is not None
        return self.pixels == source

    def leaks(self, source: NDArray[np.uint8]) -> bool:
        """True if the picture holds the source's own pixels: of noise, a few samples agree by chance."""
        return self.pixels is not None and bool(self.same_as(source).mean() > 0.05)


@dataclass
class Harness:
    """A stage on a clock that only tests move."""

    policy: Policy | None = field(default_factory=make_policy)
    settings: RendererSettings = field(default_factory=RendererSettings)
    live: bool = False
    shared: bool = True
    opener: Opener | None = None
    camera: str = CAMERA
    partition: int = 0
    now: float = 1_700_000_000.0

    def __post_init__(self) -> None:
        self.book = Book(self.policy)
        self.stage = RendererStage(self.settings, self.book, clock=lambda: self.now, opener=self.opener)
        self.out: list[Out] = []
        self.bodies: list[str] = []
        self.ends: list[pb.EndOfStream] = []
        self.sounds: list[pb.AudioUnit] = []
        self.done: set[Position] = set()
        self._offsets = {VIDEO_SOURCE.name: 0, REDACTIONS.name: 0}

    def send(self, topic: Topic, value: bytes, attachment: NDArray[np.uint8] | None = None) -> Position:
        position = Position(TopicPartition(topic.name, self.partition), self._offsets[topic.name])
        if attachment is not None:
            attachment = attachment.copy()
            attachment.flags.writeable = False
        self.stage.submit(Message(Record(topic, self.camera, value, attachment), position, 0))
        self._offsets[topic.name] += 1
        return position

    def frame(
        self,
        seq: int,
        *,
        epoch: int = EPOCH,
        keyframe: bool | None = None,
        corrupt: bool = False,
        picture: NDArray[np.uint8] | None = None,
        payload: bytes = b"\0",
        stream: pb.StreamInfo | None = None,
    ) -> Position:
        keyframe = seq == 0 if keyframe is None else keyframe
        unit = pb.AccessUnit(
            camera_id=self.camera,
            epoch=epoch,
            seq=seq,
            keyframe=keyframe,
            pts=seq,
            duration=1,
            captured_us=int(self.now * 1e6),
            corrupt=corrupt,
            stream=(stream or make_stream(live=self.live)) if keyframe else None,
            inline=payload,
        )
        if picture is None and self.shared and not corrupt:
            picture = noise(seq)
        return self.send(VIDEO_SOURCE, pb.SourceMessage(unit=unit).SerializeToString(), picture)

    def frames(self, seqs: Iterable[int]) -> None:
        for seq in seqs:
            self.frame(seq)

    def span(
        self,
        first: int,
        last: int,
        *tracks: pb.TrackSegment,
        coverage: pb.Coverage = pb.COMPLETE,
        epoch: int = EPOCH,
        policy: str | None = None,
        why: str = "",
        closing: pb.Closing | None = None,
    ) -> Position:
        if policy is None:
            policy = self.policy.fingerprint if self.policy else ""
        span = pb.RedactionSpan(
            camera_id=self.camera,
            epoch=epoch,
            first_seq=first,
            last_seq=last,
            tracks=tracks,
            coverage=coverage,
            why=why,
            closing=closing,
            policy=policy,
        )
        return self.send(REDACTIONS, pb.RedactionsMessage(span=span).SerializeToString())

    def sound(self, index: int, after_seq: int) -> Position:
        unit = pb.AudioUnit(camera_id=self.camera, epoch=EPOCH, index=index, after_seq=after_seq, inline=b"pcm")
        return self.send(VIDEO_SOURCE, pb.SourceMessage(audio=unit).SerializeToString())

    def end(self, frames: int, *, epoch: int = EPOCH) -> Position:
        end = pb.EndOfStream(camera_id=self.camera, epoch=epoch, frames=frames, reason=pb.EndOfStream.FINISHED)
        return self.send(VIDEO_SOURCE, pb.SourceMessage(end=end).SerializeToString())

    def end_redactions(self, *, epoch: int = EPOCH) -> Position:
        end = pb.EndOfStream(camera_id=self.camera, epoch=epoch)
        return self.send(REDACTIONS, pb.RedactionsMessage(end=end).SerializeToString())

    def run(self) -> "Harness":
        """Takes what the stage completes until it has nothing more."""
        while emissions := self.stage.completed():
            for emission in emissions:
                self._take(emission)
        return self

    @property
    def seqs(self) -> list[int]:
        return [out.message.seq for out in self.out]

    def only(self) -> Out:
        """The one frame that came out."""
        assert len(self.out) == 1
        return self.out[0]

    def _take(self, emission: Emission) -> None:
        for record in emission.records:
            body = pb.RenderedMessage.FromString(record.value)
            kind = body.WhichOneof("body")
            assert kind is not None
            self.bodies.append(kind)
            if kind == "frame":
                self.out.append(Out(body.frame, record.attachment))
            elif kind == "audio":
                self.sounds.append(body.audio)
            else:
                self.ends.append(body.end)
        self.done.update(emission.done)
