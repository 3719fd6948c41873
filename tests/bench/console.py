"""What the console costs and how late its pictures are: `python -m tests.bench.console [--out FILE]`.

- **glass to glass** a camera that plays numbered pictures over RTSP, the whole line, the console, a browser: from the
  moment the camera sent a number until it can be read off the page.
- **console and browser** the same from `video.redacted` on, with nothing before it.
- **CPU** of the console's threads with 16 feeds, by viewers that take everything.
- **page weight** what a browser loads before the first picture.
"""

import argparse
import gzip
import json
import os
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page

from deploy.samples import sample
from services.bus.clock import now_us
from services.bus.interface import Bus, Record
from services.bus.memory import MemoryBus
from services.bus.topics import VIDEO_REDACTED
from services.console import metrics, pages
from services.console.feeds import MemoryFeed
from services.console.process import console_beside
from services.console.settings import ConsoleSettings
from services.embedded.site import run_site
from services.inference.load import load_detectors
from services.media.encoding import H264Encoder, H264Options
from services.media.picture import Picture
from services.policy.site import load_site
from services.schema import pb
from tests.support.browser import browser
from tests.support.console import PASSWORD, Console, accounts_in, console
from tests.support.rtsp_camera import RtspCamera

RATE = 25
WIDTH, HEIGHT = 640, 272
BITS, BLOCK = 10, 16
FEEDS = 16
_SECONDS = 20.0
_WAIT_MS = 120_000

# Reads the number off the picture at every repaint, and says when each was first seen, milliseconds since 1970.
READ = """async (seconds) => {
  const video = document.querySelector("video");
  const canvas = document.createElement("canvas");
  canvas.width = 160; canvas.height = 16;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const seen = {};
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    await new Promise((done) => requestAnimationFrame(done));
    context.drawImage(video, 0, 0, 160, 16, 0, 0, 160, 16);
    const data = context.getImageData(0, 0, 160, 16).data;
    let number = 0;
    for (let bit = 0; bit < 10; bit++) number |= (data[4 * (8 * 160 + bit * 16 + 8)] > 128) << bit;
    seen[number] ??= Date.now();
  }
  return seen;
}"""


def numbered(planes: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """Picture with its number as bright and dark squares in the upper left corner; planes (3H/2, W)."""
    planes = planes.copy()
    for bit in range(BITS):
        planes[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 235 if number >> bit & 1 else 16
    planes[HEIGHT : HEIGHT * 5 // 4].reshape(HEIGHT // 2, WIDTH // 2)[: BLOCK // 2, : BITS * BLOCK // 2] = 128
    planes[HEIGHT * 5 // 4 :].reshape(HEIGHT // 2, WIDTH // 2)[: BLOCK // 2, : BITS * BLOCK // 2] = 128
    return planes


def pictures(count: int) -> list[NDArray[np.uint8]]:
    """Numbered pictures of the sample, over and over."""
    with av.open(str(sample("bikes.mp4"))) as container:
        frames = [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]
    return [numbered(frames[number % len(frames)], number) for number in range(count)]


def encoded(count: int) -> list[tuple[bytes, bool]]:
    """The access units of numbered pictures, as the encoder makes them for live cameras."""
    encoder = H264Encoder(
        WIDTH, HEIGHT, Fraction(1, RATE), frame_rate=RATE, live=True, options=H264Options(keyframe_s=2.0)
    )
    made = [each for at, planes in enumerate(pictures(count)) for each in encoder.encode(Picture(planes, False), at)]
    return [(each.payload, each.keyframe) for each in made]


@dataclass
class Cameras:
    """Publishes the same units for some cameras, each in its time, as encoders would.

    Attributes:
        sent_ms: when each number was published first, milliseconds since 1970.
    """

    bus: Bus
    units: Sequence[tuple[bytes, bool]]
    cameras: int
    sent_ms: dict[int, float] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        producer, began, epoch = self.bus.producer(), time.monotonic(), now_us()
        for seq in range(10**9):
            number = seq % len(self.units)
            payload, keyframe = self.units[number]
            if self.stop.wait(max(0.0, began + seq / RATE - time.monotonic())):
                return
            self.sent_ms.setdefault(number, time.time() * 1000)
            for at in range(self.cameras):
                message = pb.RedactedMessage()
                unit = message.unit
                unit.camera_id, unit.epoch, unit.seq = f"camera-{at:02}", epoch, seq
                unit.keyframe, unit.payload = keyframe, payload
                unit.pts = unit.dts = seq
                unit.duration, unit.time_base_num, unit.time_base_den = 1, 1, RATE
                unit.width, unit.height, unit.captured_us = WIDTH, HEIGHT, now_us()
                producer.publish(Record(VIDEO_REDACTED, unit.camera_id, message.SerializeToString()))


@contextmanager
def fed(folder: Path, cameras: int) -> Iterator[tuple[Console, Cameras, Mapping[str, threading.Thread]]]:
    """A console that reads so many cameras off a memory bus, the cameras, and the console's threads."""
    names = [f"camera-{at:02}" for at in range(cameras)]
    bus, stop = MemoryBus(), threading.Event()
    with console(folder, ConsoleSettings(port=0), cameras=names) as shown, closing(MemoryFeed(bus)) as feed:
        reading = threading.Thread(target=shown.hub.read, args=(feed, stop), name="console-feed")
        source = Cameras(bus, encoded(250), cameras)
        sending = threading.Thread(target=source.run, name="cameras")
        reading.start()
        sending.start()
        threads = {each.name: each for each in threading.enumerate()}
        try:
            yield shown, source, {"reads": reading, "serves": threads["console"]}
        finally:
            source.stop.set()
            sending.join()
            stop.set()
            reading.join()
            bus.close()


def cpu_s(thread: threading.Thread) -> float:
    """CPU time of a thread of this process so far."""
    assert thread.ident is not None
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


class Taker(threading.Thread):
    """A viewer that takes every feed and looks at nothing."""

    def __init__(self, shown: Console, cameras: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self._shown, self._cameras = shown, cameras
        self._over = threading.Event()

    def run(self) -> None:
        came = 0
        with self._shown.live() as socket:
            socket.send(json.dumps({"watch": list(self._cameras)}))
            while not self._over.is_set():
                message = socket.recv(timeout=5)
                if isinstance(message, bytes):
                    came += len(message)
                    socket.send(json.dumps({"came": came}))

    def close(self) -> None:
        self._over.set()
        self.join()


def cpu(seconds: float) -> list[dict[str, Any]]:
    """CPU of the console's threads with 16 feeds, by viewers."""
    rows = []
    with TemporaryDirectory() as folder, fed(Path(folder), FEEDS) as (shown, source, threads):
        shown.log_in("all")
        for viewers in (0, 1, 4):
            takers = [Taker(shown, sorted(shown.hub.channels)) for _ in range(viewers)]
            for taker in takers:
                taker.start()
            time.sleep(2)
            before, began = {name: cpu_s(each) for name, each in threads.items()}, time.monotonic()
            frames = metrics.FRAMES._value.get()
            time.sleep(seconds)
            took, frames = time.monotonic() - began, metrics.FRAMES._value.get() - frames
            used = {name: (cpu_s(each) - before[name]) / took for name, each in threads.items()}
            # On a busy machine fewer frames come than should: what one costs stays the same.
            row = {"feeds": FEEDS, "viewers": viewers, "fps": frames / took / FEEDS, "core_share": used}
            rows.append({**row, "cpu_us_per_frame": sum(used.values()) * took / frames * 1e6})
            for taker in takers:
                taker.close()
        kilobits = sum(len(payload) for payload, _ in source.units) * 8 * RATE / len(source.units) / 1000
        rows[0]["kbit_s_per_feed"] = round(kilobits)
    return rows


def delays(sent_ms: Mapping[int, float], seen_ms: Mapping[str, float]) -> dict[str, float]:
    """Median and 95th percentile of seconds between sending and seeing, of numbers of which both are known."""
    found = sorted((seen - sent_ms[int(number)]) / 1000 for number, seen in seen_ms.items() if int(number) in sent_ms)
    found = [each for each in found if 0 < each < 20]
    if len(found) < 10:
        raise RuntimeError("too few numbers could be read off the page")
    return {"median": statistics.median(found), "p95": found[int(0.95 * len(found))], "pictures": len(found)}


def opened(page: Page, address: str, name: str, password: str) -> None:
    """Logs in and waits for the first picture."""
    page.set_default_timeout(_WAIT_MS)
    page.goto(address)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_function("() => document.querySelector('video')?.currentTime > 0")
    page.wait_for_timeout(4000)


def console_delay(seconds: float) -> dict[str, float]:
    """From video.redacted to the page, with one feed."""
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        shown, source, _ = stack.enter_context(fed(Path(folder), 1))
        page = stack.enter_context(browser()).new_page()
        opened(page, shown.address, "all", PASSWORD)
        # Each number comes again after ten seconds: only times of this round are compared.
        source.sent_ms.clear()
        return delays(source.sent_ms, page.evaluate(READ, min(seconds, len(source.units) / RATE - 1)))


def glass_delay(seconds: float) -> dict[str, float]:
    """From a camera's sending to the page, through the whole line with the policy `store`."""
    sent: dict[int, float] = {}

    def note(number: int) -> int:
        sent.setdefault(number, time.time() * 1000)
        return 0

    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        video = folder / "numbers.h264"
        video.write_bytes(b"".join(payload for payload, _ in encoded(1000)))
        camera = stack.enter_context(RtspCamera(video, pause_s=1 / RATE, clock_set=note, silent_at_end=True))
        (folder / "site.yaml").write_text(
            f"name: bench\npolicy: store\ncameras:\n  - {{id: camera, source: '{camera.url}'}}\n"
        )
        os.environ["VEIL_ACCOUNTS_DATABASE"] = f"sqlite:///{folder / 'accounts.db'}"
        os.environ["VEIL_INSIGHT_DATABASE"] = f"sqlite:///{folder / 'insight.db'}"
        accounts_in(folder).close()
        site, stop, ready = load_site(folder / "site.yaml"), threading.Event(), threading.Event()
        at: list[str] = []

        @contextmanager
        def beside(bus: Bus) -> Iterator[None]:
            with console_beside(site, 0, bus) as served:
                at.append(served.address)
                ready.set()
                yield

        detectors = load_detectors(("face",))
        options = {"detectors": detectors, "beside": beside}
        line = threading.Thread(target=run_site, args=(site, stop), kwargs=options)
        line.start()
        try:
            ready.wait(60)
            page = stack.enter_context(browser()).new_page()
            opened(page, at[0], "all", PASSWORD)
            return delays(sent, page.evaluate(READ, seconds))
        finally:
            stop.set()
            line.join(60)


def weight() -> dict[str, dict[str, int]]:
    """Bytes of the built files, as they are and compressed by gzip."""
    files = [pages.STATIC / name for name in ("index.html", "app.css", "app.js", "icon.svg")]
    return {path.name: {"bytes": path.stat().st_size, "gzip": len(gzip.compress(path.read_bytes()))} for path in files}


def main() -> None:
    """Measures, prints, and writes the figures where asked to."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.console", description=__doc__)
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="of each measurement")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    given = parser.parse_args()
    figures: dict[str, Any] = {"weight": weight(), "cpu": cpu(given.seconds)}
    figures["console_delay_s"] = console_delay(given.seconds)
    figures["glass_delay_s"] = glass_delay(given.seconds)
    print(json.dumps(figures, indent=2))
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
