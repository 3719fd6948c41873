"""HLS: the playlist, its window, going on after an epoch, sound, and errors."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from services.media.hls_playlist import Playlist, Segment
from services.media.hls_sink import HlsOptions, HlsSink
from services.media.marking import is_marked
from services.media.sink import SinkError, Target
from services.schema import pb
from tests.support.redacted import TIMELINES, interleaved, times_of, tone, units

SHORT = HlsOptions(segment_s=0.5, window=3, spare=2)


def hls(folder: Path, stream: list[pb.RedactedUnit], audio: pb.AudioUnit | None = None, *, live: bool) -> HlsSink:
    return HlsSink(Target("hls", str(folder)), stream[0], audio, live, SHORT)


@pytest.mark.parametrize("name", TIMELINES)
def test_a_file_becomes_a_folder_that_plays_whole(tmp_path: Path, name: str) -> None:
    """Times between pictures and the total are exact to a tick of MPEG-TS, 11 µs, on either side."""
    time_base, times, last = TIMELINES[name]
    stream = units(times, time_base, last)
    sink = hls(tmp_path / "out", stream, live=False)
    for unit in stream:
        sink.write(unit)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.part"]
    sink.finish()
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    index = tmp_path / "out" / "index.m3u8"
    got = times_of(index)
    want = [(pts - times[0]) * time_base for pts in times]
    assert len(got) == len(want)
    tick = Fraction(1, 90_000)
    assert all(abs(have - got[0] - wanted) <= tick for have, wanted in zip(got, want, strict=True))
    playlist = Playlist.parse(index.read_text())
    assert len(playlist.segments) >= 4
    total = float((times[-1] + last - times[0]) * time_base)
    assert sum(s.duration_s for s in playlist.segments) == pytest.approx(total, abs=1e-4)
    assert all(round(s.duration_s) <= playlist.target_s for s in playlist.segments)
    assert "#EXT-X-PLAYLIST-TYPE:VOD" in index.read_text()
    assert index.read_text().endswith("#EXT-X-ENDLIST\n")


def test_every_segment_starts_with_a_marked_keyframe(tmp_path: Path) -> None:
    time_base, times, last = TIMELINES["25 fps"]
    stream = units(times, time_base, last)
    sink = hls(tmp_path / "out", stream, live=False)
    for unit in stream:
        sink.write(unit)
    sink.finish()
    for segment in (tmp_path / "out").glob("*.ts"):
        with av.open(str(segment)) as container:
            first = next(container.demux(video=0))
            assert first.is_keyframe
            assert is_marked(bytes(first))


def test_a_live_window_slides_and_the_disk_stays_bounded(tmp_path: Path) -> None:
    time_base = Fraction(1, 25)
    stream = units(list(range(150)), time_base, 1, live=True)
    sink = hls(tmp_path / "live", stream, live=True)
    most = 0
    for unit in stream:
        sink.write(unit)
        most = max(most, len(list((tmp_path / "live").iterdir())))
    playlist = Playlist.parse((tmp_path / "live" / "index.m3u8").read_text())
    assert len(playlist.segments) == 3
    assert playlist.sequence == 11 - 3
    assert most <= 3 + 2 + 2  # window, spare, the segment being written, the playlist
    assert all((tmp_path / "live" / segment.name).exists() for segment in playlist.segments)
    assert "ENDLIST" not in (tmp_path / "live" / "index.m3u8").read_text()
    sink.abort()


def test_the_next_epoch_goes_on_after_a_discontinuity(tmp_path: Path) -> None:
    time_base = Fraction(1, 25)
    for epoch in range(6):
        stream = units(list(range(40)), time_base, 1, live=True, epoch=epoch)
        sink = hls(tmp_path / "live", stream, live=True)
        for unit in stream:
            sink.write(unit)
        sink.finish()
        assert len(list((tmp_path / "live").iterdir())) <= 3 + 2 + 1
    playlist = Playlist.parse((tmp_path / "live" / "index.m3u8").read_text())
    assert playlist.next_number == 6 * 4
    assert playlist.discontinuities + sum(s.discontinuity for s in playlist.segments) == 5


def test_sound_stays_in_sync(tmp_path: Path) -> None:
    time_base, times, last = TIMELINES["25 fps"]
    video, audio = units(times, time_base, last), tone(2.4)
    sink = hls(tmp_path / "out", video, audio[0], live=False)
    for unit in interleaved(video, audio):
        if isinstance(unit, pb.AudioUnit):
            sink.write_audio(unit)
        else:
            sink.write(unit)
    sink.finish()
    index = tmp_path / "out" / "index.m3u8"
    pictures, sound = times_of(index), times_of(index, "audio")
    base = Fraction(audio[0].time_base_num, audio[0].time_base_den)
    packet = Fraction(1024, 48000)
    assert abs((sound[0] - pictures[0]) - (audio[0].pts * base - times[0] * time_base)) <= packet
    assert abs((sound[-1] - pictures[-1]) - (audio[-1].pts * base - times[-1] * time_base)) <= packet


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    time_base = Fraction(1, 25)
    stream = units(list(range(60)), time_base, 1, live=True, crf=5)
    (tmp_path / "00000001.ts.part").symlink_to("/dev/full")
    sink = hls(tmp_path, stream, live=True)

    def fill() -> None:
        for unit in stream:
            sink.write(unit)

    with pytest.raises(SinkError, match="the disk is full"):
        fill()
    sink.abort()
    assert [s.name for s in Playlist.parse((tmp_path / "index.m3u8").read_text()).segments] == ["00000000.ts"]


def test_abort_leaves_the_provisional_name(tmp_path: Path) -> None:
    time_base, times, last = TIMELINES["25 fps"]
    stream = units(times, time_base, last)
    sink = hls(tmp_path / "out", stream, live=False)
    for unit in stream[:40]:
        sink.write(unit)
    sink.abort()
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.part"]


def test_a_folder_in_use_and_a_foreign_playlist_are_refused(tmp_path: Path) -> None:
    time_base, times, last = TIMELINES["25 fps"]
    stream = units(times[:3], time_base, last)
    (tmp_path / "index.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:soon\n")
    with pytest.raises(SinkError, match="the folder is not empty"):
        hls(tmp_path, stream, live=False)
    with pytest.raises(SinkError, match="is not a playlist of ours"):
        hls(tmp_path, stream, live=True)
    with pytest.raises(SinkError, match="its folder does not exist"):
        hls(tmp_path / "none" / "out", stream, live=False)


def test_a_playlist_reads_back_what_it_wrote() -> None:
    playlist = Playlist(sequence=7, discontinuities=2)
    gone = [playlist.append(Segment(f"{n}.ts", 1.5 + n, discontinuity=n == 1), 3) for n in range(5)]
    assert gone == [[], [], [], ["0.ts"], ["1.ts"]]
    assert (playlist.sequence, playlist.discontinuities, playlist.target_s) == (9, 3, 6)
    assert Playlist.parse(playlist.render()) == playlist
