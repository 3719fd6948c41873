"""I6 of renderer and encoder in one process: killed anywhere, it goes on with whole pictures, each frame once."""

import threading
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.bus.interface import Record, Start
from services.bus.memory import MemoryBus
from services.bus.topics import REDACTIONS, VIDEO_REDACTED, VIDEO_SOURCE
from services.encoder.settings import EncoderSettings
from services.encoder.stage import EncoderStage
from services.media.encoding import EncodedPicture, H264Encoder, H264Options
from services.policy.model import Policy
from services.renderer import RendererSettings, RendererStage
from services.runtime.chain import Chain
from services.runtime.runner import Runner
from services.runtime.settings import RunnerSettings
from services.schema import pb
from tests.support.annexb import decoded
from tests.support.book import Book
from tests.support.dying import DyingBus, Killed
from tests.support.rendered import EPOCH, luma_of, picture

CAMERAS = ("gate", "hall", "yard")  # in two partitions
FRAMES, GOP, SPAN, CLOSED = 48, 12, 8, range(24, 32)
WIDTH, HEIGHT = 160, 96
POLICY = Policy.model_validate({"name": "test", "kinds": {"face": {}}, "mode": "solid", "badge": False})


@cache
def film() -> tuple[EncodedPicture, ...]:
    """What a camera sends, with B-frames."""
    encoder = H264Encoder(
        WIDTH, HEIGHT, Fraction(1, 25), frame_rate=25, options=H264Options(crf=18, keyframe_s=GOP / 25)
    )
    units = [unit for seq in range(FRAMES) for unit in encoder.encode(picture(seq), seq)]
    return (*units, *encoder.flush())


def source(camera: str) -> list[pb.SourceMessage]:
    stream = pb.StreamInfo(
        codec="h264",
        width=WIDTH,
        height=HEIGHT,
        coded_width=WIDTH,
        coded_height=HEIGHT,
        time_base_num=1,
        time_base_den=25,
        frame_rate=25,
    )
    messages = []
    keyframe_seq = 0
    for unit in film():
        keyframe_seq = unit.pts if unit.keyframe else keyframe_seq
        body = pb.AccessUnit(
            camera_id=camera,
            epoch=EPOCH,
            seq=unit.pts,
            keyframe=unit.keyframe,
            keyframe_seq=keyframe_seq,
            pts=unit.pts,
            dts=unit.dts,
            duration=1,
            captured_us=EPOCH,
            inline=unit.payload,
            stream=stream if unit.keyframe else None,
        )
        messages.append(pb.SourceMessage(unit=body))
    end = pb.EndOfStream(camera_id=camera, epoch=EPOCH, frames=FRAMES, reason=pb.EndOfStream.FINISHED)
    return [*messages, pb.SourceMessage(end=end)]


def redactions(camera: str) -> list[pb.RedactionsMessage]:
    """Spans with one face in the lower half; one of them is incomplete."""
    messages = []
    for first in range(0, FRAMES, SPAN):
        track = pb.TrackSegment(
            track_id=1,
            kind=pb.KIND_FACE,
            origin=pb.TrackSegment.DETECTED,
            first=[100, 60, 120, 84],
            last=[100, 60, 120, 84],
            score=0.9,
        )
        coverage = pb.INCOMPLETE if first in CLOSED else pb.COMPLETE
        span = pb.RedactionSpan(
            camera_id=camera,
            epoch=EPOCH,
            first_seq=first,
            last_seq=first + SPAN - 1,
            tracks=[track],
            coverage=coverage,
            why="test" if coverage == pb.INCOMPLETE else "",
            policy=POLICY.fingerprint,
        )
        messages.append(pb.RedactionsMessage(span=span))
    end = pb.EndOfStream(camera_id=camera, epoch=EPOCH, frames=FRAMES, reason=pb.EndOfStream.FINISHED)
    return [*messages, pb.RedactionsMessage(end=end)]


def a_bus() -> MemoryBus:
    readers = dict.fromkeys((VIDEO_SOURCE, REDACTIONS), ("renderer-encoder",))
    bus = MemoryBus(2, {**readers, VIDEO_REDACTED: ("never commits",)})
    producer = bus.producer()
    for at in range(FRAMES + 1):
        for camera in CAMERAS:
            producer.publish(Record(VIDEO_SOURCE, camera, source(camera)[at].SerializeToString()))
            if at % SPAN == 0:
                producer.publish(Record(REDACTIONS, camera, redactions(camera)[at // SPAN].SerializeToString()))
    return bus


def run_until_killed(bus: MemoryBus, uses: int) -> None:
    chain = Chain(
        RendererStage(RendererSettings(transport="attached"), Book(POLICY)),
        EncoderStage(EncoderSettings(keyframe_s=0.5, reorder=False), {}),
    )
    pace = RunnerSettings(commit_every_s=0, poll_records=7, idle_min_s=1e-6, idle_max_s=1e-6, rest_max_s=1e-6)
    with pytest.raises(Killed):
        Runner(chain, DyingBus(bus, uses), pace).run(threading.Event())


@settings(max_examples=6, deadline=None)
@given(kills=st.lists(st.integers(1, 150), min_size=1, max_size=5))
def test_i6_the_fused_pair_killed_anywhere(kills: list[int]) -> None:
    bus = a_bus()
    for uses in [*kills, 800]:
        run_until_killed(bus, uses)
    reader = bus.reader(VIDEO_REDACTED, Start("oldest"))
    bodies = []
    while not reader.caught_up:
        bodies += [pb.RedactedMessage.FromString(message.record.value) for message in reader.poll(0, 1000)]
    ends = sorted(body.end.camera_id for body in bodies if body.HasField("end"))
    assert ends == sorted(CAMERAS)
    for camera in CAMERAS:
        units = [body.unit for body in bodies if body.unit.camera_id == camera]
        assert [unit.seq for unit in units] == list(range(FRAMES))
        assert [unit.seq for unit in units if unit.closed] == list(CLOSED)
        pictures = decoded([unit.payload for unit in units])
        assert len(pictures) == FRAMES
        for seq, planes in enumerate(pictures):
            face = planes[64:80, 104:116]
            assert np.ptp(face) < 25, f"I1: frame {seq} shows what is under the mask"
            if seq not in CLOSED:
                assert abs(float(planes[:40].mean()) - luma_of(seq)) < 5, f"frame {seq} shows another's picture"


def test_nothing_of_the_pair_goes_over_the_bus_but_the_result() -> None:
    bus = a_bus()
    run_until_killed(bus, 800)
    assert "video.rendered" not in bus._logs
