"""Garbage on video.rendered: it is refused, or encoded; never does the encoder stumble or grow over it."""

import math
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.bus.interface import InvalidMessage, Message, Position, Record, TopicPartition
from services.bus.topics import VIDEO_RENDERED
from services.encoder.outputs import Outputs
from services.encoder.settings import EncoderSettings
from services.encoder.stage import EncoderStage
from services.media.planar_jpeg import PlanarJpegEncoder
from services.policy.book import StaticPolicyBook
from services.policy.model import Policy
from services.runtime.stage import Backpressure
from services.schema import pb
from tests.support.rendered import CAMERA, EPOCH, Messages, frame, picture, planes

TIME_BASE = Fraction(1, 12800)
SETTINGS = EncoderSettings(preset="ultrafast", reorder=False, queue_mb=1)
KEEPS_SOUND = StaticPolicyBook(default=Policy.model_validate({"name": "p", "sound": "keep"}))
JPEG = PlanarJpegEncoder(80).encode(picture(0))
LARGER = PlanarJpegEncoder(80).encode(picture(0, 640, 480))
HUGE = 10**9

_INT64 = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-2, 1000), st.sampled_from([2**53, -(2**53), 2**62]))
_UINT64 = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 50), st.sampled_from([EPOCH, EPOCH + 1]))
_UINT32 = st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 2, 6, 96, 160, 12800, HUGE, 2**31 - 1]))
_FLOAT = st.one_of(st.floats(width=32), st.sampled_from([25.0, 0.0, math.nan, math.inf, -1.0]))
_PIXELS = st.sampled_from(["jpeg", "attached", "dropped", "rubbish", "none"])


def message_of(value: bytes, key: str = CAMERA, offset: int = 0) -> Message:
    return Message(Record(VIDEO_RENDERED, key, value), Position(TopicPartition("video.rendered", 0), offset), 0)


def offer(stage: EncoderStage, message: Message) -> bool:
    """Whether it was taken. Whatever else is raised than what a stage may raise fails the test."""
    try:
        stage.submit(message)
    except (InvalidMessage, Backpressure):
        return False
    stage.completed()
    return True


@settings(max_examples=300, deadline=None)
@given(value=st.binary(max_size=200))
@example(b"")
@example(b"\x0a\x00")
def test_random_bytes(value: bytes) -> None:
    assert not offer(EncoderStage(SETTINGS, {}), message_of(value))


@settings(max_examples=150, deadline=None)
@given(data=st.data(), pixels=_PIXELS, sane=st.sets(st.sampled_from(["size", "base", "rate", "times", "identity"])))
def test_absurd_frames(data: st.DataObject, pixels: str, sane: set[str]) -> None:
    """Any field may be absurd; those named in `sane` are not, so that the others are reached."""
    stage = EncoderStage(SETTINGS, {}, clock=lambda: EPOCH)
    offer(stage, Messages()(frame(0, 0, TIME_BASE, live=data.draw(st.booleans()))))
    for offset in (1, 2, 3):
        body = frame(data.draw(_UINT64), 512, TIME_BASE)
        if "identity" not in sane:
            body.epoch = data.draw(_UINT64)
        else:
            body.seq = data.draw(st.integers(0, 9))
        if "size" not in sane:
            body.width, body.height = data.draw(_UINT32), data.draw(_UINT32)
        if "base" not in sane:
            body.time_base_num, body.time_base_den = data.draw(_UINT32), data.draw(_UINT32)
        if "rate" not in sane:
            body.frame_rate = data.draw(_FLOAT)
        if "times" not in sane:
            body.pts, body.duration, body.captured_us = (data.draw(_INT64) for _ in range(3))
        attachment = planes(0) if pixels == "attached" else None
        if pixels == "jpeg":
            body.jpeg = JPEG
        elif pixels == "rubbish":
            body.jpeg = data.draw(st.binary(max_size=50))
        elif pixels == "dropped":
            body.dropped = True
        elif pixels == "none":
            body.ClearField("attached")
        value = pb.RenderedMessage(frame=body).SerializeToString()
        position = Position(TopicPartition("video.rendered", 0), offset)
        offer(stage, Message(Record(VIDEO_RENDERED, CAMERA, value, attachment), position, 0))
    stage.close()
    stage.join(1)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_absurd_sound_and_ends(data: st.DataObject) -> None:
    stage = EncoderStage(SETTINGS, {}, KEEPS_SOUND, clock=lambda: EPOCH)
    messages = Messages()
    offer(stage, messages(frame(0, 0, TIME_BASE)))
    sound = pb.AudioUnit(
        camera_id=CAMERA,
        epoch=data.draw(st.sampled_from([EPOCH, EPOCH + 1, 2**64 - 1])),
        index=data.draw(_UINT64),
        pts=data.draw(_INT64),
        dts=data.draw(_INT64),
        time_base_num=data.draw(_UINT32),
        time_base_den=data.draw(_UINT32),
        codec=data.draw(st.sampled_from(["", "aac", "nonsense"])),
        sample_rate=data.draw(_UINT32),
        channels=data.draw(_UINT32),
        inline=b"x",
    )
    end = pb.EndOfStream(camera_id=CAMERA, epoch=data.draw(_UINT64), frames=data.draw(_UINT64))
    offer(stage, messages(sound))
    offer(stage, messages(end))
    offer(stage, messages(frame(1, 512, TIME_BASE)))
    stage.join(1)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"width": HUGE, "height": HUGE}, "a frame of 1000000000×1000000000"),
        ({"width": 16384, "height": 16384}, "a frame of 16384×16384"),
        ({"width": 161}, "a frame of 161×96"),
        ({"width": 2, "height": 2}, "a frame of 2×2"),
        ({"time_base_num": 0}, "without time base"),
        ({"time_base_num": 11, "time_base_den": 1}, "a tick of 11 s"),
        ({"time_base_den": 2**31}, "without time base"),
        ({"pts": 2**60}, "at no possible time"),
        ({"duration": -(2**63)}, "at no possible time"),
        ({"epoch": EPOCH + 3_600_000_001}, "an epoch that lies in the future"),
        ({"camera_id": "other"}, "the camera_id is not the key"),
        ({"camera_id": ""}, "the camera_id is not the key"),
    ],
)
def test_absurd_values_are_named(fields: dict[str, object], reason: str) -> None:
    stage = EncoderStage(SETTINGS, {}, clock=lambda: EPOCH)
    body = frame(0, 0, TIME_BASE, jpeg=JPEG)
    for name, value in fields.items():
        setattr(body, name, value)
    with pytest.raises(InvalidMessage, match=reason):
        stage.submit(message_of(pb.RenderedMessage(frame=body).SerializeToString()))


@pytest.mark.parametrize("rate", [math.nan, math.inf, -math.inf, -1.0, 1e-30, 1e-3, 1e9, 3e38])
@pytest.mark.parametrize("base", [Fraction(1, 12800), Fraction(1, 10**9), Fraction(10)])
def test_a_rate_beyond_reason_is_as_good_as_none(rate: float, base: Fraction) -> None:
    stage, messages = EncoderStage(SETTINGS, {}), Messages()
    for seq in range(2):
        stage.submit(messages(frame(seq, 512 * seq, base, frame_rate=rate)))
        [emission] = stage.completed()
        unit = pb.RedactedMessage.FromString(emission.records[0].value).unit
        assert unit.duration == max(1, round(1 / (25 * base)))


def test_an_epoch_from_the_future_does_not_end_the_running_one() -> None:
    stage, messages = EncoderStage(SETTINGS, {}, clock=lambda: EPOCH), Messages()
    assert offer(stage, messages(frame(0, 0, TIME_BASE)))
    assert not offer(stage, messages(frame(0, 0, TIME_BASE, epoch=2**63)))
    assert not offer(stage, messages(pb.EndOfStream(camera_id=CAMERA, epoch=2**63)))
    stage.submit(messages(frame(1, 512, TIME_BASE)))
    [emission] = stage.completed()
    assert len(emission.records) == 1


def _resized(width: int, height: int) -> bytes:
    at = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + JPEG[at + 4 :]


@pytest.mark.parametrize(
    "jpeg",
    [_resized(65500, 65500), JPEG[:-2] + _resized(65500, 65500)[2:], LARGER],
    ids=["huge", "huge behind a good one", "larger than its frame"],
)
def test_i7_a_jpeg_that_says_it_is_larger_than_its_frame_gets_no_memory(jpeg: bytes) -> None:
    stage = EncoderStage(SETTINGS, {})
    body = frame(0, 0, TIME_BASE, jpeg=jpeg)
    with pytest.raises(InvalidMessage, match="JPEG can't be decoded"):
        stage.submit(message_of(pb.RenderedMessage(frame=body).SerializeToString()))


def test_i7_a_jpeg_counts_as_large_as_its_picture() -> None:
    stage = EncoderStage(SETTINGS, {})
    body = frame(0, 0, TIME_BASE, width=640, height=480, jpeg=LARGER)
    value = pb.RenderedMessage(frame=body).SerializeToString()
    assert len(value) < 50_000
    for _ in range(2):
        stage.submit(message_of(value))
    with pytest.raises(Backpressure):
        stage.submit(message_of(value))


def test_i7_the_number_of_open_encoders_is_bounded() -> None:
    stage = EncoderStage(EncoderSettings(preset="ultrafast", reorder=False, cameras_max=3), {})
    messages = Messages()
    keyframes = []
    for number, camera in enumerate(["a", "b", "c", "a", "d", "b", "a"]):
        stage.submit(messages(frame(number, 512 * number, TIME_BASE, camera_id=camera)))
        [*_, emission] = stage.completed()
        keyframes.append(pb.RedactedMessage.FromString(emission.records[0].value).unit.keyframe)
        assert len(stage._epochs) <= 3
    assert keyframes == [True, True, True, False, True, True, False], "b was silent for longest when d came"


def test_i7_what_waits_for_sound_is_bounded() -> None:
    """Sound is waited for in the stream's time, which may stand still."""
    opened: list[int] = []

    def opening(*_: object) -> object:
        opened.append(len(opened))
        raise AssertionError("no target asks for it")

    outputs = Outputs([], True, True, 10.0, opening, print)  # type: ignore[arg-type]
    unit = pb.RedactedUnit(time_base_num=1, time_base_den=12800, payload=bytes(100_000))
    for _ in range(200):
        outputs.write(unit)
    assert outputs._held is None
    silent = Outputs([], True, True, 10.0, opening, print)  # type: ignore[arg-type]
    for index in range(200):
        silent.write_audio(pb.AudioUnit(index=index, inline=bytes(100_000)))
    assert sum(len(unit.inline) for unit in silent._held_audio) <= 8 << 20
    assert silent._held_audio[-1].index == 199


def test_the_trace_tells_of_each_stage() -> None:
    now = iter(range(EPOCH, EPOCH + 100))
    stage = EncoderStage(SETTINGS, {}, clock=lambda: next(now))
    hops = [pb.Hop(stage="decoder", received_us=1, sent_us=2), pb.Hop(stage="renderer", received_us=3, sent_us=4)]
    stage.submit(Messages()(frame(0, 0, TIME_BASE, trace=hops, captured_us=1)))
    [emission] = stage.completed()
    unit = pb.RedactedMessage.FromString(emission.records[0].value).unit
    assert list(unit.trace[:2]) == hops
    assert [(hop.stage, hop.received_us, hop.sent_us) for hop in unit.trace[2:]] == [("encoder", EPOCH, EPOCH + 1)]
