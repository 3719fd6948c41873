"""What the stack of processes costs and how late it is, on live cameras: CPU, bytes on the bus, latency by hop."""

import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import yaml

from deploy.stack.ports import free_ports
from deploy.stack.process import ServerProcess
from deploy.stack.services import STAGES
from deploy.stack.site import CameraPlan
from deploy.stack.stack import Stack, StackOptions
from services.bus.interface import Message, Start
from services.bus.kafka import KafkaBus
from services.bus.kafka_settings import KafkaSettings
from services.bus.topics import VIDEO_REDACTED
from services.schema import pb
from tests.chaos.truth import RATE, WIDTH, truth_video

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20
_WARM_S = 45.0
"""Java compiles what it runs often: in its first minute that takes the broker more time than its work."""
_EMBEDDED_WARM_S = 20.0
_ENCODED = "veil_encoder_frames_total"


def plans(cameras: int, videos: Path, rate: int, width: int = WIDTH) -> list[CameraPlan]:
    """Cameras of 640×360, or of another width and the same shape, with a face and a plate each; look-ahead 0.3 s."""
    videos.mkdir(parents=True, exist_ok=True)
    video = truth_video(videos / "live.mp4", width=width, rate=rate).path
    return [
        CameraPlan(
            f"camera-{number + 1}", video, overrides={"kinds": ["face", "plate"], "tracking": {"look_ahead_s": 0.3}}
        )
        for number in range(cameras)
    ]


@dataclass(frozen=True)
class Load:
    """What a stretch of time took.

    Attributes:
        cpu_s: CPU seconds of each process, by name.
        frames: masked frames that came out.
        topic_bytes: growth of each topic on the broker's disk.
    """

    cpu_s: Mapping[str, float]
    frames: int
    topic_bytes: Mapping[str, int]

    def per_frame_ms(self, names: Iterable[str]) -> float:
        return 1000 * sum(self.cpu_s[name] for name in names) / self.frames


class Listener:
    """Follows video.redacted in a thread: each message with the broker's time, from now on."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.messages: list[Message] = []
        self._settings = settings
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Listener":
        self._thread.start()
        self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        with closing(KafkaBus(self._settings)) as bus, closing(bus.reader(VIDEO_REDACTED, Start("newest"))) as reader:
            self._ready.set()
            while not self._stop.is_set():
                self.messages += reader.poll(0.1, 256)

    @property
    def units(self) -> list[tuple[pb.RedactedUnit, int]]:
        """Access units so far and the broker's time of each."""
        bodies = (
            (pb.RedactedMessage.FromString(message.record.value), message.timestamp_us) for message in self.messages
        )
        return [(body.unit, at) for body, at in bodies if body.HasField("unit")]


def stack_load(stack: Stack, seconds: float, warm_s: float = _WARM_S) -> tuple[Load, list[tuple[pb.RedactedUnit, int]]]:
    """What a started stack takes during `seconds`, after `warm_s`, and the frames of that time."""
    time.sleep(warm_s)
    pids = pids_of(stack)
    with Listener(stack.settings("admin")) as listener:
        before, size = cpu_of(pids), topic_sizes(stack)
        time.sleep(seconds)
        after, grown = cpu_of(pids), topic_sizes(stack)
        units = listener.units
    spent = {name: after[name] - before[name] for name in pids}
    bytes_ = {topic: grown[topic] - size.get(topic, 0) for topic in grown}
    return Load(spent, len(units), bytes_), units


def embedded_load(stack: Stack, seconds: float) -> Load:
    """What one process takes for the same cameras. Ends the stack's own services first."""
    for name in stack.services:
        stack.scale(name, 0)
    site = yaml.safe_load(stack.site_file.read_text())
    for camera in site["cameras"]:
        camera["outputs"]["rtsp"] += "-embedded"
    path = stack.folder / "embedded.yaml"
    path.write_text(yaml.safe_dump(site))
    port = next(free_ports(19_090))
    url = f"http://127.0.0.1:{port}/metrics"
    command = [sys.executable, "-m", "services", "run", str(path), "--health-port", str(port)]
    process = ServerProcess("veil run", command, stack.folder / "embedded.log")
    process.start()
    try:
        time.sleep(_EMBEDDED_WARM_S)
        before, frames = _cpu_s(process.pid), metric(url, _ENCODED)
        time.sleep(seconds)
        spent, came = _cpu_s(process.pid) - before, metric(url, _ENCODED) - frames
    finally:
        process.stop()
    return Load({"embedded": spent}, round(came), {})


def latency(units: Sequence[tuple[pb.RedactedUnit, int]]) -> dict[str, object]:
    """Milliseconds from capture to the broker's time on video.redacted, and of each hop: p50, p95, p99."""
    total: list[float] = []
    hops: dict[str, list[float]] = defaultdict(list)
    closed = 0
    for unit, at_us in units:
        if unit.closed:
            closed += 1
        total.append((at_us - unit.captured_us) / 1000)
        for name, value in _hops(unit, at_us):
            hops[name].append(value / 1000)
    return {
        **_percentiles(total),
        "frames": len(total),
        "closed": closed,
        "hops": {name: _percentiles(values) for name, values in hops.items()},
    }


def pids_of(stack: Stack) -> dict[str, int]:
    """Process of each service and server, by name."""
    found = {service.name: service.pid for replicas in stack.services.values() for service in replicas}
    found |= {f"kafka-{number}": pid for number, pid in enumerate(stack.kafka.pids, start=1)}
    if stack.triton is not None:
        found["triton"] = stack.triton.pid
    return found


def cpu_of(pids: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds of each process and its children so far."""
    return {name: _cpu_s(pid) for name, pid in pids.items()}


def resident_mb(pid: int) -> float:
    """Resident memory of one process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_MB


def topic_sizes(stack: Stack) -> dict[str, int]:
    """Bytes of each topic's log on the brokers' disks."""
    sizes: dict[str, int] = defaultdict(int)
    for folder in stack.kafka.data_folders:
        for log in folder.glob("*-*/*.log"):
            sizes[log.parent.name.rpartition("-")[0]] += log.stat().st_size
    return dict(sizes)


@contextmanager
def running(
    folder: Path,
    cameras: int,
    *,
    rate: int = RATE,
    width: int = WIDTH,
    fused: bool = False,
    triton: bool = False,
) -> Iterator[Stack]:
    """A started stack of so many cameras, each of so many frames per second and so many pixels across."""
    planned = plans(cameras, folder / "videos", rate, width)
    made = Stack(folder / "stack", planned, StackOptions(fused=fused, triton=triton))
    with made:
        yield made


def _hops(unit: pb.RedactedUnit, at_us: int) -> Iterable[tuple[str, int]]:
    """Name and microseconds of each part of the way, as far as the trace tells."""
    hop = {each.stage: each for each in unit.trace}
    decoder, inference, tracker, renderer, encoder = (hop.get(stage) for stage in STAGES)
    if decoder and renderer and encoder:
        yield "decoder", decoder.sent_us - unit.captured_us
        yield "bus: decoder → renderer", renderer.received_us - decoder.sent_us
        yield "renderer (waits for the span)", renderer.sent_us - renderer.received_us
        yield "link: renderer → encoder", encoder.received_us - renderer.sent_us
        yield "encoder", encoder.sent_us - encoder.received_us
        yield "bus: encoder → broker", at_us - encoder.sent_us
    if inference and tracker and renderer:
        yield "inference", inference.sent_us - inference.received_us
        yield "bus: inference → tracker", tracker.received_us - inference.sent_us
        yield "tracker", tracker.sent_us - tracker.received_us


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    return {f"p{share}": round(float(np.percentile(values, share)), 1) for share in (50, 95, 99)} if values else {}


def _cpu_s(pid: int) -> float:
    """User and system seconds of a process and of the children that live in its session."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == pid or stat.parent.name == str(pid):
            total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def metric(url: str, name: str) -> float:
    """Sum of all series of one metric that a process shows."""
    with urlopen(url, timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.partition("{")[0].partition(" ")[0] == name)
