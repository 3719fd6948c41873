"""Live cameras over real RTSP: reconnection, epochs, silence, shedding."""

import logging
import shutil
import threading
from itertools import islice, pairwise
from pathlib import Path

import pytest

from services.decoder.reader import CameraReader, reconnect_pauses
from services.decoder.settings import DecoderSettings
from services.decoder.stage import DecoderStage
from services.media.picture import Picture
from services.media.sources import Camera
from services.schema import pb
from tests.support.book import Book
from tests.support.rtsp_camera import RtspCamera
from tests.support.videos import make_video, read_number
from tests.unit.decoder.harness import Sent, policy, run


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("v") / "a.h264", frames=60, gop=10)


class Pauses:
    """Stands in for waiting: notes the pauses and ends the reader after some."""

    def __init__(self, most: int) -> None:
        self.seconds: list[float] = []
        self._most = most

    def __call__(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return len(self.seconds) == self._most


def read(camera: Camera, pauses: Pauses, settings: DecoderSettings | None = None) -> Sent:
    reader = CameraReader(camera, Book(policy()), settings or DecoderSettings(), pause=pauses)
    reader.run()
    sent = Sent().take(entry.record for entry in reader.outbox.drain())
    # Whoever waits for the camera is told that it was stopped, also when that happens between two epochs.
    last = [ends.pop() for ends in (sent.source_ends, sent.detect_ends)]
    assert [(end.frames, end.reason) for end in last] == [(0, pb.EndOfStream.STOPPED)] * 2
    return sent


def test_each_reconnection_is_a_new_epoch_and_the_old_one_ends_as_lost(
    video: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), RtspCamera(video, hang_up_after=[40, 30]) as camera:
        sent = read(Camera("c", camera.url), Pauses(3))
    assert [(end.frames, end.reason) for end in sent.source_ends] == [
        (frames, pb.EndOfStream.LOST) for frames in (40, 30, 60)
    ]
    epochs = [end.epoch for end in sent.source_ends]
    assert epochs == sorted(set(epochs)) == [end.epoch for end in sent.detect_ends]
    for end in sent.source_ends:
        units = [unit for unit in sent.units if unit.epoch == end.epoch]
        assert [unit.seq for unit in units] == list(range(end.frames))
        assert {b.pts - a.pts for a, b in pairwise(units)} == {3600}
        assert units[0].keyframe
        assert units[0].stream.live
        looks = [look for look in sent.looks if look.epoch == end.epoch]
        assert looks[0].seq == 0
        assert not looks[0].has_previous
    shown = caplog.text + "".join(end.detail for end in sent.source_ends)
    assert "127.0.0.1" in shown
    assert "hunter2" not in shown


@pytest.mark.parametrize("jump", [3600, -3600, -5])
def test_a_camera_whose_clock_is_set_goes_on_in_its_epoch(video: Path, jump: int) -> None:
    with RtspCamera(video, clock_set=lambda number: jump if 20 <= number < 40 else 0) as camera:
        sent = read(Camera("c", camera.url), Pauses(1))
    assert [(end.frames, end.reason) for end in sent.source_ends] == [(60, pb.EndOfStream.LOST)]
    assert [unit.seq for unit in sent.units] == list(range(60))
    steps = [after.pts - before.pts for before, after in pairwise(sent.units)]
    assert all(0 < step < 10 * 90_000 for step in steps)
    assert all(after.dts > before.dts for before, after in pairwise(sent.units))
    captured = [unit.captured_us for unit in sent.units]
    assert captured == sorted(captured)
    assert captured[-1] - captured[0] < 20_000_000
    assert [look.previous_seq for look in sent.looks[1:]] == [look.seq for look in sent.looks[:-1]]


def test_a_camera_that_comes_back_with_another_size_and_codec_is_described_anew(tmp_path: Path) -> None:
    kinds = [("libx264", "h264", (192, 128)), ("libx265", "hevc", (320, 240)), ("mjpeg", "mjpeg", (160, 96))]
    files = [
        make_video(tmp_path / f"{codec}.mkv", frames=20, codec=codec, size=size, pix_fmt=pix_fmt)
        for (codec, _, size), pix_fmt in zip(kinds, ("yuv420p", "yuv420p", "yuvj420p"), strict=True)
    ]
    camera = tmp_path / "camera.mkv"
    shutil.copy(files.pop(0), camera)

    def next_kind(seconds: float) -> bool:
        if files:
            shutil.copy(files.pop(0), camera)
            return False
        return True

    reader = CameraReader(Camera("c", str(camera), live=True), Book(policy()), DecoderSettings(), pause=next_kind)
    reader.run()
    sent = Sent().take(entry.record for entry in reader.outbox.drain())
    assert [end.frames for end in sent.source_ends] == [20, 20, 20, 0]
    for end, (_, codec, size) in zip(sent.source_ends[:3], kinds, strict=True):
        units = [(unit, data) for unit, data in zip(sent.units, sent.pictures, strict=True) if unit.epoch == end.epoch]
        stream = units[0][0].stream
        assert (stream.codec, stream.width, stream.height) == (codec, *size)
        for unit, data in units:
            assert not unit.corrupt
            assert data is not None
            assert read_number(Picture(data).y) == unit.seq
        looks = [look for look in sent.looks if look.epoch == end.epoch]
        assert {(look.source_width, look.source_height) for look in looks} == {size}


@pytest.mark.parametrize("speed", [0, 4])
def test_a_file_is_read_at_most_so_many_times_faster_than_life(tmp_path: Path, speed: float) -> None:
    video = make_video(tmp_path / "a.mkv", frames=50)
    pauses: list[float] = []
    reader = CameraReader(
        Camera("c", str(video), live=False),
        Book(policy()),
        DecoderSettings(file_speed=speed),
        pause=lambda seconds: pauses.append(seconds) or False,
    )
    reader.run()
    units = Sent().take(entry.record for entry in reader.outbox.drain()).units
    assert len(units) == 50
    if not speed:
        assert not pauses
        return
    # Nobody really waited: the last unit was ahead by all of the film that is left of it at that speed.
    length_s = (units[-1].dts - units[0].dts) * units[0].stream.time_base_num / units[0].stream.time_base_den
    assert length_s / speed * 0.3 < pauses[-1] <= length_s / speed


def test_a_camera_that_falls_silent_is_lost(video: Path) -> None:
    with RtspCamera(video, silent_at_end=True) as camera:
        sent = read(Camera("c", camera.url), Pauses(1), DecoderSettings(read_timeout_s=0.5))
    assert [(end.frames, end.reason) for end in sent.source_ends] == [(60, pb.EndOfStream.LOST)]
    assert "no answer in time" in sent.source_ends[0].detail


def test_pauses_grow_while_the_camera_is_away_and_start_again_after() -> None:
    pauses = Pauses(7)
    assert not read(Camera("c", "rtsp://127.0.0.1:9/live"), pauses).source_ends
    for expected, seconds in zip((1, 2, 4, 8, 16, 30, 30), pauses.seconds, strict=True):
        assert 0.8 * expected <= seconds <= min(30, 1.2 * expected)
    assert len(set(pauses.seconds)) > 1
    assert max(islice(reconnect_pauses(5), 10)) <= 5


def test_pauses_start_again_after_frames_came(video: Path) -> None:
    pauses = Pauses(4)
    with RtspCamera(video) as camera:
        read(Camera("c", camera.url), pauses)
    assert max(pauses.seconds) <= 1.2


def test_close_ends_a_live_camera_as_stopped(video: Path) -> None:
    with RtspCamera(video, pause_s=0.02) as camera:
        stage = DecoderStage(DecoderSettings(read_timeout_s=1), [Camera("c", camera.url)], Book(policy()))
        sent = run(stage, until=lambda sent: len(sent.units) > 5)
    assert sent.source_ends[-1].reason == pb.EndOfStream.STOPPED
    assert stage.finished
    assert not stage.failures


def test_close_cuts_a_pause_short() -> None:
    stage = DecoderStage(DecoderSettings(), [Camera("c", "rtsp://127.0.0.1:9/live")], Book(policy()))
    stage.completed()
    threading.Event().wait(0.2)
    stage.close()
    stage.join(5)
    assert stage.finished


def test_i7_a_live_camera_sheds_whole_groups_and_the_gap_shows(tmp_path: Path) -> None:
    # Pictures of 720 kB, of which the outbox holds one group of ten and a little more.
    video = make_video(tmp_path / "a.h264", frames=60, gop=10, size=(800, 600))
    settings = DecoderSettings(outbox_bytes=12 << 20)
    with RtspCamera(video) as camera:
        sent = read(Camera("c", camera.url), Pauses(1), settings)
    assert sum(len(unit.inline) for unit in sent.units) < 12 << 20
    seqs = [unit.seq for unit in sent.units]
    assert 0 < len(seqs) < 60
    assert sent.units[0].keyframe
    assert seqs[0] > 0
    assert sent.source_ends[0].frames == 60
    for before, after in pairwise(sent.units):
        assert after.seq == before.seq + 1 or after.keyframe
