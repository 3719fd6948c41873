"""The H.264 encoder: times, keyframes, parameter sets, the mark, and the pictures themselves."""

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from services.media.decoding import packet_of
from services.media.encoding import EncodedPicture, H264Encoder, H264Options
from services.media.marking import MARK_TEXT, MARK_UUID, insert_mark, is_marked
from services.media.picture import Picture
from services.media.rtp import nal_units
from tests.support.redacted import TIMELINES
from tests.support.rendered import luma_of, picture

FAST = H264Options(preset="ultrafast", keyframe_s=0.5)


def encode(times: list[int], time_base: Fraction, *, live: bool, full_range: bool = False) -> list[EncodedPicture]:
    encoder = H264Encoder(
        160, 96, time_base, frame_rate=25, live=live, full_range=full_range, options=H264Options(keyframe_s=0.5)
    )
    units = [u for n, pts in enumerate(times) for u in encoder.encode(picture(n, full_range=full_range), pts)]
    return units + encoder.flush()


def decode(payloads: list[bytes]) -> list[av.VideoFrame]:
    decoder = av.CodecContext.create("h264", "r")
    packets = [packet_of(payload) for payload in payloads]
    return [frame for packet in [*packets, None] for frame in decoder.decode(packet)]


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
@pytest.mark.parametrize("name", TIMELINES)
def test_every_pts_comes_out_once(name: str, live: bool) -> None:
    time_base, times, _ = TIMELINES[name]
    units = encode(times, time_base, live=live)
    assert sorted(unit.pts for unit in units) == times
    dts = [unit.dts for unit in units]
    assert dts == sorted(set(dts))
    assert all(unit.dts <= unit.pts for unit in units)


def test_live_pictures_come_out_at_once_and_in_order() -> None:
    encoder = H264Encoder(160, 96, Fraction(1, 25), frame_rate=25, live=True)
    for number in range(30):
        [unit] = encoder.encode(picture(number), number)
        assert unit.pts == unit.dts == number
    assert encoder.flush() == []


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
def test_every_idr_has_parameter_sets_and_the_mark(live: bool) -> None:
    time_base, times, _ = TIMELINES["25 fps"]
    keyframes = [unit for unit in encode(times, time_base, live=live) if unit.keyframe]
    assert len(keyframes) >= 4
    for unit in keyframes:
        kinds = [nal[0] & 0x1F for nal in nal_units(unit.payload)]
        assert kinds[:2] == [7, 8]
        assert kinds[-1] == 5
        assert is_marked(unit.payload)


def test_the_mark_is_a_message_that_decoders_read() -> None:
    time_base, times, _ = TIMELINES["25 fps"]
    first = decode([unit.payload for unit in encode(times[:3], time_base, live=True)])[0]
    messages = [bytes(data) for data in first.side_data if data.type.name == "SEI_UNREGISTERED"]
    assert MARK_UUID.bytes + MARK_TEXT.encode() in messages


def test_a_picture_that_is_no_idr_takes_no_mark() -> None:
    time_base, times, _ = TIMELINES["25 fps"]
    [other] = [unit.payload for unit in encode(times[:2], time_base, live=True) if not unit.keyframe]
    assert not is_marked(other)
    with pytest.raises(ValueError, match="not an IDR"):
        insert_mark(other)


def test_a_reader_can_start_at_any_keyframe() -> None:
    time_base, times, _ = TIMELINES["25 fps"]
    units = encode(times, time_base, live=True)
    for start in (i for i, unit in enumerate(units) if unit.keyframe):
        frames = decode([unit.payload for unit in units[start:]])
        assert len(frames) == len(units) - start


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
def test_keyframes_follow_the_clock_not_the_frame_count(live: bool) -> None:
    """One picture in five seconds, then 25 in one: a camera that slows down at night."""
    times = [5000 * i for i in range(4)] + [20000 + 40 * i for i in range(50)]
    keys = sorted(unit.pts for unit in encode(times, Fraction(1, 1000), live=live) if unit.keyframe)
    assert keys[:5] == [0, 5000, 10000, 15000, 20000]
    assert max(later - key for key, later in pairwise(keys[4:])) <= 520


@pytest.mark.parametrize("full_range", [False, True])
def test_pictures_and_their_range_survive(full_range: bool) -> None:
    time_base, times, _ = TIMELINES["25 fps"]
    frames = decode([unit.payload for unit in encode(times, time_base, live=False, full_range=full_range)])
    assert len(frames) == len(times)
    for number, frame in enumerate(frames):
        assert (frame.color_range == 2) is full_range
        luma = frame.to_ndarray()[:40]
        assert abs(float(luma.mean()) - luma_of(number)) < 2


def test_another_size_or_range_is_refused() -> None:
    encoder = H264Encoder(160, 96, Fraction(1, 25), options=FAST)
    for other in (picture(0, 176, 96), picture(0, full_range=True)):
        assert not encoder.fits(other)
        with pytest.raises(ValueError, match="stream"):
            encoder.encode(other, 0)


@pytest.mark.parametrize("height", [96, 98])
def test_luma_and_colours_stay_where_they_are_at_any_even_height(height: int) -> None:
    data = np.full((height * 3 // 2, 160), 128, np.uint8)
    source = Picture(data)
    source.y[height // 2 :] = 40
    source.u[height // 4 :], source.v[: height // 4] = 200, 60
    encoder = H264Encoder(160, height, Fraction(1, 25), frame_rate=25, live=True, options=H264Options(crf=12))
    [frame] = decode([unit.payload for unit in encoder.encode(source, 0) + encoder.flush()])
    found = Picture(frame.to_ndarray())
    for plane, truth in ((found.y, source.y), (found.u, source.u), (found.v, source.v)):
        assert np.abs(plane.astype(int) - truth).mean() < 2
