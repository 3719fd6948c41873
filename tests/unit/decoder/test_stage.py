"""The decoder stage: counts, numbers and times of what it sends are those of the file it reads."""

import threading
import time
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from services.bus.interface import InvalidMessage, Message, Position, Record, TopicPartition
from services.bus.topics import VIDEO_SOURCE
from services.decoder.epoch import shares
from services.decoder.settings import DecoderSettings
from services.decoder.stage import DecoderStage
from services.media.picture import Picture
from services.media.sources import Camera
from services.policy.model import Detection
from services.schema import pb
from tests.support.book import Book
from tests.support.videos import make_video, read_number
from tests.unit.decoder.harness import Sent, policy, run


def of_file(path: Path, settings: DecoderSettings | None = None, book: Book | None = None) -> DecoderStage:
    cameras = [Camera("c", str(path))]
    return DecoderStage(settings or DecoderSettings(), cameras, book or Book(policy()), plaintext=True)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("v") / "a.mp4", frames=50, b_frames=3, size=(190, 126))


def test_each_frame_is_sent_once_with_its_picture(video: Path) -> None:
    sent = run(of_file(video))
    assert sorted(unit.seq for unit in sent.units) == list(range(50))
    assert [unit.seq for unit in sent.units] != sorted(unit.seq for unit in sent.units)
    assert len({unit.epoch for unit in sent.units}) == 1
    for unit, data in zip(sent.units, sent.pictures, strict=True):
        assert data is not None
        assert read_number(Picture(data).y) == unit.seq
        assert unit.size == len(unit.inline) > 0
        assert unit.HasField("stream") == unit.keyframe
        assert not unit.corrupt
    pts = [unit.pts for unit in sorted(sent.units, key=lambda unit: unit.seq)]
    stream = sent.units[0].stream
    assert (pts[-1] - pts[0]) * Fraction(stream.time_base_num, stream.time_base_den) == Fraction(49, 25)
    assert (stream.width, stream.height, stream.live) == (190, 126, False)


def test_both_sides_of_a_cut_are_looked_at(tmp_path: Path) -> None:
    def paint(number: int, width: int, height: int) -> NDArray[np.uint8]:
        return np.full((height, width, 3), 40 if number < 22 else 200, np.uint8)

    sent = run(of_file(make_video(tmp_path / "cut.mp4", frames=50, paint=paint)))
    assert [look.seq for look in sent.looks] == [0, 8, 16, 21, 22, 30, 38, 46, 49]
    assert [image.mean() > 128 for image in sent.images if image is not None] == [False] * 4 + [True] * 5


def test_both_topics_end_with_the_count(video: Path) -> None:
    stage = of_file(video)
    sent = run(stage)
    for ends in (sent.source_ends, sent.detect_ends):
        assert [(end.frames, end.reason, end.epoch) for end in ends] == [
            (50, pb.EndOfStream.FINISHED, sent.units[0].epoch)
        ]
    assert not stage.failures


def test_detection_pictures_chain_from_the_first_to_the_last_frame(video: Path) -> None:
    sent = run(of_file(video, book=Book(policy(detection=Detection(long_side=320)))))
    seqs = [look.seq for look in sent.looks]
    assert seqs[0] == 0
    assert seqs[-1] == 49
    assert not sent.looks[0].has_previous
    assert [(a, True) for a in seqs[:-1]] == [(look.previous_seq, look.has_previous) for look in sent.looks[1:]]
    assert all(b - a <= 8 for a, b in pairwise(seqs))
    for look, image in zip(sent.looks, sent.images, strict=True):
        assert image is not None
        assert image.shape == (look.height, look.width, 3) == (126, 190, 3)
        assert (look.source_width, look.source_height) == (190, 126)
        assert look.attached
        assert list(look.detectors) == ["face", "plate"]
        assert read_number(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)) == look.seq


def test_detection_pictures_are_scaled_down_never_up(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", frames=3, size=(800, 480))
    sent = run(of_file(path, book=Book(policy(detection=Detection(long_side=320)))))
    assert {(look.width, look.height) for look in sent.looks} == {(320, 192)}


def test_encoded_transport_sends_jpeg_and_shares_nothing(video: Path) -> None:
    sent = run(of_file(video, DecoderSettings(transport="encoded")))
    assert not any(picture is not None for picture in [*sent.pictures, *sent.images])
    for look in sent.looks:
        image = cv2.imdecode(np.frombuffer(look.jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        assert image.shape == (126, 190, 3)
        assert read_number(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)) == look.seq


def test_pictures_are_shared_only_where_they_fit() -> None:
    info = pb.StreamInfo(width=768, height=576, frame_rate=25)
    one = (25 + 2 * 8 + 16) * 768 * 576 * 3 // 2
    settings = DecoderSettings(shared_picture_bytes=2 * one)
    assert shares(info, policy(), settings, cameras=2)
    assert not shares(info, policy(), settings, cameras=3)
    assert not shares(info, policy(), DecoderSettings(share_decoded=False), cameras=1)
    assert not shares(info, policy(), DecoderSettings(transport="encoded"), cameras=1)
    assert not shares(info, None, settings, cameras=1)


def test_i1_without_a_policy_nothing_is_given_to_detectors(video: Path) -> None:
    sent = run(of_file(video, book=Book(None)))
    assert len(sent.units) == 50
    assert not sent.looks
    assert len(sent.detect_ends) == 1


def test_a_changed_policy_takes_effect_in_mid_stream(video: Path) -> None:
    book = Book(policy())
    stage = of_file(video, DecoderSettings(outbox_bytes=1 << 20), book)

    def switched(sent: Sent) -> bool:
        if len(sent.units) > 10:
            book.policy = policy(kinds={"person": {}})
        return False

    sent = run(stage, until=switched)
    assert {tuple(look.detectors) for look in sent.looks} == {("face", "plate"), ("person",)}


def test_corrupt_units_keep_their_number_and_are_not_looked_at(tmp_path: Path, video: Path) -> None:
    data = bytearray(video.read_bytes())
    sound = run(of_file(video, DecoderSettings(share_decoded=False)))
    victim = next(unit for unit in sound.units if unit.keyframe and unit.seq > 0)
    at = data.find(victim.inline)
    data[at : at + victim.size] = bytes(victim.size)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(data)
    sent = run(of_file(damaged))
    assert sorted(unit.seq for unit in sent.units) == list(range(50))
    corrupt = {unit.seq for unit in sent.units if unit.corrupt}
    assert victim.seq in corrupt
    assert not corrupt & {look.seq for look in sent.looks}
    for unit, picture in zip(sent.units, sent.pictures, strict=True):
        assert (picture is None) == unit.corrupt
    assert sent.source_ends[0].frames == 50


def test_sound_goes_along_only_if_the_policy_keeps_it(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", frames=50, audio=True)
    assert not run(of_file(path)).sound
    sent = run(of_file(path, book=Book(policy(sound="keep"))))
    assert [unit.index for unit in sent.sound] == list(range(len(sent.sound)))
    first = sent.sound[0]
    assert (first.codec, first.sample_rate, first.channels) == ("aac", 48000, 1)
    assert first.extradata
    tick = Fraction(first.time_base_num, first.time_base_den)
    assert sum(unit.duration for unit in sent.sound) * tick == pytest.approx(2.0, abs=0.05)
    # Sound names the newest picture read before it: it never waits for one far ahead of it.
    for unit in sent.sound:
        assert unit.after_seq / 25 - float(unit.pts * tick) < 1.0
    assert len(sent.units) == 50


def test_a_missing_file_ends_at_once_with_a_reason(tmp_path: Path, video: Path) -> None:
    cameras = [Camera("bad", str(tmp_path / "none.mp4")), Camera("good", str(video))]
    stage = DecoderStage(DecoderSettings(), cameras, Book(policy()))
    sent = run(stage)
    assert list(stage.failures) == ["bad"]
    assert "no such file" in stage.failures["bad"]
    end = next(end for end in sent.source_ends if end.camera_id == "bad")
    assert (end.frames, end.reason) == (0, pb.EndOfStream.STOPPED)
    assert "no such file" in end.detail
    assert {end.camera_id for end in sent.detect_ends} == {"bad", "good"}
    assert len(sent.units) == 50


def test_close_stops_a_file_in_order_and_ends_its_threads(tmp_path: Path) -> None:
    path = make_video(tmp_path / "long.mp4", frames=400, b_frames=3)
    before = threading.active_count()
    stage = of_file(path, DecoderSettings(outbox_bytes=1 << 20))
    sent = run(stage, until=lambda sent: len(sent.units) > 20)
    end = sent.source_ends[0]
    assert end.reason == pb.EndOfStream.STOPPED
    assert 20 < end.frames < 400
    assert sorted(unit.seq for unit in sent.units) == list(range(end.frames))
    assert stage.finished
    assert threading.active_count() <= before


def test_i7_a_file_waits_while_nobody_collects(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", frames=200)
    stage = of_file(path, DecoderSettings(outbox_bytes=1 << 20))
    stage.completed()
    threading.Event().wait(0.3)
    held = sum(record.size for emission in stage.completed() for record in emission.records)
    assert 0 < held <= (1 << 20)
    assert len(run(stage).units) > 100


def test_the_decoder_reads_no_topic(video: Path) -> None:
    stage = of_file(video)
    record = Record(VIDEO_SOURCE, "c", b"")
    with pytest.raises(InvalidMessage):
        stage.submit(Message(record, Position(TopicPartition("video.source", 0), 0), 0))
    stage.close()
    assert stage.join(1) == []
    assert stage.finished


def test_what_nobody_foresaw_is_raised_in_the_runners_thread(video: Path) -> None:
    class Broken(Book):
        def policy_for(self, camera_id: str) -> None:
            raise RuntimeError("a bug")

    stage = of_file(video, book=Broken(None))
    with suppress(RuntimeError):  # the reader may be that quick
        stage.completed()
    threading.Event().wait(0.2)
    assert not stage.finished, "the runner would leave without a word"
    with pytest.raises(RuntimeError, match="a bug"):
        stage.completed()
    stage.join(5)


def test_two_cameras_may_not_have_one_id(video: Path) -> None:
    with pytest.raises(ValueError, match="same camera_id"):
        DecoderStage(DecoderSettings(), [Camera("c", str(video)), Camera("c", str(video))], Book(policy()))


def test_cameras_take_turns_and_each_turn_is_bounded(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.h264", frames=20, size=(800, 600))
    stage = DecoderStage(DecoderSettings(), [Camera(name, str(path)) for name in "abc"], Book(policy()))
    stage.completed()
    deadline = time.monotonic() + 10
    while any(reader.outbox.size < 8 << 20 for reader in stage._readers.values()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    firsts = []
    for _ in range(3):
        emissions = stage.completed()
        sizes = [record.size for emission in emissions for record in emission.records]
        assert 4 << 20 <= sum(sizes) < (4 << 20) + max(sizes)
        firsts.append(emissions[0].records[0].key)
    assert sorted(firsts) == ["a", "b", "c"]
    run(stage)
