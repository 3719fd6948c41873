"""The console as the process that a stack runs: on a real broker, as its own user, looked at over its WebSocket.

Masking is real too: sealed pictures of a camera go in, a renderer and encoder of their own mask them, and what the
console hands to browsers is decoded and looked at.
"""

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from deploy.stack.kafka import KafkaServer
from deploy.stack.ports import free_ports
from deploy.stack.services import ServiceProcess
from services.accounts.accounts import Accounts
from services.accounts.settings import AccountSettings
from services.bus.interface import BusFull, BusLost, Producer, Record, Start
from services.bus.kafka import KafkaBus
from services.bus.topics import FRAMES_DETECT, REDACTIONS, VIDEO_REDACTED, VIDEO_RENDERED, VIDEO_SOURCE, Topic
from services.console.fragments import PartKind
from services.console.viewer import HEAD
from services.envelope import KeyFolder, Sealer
from services.envelope.context import context
from services.media.encoding import H264Encoder, H264Options
from services.media.picture import Picture
from services.policy.site import load_site
from services.schema import pb
from tests.support.console import PASSWORD, live
from tests.support.keys import add_key
from tests.support.rendered import planes

CAMERAS = ("gate", "yard")
SITE = """\
name: harbour
policy: store
cameras:
  - {id: gate, source: a.mp4, overrides: {mode: solid, badge: false}}
  - {id: yard, source: a.mp4}
"""
WIDTH, HEIGHT, RATE, GOP, SPAN = 160, 96, 25, 10, 5
FACE = [96, 60, 128, 88]
"""x1, y1, x2, y2 of what has to be masked; the chequered ground around it stays."""
WHY = "Detector plate failed at frame 0."
WAIT_S = 90.0


def painted(seq: int) -> Picture:
    """Brightness above changes from picture to picture; below it is chequered, so that a mask shows."""
    data = planes(seq, WIDTH, HEIGHT)
    rows, columns = np.mgrid[HEIGHT // 2 : HEIGHT, :WIDTH]
    data[HEIGHT // 2 : HEIGHT] = np.where((rows // 4 + columns // 4) % 2, 200, 40)
    return Picture(data, full_range=False)


def contrast(luma: NDArray[np.uint8], x1: int, y1: int, x2: int, y2: int) -> int:
    return int(np.ptp(luma[y1:y2, x1:x2]))


def roughness(luma: NDArray[np.uint8]) -> float:
    """How much neighbouring pixels of the chequered ground differ."""
    return float(np.abs(np.diff(luma[56:92, 8:152].astype(int), axis=1)).mean())


class Cameras:
    """Decoder and tracker of two cameras: what has to be masked is known of the gate, and nothing of the yard."""

    def __init__(self, kafka: KafkaServer, folder: Path) -> None:
        self._epoch = time.time_ns() // 1000
        self._label = load_site(folder / "site.yaml", addresses=()).policies["gate"].fingerprint
        self._sealer = Sealer(KeyFolder(folder / "keys"))
        self._buses = [KafkaBus(kafka.settings(name)) for name in ("decoder", "tracker")]
        self._source, self._redactions = (bus.producer() for bus in self._buses)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cameras")
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(60)
        for bus in self._buses:
            bus.close()
        assert not self._thread.is_alive()

    def _run(self) -> None:
        options = H264Options("ultrafast", keyframe_s=GOP / RATE)
        encoder = H264Encoder(WIDTH, HEIGHT, Fraction(1, RATE), frame_rate=RATE, live=True, options=options)
        seq = 0
        while not self._stop.wait(1 / RATE):
            for unit in encoder.encode(painted(seq % 40), seq):
                for camera in CAMERAS:
                    if seq % SPAN == 0:
                        _publish(self._redactions, REDACTIONS, camera, self._span(camera, seq))
                    _publish(self._source, VIDEO_SOURCE, camera, self._unit(camera, seq, unit.keyframe, unit.payload))
            seq += 1

    def _span(self, camera: str, seq: int) -> pb.RedactionsMessage:
        face = pb.TrackSegment(
            track_id=1, kind=pb.KIND_FACE, origin=pb.TrackSegment.DETECTED, first=FACE, last=FACE, score=0.9
        )
        known = camera == "gate"
        span = pb.RedactionSpan(
            camera_id=camera,
            epoch=self._epoch,
            first_seq=seq,
            last_seq=seq + SPAN - 1,
            tracks=[face] if known else [],
            coverage=pb.COMPLETE if known else pb.INCOMPLETE,
            why="" if known else WHY,
            closing=None if known else pb.Closing(reason=pb.Closing.DETECTOR_FAILED, detector="plate"),
            policy=self._label,
        )
        return pb.RedactionsMessage(span=span)

    def _unit(self, camera: str, seq: int, keyframe: bool, payload: bytes) -> pb.SourceMessage:
        stream = pb.StreamInfo(
            codec="h264",
            width=WIDTH,
            height=HEIGHT,
            coded_width=WIDTH,
            coded_height=HEIGHT,
            time_base_num=1,
            time_base_den=RATE,
            frame_rate=RATE,
            live=True,
        )
        place = context(VIDEO_SOURCE, camera, self._epoch, seq)
        unit = pb.AccessUnit(
            camera_id=camera,
            epoch=self._epoch,
            seq=seq,
            keyframe=keyframe,
            keyframe_seq=seq - seq % GOP,
            pts=seq,
            dts=seq,
            duration=1,
            captured_us=time.time_ns() // 1000,
            sealed=self._sealer.seal(camera, place, payload),
            stream=stream if keyframe else None,
        )
        return pb.SourceMessage(unit=unit)


def _publish(producer: Producer, topic: Topic, camera: str, message: pb.SourceMessage | pb.RedactionsMessage) -> None:
    while True:
        try:
            producer.publish(Record(topic, camera, message.SerializeToString()))
        except BusFull:
            producer.wait(0.1)
        else:
            return


@dataclass
class Desk:
    """A console's process, and who looks at it."""

    process: ServiceProcess
    client: httpx.Client
    address: str
    database: str

    def get(self, path: str) -> httpx.Response:
        return self.client.get(f"{self.address}/api/v1{path}")


@pytest.fixture(scope="module")
def desk(kafka: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("console")
    (folder / "site.yaml").write_text(SITE)
    (folder / "keys").mkdir(mode=0o700)
    add_key(folder / "keys", "a")
    database = f"sqlite:///{folder / 'accounts.db'}"
    with closing(Accounts(AccountSettings(database=database))) as accounts:
        accounts.add("test", "kim", PASSWORD, ["viewer"], sites=["harbour"])
    ports = free_ports(27_000)
    site = {"VEIL_SERVICE_SITE": str(folder / "site.yaml")}
    secret = {"VEIL_KEYS_FOLDER": str(folder / "keys"), "VEIL_ENCODER_PRESET": "ultrafast"}
    line = ServiceProcess(
        "renderer+encoder", 1, next(ports), folder, {**kafka.env("renderer-encoder"), **site, **secret}
    )
    port = next(ports)
    # The console is given no key, as in every stack.
    mine = {
        "VEIL_CONSOLE_PORT": str(port),
        "VEIL_ACCOUNTS_DATABASE": database,
        "VEIL_HEALTH_METRICS": json.dumps([line.metrics_url]),
    }
    process = ServiceProcess("console", 1, next(ports), folder, {**kafka.env("console"), **site, **mine})
    address = f"http://127.0.0.1:{port}"
    try:
        for each in (line, process):
            each.start()
        for each in (line, process):
            each.wait_ready(WAIT_S)
        with (
            closing(Cameras(kafka, folder)),
            httpx.Client(headers={"Origin": address}, timeout=WAIT_S) as client,
        ):
            answer = client.post(f"{address}/api/v1/session", json={"name": "kim", "password": PASSWORD})
            assert answer.status_code == 200
            yield Desk(process, client, address, database)
    finally:
        for each in (process, line):
            each.kill()


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, "it never held"
        time.sleep(0.3)


@dataclass
class Seen:
    """What a browser was sent: words, and each camera's video as one file."""

    states: dict[str, dict[str, str]] = field(default_factory=dict)
    videos: dict[str, bytes] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)

    def take(self, message: str | bytes, feeds: dict[int, str]) -> None:
        if isinstance(message, str):
            words = json.loads(message)
            if "state" in words:
                self.states[words["camera"]] = words
            elif "camera" in words:
                feeds[words["feed"]] = words["camera"]
            return
        at = 0
        while at < len(message):
            length, kind, _, feed, _, _ = HEAD.unpack_from(message, at)
            at += HEAD.size
            camera = feeds[feed]
            # Whatever begins anew is a file of its own.
            begun = b"" if kind == PartKind.START else self.videos[camera]
            self.videos[camera] = begun + message[at : at + length]
            self.frames[camera] = 0 if kind == PartKind.START else self.frames[camera] + 1
            at += length

    def pictures(self, camera: str) -> list[NDArray[np.uint8]]:
        """Luma of all pictures, as a browser decodes them."""
        with av.open(io.BytesIO(self.videos[camera]), "r", format="mp4") as video:
            return [frame.to_ndarray(format="gray") for frame in video.decode(video=0)]


@pytest.fixture(scope="module")
def seen(desk: Desk) -> Seen:
    """Two seconds of both cameras, once both are what they are meant to be."""

    def settled() -> bool:
        return {each["camera"]: each["state"] for each in desk.get("/cameras").json()} == {
            "gate": "live",
            "yard": "closed",
        }

    until(settled)
    found, feeds = Seen(), dict[int, str]()
    deadline = time.monotonic() + WAIT_S
    with live(desk.address, desk.client) as socket:
        socket.send(json.dumps({"follow": CAMERAS, "watch": CAMERAS}))
        while min((found.frames.get(each, 0) for each in CAMERAS), default=0) < 2 * RATE:
            assert time.monotonic() < deadline, found.frames
            found.take(socket.recv(timeout=WAIT_S), feeds)
    return found


def test_i1_masked_pictures_come_over_the_websocket_and_move(seen: Seen) -> None:
    assert seen.states["gate"]["state"] == "live"
    x1, y1, x2, y2 = FACE
    source = painted(0).data
    assert contrast(source, x1, y1, x2, y2) > 100, "otherwise the test could not fail"
    shown = seen.pictures("gate")
    assert len(shown) >= 2 * RATE
    for luma in shown:
        assert luma.shape == (HEIGHT, WIDTH)
        assert contrast(luma, x1, y1, x2, y2) < 25, "what is under the mask is to be seen"
    # Frames under way when the line started may be closed; of the others the ground is the camera's own.
    opened = [luma for luma in shown if contrast(luma, 8, 56, 56, 92) > 100]
    assert len(opened) > RATE
    brightness = [float(luma[4:40].mean()) for luma in opened]
    assert np.count_nonzero(np.abs(np.diff(brightness)) > 2) > RATE // 2, "the pictures move"


def test_i1_a_closed_camera_says_so_and_why_and_shows_nothing(desk: Desk, seen: Seen) -> None:
    assert seen.states["yard"]["state"] == "closed"
    code = {"why": WHY, "reason": "detector_failed", "detector": "plate"}
    assert {key: seen.states["yard"][key] for key in code} == code
    for luma in seen.pictures("yard"):
        assert roughness(luma) < 0.2 * roughness(painted(0).data), "the chequered ground is to be seen"
    (told,) = (each for each in desk.get("/cameras").json() if each["camera"] == "yard")
    assert told["state"] == "closed"
    stretches = desk.get("/cameras/yard/timeline").json()["closures"]
    assert {key: told[key] for key in code} == {key: stretches[-1][key] for key in code} == code
    assert sum(each["frames"] for each in stretches) > RATE


def test_health_tells_of_the_line_and_of_the_console_itself(desk: Desk, seen: Seen) -> None:
    assert seen.frames
    assert desk.process.ready

    def told() -> bool:
        health = desk.get("/health").json()
        stages = {each["id"]: set(each["stages"]) for each in health["cameras"]}
        masked = all(stages.get(each) == {"renderer", "encoder"} for each in CAMERAS)
        return masked and not health["processes"][0]["problem"]

    until(told)
    figures = httpx.get(desk.process.metrics_url).text
    (frames,) = (line for line in figures.splitlines() if line.startswith("veil_console_frames_total "))
    assert float(frames.split()[1]) >= sum(seen.frames.values())


def test_who_looked_is_told_to_the_audit_before(desk: Desk, seen: Seen) -> None:
    assert seen.frames
    with closing(Accounts(AccountSettings(database=desk.database))) as accounts:
        looks = [each for each in accounts.log.events() if each.action == "live.view"]
    assert {(each.actor, each.object) for each in looks} == {("kim", camera) for camera in CAMERAS}


@pytest.mark.parametrize(
    "topic", [VIDEO_SOURCE, FRAMES_DETECT, VIDEO_RENDERED, REDACTIONS], ids=lambda topic: topic.name
)
def test_i4_with_its_own_user_the_console_reads_nothing_that_is_not_masked(
    kafka: KafkaServer, seen: Seen, topic: Topic
) -> None:
    assert seen.frames, "the camera's own pictures are on the broker meanwhile"
    with closing(KafkaBus(kafka.settings("console"))) as bus:
        assert _first(bus, VIDEO_REDACTED)
        with pytest.raises(BusLost, match=topic.name):
            _first(bus, topic)


def _first(bus: KafkaBus, topic: Topic) -> bool:
    with closing(bus.reader(topic, Start("oldest"))) as reader:
        return bool(reader.poll(10, 1))


def test_sigterm_ends_it_in_order(desk: Desk, seen: Seen) -> None:
    assert seen.frames
    desk.process.stop()
    assert "console has stopped" in desk.process.log.read_text()
    assert "starts afresh" not in desk.process.log.read_text()
