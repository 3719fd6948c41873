"""Garbage on either topic: refused in a sentence that holds none of it, and the line goes on."""

import math

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.bus.interface import InvalidMessage, Message, Position, Record, TopicPartition
from services.bus.topics import REDACTIONS, VIDEO_SOURCE, Topic
from services.renderer import RendererSettings, RendererStage
from services.runtime.stage import Backpressure
from services.schema import pb
from tests.support.book import Book
from tests.unit.renderer.harness import CAMERA, EPOCH, make_policy, make_stream
from tests.unit.renderer.test_own_decoding import encode

SECRET = b"\x00\x00\x01secret-pixels"
H264 = [unit.payload for unit in encode(9)]

uint64 = st.one_of(
    st.integers(0, 40), st.sampled_from([1 << 20, (1 << 20) + 2, 1 << 40, 1 << 63, (1 << 64) - 1, EPOCH, EPOCH + 1])
)
int64 = st.one_of(st.integers(0, 40), st.sampled_from([-(1 << 63), (1 << 63) - 1, -1]))
uint32 = st.one_of(st.sampled_from([0, 1, 2, 25, 64, 96, 128, 192, 4096, 1_000_000_000, (1 << 32) - 1]))
number = st.one_of(st.floats(width=32), st.floats(0, 200, width=32), st.sampled_from([math.nan, math.inf, 3e38]))
payload = st.one_of(st.sampled_from([*H264, SECRET, b""]), st.binary(max_size=60))
trace = st.lists(
    st.builds(pb.Hop, stage=st.sampled_from(["decoder", "inference", "x" * 1000]), received_us=int64), max_size=12
)
streams = st.one_of(
    st.just(make_stream(width=192, height=128)),
    st.builds(
        pb.StreamInfo,
        codec=st.sampled_from(["h264", "hevc", "mjpeg", "nonsense", "", "wrapped_avframe", "aac", "rawvideo"]),
        extradata=st.binary(max_size=20),
        width=uint32,
        height=uint32,
        coded_width=uint32,
        coded_height=uint32,
        rotation=uint32,
        time_base_num=uint32,
        time_base_den=uint32,
        frame_rate=number,
        live=st.booleans(),
        full_range=st.booleans(),
    ),
)
epochs = st.one_of(st.just(EPOCH), uint64)
cameras = st.sampled_from([CAMERA, CAMERA, CAMERA, "other", "", "x" * 500])
units = st.builds(
    pb.AccessUnit,
    camera_id=cameras,
    epoch=epochs,
    seq=uint64,
    keyframe=st.booleans(),
    pts=int64,
    dts=int64,
    duration=int64,
    captured_us=int64,
    corrupt=st.booleans(),
    stream=st.one_of(st.none(), streams),
    inline=payload,
    trace=trace,
)
sounds = st.builds(pb.AudioUnit, camera_id=cameras, epoch=epochs, index=uint64, after_seq=uint64, inline=payload)
ends = st.builds(pb.EndOfStream, camera_id=cameras, epoch=epochs, frames=uint64, detail=st.just(str(SECRET)))
segments = st.builds(
    pb.TrackSegment,
    track_id=uint64,
    kind=st.integers(0, 9),
    first=st.lists(number, max_size=5),
    last=st.lists(number, min_size=4, max_size=4),
)
spans = st.builds(
    pb.RedactionSpan,
    camera_id=cameras,
    epoch=epochs,
    first_seq=uint64,
    last_seq=uint64,
    tracks=st.lists(segments, max_size=3),
    coverage=st.sampled_from([0, 1, 1, 1, 2, 7]),
    why=st.sampled_from(["", "w" * 3000]),
    policy=st.sampled_from(["", make_policy().fingerprint]),
    trace=trace,
)
source = st.one_of(
    st.builds(pb.SourceMessage, unit=units),
    st.builds(pb.SourceMessage, audio=sounds),
    st.builds(pb.SourceMessage, end=ends),
).map(lambda body: (VIDEO_SOURCE, body.SerializeToString()))
redactions = st.one_of(st.builds(pb.RedactionsMessage, span=spans), st.builds(pb.RedactionsMessage, end=ends)).map(
    lambda body: (REDACTIONS, body.SerializeToString())
)
junk = st.tuples(st.sampled_from([VIDEO_SOURCE, REDACTIONS]), st.binary(max_size=80))
cut = st.tuples(source, st.integers(0, 40)).map(lambda pair: (pair[0][0], pair[0][1][: -pair[1] or None]))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.one_of(source, redactions, source, redactions, junk, cut), max_size=30),
    st.lists(st.sampled_from([0.0, 0.1, 5.0, 130.0, 400.0]), min_size=30, max_size=30),
    st.sampled_from(["attached", "encoded"]),
)
def test_garbage_is_refused_and_harms_nobody_else(
    messages: list[tuple[Topic, bytes]], pauses: list[float], transport: str
) -> None:
    now = EPOCH / 1e6
    policy = make_policy(sound="keep")
    config = RendererSettings(transport=transport, hold_bytes=1 << 20, cameras_max=16)  # type: ignore[arg-type]
    stage = RendererStage(config, Book(policy), clock=lambda: now)
    sent, refusals = 0, []
    for offset, ((topic, value), pause) in enumerate(zip(messages, pauses, strict=False)):
        position = Position(TopicPartition(topic.name, 0), offset)
        try:
            stage.submit(Message(Record(topic, CAMERA, value), position, 0))
        except InvalidMessage as refusal:
            refusals.append(str(refusal))
        except Backpressure:
            pass
        now += pause
        for emission in stage.completed():
            sent += len(emission.records)
            assert all(len(record.value) < 80_000 for record in emission.records)
    assert sent <= 4 * len(messages)
    assert all(len(refusal) < 200 and "secret" not in refusal for refusal in refusals)
    stage.close()

    good = "gate-2"
    unit = pb.AccessUnit(camera_id=good, epoch=EPOCH, keyframe=True, inline=H264[0], stream=make_stream())
    span = pb.RedactionSpan(camera_id=good, epoch=EPOCH, coverage=pb.INCOMPLETE)
    for topic, body in ((VIDEO_SOURCE, pb.SourceMessage(unit=unit)), (REDACTIONS, pb.RedactionsMessage(span=span))):
        record = Record(topic, good, body.SerializeToString())
        stage.submit(Message(record, Position(TopicPartition(topic.name, 1), 0), 0))
    for _ in range(20_000):
        records = [record for emission in stage.completed() for record in emission.records]
        if any(record.key == good for record in records):
            return
    raise AssertionError("garbage of one camera keeps another one from going out")
