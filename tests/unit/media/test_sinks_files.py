"""MP4 and Matroska: times, provisional names, truncation, sound, the mark, and errors."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from services.media.marking import MARK_TEXT, is_marked
from services.media.sink import Sink, SinkError, Target
from services.media.sinks import open_sink
from services.schema import pb
from tests.support.redacted import TIMELINES, interleaved, times_of, tone, units


def write(sink: Sink, stream: list[pb.RedactedUnit | pb.AudioUnit]) -> None:
    for unit in stream:
        if isinstance(unit, pb.AudioUnit):
            sink.write_audio(unit)
        else:
            sink.write(unit)


def to_file(path: Path, stream: list[pb.RedactedUnit], *, live: bool = False) -> Path:
    sink = open_sink(Target.parse(str(path)), stream[0], None, live)
    write(sink, stream)
    sink.finish()
    return next(path.parent.glob(f"{path.stem}*{path.suffix}"))


@pytest.mark.parametrize("live", [False, True], ids=["file", "recording"])
@pytest.mark.parametrize("name", TIMELINES)
def test_mp4_keeps_every_time_exactly(tmp_path: Path, name: str, live: bool) -> None:
    """Every pts and the total duration, last picture included, to the tick; so a player's total is exact to 1 µs."""
    time_base, times, last = TIMELINES[name]
    path = to_file(tmp_path / "out.mp4", units(times, time_base, last, live=live), live=live)
    assert times_of(path) == [pts * time_base for pts in times]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        total = (times[-1] + last - times[0]) * time_base
        assert stream.duration * stream.time_base == total
        assert abs(Fraction(container.duration, 1_000_000) - total) <= Fraction(1, 1_000_000)


@pytest.mark.parametrize("name", TIMELINES)
def test_mkv_keeps_times_to_its_millisecond(tmp_path: Path, name: str) -> None:
    time_base, times, last = TIMELINES[name]
    path = to_file(tmp_path / "out.mkv", units(times, time_base, last))
    got = times_of(path)
    assert len(got) == len(times)
    assert all(abs(have - pts * time_base) <= Fraction(1, 1000) for have, pts in zip(got, times, strict=True))
    with av.open(str(path)) as container:
        end = (times[-1] + last) * time_base
        assert abs(Fraction(container.duration, 1_000_000) - end) <= Fraction(2, 1000)


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_a_file_has_its_name_only_when_it_is_whole(tmp_path: Path, name: str) -> None:
    time_base, times, last = TIMELINES["25 fps"]
    stream = units(times, time_base, last)
    sink = open_sink(Target.parse(str(tmp_path / name)), stream[0], None, live=False)
    write(sink, stream)
    assert [file.name for file in tmp_path.iterdir()] == [f"{name}.part"]
    sink.finish()
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("live", [False, True], ids=["file", "recording"])
def test_mp4_plays_while_it_is_written(tmp_path: Path, live: bool) -> None:
    time_base, times, last = TIMELINES["25 fps"]
    stream = units(times, time_base, last, live=live, crf=10)
    sink = open_sink(Target.parse(str(tmp_path / "out.mp4")), stream[0], None, live=live)
    write(sink, stream)
    part = next(tmp_path.glob("*.part"))
    assert len(times_of(part)) >= len(times) - 26
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(part.read_bytes()[: part.stat().st_size * 2 // 3])
    with av.open(str(cut)) as container:
        seen = 0
        for packet in container.demux(video=0):
            seen += packet.size > 0
    assert seen >= 13
    sink.abort()


def test_abort_leaves_the_provisional_name(tmp_path: Path) -> None:
    time_base, times, last = TIMELINES["25 fps"]
    stream = units(times, time_base, last)
    sink = open_sink(Target.parse(str(tmp_path / "out.mp4")), stream[0], None, live=False)
    write(sink, stream[:40])
    sink.abort()
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4.part"]
    assert len(times_of(tmp_path / "out.mp4.part")) == 40


def test_recordings_of_two_epochs_do_not_meet(tmp_path: Path) -> None:
    time_base, times, last = TIMELINES["25 fps"]
    for epoch in (1_700_000_000_000_000, 1_700_000_001_000_000):
        stream = units(times[:5], time_base, last, live=True, epoch=epoch)
        sink = open_sink(Target.parse(str(tmp_path / "gate.mp4")), stream[0], None, live=True)
        write(sink, stream)
        sink.finish()
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["gate-20231114T221320000000Z.mp4", "gate-20231114T221321000000Z.mp4"]


@pytest.mark.parametrize(("name", "tag"), [("out.mp4", "comment"), ("out.mkv", "COMMENT")])
def test_the_file_and_its_pictures_are_marked(tmp_path: Path, name: str, tag: str) -> None:
    time_base, times, last = TIMELINES["25 fps"]
    with av.open(str(to_file(tmp_path / name, units(times, time_base, last)))) as container:
        assert container.metadata[tag] == MARK_TEXT
        keyframes = [packet for packet in container.demux(video=0) if packet.is_keyframe and packet.size]
        assert len(keyframes) >= 4
        assert all(is_marked(bytes(packet)) for packet in keyframes)


@pytest.mark.parametrize("codec", ["aac", "libopus", "libmp3lame"])
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_sound_stays_in_sync(tmp_path: Path, name: str, codec: str) -> None:
    """First sound and length against the source: within one packet of sound."""
    time_base, times, last = TIMELINES["25 fps"]
    video, audio = units(times, time_base, last), tone(2.4, codec)
    sink = open_sink(Target.parse(str(tmp_path / name)), video[0], audio[0], live=False)
    write(sink, interleaved(video, audio))
    sink.finish()
    got = times_of(tmp_path / name, "audio")
    base = Fraction(audio[0].time_base_num, audio[0].time_base_den)
    packet = Fraction(1152, 48000)
    assert abs(got[0] - max(0, audio[0].pts * base)) <= packet
    assert abs(got[-1] - audio[-1].pts * base) <= packet
    assert abs(times_of(tmp_path / name)[0]) <= Fraction(1, 1000)


def test_sound_keeps_its_own_decoder_settings(tmp_path: Path) -> None:
    """The muxer opens an encoder of the same name; what that would say of its sound must not reach the file."""
    time_base, times, last = TIMELINES["25 fps"]
    video, audio = units(times, time_base, last), tone(2.4)
    for unit in audio:
        unit.extradata = unit.extradata[:2]
    sink = open_sink(Target.parse(str(tmp_path / "out.mp4")), video[0], audio[0], live=False)
    write(sink, interleaved(video, audio))
    sink.finish()
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.audio[0].codec_context.extradata == audio[0].extradata


def test_sound_that_mp4_has_no_place_for_is_refused_in_one_sentence(tmp_path: Path) -> None:
    time_base, times, last = TIMELINES["25 fps"]
    video, audio = units(times[:3], time_base, last), tone(0.2, "pcm_mulaw", 8000)
    with pytest.raises(SinkError, match=r"out\.mp4 can't hold pcm_mulaw sound with 1 channels at 8000 Hz; write a"):
        open_sink(Target.parse(str(tmp_path / "out.mp4")), video[0], audio[0], live=False)
    assert not (tmp_path / "out.mp4").exists()
    open_sink(Target.parse(str(tmp_path / "out.mov")), video[0], audio[0], live=False).abort()


def test_errors_are_one_sentence(tmp_path: Path) -> None:
    time_base, times, last = TIMELINES["25 fps"]
    first = units(times[:3], time_base, last)[0]
    (tmp_path / "file").touch()
    for location, cause in (("none/out.mp4", "its folder does not exist"), ("file/out.mp4", "its folder is not a")):
        path = tmp_path / location
        with pytest.raises(SinkError) as caught:
            open_sink(Target.parse(str(path)), first, None, live=False)
        assert str(caught.value).startswith(f"can't write {path}: {cause}")


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_a_full_disk_is_said_and_leaves_no_final_name(tmp_path: Path, name: str) -> None:
    time_base, times, last = TIMELINES["25 fps"]
    stream = units(times, time_base, last, crf=5)
    (tmp_path / f"{name}.part").symlink_to("/dev/full")
    sink = open_sink(Target.parse(str(tmp_path / name)), stream[0], None, live=False)

    def fill() -> None:
        write(sink, stream)
        sink.finish()

    with pytest.raises(SinkError, match="the disk is full"):
        fill()
    sink.abort()
    assert not (tmp_path / name).exists()


def test_targets_are_read_off_their_names() -> None:
    assert Target.parse("a/b.MP4") == Target("mp4", "a/b.MP4")
    assert Target.parse("b.mkv") == Target("mkv", "b.mkv")
    assert Target.parse("live/index.m3u8") == Target("hls", "live")
    assert Target.parse("rtsp://h/x") == Target("rtsp", "rtsp://h/x")
    with pytest.raises(ValueError, match=r"out\.avi: an output is"):
        Target.parse("out.avi")
