"""Several decoders on a real broker: killed, frozen past their lease, added, taken away; each camera is one's only."""

import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.stack.kafka import KafkaServer
from deploy.stack.ports import free_ports
from deploy.stack.services import ServiceProcess, principal_of
from services.bus.interface import Reader, Start
from services.bus.kafka import KafkaBus
from services.bus.topics import CAMERAS, VIDEO_REDACTED, VIDEO_SOURCE
from services.consume.view import RedactedView
from services.schema import pb
from tests.support.keys import add_key
from tests.support.videos import make_video

# In partitions 5, 3, 1 and 6 of 8: whoever has half of them has some.
NAMES = ("lease-0", "lease-2", "lease-3", "lease-9")
SESSION_S = 6.0
# Until the group has noticed, shared out anew, and a new holder has claimed and opened; and what other work takes.
TAKEN_OVER_S = SESSION_S + 14
PATIENCE_S = 90.0


class Watch:
    """What goes over the topics, and what a viewer makes of it."""

    def __init__(self, kafka: KafkaServer) -> None:
        self._buses = [KafkaBus(kafka.settings(name)) for name in ("decoder", "renderer", "control-centre")]
        topics = (CAMERAS, VIDEO_SOURCE, VIDEO_REDACTED)
        self._readers: list[Reader] = [
            bus.reader(topic, Start("newest")) for bus, topic in zip(self._buses, topics, strict=True)
        ]
        self._view = RedactedView()
        self.holders: dict[tuple[str, int], set[str]] = defaultdict(set)
        self.sent: dict[str, list[tuple[float, int]]] = defaultdict(list)
        self.seen: dict[str, list[tuple[int, int]]] = defaultdict(list)

    def look(self) -> None:
        claims, source, redacted = self._readers
        for message in claims.poll(0.05, 500):
            claim = pb.CameraClaim.FromString(message.record.value)
            self.holders[claim.camera_id, claim.epoch].add(claim.holder)
        for message in source.poll(0.05, 500):
            body = pb.SourceMessage.FromString(message.record.value)
            if body.HasField("unit"):
                self.sent[body.unit.camera_id].append((message.timestamp_us / 1e6, body.unit.epoch))
        for message in redacted.poll(0.05, 500):
            item = self._view.take(message)
            if isinstance(item, pb.RedactedUnit):
                self.seen[item.camera_id].append((item.epoch, item.seq))

    def until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < deadline, {name: len(self.seen[name]) for name in NAMES}
            self.look()

    def for_seconds(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end)

    @property
    def holding(self) -> set[str]:
        """Who of the decoders made the newest frame of any camera."""
        epochs = {name: self.seen[name][-1][0] for name in NAMES}
        return {holder for camera in epochs.items() for holder in self.holders[camera]}

    def all_flow(self, frames: int = 8) -> None:
        """Waits until each camera has so many frames more, as viewers see them."""
        had = {name: len(self.seen[name]) for name in NAMES}
        self.until(lambda: all(len(self.seen[name]) >= had[name] + frames for name in NAMES))

    def longest_gap(self, since: float) -> float:
        """The longest time for which a camera's newest epoch did not go on, on the broker's clock."""
        longest = 0.0
        for name in NAMES:
            newest, last = 0, since
            for at, epoch in self.sent[name]:
                if at >= since and epoch >= newest:
                    longest, last = max(longest, at - last), at
                newest = max(newest, epoch)
        return longest

    def close(self) -> None:
        for bus in self._buses:
            bus.close()

    @property
    def counts(self) -> dict[str, tuple[int, int]]:
        counted = self._view.counts
        return {name: (counted[name].duplicates, counted[name].out_of_order) for name in NAMES}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lease")
    video = make_video(folder / "a.mp4", frames=300, fps=5, gop=5, size=(96, 64))
    cameras = "".join(f"  - {{id: {name}, source: {video}, loop: true}}\n" for name in NAMES)
    (folder / "site.yaml").write_text(f"name: x\ncameras:\n{cameras}")
    (folder / "keys").mkdir()
    add_key(folder / "keys", "one")
    return folder


@pytest.fixture
def start(kafka: KafkaServer, site: Path, tmp_path: Path) -> Iterator[Callable[..., ServiceProcess]]:
    """Starts services of the test's own; each is ended with it."""
    made: list[ServiceProcess] = []
    ports = free_ports(27_000 + os.getpid() % 2000)

    def start(service: str = "decoder") -> ServiceProcess:
        env = {
            **kafka.env(principal_of(service)),
            "VEIL_KAFKA_SESSION_TIMEOUT_S": str(SESSION_S),
            "VEIL_SERVICE_SITE": str(site / "site.yaml"),
            "VEIL_KEYS_FOLDER": str(site / "keys"),
            "VEIL_ENCODER_PRESET": "ultrafast",
        }
        made.append(ServiceProcess(service, len(made) + 1, next(ports), tmp_path, env))
        made[-1].start()
        return made[-1]

    yield start
    for process in made:
        process.kill()


@pytest.fixture
def watch(kafka: KafkaServer) -> Iterator[Watch]:
    made = Watch(kafka)
    yield made
    made.close()


def test_i6_a_camera_is_never_that_of_two_decoders(watch: Watch, start: Callable[..., ServiceProcess]) -> None:
    start("renderer+encoder").wait_ready()
    first, second = start(), start()
    first.wait_ready(), second.wait_ready()
    watch.all_flow()
    gaps = {}

    def measured(what: str, act: Callable[[], object]) -> None:
        since = time.time()
        act()
        watch.all_flow()
        gaps[what] = watch.longest_gap(since)
        print(what, round(gaps[what], 1), "s", flush=True)

    watch.until(lambda: len(watch.holding) == 2)

    def kill() -> None:
        first.kill()
        watch.until(lambda: len(watch.holding) == 1)

    measured("kill -9", kill)

    def add() -> None:
        third.wait_ready()
        watch.until(lambda: len(watch.holding) == 2)

    third = start()
    measured("another", add)

    def freeze() -> None:
        os.kill(second.pid, signal.SIGSTOP)
        watch.until(lambda: len(watch.holding) == 1)
        watch.all_flow()
        os.kill(second.pid, signal.SIGCONT)
        watch.until(lambda: len(watch.holding) == 2)

    measured("frozen", freeze)

    def take_away() -> None:
        os.kill(third.pid, signal.SIGTERM)
        assert third._process is not None
        watch.until(lambda: third._process.poll() is not None and len(watch.holding) == 1)
        assert third._process.returncode == 0

    measured("one less", take_away)

    assert all(len(holders) == 1 for holders in watch.holders.values()), "an epoch is one decoder's"
    for name in NAMES:
        frames = watch.seen[name]
        assert frames == sorted(set(frames)), f"{name}: an older epoch came between the frames of a newer one"
    assert set(watch.counts.values()) == {(0, 0)}, "the encoder itself sends nothing twice or late"
    assert max(gaps.values()) < TAKEN_OVER_S, gaps
    assert "gives up all that it held" in second.log.read_text()
