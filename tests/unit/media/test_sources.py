"""Sources: what they say of themselves, their errors, and that no credential is ever shown."""

from pathlib import Path

import pytest

from services.media.demux import Demuxer
from services.media.sources import Camera, SourceError, is_live, list_videos, masked, probe
from tests.support.videos import make_video


def test_probe_says_size_length_codec_and_sound(tmp_path: Path) -> None:
    info = probe(str(make_video(tmp_path / "a.mp4", frames=50, audio=True)))
    assert (info.frames, info.fps, info.width, info.height, info.codec) == (50, 25.0, 192, 128, "h264")
    assert info.duration_s == pytest.approx(2.0)
    assert info.has_audio


def test_probe_estimates_frames_where_the_container_does_not_count_them(tmp_path: Path) -> None:
    info = probe(str(make_video(tmp_path / "a.mkv", frames=50)))
    assert info.frames == 50
    assert not info.has_audio


def test_errors_are_one_sentence_each(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video at all")
    sound = tmp_path / "sound.wav"
    sound.write_bytes(_wave())
    for path, says in [
        (tmp_path / "none.mp4", "no such file"),
        (text, "not a video"),
        (sound, "no video stream"),
        (tmp_path, "is a folder"),
    ]:
        with pytest.raises(SourceError) as caught:
            probe(str(path))
        assert says in str(caught.value)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://admin:secret@10.0.0.1/live", "rtsp://***@10.0.0.1/live"),
        ("rtsp://admin:se@cr/et@10.0.0.1:554/live", "rtsp://***@10.0.0.1:554/live"),
        ("http://10.0.0.1/mjpeg?user=admin&pwd=secret", "http://10.0.0.1/mjpeg?***"),
        ("rtsp://admin@10.0.0.1/live?token=a@b", "rtsp://***@10.0.0.1/live?***"),
        ("rtsp://10.0.0.1/live", "rtsp://10.0.0.1/live"),
        ("/videos/a@b?.mp4", "/videos/a@b?.mp4"),
    ],
)
def test_masked_urls_hold_no_credentials(url: str, shown: str) -> None:
    assert masked(url) == shown
    assert "secret" not in repr(Camera("c", url))


def test_i3_an_unreachable_camera_is_reported_without_its_password() -> None:
    with pytest.raises(SourceError) as caught:
        Demuxer("rtsp://admin:hunter2@127.0.0.1:9/live", live=True, open_timeout_s=2)
    assert "hunter2" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_what_is_live_is_told_from_the_url() -> None:
    assert all(map(is_live, ("rtsp://a/b", "RTSP://a/b", "http://a/b", "/dev/video0")))
    assert not any(map(is_live, ("a.mp4", "/dev/shm/a.mp4", "C:/rtsp.mp4")))
    assert Camera("c", "http://a/b.mp4", live=False).is_live is False


def test_a_folder_lists_its_videos_by_name(tmp_path: Path) -> None:
    for name in ("b.MP4", "a.avi", "notes.txt", ".hidden"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "sub.mp4").mkdir()
    assert [path.name for path in list_videos(tmp_path)] == ["a.avi", "b.MP4"]
    with pytest.raises(SourceError, match="no video files"):
        list_videos(tmp_path / "sub.mp4")
    with pytest.raises(SourceError, match="no such folder"):
        list_videos(tmp_path / "none")


def _wave() -> bytes:
    samples = bytes(16000)
    header = b"RIFF" + (36 + len(samples)).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    header += b"\x01\x00\x01\x00" + (8000).to_bytes(4, "little") + (16000).to_bytes(4, "little") + b"\x02\x00\x10\x00"
    return header + b"data" + len(samples).to_bytes(4, "little") + samples
