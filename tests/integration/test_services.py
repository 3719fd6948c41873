"""Service processes on a real broker: killed, stopped, and left without it."""

import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from deploy.stack.kafka import KafkaServer
from deploy.stack.ports import free_ports
from deploy.stack.services import ServiceProcess
from services.bus.interface import BusFull, Record, Start
from services.bus.kafka import KafkaBus
from services.bus.topics import VIDEO_REDACTED, VIDEO_RENDERED
from services.consume.view import RedactedView, parse
from services.media.planar_jpeg import PlanarJpegEncoder
from services.schema import pb
from tests.support.annexb import decoded
from tests.support.rendered import frame, luma_of, picture

TIME_BASE = Fraction(1, 12800)
CAMERAS = ("gate", "hall", "yard")
JPEGS = [PlanarJpegEncoder(90).encode(picture(seq)) for seq in range(40)]
SITE = "name: x\ncameras:\n" + "".join(f"  - {{id: {camera}, source: a.mp4}}\n" for camera in CAMERAS)


class Feed:
    """Sends frames of every camera as the renderer would, 25 a second, until it is ended."""

    def __init__(self, kafka: KafkaServer) -> None:
        self.epoch = time.time_ns() // 1000
        self.sent = 0
        self._bus = KafkaBus(kafka.settings("renderer"))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> int:
        """Sends each camera's end; returns the number of its frames."""
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.sent

    def _run(self) -> None:
        producer = self._bus.producer()
        while not self._stop.wait(0.04):
            for camera in CAMERAS:
                fields = {"camera_id": camera, "epoch": self.epoch, "live": True, "duration": 512}
                body = frame(self.sent, 512 * self.sent, TIME_BASE, jpeg=JPEGS[self.sent % 40], **fields)
                self._publish(producer, camera, pb.RenderedMessage(frame=body))
            self.sent += 1
        for camera in CAMERAS:
            end = pb.EndOfStream(camera_id=camera, epoch=self.epoch, frames=self.sent, reason=pb.EndOfStream.STOPPED)
            self._publish(producer, camera, pb.RenderedMessage(end=end))
        producer.flush(30)
        self._bus.close()

    def _publish(self, producer: object, camera: str, message: pb.RenderedMessage) -> None:
        while True:
            try:
                producer.publish(Record(VIDEO_RENDERED, camera, message.SerializeToString()))
            except BusFull:
                producer.wait(0.1)
            else:
                return


class Viewer:
    """A control centre: everything of one epoch on video.redacted, as it comes."""

    def __init__(self, kafka: KafkaServer, epoch: int) -> None:
        self._bus = KafkaBus(kafka.settings("control-centre"))
        self._reader = self._bus.reader(VIDEO_REDACTED, Start("oldest"))
        self._view = RedactedView(whole=True)
        self._epoch = epoch
        self.raw = 0
        self.units: dict[str, list[pb.RedactedUnit]] = defaultdict(list)
        self.ends: dict[str, list[pb.EndOfStream]] = defaultdict(list)

    def watch(self, until: Callable[["Viewer"], bool], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not until(self):
            assert time.monotonic() < deadline, {camera: len(units) for camera, units in self.units.items()}
            for message in self._reader.poll(0.2):
                item = self._view.take(message)
                # Other tests leave on the topic what is none of its messages.
                body = parse(message)
                self.raw += body is not None and body.epoch == self._epoch
                if item is not None and item.epoch == self._epoch:
                    (self.units if isinstance(item, pb.RedactedUnit) else self.ends)[item.camera_id].append(item)

    @property
    def frames(self) -> int:
        return min((len(self.units[camera]) for camera in CAMERAS), default=0)

    @property
    def ended(self) -> bool:
        return all(self.ends[camera] for camera in CAMERAS)

    def close(self) -> None:
        self._bus.close()


@pytest.fixture
def start(kafka: KafkaServer, tmp_path: Path) -> Iterator[Callable[..., ServiceProcess]]:
    """Starts services of the test's own; each is ended with it."""
    made: list[ServiceProcess] = []
    ports = free_ports(25_000 + os.getpid() % 2000)
    (tmp_path / "site.yaml").write_text(SITE)

    def start(service: str = "encoder") -> ServiceProcess:
        principal = service.replace("+", "-")
        env = {
            **kafka.env(principal),
            "VEIL_KAFKA_SESSION_TIMEOUT_S": "6",
            "VEIL_SERVICE_SITE": str(tmp_path / "site.yaml"),
            "VEIL_ENCODER_PRESET": "ultrafast",
        }
        made.append(ServiceProcess(service, len(made) + 1, next(ports), tmp_path, env))
        made[-1].start()
        return made[-1]

    yield start
    for process in made:
        process.kill()


def assert_whole(viewer: Viewer, frames: int) -> None:
    for camera in CAMERAS:
        units = viewer.units[camera]
        assert [unit.seq for unit in units] == list(range(frames)), camera
        assert len(viewer.ends[camera]) == 1
        assert [unit.dts for unit in units] == sorted({unit.dts for unit in units})
        pictures = decoded([unit.payload for unit in units])
        assert len(pictures) == frames
        for seq, planes in enumerate(pictures):
            assert abs(float(planes[:40].mean()) - luma_of(seq % 40)) < 4, f"{camera}: frame {seq} shows another's"


def test_i6_an_encoder_killed_again_and_again_sends_each_frame_once(
    kafka: KafkaServer, start: Callable[..., ServiceProcess]
) -> None:
    process = start()
    process.wait_ready()
    feed = Feed(kafka)
    viewer = Viewer(kafka, feed.epoch)
    for _ in range(3):
        had = viewer.frames
        viewer.watch(lambda seen, had=had: seen.frames > had + 15, 90)
        process.kill()
        process = start()
    viewer.watch(lambda seen: seen.frames > 60, 90)
    frames = feed.end()
    viewer.watch(lambda seen: seen.ended, 90)
    viewer.close()
    assert_whole(viewer, frames)
    assert viewer.raw == (frames + 1) * len(CAMERAS), "not even in the topic is any twice"


def test_i6_cameras_move_between_encoders_and_a_signal_ends_them_in_order(
    kafka: KafkaServer, start: Callable[..., ServiceProcess]
) -> None:
    first = start()
    first.wait_ready()
    feed = Feed(kafka)
    viewer = Viewer(kafka, feed.epoch)
    viewer.watch(lambda seen: seen.frames > 20, 90)
    second = start()
    second.wait_ready()
    had = viewer.frames
    viewer.watch(lambda seen: seen.frames > had + 30, 90)
    status = ended(first)
    had = viewer.frames
    viewer.watch(lambda seen: seen.frames > had + 30, 90)
    frames = feed.end()
    viewer.watch(lambda seen: seen.ended, 90)
    viewer.close()
    assert status == 0
    assert "starts afresh" not in first.log.read_text() + second.log.read_text()
    assert_whole(viewer, frames)
    assert viewer.raw == (frames + 1) * len(CAMERAS)


def test_without_the_broker_a_service_stays_alive_and_goes_on_when_it_is_back(
    kafka: KafkaServer, start: Callable[..., ServiceProcess]
) -> None:
    process = start()
    process.wait_ready()
    kafka.stop()
    try:
        time.sleep(12)
        assert process.running
        assert status_of(process, "live") == 200
    finally:
        kafka.start()
    feed = Feed(kafka)
    viewer = Viewer(kafka, feed.epoch)
    viewer.watch(lambda seen: seen.frames > 20, 90)
    frames = feed.end()
    viewer.watch(lambda seen: seen.ended, 90)
    viewer.close()
    assert_whole(viewer, frames)


def ended(process: ServiceProcess) -> int:
    """Exit status after SIGTERM."""
    os.kill(process.pid, signal.SIGTERM)
    child = process._process
    assert child is not None
    return child.wait(30)


def status_of(process: ServiceProcess, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{process.port}/{path}", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
