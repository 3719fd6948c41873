"""The encoder stage: identity and order, duplicates, gaps, epochs, ends, outputs that fail, sound, counts."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import pytest

from services.bus.interface import InvalidMessage, Message, Position
from services.encoder.settings import EncoderSettings
from services.encoder.stage import EncoderStage
from services.media.marking import is_marked
from services.media.planar_jpeg import PlanarJpegEncoder
from services.media.sink import Sink, SinkError, Target
from services.policy.book import StaticPolicyBook
from services.policy.model import Policy
from services.runtime.stage import Backpressure, Emission
from services.schema import pb
from tests.support.redacted import TIMELINES, times_of, tone
from tests.support.rendered import CAMERA, EPOCH, Messages, end_of, frame, frames, luma_of, picture, planes

TIME_BASE = Fraction(1, 12800)
CODE = pb.Closing(reason=pb.Closing.SPAN_LATE)
SETTINGS = EncoderSettings(preset="ultrafast", keyframe_s=0.5)
STOPPED, LOST = pb.EndOfStream.STOPPED, pb.EndOfStream.LOST


class MemorySink:
    """Keeps what it is given; fails where it is told to."""

    shed = faults = 0
    done = True

    def __init__(self, target: Target, audio: pb.AudioUnit | None, *, fails: bool) -> None:
        self.name, self.audio, self.fails = target.location, audio, fails
        self.units: list[pb.RedactedUnit] = []
        self.sound: list[pb.AudioUnit] = []
        self.state = "open"

    def write(self, unit: pb.RedactedUnit) -> None:
        if self.fails and len(self.units) == 3:
            raise SinkError(f"can't write {self.name}: the disk is full")
        self.units.append(unit)

    def write_audio(self, unit: pb.AudioUnit) -> None:
        self.sound.append(unit)

    def finish(self) -> None:
        self.state = "finished"

    def abort(self) -> None:
        self.state = "aborted"

    def join(self, timeout_s: float) -> None:
        pass


class Sinks:
    """Opens memory sinks and remembers them."""

    def __init__(self, failing: Sequence[str] = ()) -> None:
        self.failing = failing
        self.opened: list[MemorySink] = []

    def __call__(self, target: Target, video: pb.RedactedUnit, audio: pb.AudioUnit | None, live: bool) -> Sink:
        sink = MemorySink(target, audio, fails=target.location in self.failing)
        self.opened.append(sink)
        return sink


def stage_with(sinks: Sinks, locations: Sequence[str] = ("a.mp4",), **arguments: object) -> EncoderStage:
    targets = {CAMERA: [Target.parse(location) for location in locations]}
    return EncoderStage(SETTINGS, targets, open_sink=sinks, **arguments)  # type: ignore[arg-type]


def run(stage: EncoderStage, messages: Sequence[Message]) -> list[Emission]:
    out: list[Emission] = []
    for message in messages:
        stage.submit(message)
        while emissions := stage.completed():
            out += emissions
    return out


def units_of(emissions: Sequence[Emission]) -> list[pb.RedactedUnit]:
    bodies = [pb.RedactedMessage.FromString(record.value) for emission in emissions for record in emission.records]
    return [body.unit for body in bodies if body.HasField("unit")]


def done_of(emissions: Sequence[Emission]) -> list[Position]:
    return [position for emission in emissions for position in emission.done]


def line_of(count: int, **fields: object) -> list[pb.RenderedFrame]:
    return frames([512 * i for i in range(count)], TIME_BASE, 512, **fields)


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
@pytest.mark.parametrize("name", TIMELINES)
def test_every_frame_comes_out_once_with_its_times(name: str, live: bool) -> None:
    time_base, times, last = TIMELINES[name]
    source = frames(times, time_base, last, live=live)
    units = units_of(run(stage_with(Sinks()), Messages().all([*source, end_of(len(source))])))
    assert sorted(unit.seq for unit in units) == list(range(len(source)))
    for unit in units:
        assert (unit.camera_id, unit.epoch) == (CAMERA, EPOCH)
        assert (unit.pts, unit.duration) == (source[unit.seq].pts, source[unit.seq].duration)
        assert (unit.width, unit.height) == (160, 96)
    assert all(is_marked(unit.payload) for unit in units if unit.keyframe)


def test_a_position_is_done_when_its_access_unit_is_published() -> None:
    stage, messages = stage_with(Sinks()), Messages()
    early = run(stage, messages.all(line_of(20)))
    assert 0 < len(units_of(early)) < 20
    late = run(stage, messages.all([end_of(20)]))
    for emission in early + late:
        assert len(emission.records) == len(emission.done) == 1
    done = done_of(early + late)[:-1]
    assert [position.offset for position in done] == [unit.seq for unit in units_of(early + late)]


def test_i6_duplicates_are_dropped_by_identity() -> None:
    sinks = Sinks()
    stage, messages = stage_with(sinks), Messages()
    source = line_of(20, live=True)
    older = frame(3, 3, TIME_BASE, epoch=EPOCH - 1, live=True)
    again = [*source[:12], *source[5:12], older, *source[10:], end_of(20), source[19], end_of(20)]
    emissions = run(stage, messages.all(again))
    assert [unit.seq for unit in units_of(emissions)] == list(range(20))
    assert sorted(position.offset for position in done_of(emissions)) == list(range(len(again)))
    assert sum(len(emission.records) for emission in emissions) == 21
    assert [unit.seq for unit in sinks.opened[0].units] == list(range(20))


def test_a_dropped_frame_lengthens_the_picture_before_it(tmp_path: Path) -> None:
    source = line_of(30)
    for seq in (0, 10, 11, 28, 29):
        source[seq] = frame(seq, 512 * seq, TIME_BASE, duration=512, dropped=True)
    stage = EncoderStage(SETTINGS, {CAMERA: [Target.parse(str(tmp_path / "out.mp4"))]})
    emissions = run(stage, Messages().all([*source, end_of(30)]))
    durations = {unit.seq: unit.duration for unit in units_of(emissions)}
    assert sorted(durations) == [seq for seq in range(30) if seq not in (0, 10, 11, 28, 29)]
    assert {seq: ticks for seq, ticks in durations.items() if ticks != 512} == {9: 3 * 512, 27: 3 * 512}
    assert len(done_of(emissions)) == 31
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.duration * stream.time_base == Fraction(29, 25)
    assert times_of(tmp_path / "out.mp4")[0] == Fraction(1, 25)


def test_closed_frames_and_masks_are_passed_on() -> None:
    masks = [pb.MaskCount(kind=pb.KIND_FACE, count=2), pb.MaskCount(kind=pb.KIND_PLATE, count=1)]
    source = [*line_of(4, masks=masks), frame(4, 4 * 512, TIME_BASE, closed=True, why="late", closing=CODE)]
    stage = stage_with(Sinks())
    by_seq = {unit.seq: unit for unit in units_of(run(stage, Messages().all([*source, end_of(5)])))}
    assert [(by_seq[seq].closed, by_seq[seq].why) for seq in (3, 4)] == [(False, ""), (True, "late")]
    assert (by_seq[3].HasField("closing"), by_seq[4].closing) == (False, CODE)
    assert list(by_seq[3].masks) == masks


def test_times_that_stand_still_or_run_backwards_are_mended() -> None:
    times = [0, 512, 512, 300, 2048]
    source = [frame(seq, pts, TIME_BASE, duration=512) for seq, pts in enumerate(times)]
    units = units_of(run(stage_with(Sinks()), Messages().all([*source, end_of(5)])))
    assert sorted((unit.seq, unit.pts) for unit in units) == [(0, 0), (1, 512), (2, 513), (3, 514), (4, 2048)]


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
def test_a_new_size_starts_with_a_keyframe_and_plays(tmp_path: Path, live: bool) -> None:
    small = line_of(20, live=live)
    # Ten times slower: decoding times of a new encoder begin as far ahead of its pictures as these are apart.
    times = [512 * 20 + 5120 * i for i in range(20)]
    large = frames(times, TIME_BASE, 5120, live=live, width=192, height=128)
    for later in large:
        later.seq += 20
    stage = EncoderStage(EncoderSettings(), {CAMERA: [Target.parse(str(tmp_path / "out.mkv"))]})
    units = units_of(run(stage, Messages().all([*small, *large, end_of(40)])))
    by_seq = {unit.seq: unit for unit in units}
    assert by_seq[20].keyframe
    assert (by_seq[19].width, by_seq[20].width) == (160, 192)
    dts = [unit.dts for unit in units]
    assert dts == sorted(set(dts))
    assert stage.failures == {}
    with av.open(str(next(tmp_path.glob("*.mkv")))) as container:
        sizes = [decoded.width for decoded in container.decode(video=0)]
    assert sizes == [160] * 20 + [192] * 20


def test_pictures_in_the_message_are_as_good_as_pictures_beside_it(tmp_path: Path) -> None:
    jpeg = PlanarJpegEncoder(95)
    source = [frame(seq, 512 * seq, TIME_BASE, jpeg=jpeg.encode(picture(seq))) for seq in range(20)]
    stage = EncoderStage(SETTINGS, {CAMERA: [Target.parse(str(tmp_path / "out.mp4"))]})
    run(stage, Messages().all([*source, end_of(20)]))
    with av.open(str(tmp_path / "out.mp4")) as container:
        for seq, decoded in enumerate(container.decode(video=0)):
            assert abs(float(decoded.to_ndarray()[:40].mean()) - luma_of(seq)) < 2


def test_what_is_no_frame_is_refused() -> None:
    stage, messages = stage_with(Sinks()), Messages()
    good = frame(0, 0, TIME_BASE)
    bad = [
        (messages(frame(0, 0, TIME_BASE, jpeg=b"no")), "JPEG can't be decoded"),
        (messages(good, planes(0, 192, 96)), "a 192×96 picture for a 160×96 frame"),
        (messages(good, planes(0)[:-1]), "not an even-sized"),
        (messages(frame(0, 0, Fraction(0))), "without time base"),
        (messages(pb.AudioUnit(camera_id=CAMERA)), "not in the clear"),
    ]
    for message, reason in bad:
        with pytest.raises(InvalidMessage, match=reason):
            stage.submit(message)
    empty = pb.RenderedFrame(camera_id=CAMERA, time_base_num=1, time_base_den=25, width=160, height=96)
    with pytest.raises(InvalidMessage, match="without picture"):
        stage.submit(messages(empty))
    assert stage.completed() == ()


def test_i7_what_waits_is_bounded_in_bytes() -> None:
    stage = EncoderStage(EncoderSettings(queue_mb=1), {})
    pixels = planes(0, 640, 480)
    message = Messages()(frame(0, 0, TIME_BASE, width=640, height=480), pixels)
    stage.submit(message)
    stage.submit(message)
    with pytest.raises(Backpressure):
        stage.submit(message)
    stage.completed()
    stage.submit(message)


def test_one_broken_output_does_not_stop_the_others() -> None:
    sinks = Sinks(failing=["a.mp4"])
    stage = stage_with(sinks, ["a.mp4", "b.mkv"])
    emissions = run(stage, Messages().all([*line_of(20), end_of(20)]))
    assert stage.failures == {CAMERA: "can't write a.mp4: the disk is full"}
    assert [(len(sink.units), sink.state) for sink in sinks.opened] == [(3, "aborted"), (20, "finished")]
    assert len(units_of(emissions)) == 20


def test_an_output_that_can_not_be_opened_is_said(tmp_path: Path) -> None:
    target = Target.parse(str(tmp_path / "none" / "out.mp4"))
    stage = EncoderStage(SETTINGS, {CAMERA: [target]})
    run(stage, Messages().all([*line_of(20), end_of(20)]))
    assert stage.failures == {CAMERA: f"can't write {target.location}: its folder does not exist"}


@pytest.mark.parametrize(
    ("live", "reason", "name"),
    [
        (False, pb.EndOfStream.FINISHED, "out.mp4"),
        (False, STOPPED, "out.mp4.part"),
        (False, None, "out.mp4.part"),
        (True, LOST, "out-20231114T221320000000Z.mp4"),
        (True, STOPPED, "out-20231114T221320000000Z.mp4"),
        (True, None, "out-20231114T221320000000Z.mp4"),
    ],
)
def test_only_what_is_whole_gets_its_name(
    tmp_path: Path, live: bool, reason: pb.EndOfStream.Reason | None, name: str
) -> None:
    """A recording of a live camera is whole whenever it ends; a file only if it was read to its end."""
    stage = EncoderStage(SETTINGS, {CAMERA: [Target.parse(str(tmp_path / "out.mp4"))]})
    source = line_of(40, live=live)
    emissions = run(stage, Messages().all([*source] if reason is None else [*source, end_of(40, reason)]))
    stage.close()
    emissions += stage.join(5)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert sorted(unit.seq for unit in units_of(emissions)) == list(range(40))
    assert len(times_of(tmp_path / name)) == 40


def test_the_end_is_passed_on_last_and_finishes_the_stage() -> None:
    stage, messages = stage_with(Sinks(), expected=[CAMERA, "other"]), Messages()
    emissions = run(stage, messages.all([*line_of(20), end_of(20)]))
    last = pb.RedactedMessage.FromString(emissions[-1].records[0].value)
    assert last.end == end_of(20)
    assert not stage.finished
    run(stage, messages.all([pb.EndOfStream(camera_id="other", epoch=1, reason=STOPPED)]))
    assert stage.finished


def test_a_camera_that_was_lost_is_expected_back() -> None:
    stage, messages = stage_with(Sinks(), expected=[CAMERA]), Messages()
    run(stage, messages.all([*line_of(5, live=True), end_of(5, LOST)]))
    assert not stage.finished
    run(stage, messages.all([*line_of(5, live=True, epoch=EPOCH + 9), end_of(5, STOPPED, EPOCH + 9)]))
    assert stage.finished


def test_a_new_epoch_without_end_of_the_old_one_starts_new_outputs() -> None:
    sinks = Sinks()
    stage, messages = stage_with(sinks), Messages()
    second = line_of(10, live=True, epoch=EPOCH + 1_000_000)
    units = units_of(run(stage, messages.all([*line_of(10, live=True), *second])))
    assert [unit.epoch for unit in units] == [EPOCH] * 10 + [EPOCH + 1_000_000] * 10
    assert units[10].keyframe
    assert [(len(sink.units), sink.state) for sink in sinks.opened] == [(10, "finished"), (10, "open")]


def sound_policy(sound: str) -> StaticPolicyBook:
    return StaticPolicyBook(default=Policy.model_validate({"name": "p", "sound": sound}))


def with_sound(count: int, audio: list[pb.AudioUnit]) -> list[pb.RenderedFrame | pb.AudioUnit]:
    def time(body: pb.RenderedFrame | pb.AudioUnit) -> Fraction:
        return Fraction(body.pts * body.time_base_num, body.time_base_den)

    return sorted([*line_of(count), *audio], key=time)


def test_sound_that_the_policy_keeps_is_in_the_file_in_sync(tmp_path: Path) -> None:
    audio = tone(2.4)
    stage = EncoderStage(SETTINGS, {CAMERA: [Target.parse(str(tmp_path / "out.mp4"))]}, sound_policy("keep"))
    source = with_sound(60, audio)
    emissions = run(stage, Messages().all([source[1], *source[:1], *source[2:], end_of(60)]))
    passed = [pb.RedactedMessage.FromString(record.value) for e in emissions for record in e.records]
    assert sum(message.HasField("audio") for message in passed) >= len(audio) - 1
    heard = times_of(tmp_path / "out.mp4", "audio")
    assert abs(heard[-1] - Fraction(audio[-1].pts, 48000)) <= Fraction(1024, 48000)
    assert times_of(tmp_path / "out.mp4") == [Fraction(i, 25) for i in range(60)]


@pytest.mark.parametrize("book", [None, sound_policy("drop"), StaticPolicyBook()], ids=["none", "drop", "unknown"])
def test_sound_that_no_policy_keeps_goes_nowhere(book: StaticPolicyBook | None) -> None:
    sinks = Sinks()
    stage = stage_with(sinks, policies=book)
    emissions = run(stage, Messages().all([*with_sound(20, tone(0.8)), end_of(20)]))
    passed = [pb.RedactedMessage.FromString(record.value) for e in emissions for record in e.records]
    assert not any(message.HasField("audio") for message in passed)
    assert sinks.opened[0].audio is None
    assert sinks.opened[0].sound == []


def test_late_sound_is_waited_for_only_so_long() -> None:
    sinks = Sinks()
    settings = EncoderSettings(preset="ultrafast", audio_wait_s=0.5)
    stage = EncoderStage(settings, {CAMERA: [Target.parse("a.mp4")]}, sound_policy("keep"), open_sink=sinks)
    messages = Messages()
    source = line_of(14, live=True)
    run(stage, messages.all(source[:13]))
    assert sinks.opened == []
    run(stage, messages.all(source[13:]))
    assert sinks.opened[0].audio is None
    assert [unit.seq for unit in sinks.opened[0].units] == list(range(14))


def test_sound_behind_the_first_pictures_is_still_announced() -> None:
    sinks = Sinks()
    stage = stage_with(sinks, policies=sound_policy("keep"))
    audio = tone(0.4)
    video = line_of(10, live=True)
    run(stage, Messages().all([*video[:5], *audio, *video[5:], audio[3]]))
    [sink] = sinks.opened
    assert sink.audio == audio[0]
    assert sink.sound == audio
    assert [unit.seq for unit in sink.units] == list(range(10))
