"""Tracker and renderer on a memory bus with several partitions, in one thread, so that a seed decides who dies when."""

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache

import av
import numpy as np
from numpy.typing import NDArray

from services.bus.interface import BusLost, Record
from services.bus.memory import MemoryBus
from services.bus.topics import (
    DETECTIONS,
    METADATA_STATS,
    METADATA_TRACKS,
    REDACTIONS,
    VIDEO_RENDERED,
    VIDEO_SOURCE,
    Topic,
)
from services.policy.model import Policy
from services.renderer import RendererSettings, RendererStage
from services.runtime.runner import Runner
from services.runtime.settings import RunnerSettings
from services.runtime.stage import Stage
from services.schema import pb
from services.tracker.settings import TrackerSettings
from services.tracker.stage import TrackerStage
from tests.support.book import Book
from tests.support.dying import DyingBus, Killed
from tests.support.videos import paint_numbered

WIDTH, HEIGHT, RATE = 96, 64, 25
EPOCH = 1_700_000_000_000_000
SOLID = 16

Found = tuple[float, float, float, float, float]


@cache
def film(frames: int, gop: int, b_frames: int) -> tuple[tuple[int, bool, bytes], ...]:
    """Numbered pictures as H.264 in decoding order: seq, keyframe, payload."""
    context = av.VideoCodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    context.time_base = Fraction(1, RATE)
    context.thread_count = 1
    context.options = {
        "preset": "ultrafast",
        "x264-params": f"keyint={gop}:min-keyint={gop}:bframes={b_frames}:b-adapt=0:scenecut=0",
    }
    packets = []
    for number in range(frames):
        frame = av.VideoFrame.from_ndarray(paint_numbered(number, WIDTH, HEIGHT), format="rgb24")
        frame.pts = number
        packets += context.encode(frame)
    packets += context.encode(None)
    return tuple((packet.pts or 0, packet.is_keyframe, bytes(packet)) for packet in packets)


def walkers(camera: int, seq: int) -> list[Found]:
    """People of one camera at a frame: one stays, one walks and is lost now and then, one grows faint for long."""
    x = 4 + (seq * 0.3 + 7 * camera) % 70
    found = [(60.0, 40.0, 68.0, 50.0, 0.9)]
    if (seq + 11 * camera) % 60 < 45:
        found.append((x, 8.0, x + 10, 20.0, 0.8))
    if seq >= 30:
        found.append((20.0, 40.0, 28.0, 50.0, 0.9 if seq < 35 else 0.15))
    return found


@dataclass
class World:
    """Cameras that send, and the processes that come and go.

    Attributes:
        cameras: how many; each has one epoch.
        frames: of each.
        live: sources that do not wait.
        every: frames from look to look.
        commit_every_s: pace of commits, in the world's seconds.
    """

    seed: int = 0
    cameras: int = 3
    frames: int = 100
    partitions: int = 4
    live: bool = False
    gop: int = 12
    b_frames: int = 2
    every: int = 5
    commit_every_s: float = 0.2
    policy: Policy = field(
        default_factory=lambda: Policy.model_validate(
            {"name": "test", "kinds": {"face": {}}, "mode": "solid", "tracking": {"look_ahead_s": 0.3, "hold_s": 0.5}}
        )
    )

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.now = EPOCH / 1e6
        watched = (REDACTIONS, VIDEO_RENDERED, METADATA_TRACKS, METADATA_STATS)
        groups: dict[Topic, tuple[str, ...]] = dict.fromkeys(watched, ("watch",))
        groups |= {VIDEO_SOURCE: ("renderer",), DETECTIONS: ("tracker",), REDACTIONS: ("watch", "renderer")}
        self.bus = MemoryBus(self.partitions, groups, clock=lambda: int(self.now * 1e6))
        self.producer = self.bus.producer()
        self.watcher = self.bus.consumer("watch", watched)
        self.runners: dict[str, list[Runner]] = {"tracker": [], "renderer": []}
        self.rendered: list[tuple[pb.RenderedMessage, NDArray[np.uint8] | None]] = []
        self.spans: list[pb.RedactionSpan] = []
        self.tracks: list[pb.TrackRecord] = []
        self.stats: list[pb.StatsRecord] = []
        self.kills = 0
        self._sent = 0
        self._schedule = self._plan()

    @property
    def sending(self) -> bool:
        return self._sent < len(self._schedule)

    def start(self, stage: str, uses: int = 1 << 60) -> Runner:
        """A new process, which dies at the n-th thing it does on the bus."""
        book = Book(self.policy)
        made: Stage
        if stage == "tracker":
            made = TrackerStage(
                TrackerSettings(stats_every_s=1), book, clock=lambda: self.now, wall=lambda: int(self.now * 1e6)
            )
        else:
            made = RendererStage(RendererSettings(), book, clock=lambda: self.now)
        pace = RunnerSettings(
            commit_every_s=self.commit_every_s, poll_records=7, idle_min_s=1e-6, idle_max_s=1e-6, rest_max_s=1e-6
        )
        runner = Runner(made, DyingBus(self.bus, uses), pace, clock=lambda: self.now)
        self.runners[stage].append(runner)
        return runner

    def kill(self, stage: str, runner: Runner | None = None) -> None:
        """kill -9: nothing is drained or committed, the group notices at once."""
        runner = runner or self.random.choice(self.runners[stage])
        self.runners[stage].remove(runner)
        self.kills += 1
        assert runner._consumer is not None
        runner._consumer.close()

    def stop(self, stage: str) -> None:
        """SIGTERM: finishes what is in hand, commits and leaves."""
        runner = self.runners[stage].pop(self.random.randrange(len(self.runners[stage])))
        runner._drain()
        assert runner._consumer is not None
        runner._consumer.close()

    def turn(self) -> bool:
        """Everybody does a little. False if nothing moved. Whoever dies of its bus stays dead."""
        moved = False
        for stage, runners in self.runners.items():
            for runner in list(runners):
                try:
                    moved |= runner._turn(0)
                except Killed:
                    self.kill(stage, runner)
                except BusLost:
                    raise AssertionError("the memory bus is never lost") from None
        self._watch()
        return moved

    def step(self, frames: int = 1) -> None:
        """The sources send so many frames' worth, and everybody has some turns."""
        self.send(frames)
        for _ in range(4):
            self.turn()

    def send(self, frames: int = 1) -> None:
        until = self.now + frames / RATE
        while self.sending and self._schedule[self._sent][0] <= until:
            self.now = max(self.now, self._schedule[self._sent][0])
            topic, camera, value = self._schedule[self._sent][1:]
            self.producer.publish(Record(topic, camera, value))
            self._sent += 1
        self.now = until

    def settle(self) -> None:
        """Runs until nothing moves any more, with everything sent."""
        while self.sending:
            self.step()
        idle = 0
        while idle < 50:
            for stage in self.runners:
                if not self.runners[stage]:
                    self.start(stage)
            idle = 0 if self.turn() else idle + 1
            self.now += 0.04

    def _watch(self) -> None:
        for message in self.watcher.poll(0, 1000):
            topic, value = message.record.topic, message.record.value
            if topic is VIDEO_RENDERED:
                self.rendered.append((pb.RenderedMessage.FromString(value), message.record.attachment))
            elif topic is REDACTIONS:
                body = pb.RedactionsMessage.FromString(value)
                if body.HasField("span"):
                    self.spans.append(body.span)
            elif topic is METADATA_TRACKS:
                self.tracks.append(pb.TrackRecord.FromString(value))
            else:
                self.stats.append(pb.StatsRecord.FromString(value))

    def _plan(self) -> list[tuple[float, Topic, str, bytes]]:
        """When each message of each camera is sent."""
        plan: list[tuple[float, Topic, str, bytes]] = []
        units = film(self.frames, self.gop, self.b_frames)
        for number in range(self.cameras):
            camera, epoch = f"cam-{number}", EPOCH + number
            start = EPOCH / 1e6 + number * 0.013
            end = pb.EndOfStream(camera_id=camera, epoch=epoch, frames=self.frames, reason=pb.EndOfStream.FINISHED)
            for place, (seq, keyframe, payload) in enumerate(units):
                at = start + place / RATE
                body = self._unit(camera, epoch, seq, keyframe, payload, at)
                plan.append((at, VIDEO_SOURCE, camera, pb.SourceMessage(unit=body).SerializeToString()))
            looks = list(range(0, self.frames, self.every))
            for previous, seq in zip([None, *looks], looks, strict=False):
                at = start + (seq + self.b_frames) / RATE + 0.05
                look = self._look(camera, epoch, number, seq, previous)
                plan.append((at, DETECTIONS, camera, pb.DetectionsMessage(detections=look).SerializeToString()))
            over = start + (self.frames + self.b_frames) / RATE + 0.1
            plan.append((over, VIDEO_SOURCE, camera, pb.SourceMessage(end=end).SerializeToString()))
            plan.append((over, DETECTIONS, camera, pb.DetectionsMessage(end=end).SerializeToString()))
        return sorted(plan, key=lambda entry: entry[0])

    def _unit(self, camera: str, epoch: int, seq: int, keyframe: bool, payload: bytes, at: float) -> pb.AccessUnit:
        stream = pb.StreamInfo(
            codec="h264",
            width=WIDTH,
            height=HEIGHT,
            coded_width=WIDTH,
            coded_height=HEIGHT,
            time_base_num=1,
            time_base_den=RATE,
            frame_rate=RATE,
            live=self.live,
        )
        return pb.AccessUnit(
            camera_id=camera,
            epoch=epoch,
            seq=seq,
            keyframe=keyframe,
            pts=seq,
            duration=1,
            captured_us=int(at * 1e6),
            stream=stream if keyframe else None,
            inline=payload,
            trace=[pb.Hop(stage="decoder", received_us=int(at * 1e6), sent_us=int(at * 1e6))],
        )

    def _look(self, camera: str, epoch: int, number: int, seq: int, previous: int | None) -> pb.Detections:
        found = walkers(number, seq)
        boxes = pb.Boxes(
            xyxy=[value for row in found for value in row[:4]],
            score=[row[4] for row in found],
            kind=[pb.KIND_FACE] * len(found),
        )
        return pb.Detections(
            camera_id=camera,
            epoch=epoch,
            seq=seq,
            has_previous=previous is not None,
            previous_seq=previous or 0,
            pts=seq,
            source_width=WIDTH,
            source_height=HEIGHT,
            time_base_num=1,
            time_base_den=RATE,
            frame_rate=RATE,
            captured_us=EPOCH,
            results=[pb.DetectorResult(detector="face", status=pb.DetectorResult.RAN, boxes=boxes)],
        )


@dataclass
class View:
    """What an encoder makes of `video.rendered`: each frame once, the first of its identity.

    Attributes:
        frames: camera → its frames in order, with their pixels.
        repeats: frames that were delivered again.
        altered: those of them that look otherwise than the first time, as camera and number.
        early_ends: cameras whose end came before their last frame.
    """

    frames: dict[str, list[tuple[pb.RenderedFrame, NDArray[np.uint8] | None]]]
    repeats: int
    altered: list[tuple[str, int]]
    early_ends: set[str]

    def closed(self, camera: str) -> list[int]:
        return [frame.seq for frame, _ in self.frames[camera] if frame.closed]

    @property
    def closed_frames(self) -> int:
        return sum(len(self.closed(camera)) for camera in self.frames)


def view(world: World) -> View:
    """The deduplicated frames, in the order in which they came."""
    frames: dict[str, list[tuple[pb.RenderedFrame, NDArray[np.uint8] | None]]] = defaultdict(list)
    ended: set[str] = set()
    pictures: dict[tuple[str, int], NDArray[np.uint8] | None] = {}
    repeats = 0
    altered: list[tuple[str, int]] = []
    early: set[str] = set()
    for message, pixels in world.rendered:
        if message.HasField("end"):
            ended.add(message.end.camera_id)
        elif message.HasField("frame"):
            frame = message.frame
            own = frames[frame.camera_id]
            if own and frame.seq <= own[-1][0].seq:
                repeats += 1
                if not np.array_equal(pixels, pictures[frame.camera_id, frame.seq]):
                    altered.append((frame.camera_id, frame.seq))
                continue
            if frame.camera_id in ended:
                early.add(frame.camera_id)
            own.append((frame, pixels))
            pictures[frame.camera_id, frame.seq] = pixels
    assert len(ended) == world.cameras, "every camera's end came"
    return View(frames, repeats, altered, early)


@cache
def undisturbed(live: bool, cameras: int, frames: int, gop: int, b_frames: int) -> View:
    """The same cameras with nobody dying."""
    world = World(cameras=cameras, frames=frames, live=live, gop=gop, b_frames=b_frames)
    world.start("tracker")
    world.start("renderer")
    world.settle()
    return view(world)


def reference_of(world: World) -> View:
    return undisturbed(world.live, world.cameras, world.frames, world.gop, world.b_frames)


def masked(pixels: NDArray[np.uint8] | None) -> NDArray[np.bool_]:
    """Where a solid mask may be: luma of exactly its black."""
    assert pixels is not None
    return pixels[:HEIGHT] == SOLID


def run(world: World, act: Callable[[World], None]) -> View:
    """Steps through the whole film, with something happening before each step."""
    world.start("tracker")
    world.start("renderer")
    while world.sending:
        act(world)
        world.step(world.random.randint(1, 5))
    world.settle()
    return view(world)


def first_answers(spans: Sequence[pb.RedactionSpan]) -> Mapping[tuple[str, int], pb.RedactionSpan]:
    """What readers go by: the first span that holds each frame."""
    first: dict[tuple[str, int], pb.RedactionSpan] = {}
    for span in spans:
        for seq in range(span.first_seq, span.last_seq + 1):
            first.setdefault((span.camera_id, seq), span)
    return first
