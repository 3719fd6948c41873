"""I4: what lies on the broker's disk holds no picture that the broker, or whoever has the disk, could look at."""

import threading
from contextlib import closing
from pathlib import Path

import av
import pytest

from deploy.stack.kafka import KafkaServer
from services.bus.interface import Record
from services.bus.kafka import KafkaBus
from services.bus.topics import FRAMES_DETECT, VIDEO_SOURCE
from services.decoder.settings import DecoderSettings
from services.decoder.stage import DecoderStage
from services.envelope import KeyFolder, Sealer
from services.media.sources import Camera
from services.runtime.runner import Runner
from tests.support.book import Book
from tests.support.keys import add_key
from tests.support.on_kafka import publish
from tests.support.videos import make_video
from tests.unit.decoder.harness import policy

CAMERA = "disk-camera"
_JPEG_BEGINS = b"\xff\xd8\xff\xe0\x00\x10JFIF"
_PIECE = 48  # bytes of an access unit, beyond its headers, that will not be found by chance


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("disk") / "a.mp4", frames=50)


@pytest.fixture(scope="module")
def pieces(video: Path) -> list[bytes]:
    with av.open(video) as container:
        units = [bytes(packet) for packet in container.demux(video=0) if packet.size > 4 * _PIECE]
    assert units
    return [unit[len(unit) // 2 : len(unit) // 2 + _PIECE] for unit in units]


def decode(kafka: KafkaServer, video: Path, sealer: Sealer | None) -> None:
    settings = DecoderSettings(transport="encoded")
    stage = DecoderStage(settings, [Camera(CAMERA, str(video))], Book(policy()), sealer, plaintext=sealer is None)
    with closing(KafkaBus(kafka.settings("decoder"))) as bus:
        Runner(stage, bus).run(threading.Event())


def on_disk(kafka: KafkaServer, topic: str) -> bytes:
    logs = [log for folder in kafka.data_folders for log in folder.glob(f"{topic}-*/*.log")]
    return b"".join(log.read_bytes() for log in logs)


def test_i4_sealed_pictures_can_not_be_found_on_the_brokers_disk(
    kafka: KafkaServer, video: Path, pieces: list[bytes], tmp_path: Path
) -> None:
    publish(kafka, "decoder", [Record(VIDEO_SOURCE, CAMERA, b"not a picture")])  # waits until the rules are in force
    add_key(tmp_path, "first")
    before = {topic.name: len(on_disk(kafka, topic.name)) for topic in (VIDEO_SOURCE, FRAMES_DETECT)}
    decode(kafka, video, Sealer(KeyFolder(tmp_path)))
    source, looks = on_disk(kafka, VIDEO_SOURCE.name), on_disk(kafka, FRAMES_DETECT.name)
    assert len(source) > before[VIDEO_SOURCE.name] + sum(map(len, pieces))
    assert len(looks) > before[FRAMES_DETECT.name]
    assert not any(piece in source for piece in pieces)
    assert _JPEG_BEGINS not in looks

    # The same search finds what was not sealed: it could have failed above.
    decode(kafka, video, None)
    assert all(piece in on_disk(kafka, VIDEO_SOURCE.name) for piece in pieces)
    assert _JPEG_BEGINS in on_disk(kafka, FRAMES_DETECT.name)
