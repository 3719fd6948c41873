"""Redacted video in whatever it is written to: it decodes, frame by frame, across epochs and picture sizes."""

import io
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from services.consume.destination import video_outlet
from services.consume.errors import ConsumeError
from services.consume.follow import follow
from services.consume.outlets import Outlet, Paced, StreamFormat, StreamOutlet, Wait
from services.consume.video import VideoTail
from services.consume.view import Item
from services.media.sink import SinkError
from services.schema import pb
from tests.support.consumed import FIRST, SECOND, STEP, TICKS, end, film, message
from tests.support.rtsp_server import Receiver

SMALL, LARGE = (160, 96), (192, 128)
SAME_SIZE = [*film(25), end(25), *film(15, SECOND), end(15, SECOND)]
OTHER_SIZE = [*film(25), *film(15, SECOND, size=LARGE)]


class Pipe(bytearray):
    """What a player at the other end has read. It leaves after `most` bytes."""

    most = 1 << 30

    def write(self, data: bytes) -> int:
        if len(self) + len(data) > self.most:
            raise BrokenPipeError(32, "Broken pipe")
        self.extend(data)
        return len(data)


def no_stdout() -> Pipe:
    raise AssertionError("standard output was opened")


def to(out: Path | str, form: str | None = None, wait: Wait = time.sleep) -> Outlet:
    return video_outlet(form, str(out), no_stdout, print, wait)


def run(outlet: Outlet, items: Sequence[Item], epoch: int | None = None) -> tuple[VideoTail, list[str]]:
    told: list[str] = []
    tail = VideoTail(outlet, told.append, epoch)
    for item in items:
        tail.take(message(item))
        if tail.over:
            break
    tail.close()
    return tail, told


def decoded(source: Path | bytes, form: str | None = None) -> list[tuple[tuple[int, int], Fraction | None]]:
    """Size and time of every frame. An error of the decoder fails the test."""
    opened = io.BytesIO(source) if isinstance(source, bytes | bytearray) else str(source)
    with av.open(opened, format=form) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"err_detect": "explode"}
        return [
            ((frame.width, frame.height), None if frame.pts is None else frame.pts * frame.time_base)
            for frame in container.decode(stream)
        ]


@pytest.mark.parametrize(("form", "demuxer"), [("ts", "mpegts"), ("h264", "h264")])
@pytest.mark.parametrize("items", [SAME_SIZE, OTHER_SIZE], ids=["same size", "other size"])
def test_a_stream_goes_on_across_epochs(form: StreamFormat, demuxer: str, items: Sequence[Item]) -> None:
    pipe = Pipe()
    tail, _ = run(StreamOutlet(pipe, form, "standard output"), items)
    frames = decoded(bytes(pipe), demuxer)
    assert (tail.frames, len(frames)) == (40, 40)
    sizes = [size for size, _ in frames]
    assert sizes == [SMALL] * 25 + [LARGE if items is OTHER_SIZE else SMALL] * 15
    if form == "ts":
        times = [time for _, time in frames if time is not None]
        steps = {round(float(later - time), 3) for time, later in pairwise(times)}
        assert steps == {0.04}


@pytest.mark.parametrize("form", ["ts", "h264"])
def test_a_stream_gives_each_frame_at_once(form: StreamFormat) -> None:
    """A player sees a frame when it comes, not when a block of the output is full."""
    pipe, grown = Pipe(), []
    tail = VideoTail(StreamOutlet(pipe, form, "standard output"), lambda _: None)
    for unit in film(5):
        before = len(pipe)
        tail.take(message(unit))
        grown.append(len(pipe) - before >= len(unit.payload))
    assert grown == [True] * 5


@pytest.mark.parametrize(("form", "demuxer"), [("mp4", "mp4"), ("mkv", "matroska")])
def test_a_container_on_a_pipe_ends_where_it_can_hold_no_more(form: StreamFormat, demuxer: str) -> None:
    pipe = Pipe()
    tail = VideoTail(StreamOutlet(pipe, form, "standard output"), lambda _: None)
    for item in SAME_SIZE[:26]:
        tail.take(message(item))
    with pytest.raises(ConsumeError, match=f"{form} holds one only; --format ts goes on"):
        tail.take(message(SAME_SIZE[26]))
    tail.close()
    assert len(decoded(bytes(pipe), demuxer)) == 25


@pytest.mark.parametrize("name", ["gate.mp4", "gate.mkv"])
@pytest.mark.parametrize("items", [SAME_SIZE, OTHER_SIZE], ids=["same size", "other size"])
def test_files_are_numbered_and_nothing_is_overwritten(tmp_path: Path, name: str, items: Sequence[Item]) -> None:
    path = tmp_path / name
    taken = path.with_stem("gate-2")
    taken.write_bytes(b"mine")
    told: list[str] = []
    run(video_outlet(None, str(path), no_stdout, told.append, time.sleep), items)
    further = path.with_stem("gate-3")
    assert [len(decoded(path)), len(decoded(further))] == [25, 15]
    assert taken.read_bytes() == b"mine"
    width, height = LARGE if items is OTHER_SIZE else SMALL
    assert told == [f"gate: goes on in {further} ({width}×{height})"]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([path.name, taken.name, further.name])


@pytest.mark.parametrize(("name", "demuxer"), [("gate.ts", "mpegts"), ("gate.h264", "h264")])
def test_a_stream_file_holds_all_epochs(tmp_path: Path, name: str, demuxer: str) -> None:
    run(to(tmp_path / name), SAME_SIZE)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert len(decoded(tmp_path / name, demuxer)) == 40


def test_hls_goes_on_after_a_discontinuity(tmp_path: Path) -> None:
    run(to(tmp_path / "hls" / "index.m3u8", wait=lambda _: None), OTHER_SIZE)
    playlist = (tmp_path / "hls" / "index.m3u8").read_text()
    assert playlist.count("#EXTINF") == 2
    assert "#EXT-X-DISCONTINUITY\n" in playlist


def test_an_rtsp_server_gets_every_frame_at_its_pace() -> None:
    """Two seconds of the past: a server that watches live must not get them in a burst and shed them."""
    began = time.monotonic()
    with Receiver() as receiver:
        tail, _ = run(to(receiver.url), film(50))
    assert receiver.error is None
    assert (receiver.pictures, tail.left_out) == (50, "")
    assert time.monotonic() - began > 1.4


def test_what_comes_live_is_not_held_back_and_a_gap_begins_the_pace_anew() -> None:
    clock, waits, written = [100.0], list[float](), list[int]()

    class Written:
        shed = 0

        def write(self, unit: pb.RedactedUnit) -> None:
            written.append(unit.seq)

        def finish(self) -> None: ...

        def join(self, timeout_s: float) -> None: ...

    def wait(seconds: float) -> None:
        waits.append(round(seconds, 2))
        clock[0] += seconds

    units = film(100)
    paced = Paced(Written(), units[0], wait, lambda: clock[0])
    for unit in units[:25]:
        paced.write(unit)
        clock[0] += 0.04
    assert waits == []
    for unit in units[25:50]:  # a second of the past, at once
        paced.write(unit)
    assert sum(waits) == pytest.approx(0.46, abs=0.05)
    for unit in units[50:]:
        unit.pts += 3600 * 12800  # an hour later in the stream
    clock[0] += 5
    waits.clear()
    for unit in units[50:55]:
        paced.write(unit)
    assert waits == []
    assert written == list(range(55))


@pytest.mark.parametrize("name", ["gate.mp4", "gate.ts"])
def test_where_nothing_came_no_file_is_left(tmp_path: Path, name: str) -> None:
    run(to(tmp_path / name), [end(0)])
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_in_a_sentence() -> None:
    class Full(Pipe):
        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

    tail = VideoTail(StreamOutlet(Full(), "h264", "standard output"), print)
    with pytest.raises(SinkError, match="can't write standard output: the disk is full"):
        tail.take(message(film(1)[0]))


@pytest.mark.parametrize("form", ["ts", "h264"])
def test_a_player_that_leaves_is_told_from_an_error(form: StreamFormat) -> None:
    pipe = Pipe()
    pipe.most = 3000
    tail = VideoTail(StreamOutlet(pipe, form, "standard output"), print)
    with pytest.raises(SinkError) as caught:
        follow([[message(unit) for unit in film(200)]], tail, print)
    assert isinstance(caught.value.__cause__, BrokenPipeError)


def test_i6_what_comes_twice_is_written_once_and_told() -> None:
    pipe = Pipe()
    units = film(20)
    tail, _ = run(StreamOutlet(pipe, "ts", "-"), [*units[3:15], *units[5:15], *units[16:]])
    assert len(decoded(bytes(pipe), "mpegts")) == 9
    assert tail.left_out == "10 sent twice, 1 missing"


def test_one_epoch_only() -> None:
    pipe = Pipe()
    tail, told = run(StreamOutlet(pipe, "ts", "-"), [*SAME_SIZE, *film(10, SECOND + 1)], epoch=SECOND)
    assert (tail.over, tail.frames, told) == (True, 15, ["gate: the stream came to its end"])
    pipe = Pipe()
    tail, _ = run(StreamOutlet(pipe, "ts", "-"), OTHER_SIZE, epoch=FIRST)
    assert (tail.over, tail.frames) == (True, 25)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (pb.EndOfStream.LOST, "gate: the stream broke off; a new epoch follows when the camera is back"),
        (pb.EndOfStream.STOPPED, "gate: the stream was stopped, or broke off where it is a file"),
    ],
)
def test_an_end_is_told(reason: pb.EndOfStream.Reason, told: str) -> None:
    ending = end(5)
    ending.reason = reason
    assert run(StreamOutlet(Pipe(), "ts", "-"), [*film(5), ending])[1] == [told]


def test_sound_is_left_out() -> None:
    sound = pb.AudioUnit(camera_id="gate", epoch=FIRST, time_base_num=1, time_base_den=9, inline=b"x")
    pipe = Pipe()
    run(StreamOutlet(pipe, "h264", "-"), [film(1)[0], sound])
    assert bytes(pipe) == film(1)[0].payload


def test_times_are_those_of_the_camera() -> None:
    """A gap in the stream is a gap in the file."""
    units = film(10)
    for unit in units[5:]:
        unit.pts += 40 * STEP
        unit.dts += 40 * STEP
    pipe = Pipe()
    run(StreamOutlet(pipe, "ts", "-"), units)
    times = [time for _, time in decoded(bytes(pipe), "mpegts") if time is not None]
    assert float(times[5] - times[4]) == pytest.approx(float(41 * STEP * TICKS), abs=1e-4)


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda: video_outlet("avi", None, no_stdout, print, time.sleep), "formats ts, h264, mp4, mkv, not avi"),
        (lambda: to("a.mp4", "ts"), "a file's suffix says what it is"),
        (
            lambda: to("a.avi"),
            "video goes to a .mp4, .mkv, .ts or .h264 file",
        ),
    ],
)
def test_destinations_that_make_no_sense(ask: Callable[[], object], told: str) -> None:
    with pytest.raises(ConsumeError, match=told):
        ask()
