"""Garbage on frames.detect: refused or failed, never raised, never passed on, and it takes no memory."""

import struct
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.bus.interface import InvalidMessage, Message, Position, Record, TopicPartition
from services.bus.topics import FRAMES_DETECT
from services.inference import InferenceStage
from services.runtime.stage import Backpressure
from services.schema import pb
from tests.unit.inference.harness import SIZE, Make, Scripted, frame, jpeg, nothing, statuses, wait

_PIXELS = b"PIXELS\xfe\x01PIXELS"
_SOURCE = TopicPartition("frames.detect", 0)
_offsets: Iterator[int] = iter(range(10**9))

_numbers = st.sampled_from([0, 1, 63, 64, 10**9, 2**31 - 1, 2**32 - 1])
_long = st.sampled_from([0, 1, 5, 2**53, 2**62, 2**63, 2**64 - 1])
_signed = st.sampled_from([0, 1, -1, -(2**63), 2**63 - 1])
_floats = st.sampled_from([0.0, 25.0, -1.0, float("nan"), float("inf"), -float("inf"), 3e38])
_ids = st.sampled_from(["cam", "", "other", "x" * 1000])
_names = st.lists(st.sampled_from(["face", "plate", "", "F\n", "x" * 40, "unknown"]), max_size=20)
_payloads = st.sampled_from([b"", _PIXELS, b"\xff\xd8" + _PIXELS + b"\xff\xd9", jpeg(np.zeros((*SIZE, 3), np.uint8))])
_sealed = st.builds(pb.Sealed, key_id=_ids, nonce=_payloads, ciphertext=_payloads, wrapped_key=_payloads)
_hops = st.builds(pb.Hop, stage=st.sampled_from(["decoder", "", "X" * 99]), sent_us=_signed)
_frames = st.fixed_dictionaries(
    {
        "camera_id": _ids,
        "epoch": _long,
        "seq": _long,
        "has_previous": st.booleans(),
        "previous_seq": _long,
        "pts": _signed,
        "width": st.just(64) | _numbers,
        "height": st.just(48) | _numbers,
        "source_width": st.just(640) | _numbers,
        "source_height": st.just(480) | _numbers,
        "detectors": st.just(["face"]) | _names,
        "captured_us": _signed,
        "motion": _floats,
        "frame_rate": _floats,
        "time_base_num": _numbers,
        "time_base_den": _numbers,
        "trace": st.lists(
            st.builds(pb.Hop, stage=st.sampled_from(["decoder", "", "X" * 99]), sent_us=_signed), max_size=20
        ),
    },
    optional={"jpeg": _payloads},
)
_ends = st.builds(pb.EndOfStream, camera_id=_ids, epoch=_long, frames=_long, reason=st.integers(0, 9))
_units = st.builds(pb.AccessUnit, camera_id=_ids, epoch=_long, seq=_long, pts=_signed, size=_long, inline=_payloads)
_audio = st.builds(pb.AudioUnit, camera_id=_ids, epoch=_long, index=_long, pts=st.integers(0, 4), inline=_payloads)
_values = st.one_of(
    st.binary(max_size=200),
    _frames.map(lambda fields: pb.DetectMessage(frame=pb.DetectFrame(**fields)).SerializeToString()),
    _sealed.map(lambda sealed: frame(sealed=sealed, attached=None).record.value),
    _ends.map(lambda end: pb.DetectMessage(end=end).SerializeToString()),
    _units.map(lambda unit: pb.SourceMessage(unit=unit).SerializeToString()),
    _audio.map(lambda audio: pb.SourceMessage(audio=audio).SerializeToString()),
)


def _offered(stage: InferenceStage, value: bytes) -> None:
    """Offers a value and holds what becomes of it against what may."""
    record = Record(FRAMES_DETECT, "cam", value)
    try:
        stage.submit(Message(record, Position(_SOURCE, next(_offsets)), 0))
    except (InvalidMessage, Backpressure) as refusal:
        reason = str(refusal)
    else:
        reason = ""
    assert "PIXELS" not in reason
    assert len(reason) < 200
    if reason:
        return
    (message,) = wait(stage, 1)
    assert b"PIXELS" not in message.SerializeToString()
    assert (message.detections.camera_id or message.end.camera_id) == "cam"
    assert message.ByteSize() < 10_000
    for result in message.detections.results:
        assert (result.status == pb.DetectorResult.RAN) == (not result.reason)


def test_nothing_but_refusals_comes_of_garbage(make: Make) -> None:
    stage = make(Scripted("face", nothing), in_flight_mb=1)

    @settings(max_examples=250, deadline=None)
    @given(value=_values, cut=st.integers(0, 400) | st.none(), flip=st.integers(0, 400) | st.none())
    def offer(value: bytes, cut: int | None, flip: int | None) -> None:
        if flip is not None and flip < len(value):
            value = value[:flip] + bytes([value[flip] ^ 0x5A]) + value[flip + 1 :]
        _offered(stage, value[:cut])

    offer()
    stage.submit(frame())
    assert statuses(wait(stage, 1)[0]) == {"face": pb.DetectorResult.RAN}


def test_i3_a_payload_in_the_wrong_message_is_not_passed_on(make: Make) -> None:
    """A packet of sound reads as an end of stream whose unknown fields hold the payload."""
    stage = make()
    audio = pb.AudioUnit(camera_id="cam", epoch=5, index=1, pts=1, inline=_PIXELS)
    _offered(stage, pb.SourceMessage(audio=audio).SerializeToString())


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"width": 10**9}, "no camera has"),
        ({"source_height": 10**9}, "no camera has"),
        ({"seq": 2**63}, "can't be true"),
        ({"has_previous": True, "previous_seq": 3}, "can't be true"),
        ({"epoch": 2**63}, "in the future"),
        ({"frame_rate": float("nan")}, "not finite"),
        ({"motion": float("inf")}, "not finite"),
        ({"captured_us": -1}, "negative"),
        ({"detectors": ["face"] * 17}, "too many"),
        ({"detectors": ["Face!"]}, "names that are none"),
        ({"trace": [pb.Hop()]}, "names that are none"),
    ],
)
def test_what_cannot_be_true_is_refused(make: Make, fields: dict[str, object], why: str) -> None:
    with pytest.raises(InvalidMessage, match=why):
        make().submit(frame(**({"seq": 3} | fields)))


def test_a_key_that_is_not_the_camera_is_refused(make: Make) -> None:
    message = frame(camera="yard")
    with pytest.raises(InvalidMessage, match="not the key"):
        make().submit(Message(Record(FRAMES_DETECT, "gate", message.record.value), message.position, 0))


def test_i7_a_picture_that_states_another_size_is_never_decoded(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four gigapixels in a hundred bytes would be twelve gigabytes."""
    small = jpeg(np.zeros((*SIZE, 3), np.uint8))
    at = small.index(b"\xff\xc0") + 5
    bomb = small[:at] + struct.pack(">HH", 65_000, 65_000) + small[at + 4 :]
    calls: list[int] = []
    monkeypatch.setattr(cv2, "imdecode", lambda *_: calls.append(1))
    stage = make(Scripted("face", nothing))
    stage.submit(frame(jpeg=bomb, attached=None))
    (message,) = wait(stage, 1)
    assert statuses(message) == {"face": pb.DetectorResult.FAILED}
    assert "not of the size" in message.detections.results[0].reason
    assert not calls


def test_i7_what_is_in_hand_counts_with_its_decoded_pictures(make: Make) -> None:
    """A hanging detector would otherwise keep a thousand small JPEGs decoded for the others."""
    stage = make(Scripted("face", nothing), in_flight_mb=1)
    body = pb.DetectMessage.FromString(frame(jpeg=b"x", attached=None, width=640, height=480).record.value)
    record = Record(FRAMES_DETECT, "cam", body.SerializeToString())
    stage.submit(Message(record, Position(_SOURCE, 0), 0))
    with pytest.raises(Backpressure):
        stage.submit(Message(record, Position(_SOURCE, 1), 0))
