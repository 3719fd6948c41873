"""The console in a real browser, on a line that masks four cameras in this process: pictures move, states are told.

VEIL_SCREENSHOTS=FOLDER keeps pictures of the pages; those in docs/ were made by it.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from services.accounts.accounts import Accounts
from services.accounts.settings import AccountSettings
from services.bus.interface import Bus
from services.console.process import console_beside
from services.detect.interface import Detector
from services.embedded.site import run_site
from services.policy.site import Site, load_site
from tests.support.browser import Watch, browser
from tests.support.faults import Faulty

pytestmark = pytest.mark.models

PASSWORD = "seven quiet herons at dusk"
WAIT_MS = 60_000
RATE = 8
SITE = """\
name: corner shop
policy: store
cameras:
  - {{id: hall, source: {video}, loop: true}}
  - {{id: gate, source: {video}, loop: true, overrides: {{mode: solid}}}}
  - {{id: till, source: {video}, loop: true}}
  - {{id: yard, source: {video}, loop: true, policy: parking}}
"""
CAMERAS = ("gate", "hall", "till", "yard")
# How often the picture that is shown differs from the one before: read off a canvas, as an eye would see it.
MOVES = """async (camera) => {
  const video = document.querySelector(`[data-camera="${camera}"] video`);
  const canvas = document.createElement("canvas");
  canvas.width = 44; canvas.height = 36;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let before = null, changed = 0, seconds = [];
  for (let look = 0; look < 20; look++) {
    context.drawImage(video, 0, 0, 44, 36);
    const now = context.getImageData(0, 0, 44, 36).data;
    if (before && now.some((value, at) => Math.abs(value - before[at]) > 4)) changed++;
    before = now;
    seconds.push(video.currentTime);
    await new Promise((done) => setTimeout(done, 250));
  }
  return { changed, from: seconds[0], to: seconds.at(-1) };
}"""


@dataclass
class Running:
    """A line with its console."""

    site: Site
    detectors: Mapping[str, Detector]
    address: str = ""
    ready: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None

    def run(self) -> None:
        try:
            run_site(self.site, self.stop, detectors=self.detectors, beside=self._beside)
        except BaseException as error:
            self.error = error
        finally:
            self.ready.set()

    @contextmanager
    def _beside(self, bus: Bus) -> Iterator[None]:
        with console_beside(self.site, 0, bus) as at:
            self.address = at.address
            self.ready.set()
            yield


@pytest.fixture(scope="module")
def running(
    carphone: Path, detectors: Mapping[str, Detector], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("console")
    database = f"sqlite:///{folder / 'accounts.db'}"
    accounts = Accounts(AccountSettings(database=database))
    accounts.add("test", "kim", PASSWORD, ["viewer"], sites=["corner shop"])
    accounts.add("test", "lee", PASSWORD, ["viewer"], cameras=["hall"])
    accounts.close()
    slowly(carphone, folder / "slow.mp4")
    (folder / "site.yaml").write_text(SITE.format(video=folder / "slow.mp4"))
    # Nothing is known of plates: whoever asks for them gets closed pictures.
    broken = {**detectors, "plate": Faulty(detectors["plate"], lambda _: True, "raise")}
    line = Running(load_site(folder / "site.yaml"), broken)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("VEIL_ACCOUNTS_DATABASE", database)
        thread = threading.Thread(target=line.run, name="line")
        thread.start()
        assert line.ready.wait(60)
        assert line.error is None
        yield line
        line.stop.set()
        thread.join(60)
    assert line.error is None


def slowly(video: Path, out: Path) -> None:
    """The same pictures at a rate that a busy machine masks four times over, for a quarter of a minute."""
    with av.open(str(video)) as source, av.open(str(out), "w") as target:
        stream = target.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 176, 144, "yuv420p"
        for number, frame in enumerate(source.decode(video=0)):
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    made = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    made.set_default_timeout(WAIT_MS)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    opened = context.new_page()
    watch = Watch(opened)
    yield opened
    assert not watch.complaints


def log_in(page: Page, running: Running, name: str = "kim") -> None:
    page.goto(running.address)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Wall")).to_be_visible(timeout=WAIT_MS)


def keep(page: Page, name: str) -> None:
    """Keeps a picture of the page where somebody asked for it."""
    if folder := os.environ.get("VEIL_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.jpg", type="jpeg", quality=80)


def test_four_feeds_play_and_move_and_a_closed_camera_says_so(page: Page, running: Running) -> None:
    log_in(page, running)
    tiles = page.locator(".tile")
    expect(tiles).to_have_count(4)
    for camera in ("hall", "gate", "till"):
        expect(page.locator(f'[data-camera="{camera}"]')).to_contain_text("Live", timeout=WAIT_MS)
        page.wait_for_function(
            """(camera) => document.querySelector(`[data-camera="${camera}"] video`).currentTime > 0""", arg=camera
        )
        seen = page.evaluate(MOVES, camera)
        assert seen["to"] - seen["from"] > 1, "time goes on"
        assert seen["changed"] > 3, "the pixels of the picture change"
    yard = page.locator('[data-camera="yard"]')
    expect(yard).to_contain_text("Closed: wholly masked")
    assert yard.locator(".why").inner_text().strip(), "it says why"
    keep(page, "console-wall")
