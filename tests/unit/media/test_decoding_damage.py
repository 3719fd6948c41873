"""Damaged access units: the count stays, and nothing made from damaged data passes for sound."""

import random
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from services.media.decoding import AccessUnitDecoder, DecodedUnit, PictureMaker
from services.media.demux import Demuxer, SourceSound
from services.media.order import SourceUnit
from services.media.sources import SourceError
from tests.support.videos import make_video

Video = tuple[Demuxer, list[SourceUnit]]


def read(path: Path) -> Video:
    source = Demuxer(str(path), live=False)
    return source, [item for item in source.units() if not isinstance(item, SourceSound)]


def decode(video: Video, damaged: Mapping[int, bytes], *, from_unit: int = 0) -> list[DecodedUnit]:
    source, units = video
    decoder = AccessUnitDecoder(source.info)
    out: list[DecodedUnit] = []
    for unit in units[from_unit:]:
        out += decoder.decode(damaged.get(unit.seq, unit.payload), unit.seq, keyframe=unit.keyframe)
    return out + decoder.flush()


def zeroed(payload: bytes) -> bytes:
    return bytes(len(payload))


def halved(payload: bytes) -> bytes:
    return payload[: len(payload) // 2]


def emptied(payload: bytes) -> bytes:
    return b""


def scrambled(payload: bytes) -> bytes:
    dice = random.Random(7)
    return payload[:6] + bytes(byte ^ dice.randrange(256) for byte in payload[6:])


DAMAGES = [zeroed, halved, emptied, scrambled]


@pytest.fixture(scope="module")
def h264(tmp_path_factory: pytest.TempPathFactory) -> Video:
    return read(make_video(tmp_path_factory.mktemp("v") / "a.mp4", frames=40, gop=10))


@pytest.fixture(scope="module")
def reordered(tmp_path_factory: pytest.TempPathFactory) -> Video:
    return read(make_video(tmp_path_factory.mktemp("v") / "a.mkv", frames=40, gop=10, b_frames=3))


@pytest.mark.parametrize("damage", DAMAGES)
def test_from_a_damaged_unit_to_the_next_keyframe_all_is_corrupt(h264: Video, damage: Callable[[bytes], bytes]) -> None:
    out = decode(h264, {13: damage(h264[1][13].payload)})
    assert [unit.seq for unit in out] == list(range(40))
    assert [unit.seq for unit in out if unit.corrupt] == list(range(13, 20))


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4", "mjpeg"])
def test_the_count_stays_and_no_changed_picture_passes_for_sound(
    tmp_path: Path, codec: str, damage: Callable[[bytes], bytes]
) -> None:
    fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    video = read(make_video(tmp_path / "a.mkv", frames=24, gop=8, codec=codec, pix_fmt=fmt, b_frames=0))
    maker = PictureMaker(video[0].info)
    sound = {unit.seq: maker.picture(unit.frame).y for unit in decode(video, {}) if unit.frame is not None}
    assert len(sound) == 24
    for victim in (0, 3, 8, 13, 23):
        out = decode(video, {victim: damage(video[1][victim].payload)})
        assert [unit.seq for unit in out] == list(range(24))
        corrupt = {unit.seq for unit in out if unit.corrupt}
        assert victim in corrupt
        assert corrupt <= ({victim} if codec == "mjpeg" else set(range(victim, 8 * (victim // 8 + 1))))
        for unit in out:
            if unit.frame is not None and not unit.corrupt:
                assert np.array_equal(maker.picture(unit.frame).y, sound[unit.seq])


def test_b_frames_shown_before_their_damaged_reference_are_corrupt_too(reordered: Video) -> None:
    units = reordered[1]
    victim = next(unit for unit in units if unit.seq > units[units.index(unit) + 1].seq)
    out = decode(reordered, {victim.seq: scrambled(victim.payload)})
    assert [unit.seq for unit in out] == [unit.seq for unit in units]
    between = [unit.seq for unit in units[units.index(victim) :] if unit.seq < 10]
    assert min(between) < victim.seq
    assert {unit.seq for unit in out if unit.corrupt} >= set(between)
    assert not any(unit.corrupt for unit in out if unit.seq >= 10)


def test_leading_pictures_stay_corrupt_after_the_keyframe_of_an_open_group(tmp_path: Path) -> None:
    options = {"x264-params": "open-gop=1:keyint=8:min-keyint=8:scenecut=0:bframes=3:b-adapt=0:threads=1"}
    video = read(make_video(tmp_path / "a.mkv", frames=32, options=options))
    units = video[1]
    second = next(unit for unit in units if unit.keyframe and unit.seq > 0)
    leading = [unit.seq for unit in units[units.index(second) :] if unit.seq < second.seq]
    assert leading
    out = decode(video, {units[1].seq: zeroed(units[1].payload)})
    corrupt = {unit.seq for unit in out if unit.corrupt}
    assert corrupt >= set(leading)
    assert second.seq not in corrupt
    assert not any(seq > second.seq for seq in corrupt)


def test_a_damaged_leading_picture_spoils_the_other_leading_ones_only(tmp_path: Path) -> None:
    options = {"x264-params": "open-gop=1:keyint=8:min-keyint=8:scenecut=0:bframes=3:b-adapt=0:threads=1"}
    source, units = read(make_video(tmp_path / "a.mkv", frames=32, options=options))
    at = next(at for at, unit in enumerate(units) if unit.keyframe and unit.seq > 0) + 1
    decoder = AccessUnitDecoder(source.info)
    out: list[DecodedUnit] = []
    for number, unit in enumerate(units):
        out += decoder.decode(unit.payload, unit.seq, keyframe=unit.keyframe, damaged=number == at)
    out += decoder.flush()
    leading = {unit.seq for unit in units[at:] if unit.seq < units[at - 1].seq}
    assert len(leading) == 3
    assert {unit.seq for unit in out if unit.corrupt and unit.seq <= 12} == leading


def test_nothing_before_the_first_keyframe_passes_for_sound(h264: Video, reordered: Video) -> None:
    for video in (h264, reordered):
        out = decode(video, {}, from_unit=4)
        assert all(unit.corrupt for unit in out if unit.seq < 10)
        assert not any(unit.corrupt for unit in out if unit.seq >= 10)


def test_units_known_to_be_incomplete_are_corrupt_whatever_the_decoder_says(h264: Video) -> None:
    source, units = h264
    decoder = AccessUnitDecoder(source.info)
    out: list[DecodedUnit] = []
    for unit in units:
        out += decoder.decode(unit.payload, unit.seq, keyframe=unit.keyframe, damaged=unit.seq == 5)
    out += decoder.flush()
    assert [unit.seq for unit in out if unit.corrupt] == [5, 6, 7, 8, 9]


def test_garbage_without_end_is_decided_in_the_end(h264: Video) -> None:
    decoder = AccessUnitDecoder(h264[0].info)
    out: list[DecodedUnit] = []
    for seq in range(200):
        out += decoder.decode(b"\x00\x00\x00\x04\xff\xff\xff\xff", seq, keyframe=False)
    assert len(out) >= 150
    assert all(unit.corrupt for unit in [*out, *decoder.flush()])


def test_a_file_that_was_cut_off_says_so_after_its_last_frame(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "a.mp4", frames=60, container_options={"movflags": "faststart"})
    cut = tmp_path / "cut.mp4"
    data = whole.read_bytes()
    assert data.find(b"moov") < data.find(b"mdat")
    cut.write_bytes(data[: len(data) * 6 // 10])
    source = Demuxer(str(cut), live=False)
    seqs = []
    with pytest.raises(SourceError, match=r"ends after \d+ of 60 frames"):
        seqs.extend(unit.seq for unit in source.units() if isinstance(unit, SourceUnit))
    assert 10 < len(seqs) < 60
    assert sorted(seqs) == list(range(len(seqs)))


def test_a_matroska_file_that_was_cut_off_says_so_too(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "a.mkv", frames=90)
    assert sum(isinstance(unit, SourceUnit) for unit in Demuxer(str(whole), live=False).units()) == 90
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 4 // 10])
    source = Demuxer(str(cut), live=False)
    with pytest.raises(SourceError, match=r"cut.mkv: ends after \d\.\d of 3\.6 seconds"):
        assert 10 < sum(isinstance(unit, SourceUnit) for unit in source.units()) < 60
