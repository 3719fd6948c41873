"""Garbage on detections: refused in a sentence that holds none of it, and the line goes on."""

import math

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.bus.interface import InvalidMessage, Message, Position, Record, TopicPartition
from services.bus.topics import DETECTIONS
from services.runtime.stage import Backpressure
from services.schema import pb
from services.tracker.settings import TrackerSettings
from services.tracker.stage import TrackerStage
from tests.support.book import Book
from tests.unit.tracker.harness import CAMERA, EPOCH, policy

uint64 = st.one_of(
    st.integers(0, 60), st.sampled_from([1 << 20, (1 << 20) + 70, 1 << 39, 1 << 40, 1 << 63, (1 << 64) - 1, EPOCH])
)
int64 = st.one_of(st.integers(0, 60), st.sampled_from([-(1 << 63), (1 << 63) - 1, -1]))
uint32 = st.sampled_from([0, 1, 25, 25, 1280, 1280, 90_000, (1 << 32) - 1])
number = st.one_of(st.floats(0, 1280, width=32), st.floats(width=32), st.sampled_from([math.nan, math.inf, 3e38]))
score = st.one_of(st.floats(0, 1, width=32), number)
boxes = st.one_of(
    st.integers(0, 4).flatmap(
        lambda n: st.builds(
            pb.Boxes,
            xyxy=st.lists(number, min_size=4 * n, max_size=4 * n),
            score=st.lists(score, min_size=n, max_size=n),
            kind=st.lists(st.integers(0, 9), min_size=n, max_size=n),
        )
    ),
    st.builds(
        pb.Boxes, xyxy=st.lists(number, max_size=9), score=st.lists(score, max_size=3), kind=st.lists(st.just(1))
    ),
    st.just(pb.Boxes(xyxy=[100, 100, 140, 150], score=[0.9], kind=[1])),
)
results = st.builds(
    pb.DetectorResult,
    detector=st.sampled_from(["face", "face", "plate", "", "s" * 1000]),
    status=st.sampled_from([0, 1, 1, 1, 2, 3, 4, 9]),
    reason=st.just("secret"),
    boxes=boxes,
)
looks = st.builds(
    pb.Detections,
    camera_id=st.sampled_from([CAMERA, CAMERA, CAMERA, "other", "", "secret" * 100]),
    epoch=st.one_of(st.just(EPOCH), uint64),
    seq=uint64,
    has_previous=st.booleans(),
    previous_seq=uint64,
    pts=int64,
    source_width=uint32,
    source_height=uint32,
    captured_us=int64,
    results=st.lists(results, max_size=3),
    time_base_num=uint32,
    time_base_den=uint32,
    frame_rate=number,
    trace=st.lists(st.builds(pb.Hop, stage=st.sampled_from(["inference", "x" * 3000])), max_size=12),
)
ends = st.builds(pb.EndOfStream, camera_id=st.just(CAMERA), epoch=st.one_of(st.just(EPOCH), uint64), frames=uint64)
messages = st.one_of(
    st.builds(pb.DetectionsMessage, detections=looks).map(lambda body: body.SerializeToString()),
    st.builds(pb.DetectionsMessage, detections=looks).map(lambda body: body.SerializeToString()),
    st.builds(pb.DetectionsMessage, end=ends).map(lambda body: body.SerializeToString()),
    st.binary(max_size=60),
    st.tuples(st.builds(pb.DetectionsMessage, detections=looks), st.integers(1, 40)).map(
        lambda pair: pair[0].SerializeToString()[: -pair[1]]
    ),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(messages, max_size=30), st.lists(st.sampled_from([0.0, 1.0, 400.0]), min_size=30, max_size=30))
def test_garbage_is_refused_and_harms_nobody_else(values: list[bytes], pauses: list[float]) -> None:
    now = 0.0
    config = TrackerSettings(cameras_max=16, tracks_max=20)
    stage = TrackerStage(config, Book(policy()), clock=lambda: now, wall=lambda: EPOCH + int(now * 1e6))
    refusals = []
    for offset, (value, pause) in enumerate(zip(values, pauses, strict=False)):
        record = Record(DETECTIONS, CAMERA, value)
        try:
            stage.submit(Message(record, Position(TopicPartition("detections", 0), offset), 0))
        except InvalidMessage as refusal:
            refusals.append(str(refusal))
        except Backpressure:
            pass
        now += pause
        for emission in stage.completed():
            assert sum(len(record.value) for record in emission.records) < 12_000
    assert all(len(refusal) < 200 and "secret" not in refusal for refusal in refusals)
    good = pb.EndOfStream(camera_id="gate-2", epoch=EPOCH, frames=3)
    record = Record(DETECTIONS, "gate-2", pb.DetectionsMessage(end=good).SerializeToString())
    stage.submit(Message(record, Position(TopicPartition("detections", 1), 0), 0))
    assert [record.key for emission in stage.completed() for record in emission.records] == ["gate-2"] * 2
