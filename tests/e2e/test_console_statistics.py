"""The pages Insight, Camera and Health in a real browser, on what a line in this process makes of the sample.

The statistics are those of the sample's own records, as if they had come again and again over the last day.
VEIL_SCREENSHOTS=FOLDER keeps pictures of the pages; those in docs/ were made by it.
"""

import csv
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from services.accounts.accounts import Accounts
from services.accounts.settings import AccountSettings
from services.bus.interface import Bus, Committable
from services.console.process import console_beside
from services.detect.interface import Detector
from services.embedded.site import run_site
from services.insight.counts import TOPICS, Told, parse
from services.insight.database import open_database
from services.insight.grid import HOUR_US, step_of
from services.insight.settings import InsightSettings
from services.insight.store import InsightStore
from services.policy.site import Site, load_site
from services.schema import pb
from tests.support.browser import Watch

pytestmark = pytest.mark.models

PASSWORD = "seven quiet herons at dusk"
WAIT_MS = 60_000
SITE = """\
name: corner shop
policy: store
cameras:
  - id: hall
    source: {video}
    loop: {loop}
    policy: {policy}
"""
POLICY = """\
name: car
title: Inside a car
sector: transit
purpose: To see whether the doors are clear.
legal_basis: Legitimate interest
kinds: [face]
zones:
  - {name: seat, polygon: [[0.2, 0.1], [0.9, 0.1], [0.9, 0.95], [0.2, 0.95]]}
  - {name: window, polygon: [[0, 0], [0.2, 0], [0.2, 1], [0, 1]]}
lines:
  - {name: door, start: [0.5, 0], end: [0.5, 1]}
"""


def recorded(site: Site, detectors: Mapping[str, Detector]) -> list[Told]:
    """The metadata that a line makes of the site, once through."""
    told: list[Told] = []

    @contextmanager
    def listening(bus: Bus) -> Iterator[None]:
        stop = threading.Event()
        consumer = bus.consumer("listener", TOPICS)

        def listen() -> None:
            with closing(consumer):
                while True:
                    last = stop.is_set()
                    messages = consumer.poll(0.2, 512)
                    told.extend(each for one in messages if (each := parse(one, 1 << 60)) is not None)
                    if messages:
                        consumer.commit({one.position.source: Committable.after(one.position) for one in messages})
                    elif last:
                        return

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(20)

    run_site(site, threading.Event(), detectors=detectors, beside=listening)
    return told


def again(told: list[Told], by_us: int, epoch: int) -> list[Told]:
    """The same records, at another time and in another epoch."""
    copies: list[Told] = []
    for one in told:
        copy = type(one)()  # type: ignore[operator]
        copy.CopyFrom(one)
        copy.epoch = epoch
        for name in ("from_us", "to_us", "first_us", "last_us"):
            if name in copy.DESCRIPTOR.fields_by_name:
                setattr(copy, name, getattr(copy, name) + by_us)
        copies.append(copy)
    return copies


def fill(store: InsightStore, told: list[Told]) -> None:
    """A day in which the sample came more often around noon than at night; now is in it, too."""
    random = Random(7)
    begins = min(one.from_us for one in told if isinstance(one, pb.StatsRecord))
    now = step_of(time.time_ns() // 1000, 600)
    epoch = 1
    for at_us in range(now - 26 * HOUR_US, now, 600_000_000):
        busy = max(0, 8 - abs(12 - at_us // HOUR_US % 24))
        copies: list[Told] = [pb.StatsRecord(camera_id="hall", epoch=epoch, from_us=at_us, to_us=at_us + 1, frames=150)]
        for _ in range(random.randint(0, busy)):
            epoch += 1
            copies += again(told, at_us + random.randint(0, 300_000_000) - begins, epoch)
        store.take(copies)


@pytest.fixture(scope="module")
def address(
    carphone: Path, detectors: Mapping[str, Detector], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("console")
    (folder / "car.yaml").write_text(POLICY)
    for name, loop in (("once", "false"), ("site", "true")):
        words = SITE.format(video=carphone, loop=loop, policy="car.yaml")
        (folder / f"{name}.yaml").write_text(words)
    told = recorded(load_site(folder / "once.yaml"), detectors)
    assert any(isinstance(one, pb.TrackRecord) and one.ended for one in told)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("VEIL_ACCOUNTS_DATABASE", f"sqlite:///{folder / 'accounts.db'}")
        patched.setenv("VEIL_INSIGHT_DATABASE", f"sqlite:///{folder / 'insight.db'}")
        patched.setenv("VEIL_HEALTH_FOLDERS", '["/"]')
        patched.setenv("VEIL_HEALTH_GRAFANA", "https://grafana.example")
        with closing(Accounts(AccountSettings())) as accounts:
            accounts.add("test", "kim", PASSWORD, ["viewer"], sites=["corner shop"])
        settings = InsightSettings()
        database = open_database(settings)
        fill(InsightStore(database, settings), told)
        database.close()
        yield from _running(load_site(folder / "site.yaml"), detectors)


def _running(site: Site, detectors: Mapping[str, Detector]) -> Iterator[str]:
    ready, stop, found = threading.Event(), threading.Event(), []

    @contextmanager
    def beside(bus: Bus) -> Iterator[None]:
        with console_beside(site, 0, bus) as at:
            found.append(at.address)
            ready.set()
            yield

    thread = threading.Thread(target=run_site, args=(site, stop), kwargs={"detectors": detectors, "beside": beside})
    thread.start()
    assert ready.wait(60)
    yield found[0]
    stop.set()
    thread.join(60)


@pytest.fixture(scope="module")
def context(chromium: Browser, address: str) -> Iterator[BrowserContext]:
    made = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB", accept_downloads=True)
    made.set_default_timeout(WAIT_MS)
    page = made.new_page()
    page.goto(address)
    page.get_by_label("Name").fill("kim")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Wall")).to_be_visible(timeout=WAIT_MS)
    page.close()
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    opened = context.new_page()
    watch = Watch(opened)
    yield opened
    assert not watch.complaints
    opened.close()


def keep(page: Page, name: str) -> None:
    """Keeps a picture of the whole page where somebody asked for it."""
    if folder := os.environ.get("VEIL_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.jpg", type="jpeg", quality=75, full_page=True)


def test_insight_shows_what_is_told_and_says_what_is_not(page: Page, address: str, tmp_path: Path) -> None:
    page.goto(f"{address}insight")
    expect(page.get_by_role("heading", name="Over time")).to_be_visible()
    chart = page.locator(".chart").first
    expect(chart).to_contain_text("corner shop")
    assert chart.locator("rect").count() >= 20
    chart.locator("summary").click()
    cells = chart.locator("td").all_inner_texts()
    assert any(cell == "fewer than 5" for cell in cells)
    assert any(cell.split()[0].isdigit() for cell in cells if not cell.startswith("fewer"))
    told = [int(cell.split()[0]) for cell in cells if cell.split()[0].isdigit()]
    assert min(told) >= 5
    expect(page.get_by_text("Nobody is followed from one camera to another.")).to_be_visible()
    expect(page.get_by_role("rowheader", name="hall · seat")).to_be_visible()
    keep(page, "console-insight")
    page.get_by_label("What for").fill("a test")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    download.value.save_as(tmp_path / "out.csv")
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0].startswith("# Statistics only. Counts below 5")
    rows = list(csv.DictReader(lines[1:]))
    assert {row["camera"] for row in rows} == {"hall"}
    assert all(not row["count"] or int(row["count"]) >= 5 for row in rows)


def test_a_cameras_page_has_picture_policy_hours_and_heat(page: Page, address: str) -> None:
    page.goto(f"{address}camera/hall")
    expect(page.get_by_role("heading", name="hall")).to_be_visible()
    expect(page.get_by_text("Faces: mosaicked.")).to_be_visible()
    expect(page.get_by_text("Counted without pictures: seat, window, door.")).to_be_visible()
    expect(page.locator("figcaption", has_text="Faces")).to_be_visible()
    heat = page.locator(".heat")
    expect(heat.locator("rect").first).to_be_visible()
    page.wait_for_function("() => document.querySelector('.tile video').currentTime > 0", timeout=WAIT_MS)
    # The first group of pictures of a machine under load may be closed: the next ones show the car.
    page.wait_for_timeout(4000)
    page.reload()
    expect(page.locator(".heat img")).to_be_visible(timeout=WAIT_MS)
    keep(page, "console-camera")


def test_health_shows_stages_and_disks(page: Page, address: str) -> None:
    page.goto(f"{address}health")
    row = page.get_by_role("row", name="hall")
    expect(row).to_contain_text("frames/s", timeout=WAIT_MS)
    expect(row).not_to_contain_text("…", timeout=WAIT_MS)
    expect(page.get_by_text("No auditor looks at the masked pictures.")).to_be_visible()
    expect(page.get_by_role("row", name="this process")).to_contain_text("up")
    expect(page.get_by_role("link", name="Boards in Grafana")).to_be_visible()
    expect(page.get_by_role("heading", name="Disks")).to_be_visible()
    keep(page, "console-health")


@pytest.mark.parametrize(("language", "words"), [("ko", "점선 막대"), ("fr", "barre en pointillé")])
def test_other_languages_dark_and_narrow(page: Page, address: str, language: str, words: str) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(color_scheme="dark")
    page.goto(f"{address}insight")
    expect(page.get_by_role("heading", name="Over time")).to_be_visible()
    page.locator("select").filter(has=page.locator(f"option[value={language}]")).select_option(language)
    expect(page.get_by_text(words)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out on a phone"
    page.locator("select").filter(has=page.locator("option[value=en]")).select_option("en")


@pytest.mark.parametrize("path", ["insight", "camera/hall", "health"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(
    page: Page, address: str, axe: str, path: str, scheme: Literal["light", "dark"]
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{address}{path}")
    expect(page.locator("h2").first).to_be_visible()
    for summary in page.locator("summary").all():
        summary.click()
    page.evaluate(axe)
    found = page.evaluate(
        "async () => (await axe.run()).violations.map((each) => [each.impact, each.id, each.nodes[0].html])"
    )
    assert not [each for each in found if each[0] in ("serious", "critical")]


def test_keys_reach_every_choice(page: Page, address: str) -> None:
    page.goto(f"{address}insight")
    expect(page.get_by_role("heading", name="Over time")).to_be_visible()
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.closest('label')?.firstChild.textContent ?? ''"))
    assert {"Count", "Time", "By", "File", "What for"} <= reached
