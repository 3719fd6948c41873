"""I6 across restarts: killed anywhere, the encoder goes on where video.redacted ends, and the whole stream decodes."""

import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.bus.interface import Message, Position, Record, Start, TopicPartition
from services.bus.memory import MemoryBus
from services.bus.topics import VIDEO_REDACTED, VIDEO_RENDERED
from services.encoder.settings import EncoderSettings
from services.encoder.stage import EncoderStage
from services.media.planar_jpeg import PlanarJpegEncoder
from services.media.sink import Target
from services.policy.book import StaticPolicyBook
from services.policy.model import Policy
from services.runtime.runner import Runner
from services.runtime.settings import RunnerSettings
from services.runtime.stage import Emission
from services.schema import pb
from tests.support.annexb import decoded
from tests.support.dying import DyingBus, Killed
from tests.support.redacted import times_of, tone
from tests.support.rendered import EPOCH, Messages, end_of, frame, luma_of, picture

TIME_BASE = Fraction(1, 12800)
ON_A_BROKER = EncoderSettings(keyframe_s=0.5, reorder=False)
CAMERAS = ("gate", "hall", "yard")  # in two partitions
FRAMES = 40
JPEGS = [PlanarJpegEncoder(90).encode(picture(seq)) for seq in range(FRAMES)]


def a_bus() -> MemoryBus:
    return MemoryBus(2, {VIDEO_RENDERED: ("encoder",), VIDEO_REDACTED: ("never commits",)})


def rendered(seq: int, camera: str, *, live: bool, epoch: int = EPOCH) -> pb.RenderedFrame:
    # Every eleventh time stands still, as a broken camera's does: the encoder moves it on by a tick.
    pts = 512 * (seq - (seq % 11 == 10))
    return frame(seq, pts, TIME_BASE, camera_id=camera, epoch=epoch, duration=512, jpeg=JPEGS[seq], live=live)


def feed(bus: MemoryBus, *bodies: pb.RenderedFrame | pb.AudioUnit | pb.EndOfStream) -> None:
    producer = bus.producer()
    for body in bodies:
        message = pb.RenderedMessage()
        {pb.RenderedFrame: message.frame, pb.AudioUnit: message.audio, pb.EndOfStream: message.end}[
            type(body)
        ].CopyFrom(body)
        producer.publish(Record(VIDEO_RENDERED, body.camera_id, message.SerializeToString()))


def sent(bus: MemoryBus) -> list[pb.RedactedMessage]:
    reader = bus.reader(VIDEO_REDACTED, Start("oldest"))
    messages = []
    while not reader.caught_up:
        messages += reader.poll(0)
    return [pb.RedactedMessage.FromString(message.record.value) for message in messages]


def run(stage: EncoderStage, messages: Sequence[Message]) -> list[Emission]:
    out: list[Emission] = []
    for message in messages:
        stage.submit(message)
        while emissions := stage.completed():
            out += emissions
    return out


def run_until_killed(bus: MemoryBus, uses: int, commit_every_s: float = 0.0) -> None:
    """One life of an encoder, which ends after it has used the bus so often."""
    pace = RunnerSettings(
        commit_every_s=commit_every_s, poll_records=7, idle_min_s=1e-6, idle_max_s=1e-6, rest_max_s=1e-6
    )
    runner = Runner(EncoderStage(ON_A_BROKER, {}), DyingBus(bus, uses), pace)
    with pytest.raises(Killed):
        runner.run(threading.Event())


@settings(max_examples=12, deadline=None)
@given(
    kills=st.lists(st.integers(1, 90), max_size=6),
    live=st.booleans(),
    commit_every_s=st.sampled_from([0.0, 0.01, 60.0]),
)
def test_i6_killed_anywhere_each_frame_is_there_once_in_order_and_decodes(
    kills: list[int], live: bool, commit_every_s: float
) -> None:
    bus = a_bus()
    for seq in range(FRAMES):
        feed(bus, *(rendered(seq, camera, live=live) for camera in CAMERAS))
    feed(bus, *(pb.EndOfStream(camera_id=camera, epoch=EPOCH, frames=FRAMES, reason=1) for camera in CAMERAS))
    for uses in kills:
        run_until_killed(bus, uses, commit_every_s)
    run_until_killed(bus, 400)

    by_camera: dict[str, list[pb.RedactedMessage]] = defaultdict(list)
    for message in sent(bus):
        by_camera[getattr(message, message.WhichOneof("body")).camera_id].append(message)
    assert by_camera.keys() == set(CAMERAS)
    for messages in by_camera.values():
        units = [message.unit for message in messages[:-1]]
        assert [unit.seq for unit in units] == list(range(FRAMES))
        assert messages[-1].HasField("end")
        times = [(unit.pts, unit.dts) for unit in units]
        assert times == sorted(times)
        assert len({pts for pts, _ in times}) == len({dts for _, dts in times}) == FRAMES
        pictures = decoded([unit.payload for unit in units])
        assert len(pictures) == FRAMES
        for seq, planes in enumerate(pictures):
            assert abs(float(planes[:40].mean()) - luma_of(seq)) < 4, f"frame {seq} shows another's picture"


def test_i6_the_first_new_picture_is_an_idr_with_parameter_sets() -> None:
    bus = a_bus()
    feed(bus, *(rendered(seq, "gate", live=True) for seq in range(20)))
    run_until_killed(bus, 15, commit_every_s=60)
    before = len(sent(bus))
    assert 3 < before < 20
    run_until_killed(bus, 100)
    units = [message.unit for message in sent(bus)]
    assert [unit.seq for unit in units] == list(range(20))
    assert [unit.seq for unit in units if unit.keyframe] == [0, before]
    assert len(decoded([unit.payload for unit in units[before:]])) == 20 - before


def test_i6_sound_and_the_end_go_out_once_after_a_restart() -> None:
    book = StaticPolicyBook(default=Policy.model_validate({"name": "p", "sound": "keep"}))
    audio = tone(0.4)
    first = EncoderStage(ON_A_BROKER, {}, book)
    messages = Messages()
    bodies = [rendered(seq, "gate", live=True) for seq in range(5)]
    source = messages.all([*bodies, *audio, end_of(5)])
    emitted = run(first, source)
    assert len(emitted) == len(source)

    for known in range(len(emitted) + 1):
        resumed = EncoderStage(ON_A_BROKER, {}, book)
        for emission in emitted[:known]:
            [record] = emission.records
            resumed.remember(Message(record, Position(TopicPartition(VIDEO_REDACTED.name, 0), 0), 0))
        again = run(resumed, source)
        records = [record for emission in [*emitted[:known], *again] for record in emission.records]
        whole = [pb.RedactedMessage.FromString(record.value) for record in records]
        assert [message.unit.seq for message in whole if message.HasField("unit")] == list(range(5))
        assert [message.audio.index for message in whole if message.HasField("audio")] == list(range(len(audio)))
        assert sum(message.HasField("end") for message in whole) == 1
        assert whole[-1].HasField("end")
        assert [position for emission in again for position in emission.done] == [m.position for m in source]


@pytest.mark.parametrize(
    ("live", "location", "left", "resumed"),
    [
        (True, "out.mp4", "out-20231114T221320000000Z.mp4", "out-from-7-20231114T221320000000Z.mp4"),
        (False, "out.mp4", "out.mp4.part", "out-from-7.mp4"),
        (False, "hls/index.m3u8", "hls.part", "hls-from-7"),
        (True, "hls/index.m3u8", "hls", "hls"),
    ],
)
def test_what_another_encoder_has_written_of_an_epoch_stays(
    live: bool, location: str, left: str, resumed: str, tmp_path: Path
) -> None:
    """The camera's partition goes, and its rest is written beside what was written, by whoever takes it over."""
    targets = {"gate": [Target.parse(str(tmp_path / location))]}
    messages = Messages()
    first = EncoderStage(ON_A_BROKER, targets)
    run(first, messages.all([rendered(seq, "gate", live=live) for seq in range(7)]))
    first.forget([TopicPartition(VIDEO_RENDERED.name, 0)])
    assert [file.name for file in tmp_path.iterdir()] == [left]
    second = EncoderStage(ON_A_BROKER, targets)
    run(second, messages.all([*(rendered(seq, "gate", live=live) for seq in range(7, 20)), end_of(20)]))
    assert not second.failures
    assert {file.name for file in tmp_path.iterdir()} == {left, resumed}
    if location == "out.mp4":
        assert (len(times_of(tmp_path / left)), len(times_of(tmp_path / resumed))) == (7, 13)


def test_i6_what_no_encoder_sent_teaches_nothing() -> None:
    stage, messages = EncoderStage(ON_A_BROKER, {}, clock=lambda: EPOCH), Messages()
    far = pb.RedactedUnit(camera_id="gate", epoch=EPOCH + 3_600_000_001, seq=9)
    other = pb.RedactedUnit(camera_id="yard", epoch=EPOCH, seq=9)
    values = [b"\xff", b"", *(pb.RedactedMessage(unit=unit).SerializeToString() for unit in (far, other))]
    for value in values:
        stage.remember(
            Message(Record(VIDEO_REDACTED, "gate", value), Position(TopicPartition("video.redacted", 0), 0), 0)
        )
    assert len(run(stage, [messages(rendered(0, "gate", live=True))])[0].records) == 1


def test_i6_cameras_move_between_two_encoders() -> None:
    """A second encoder comes and goes, twice, while frames come: nothing is lost, doubled or undecodable."""
    bus = a_bus()
    lives = [Life(bus)]
    for seq in range(FRAMES):
        feed(bus, *(rendered(seq, camera, live=True) for camera in CAMERAS))
        if seq in (6, 22):
            lives.append(Life(bus))
        elif seq in (14, 30):
            lives.pop().end()
        time.sleep(0.01)
    deadline = time.monotonic() + 10
    while len(sent(bus)) < FRAMES * len(CAMERAS) and time.monotonic() < deadline:
        time.sleep(0.01)
    for life in lives:
        life.end()
    for camera in CAMERAS:
        units = [message.unit for message in sent(bus) if message.unit.camera_id == camera]
        assert [unit.seq for unit in units] == list(range(FRAMES))
        assert len(decoded([unit.payload for unit in units])) == FRAMES


class Life:
    """An encoder at work in a thread."""

    def __init__(self, bus: MemoryBus) -> None:
        self.stop = threading.Event()
        self.error: BaseException | None = None
        # Keyframes are so rare that none comes by itself: what moves starts with one, or doesn't decode.
        stage = EncoderStage(EncoderSettings(keyframe_s=30, reorder=False), {})
        runner = Runner(stage, bus, RunnerSettings(commit_every_s=0.02))
        self.thread = threading.Thread(target=self.run, args=(runner,))
        self.thread.start()

    def run(self, runner: Runner) -> None:
        try:
            runner.run(self.stop)
        except BaseException as error:
            self.error = error

    def end(self) -> None:
        self.stop.set()
        self.thread.join(10)
        assert not self.thread.is_alive()
        assert self.error is None
