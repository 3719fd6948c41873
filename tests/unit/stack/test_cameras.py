"""Looping cameras: what they send in, when, and what is made fit for sending."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from deploy.stack import camera_videos, cameras
from deploy.stack.camera_videos import convert, playable
from services.media.sources import SourceError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(camera_videos, "FOLDER", tmp_path / "cache")
    return tmp_path / "cache"


def video(path: Path, codec: str = "libx264", frames: int = 30, gop: int = 100, **options: str) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.gop_size = gop
        for number in range(frames):
            picture = np.full((72, 64), 128, np.uint8)
            picture[:48] = np.arange(64) * 2 + number
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "yuv420p")))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("codec", "gop", "b_frames"),
    [("libx264", 10, "3"), ("libx264", 100, "0"), ("mpeg4", 10, "0")],
    ids=["B-frames", "one keyframe in 3 s", "another codec"],
)
def test_a_video_that_no_camera_would_send_is_converted_once(
    tmp_path: Path, cache: Path, codec: str, gop: int, b_frames: str
) -> None:
    source = video(tmp_path / "in.mkv", codec, gop=gop, bf=b_frames, sc_threshold="0")
    made = playable(source)
    assert made.parent == cache
    assert playable(made) == made
    with av.open(str(made)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert len(packets) == 30
    assert all(packet.pts == packet.dts for packet in packets)
    assert [number for number, packet in enumerate(packets) if packet.is_keyframe] == [0, 10, 20]
    assert all({7, 8} <= nal_kinds(bytes(packet)) for packet in packets if packet.is_keyframe)
    before = made.stat().st_mtime_ns
    assert playable(source) == made
    assert made.stat().st_mtime_ns == before


def nal_kinds(avcc: bytes) -> set[int]:
    kinds, at = set(), 0
    while at < len(avcc):
        size = int.from_bytes(avcc[at : at + 4])
        kinds.add(avcc[at + 4] & 0x1F)
        at += 4 + size
    return kinds


def test_another_size_and_codec(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    convert(video(tmp_path / "in.mkv"), target, "libx265", (96, 64))
    with av.open(str(target)) as container:
        stream = container.streams.video[0]
        assert (stream.name, stream.width, stream.height, stream.frames) == ("hevc", 96, 64, 30)
    assert playable(target) == target


def test_what_is_no_video_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("no video")
    with pytest.raises(SourceError):
        playable(tmp_path / "notes.mp4")


def test_times_rise_evenly_over_loops(tmp_path: Path) -> None:
    source = playable(video(tmp_path / "in.mkv", frames=12))
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        sent = [at for _, (_, at) in zip(range(40), cameras._endless(container, stream, 100.0), strict=False)]
    assert sent[0] == 100
    assert [after - before for before, after in pairwise(sent)] == pytest.approx([0.1] * 39)


@pytest.mark.parametrize("jump_s", [0.0, 5.0, -5.0])
def test_a_jump_of_the_clock_is_what_it_says_in_the_32_bits_of_rtp(jump_s: float) -> None:
    before, after = cameras._ticks(20.0, 0.0), cameras._ticks(20.1, jump_s)
    assert after > before, "FFmpeg refuses falling times"
    moved = (after - before + 2**31) % 2**32 - 2**31
    assert Fraction(moved, 90_000) == pytest.approx(0.1 + jump_s)
