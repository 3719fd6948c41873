"""I7: while the bus takes nothing, a file waits; a live camera sheds whole groups and counts each missing frame."""

import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from services.bus.interface import BusFull, Consumer, Reader, Record
from services.decoder.settings import DecoderSettings
from services.decoder.stage import DecoderStage
from services.media.sources import Camera
from services.runtime.runner import Runner
from services.schema import pb
from tests.support.book import Book
from tests.support.rtsp_camera import RtspCamera
from tests.support.videos import make_video
from tests.unit.decoder.harness import Sent, policy

_PICTURE = 800 * 600 * 3 // 2
_LIMIT = 12 << 20


class Refusing:
    """A bus with one producer that takes records only while it is `open`."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.records: list[Record] = []
        self.refused = 0

    def producer(self) -> "Refusing":
        return self

    def consumer(self, *_: object) -> Consumer:
        raise AssertionError("the decoder reads no topic")

    def reader(self, *_: object) -> Reader:
        raise AssertionError("the decoder remembers nothing")

    def publish(self, record: Record) -> None:
        if not self.open.is_set():
            self.refused += 1
            raise BusFull
        self.records.append(record)

    @property
    def acknowledged(self) -> int:
        return len(self.records)

    def wait(self, timeout_s: float) -> None:
        self.open.wait(timeout_s)

    def flush(self, timeout_s: float) -> None:
        """Nothing waits in it."""

    def close(self) -> None:
        """Nothing to release."""


def through_an_outage(stage: DecoderStage, bus: Refusing, over: Callable[[], bool], done: Callable[[], bool]) -> Sent:
    """Runs the stage against a bus that refuses until `over`, and to its end once `done`."""
    runner, stop = Runner(stage, bus), threading.Event()
    thread = threading.Thread(target=runner.run, args=(stop,))
    thread.start()
    deadline = time.monotonic() + 20
    try:
        while not over():
            pending = sum(item.size for item in list(runner._pending) if isinstance(item, Record))
            held = sum(reader.outbox.size for reader in stage._readers.values())
            assert pending <= (4 << 20) + 2 * _PICTURE
            assert held <= _LIMIT
            assert time.monotonic() < deadline
            time.sleep(0.01)
        bus.open.set()
        while not done():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        bus.open.set()
        stop.set()
        thread.join(20)
    assert bus.refused
    return Sent().take(bus.records)


def shed() -> float:
    return REGISTRY.get_sample_value("veil_decoder_shed_total", {"what": "frames"}) or 0.0


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("v") / "a.h264", frames=90, gop=10, size=(800, 600))


def test_a_file_loses_nothing(video: Path) -> None:
    settings = DecoderSettings(outbox_bytes=_LIMIT, outbox_s=1)
    stage, bus = DecoderStage(settings, [Camera("c", str(video))], Book(policy())), Refusing()
    until = time.monotonic() + 1.5
    sent = through_an_outage(stage, bus, lambda: time.monotonic() > until, lambda: stage.finished)
    assert [unit.seq for unit in sent.units] == list(range(90))
    assert [end.frames for end in sent.source_ends] == [90]
    assert [end.frames for end in sent.detect_ends] == [90]


def test_a_live_camera_loses_what_is_counted_and_no_more(video: Path) -> None:
    before = shed()
    with RtspCamera(video, silent_at_end=True, pause_s=0.005) as camera:
        settings = DecoderSettings(outbox_bytes=_LIMIT, read_timeout_s=1)
        stage, bus = DecoderStage(settings, [Camera("c", camera.url)], Book(policy())), Refusing()
        sent = through_an_outage(stage, bus, lambda: shed() - before >= 20, lambda: ended(bus))
    (end,) = [end for end in sent.source_ends if end.frames]
    assert (end.frames, end.reason) == (90, pb.EndOfStream.LOST)
    seqs = [unit.seq for unit in sent.units if unit.epoch == end.epoch]
    assert seqs == sorted(set(seqs))
    assert 20 <= 90 - len(seqs) == shed() - before
    assert seqs[-1] == 89, "the newest is kept"
    for earlier, later in pairwise(sent.units):
        assert later.seq == earlier.seq + 1 or later.keyframe


def ended(bus: Refusing) -> bool:
    return bool(Sent().take(bus.records).source_ends)
