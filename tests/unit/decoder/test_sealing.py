"""With a sealer no payload leaves in the clear, and each opens in its own place only."""

import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from services.bus.interface import Record
from services.bus.topics import FRAMES_DETECT, VIDEO_SOURCE
from services.decoder.settings import DecoderSettings
from services.decoder.stage import DecoderStage
from services.envelope import KeyFolder, Opener, Sealer, SealError, context
from services.media.demux import Demuxer
from services.media.order import SourceUnit
from services.media.sources import Camera
from services.schema import pb
from tests.support.book import Book
from tests.support.keys import add_key
from tests.support.videos import make_video
from tests.unit.decoder.harness import Sent, policy, run

_ENCODED = DecoderSettings(transport="encoded")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("v") / "a.mp4", frames=30, audio=True)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyFolder:
    folder = tmp_path_factory.mktemp("keys")
    add_key(folder, "a")
    return KeyFolder(folder)


@pytest.fixture(scope="module")
def records(video: Path, keys: KeyFolder) -> list[Record]:
    stage = DecoderStage(_ENCODED, [Camera("c", str(video))], Book(policy(sound="keep")), Sealer(keys))
    taken: list[Record] = []
    while not stage.finished:
        taken += [record for emission in stage.completed() for record in emission.records]
        time.sleep(0.002)
    stage.join(5)
    return taken


def test_each_payload_opens_where_it_belongs_and_has_its_size(
    records: list[Record], keys: KeyFolder, video: Path
) -> None:
    sent, opener = Sent().take(records), Opener(keys)
    demuxer = Demuxer(str(video), live=False, sound=True)
    items = list(demuxer.units())
    demuxer.close()
    pictures = {item.seq: item.payload for item in items if isinstance(item, SourceUnit)}
    sounds = {item.index: item.payload for item in items if not isinstance(item, SourceUnit)}
    assert (len(sent.units), len(sent.sound)) == (len(pictures), len(sounds)) == (30, len(sounds))
    for unit in sent.units:
        place = context(VIDEO_SOURCE, "c", unit.epoch, unit.seq)
        assert opener.open("c", place, unit.sealed) == pictures[unit.seq]
        assert unit.size == len(pictures[unit.seq])
    for sound in sent.sound:
        place = context(VIDEO_SOURCE, "c", sound.epoch, sound.index, "sound")
        assert opener.open("c", place, sound.sealed) == sounds[sound.index]
    assert sent.looks
    for look in sent.looks:
        jpeg = opener.open("c", context(FRAMES_DETECT, "c", look.epoch, look.seq), look.sealed)
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (look.height, look.width, 3)


def test_i3_no_value_holds_plaintext(records: list[Record], video: Path) -> None:
    demuxer = Demuxer(str(video), live=False, sound=True)
    payloads = [item.payload for item in demuxer.units()]
    demuxer.close()
    values = b"\0".join(record.value for record in records)
    # Any run of 16 bytes of a payload would give it away, wherever it were put; empty pictures say nothing.
    for payload in payloads:
        for at in range(0, len(payload) - 16, 64):
            assert payload[at : at + 16] not in values or len(set(payload[at : at + 16])) < 4
    for mark in (b"\xff\xd8\xff\xe0", b"JFIF"):
        assert mark not in values
    for record in records:
        assert record.attachment is None
        if record.topic is VIDEO_SOURCE:
            body = pb.SourceMessage.FromString(record.value)
            assert not body.unit.inline
            assert not body.audio.inline
        else:
            assert not pb.DetectMessage.FromString(record.value).frame.jpeg


def test_messages_carry_the_trace_of_their_frame(records: list[Record]) -> None:
    sent = Sent().take(records)
    for message in (*sent.units, *sent.looks):
        (hop,) = message.trace
        assert hop.stage == "decoder"
        assert message.captured_us == hop.received_us <= hop.sent_us < hop.received_us + 60_000_000


def test_pictures_leave_a_process_sealed_or_not_at_all(video: Path, keys: KeyFolder) -> None:
    cameras, book = [Camera("c", str(video))], Book(policy())
    with pytest.raises(ValueError, match="needs a sealer"):
        DecoderStage(_ENCODED, cameras, book)
    with pytest.raises(ValueError, match="can't be sealed"):
        DecoderStage(DecoderSettings(), cameras, book, Sealer(keys))


def test_without_a_key_nothing_is_sent(video: Path, tmp_path: Path) -> None:
    stage = DecoderStage(_ENCODED, [Camera("c", str(video))], Book(policy()), Sealer(KeyFolder(tmp_path / "none")))
    with pytest.raises(SealError, match="key folder can't be read"):
        run(stage)
    stage.join(5)
