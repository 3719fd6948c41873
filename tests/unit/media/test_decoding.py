"""Decoding: every format comes out whole, upright and under its own number, and payloads stay the source's own."""

import ctypes
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from services.media.decoding import AccessUnitDecoder, DecodedUnit, PictureMaker, packet_of
from services.media.demux import Demuxer, SourceSound
from services.media.order import SourceUnit
from services.media.picture import Picture
from tests.support.videos import BITS, make_video, paint_numbered, read_number

OPEN_GOP = {"x264-params": "open-gop=1:keyint=8:min-keyint=8:scenecut=0:bframes=3:b-adapt=0:threads=1"}
FORMATS: dict[str, dict[str, Any]] = {
    "plain.mp4": {},
    "b_frames.mp4": {"b_frames": 3},
    "b_frames.mkv": {"b_frames": 3},
    "b_frames.ts": {"b_frames": 3},
    "b_frames_in_avi.avi": {"b_frames": 3},
    "raw.h264": {"b_frames": 3},
    "raw_plain.h264": {},
    "open_gop.mp4": {"options": OPEN_GOP},
    "open_gop.mkv": {"options": OPEN_GOP},
    "hevc.mp4": {"codec": "libx265", "b_frames": 2},
    "hevc.mkv": {"codec": "libx265", "b_frames": 2},
    "mpeg4.avi": {"codec": "mpeg4"},
    "mpeg4_b_frames.avi": {"codec": "mpeg4", "b_frames": 2},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "mjpeg_422.mkv": {"codec": "mjpeg", "pix_fmt": "yuvj422p"},
    "raw.mjpeg": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "odd.mkv": {"size": (191, 127), "pix_fmt": "yuv444p"},
    "ten_bit_422.mkv": {"pix_fmt": "yuv422p10le"},
    "gray.mkv": {"codec": "libx264", "pix_fmt": "gray"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "turned_90.mp4": {"rotation": 90, "size": (130, 190)},
    "turned_180.mp4": {"rotation": 180, "b_frames": 2},
    "turned_270_odd.mp4": {"rotation": 270, "size": (191, 127), "pix_fmt": "yuv444p"},
}


def read(path: Path) -> tuple[Demuxer, list[SourceUnit]]:
    source = Demuxer(str(path), live=False)
    units = [item for item in source.units() if not isinstance(item, SourceSound)]
    source.close()
    return source, units


def decode(source: Demuxer, units: list[SourceUnit], threads: int = 1) -> list[DecodedUnit]:
    decoder = AccessUnitDecoder(source.info, threads)
    out = [done for unit in units for done in decoder.decode(unit.payload, unit.seq, keyframe=unit.keyframe)]
    return out + decoder.flush()


def pictures(source: Demuxer, decoded: list[DecodedUnit]) -> dict[int, Picture]:
    maker = PictureMaker(source.info)
    return {unit.seq: maker.picture(unit.frame) for unit in decoded if unit.frame is not None}


@pytest.mark.parametrize("name", FORMATS)
def test_each_frame_comes_out_upright_under_its_own_number(tmp_path: Path, name: str) -> None:
    source, units = read(make_video(tmp_path / name, **FORMATS[name]))
    decoded = decode(source, units)
    assert [unit.seq for unit in decoded] == [unit.seq for unit in units]
    assert not any(unit.corrupt for unit in decoded)
    shown = pictures(source, decoded)
    assert {seq: read_number(picture.y) for seq, picture in shown.items()} == {seq: seq for seq in range(25)}
    width, height = FORMATS[name].get("size", (192, 128))
    even = (width + width % 2, height + height % 2)
    assert (source.info.width, source.info.height) == even
    assert {(picture.width, picture.height) for picture in shown.values()} == {even}


@pytest.mark.parametrize("name", FORMATS)
def test_times_are_evenly_spaced_as_in_the_input(tmp_path: Path, name: str) -> None:
    source, units = read(make_video(tmp_path / name, **FORMATS[name]))
    tick = Fraction(source.info.time_base_num, source.info.time_base_den)
    pts = [unit.pts for unit in sorted(units, key=lambda unit: unit.seq) if unit.pts is not None]
    assert [(b - a) * tick for a, b in pairwise(pts)] == [Fraction(1, 25)] * 24
    assert sum(unit.duration for unit in units) * tick == 1
    dts = [unit.dts for unit in units if unit.dts is not None]
    assert all(a < b for a, b in pairwise(dts))
    assert all(unit.dts <= unit.pts for unit in units if unit.dts is not None and unit.pts is not None)


@pytest.mark.parametrize("name", FORMATS)
def test_payloads_are_the_sources_own_bytes_in_their_own_order(tmp_path: Path, name: str) -> None:
    path = make_video(tmp_path / name, **FORMATS[name])
    with av.open(path) as container:
        original = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    _, units = read(path)
    assert [unit.payload for unit in units] == original


@pytest.mark.parametrize("name", ["odd.mkv", "turned_90.mp4", "ten_bit_422.mkv", "mjpeg.avi", "plain.mp4"])
def test_detection_pictures_show_the_same_upright_scene(tmp_path: Path, name: str) -> None:
    source, units = read(make_video(tmp_path / name, **FORMATS[name]))
    decoded = decode(source, units)
    maker = PictureMaker(source.info)
    frame = decoded[7].frame
    assert frame is not None
    small = maker.rgb(frame, 96)
    assert max(small.shape) == 96
    assert maker.rgb(frame, 4000).shape[:2] == FORMATS[name].get("size", (192, 128))[::-1]
    full = maker.rgb(frame, 4000).astype(int)
    painted = paint_numbered(7, full.shape[1], full.shape[0]).astype(int)
    assert np.abs(full - painted)[full.shape[0] // 4 + 8 :].mean() < 8


def test_full_range_pictures_keep_their_levels(tmp_path: Path) -> None:
    source, units = read(make_video(tmp_path / "full.avi", **FORMATS["mjpeg.avi"]))
    assert source.info.full_range
    picture = pictures(source, decode(source, units))[4095 % 25]
    assert picture.full_range
    source, units = read(make_video(tmp_path / "full.mkv", **FORMATS["mjpeg_422.mkv"]))
    luma = pictures(source, decode(source, units))[1].y[:30]
    # Painted 16 and 235 in RGB: limited range would squeeze them to 30 and 218.
    assert abs(int(luma[:, :10].mean()) - 16) < 4
    assert abs(int(luma[:, -10:].mean()) - 235) < 4


def test_pictures_that_change_size_are_brought_to_the_streams(tmp_path: Path) -> None:
    source, _ = read(make_video(tmp_path / "a.mp4"))
    frame = av.VideoFrame.from_ndarray(np.full((64 * 3 // 2, 96), 90, np.uint8), format="yuv420p")
    assert PictureMaker(source.info).picture(frame).data.shape == (192, 192)


def test_variable_rate_negative_and_late_starts_are_kept(tmp_path: Path) -> None:
    pts = [500, 533, 600, 1200, 1210, 1250, 3000]
    source, units = read(make_video(tmp_path / "vfr.mkv", pts=pts, time_base=Fraction(1, 1000), b_frames=2))
    by_seq = sorted(units, key=lambda unit: unit.seq)
    assert [unit.pts for unit in by_seq] == pts
    assert {seq: read_number(picture.y) for seq, picture in pictures(source, decode(source, units)).items()} == {
        seq: seq for seq in range(7)
    }


def test_frame_threads_change_the_delay_and_nothing_else(tmp_path: Path) -> None:
    source, units = read(make_video(tmp_path / "a.mp4", b_frames=2))
    shown = pictures(source, decode(source, units, threads=3))
    assert {seq: read_number(picture.y) for seq, picture in shown.items()} == {seq: seq for seq in range(25)}


def test_decoders_of_one_process_keep_their_pictures_apart(tmp_path: Path) -> None:
    """PyAV forgets what came with a packet together with any other packet that carries the same object."""
    source, units = read(make_video(tmp_path / "a.mp4", b_frames=2))
    decoders = [AccessUnitDecoder(source.info), AccessUnitDecoder(source.info)]
    corrupt: list[bool] = []  # pictures are let go of at once
    for ahead, behind in zip([*units, None], [None, *units], strict=True):
        for decoder, unit in zip(decoders, (ahead, behind), strict=True):
            if unit is not None:
                decided = decoder.decode(unit.payload, unit.seq, keyframe=unit.keyframe)
                corrupt += [each.corrupt for each in decided]
    corrupt += [each.corrupt for decoder in decoders for each in decoder.flush()]
    assert corrupt == [False] * 50


def test_packets_end_in_the_zeros_that_decoders_read() -> None:
    for _ in range(50):
        packet = packet_of(b"\xff" * 1000, (1,))
        assert ctypes.string_at(packet.buffer_ptr + 1000, 64) == bytes(64)


def test_odd_edges_repeat_the_last_row_and_column(tmp_path: Path) -> None:
    source, units = read(make_video(tmp_path / "odd.mkv", **FORMATS["odd.mkv"]))
    picture = pictures(source, decode(source, units))[3]
    assert np.array_equal(picture.y[:, -1], picture.y[:, -2])
    assert np.array_equal(picture.y[-1], picture.y[-2])


def test_colours_survive(tmp_path: Path) -> None:
    source, units = read(make_video(tmp_path / "a.mp4", options={"crf": "10"}))
    picture = pictures(source, decode(source, units))[5]
    rgb = cv2.cvtColor(picture.data, cv2.COLOR_YUV2RGB_I420).astype(int)
    assert np.abs(rgb - paint_numbered(5, 192, 128).astype(int))[40:].mean() < 6


def test_the_painted_number_can_be_told_from_others() -> None:
    luma = {n: cv2.cvtColor(paint_numbered(n, 192, 128), cv2.COLOR_RGB2GRAY) for n in (0, 1, 2047, 2**BITS - 1)}
    assert all(read_number(picture) == number for number, picture in luma.items())
