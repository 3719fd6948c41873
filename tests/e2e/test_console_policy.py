"""Policies in a real browser, on a line that runs: a zone that is drawn is masked in the output's pixels.

VEIL_SCREENSHOTS=FOLDER keeps a picture of the page; that in docs/ was made by it.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from playwright.sync_api import Browser, Locator, Page, expect

from services.accounts.accounts import Accounts
from services.detect.interface import Detector
from tests.support.accounts import PASSWORD
from tests.support.browser import Watch, faults, keep, log_in
from tests.support.console_line import ConsoleLine, accounts_of, console_line, slowly
from tests.support.frames import luma
from tests.support.similarity import CLEAR, region_similarity

pytestmark = pytest.mark.models

WAIT_MS = 60_000
expect.set_options(timeout=WAIT_MS)
SITE = """\
name: shop
policy: store
changes: changed
cameras:
  - {{id: hall, source: {video}, loop: true}}
"""
# Of the sample, as shares: the window with what passes by, and the other corner. There is no face in either.
ZONE = (0.62, 0.08, 0.95, 0.5)
ELSEWHERE = (0.02, 0.02, 0.3, 0.4)
HEADINGS = {"wall": "Wall", "policy": "Policies"}


@pytest.fixture(scope="module")
def running(
    carphone: Path, detectors: Mapping[str, Detector], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ConsoleLine]:
    folder = tmp_path_factory.mktemp("policy")
    (folder / "changed").mkdir()
    video = slowly(carphone, folder / "slow.mp4")

    def people(accounts: Accounts) -> None:
        accounts.add("test", "kim", PASSWORD, ["viewer", "admin"], sites=["shop"])
        accounts.add("test", "ann", PASSWORD, ["admin"], sites=["shop"])

    with console_line(folder, SITE.format(video=video), detectors, people) as line:
        yield line


@contextmanager
def as_one(chromium: Browser, running: ConsoleLine, name: str, at: str) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 1600}, locale="en-GB", has_touch=True)
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    watch = Watch(page)
    log_in(page, f"{running.address}{at}", name, PASSWORD)
    expect(page.get_by_role("heading", name=HEADINGS[at])).to_be_visible(timeout=WAIT_MS)
    yield page
    context.close()
    assert not watch.complaints


@pytest.fixture
def page(chromium: Browser, running: ConsoleLine) -> Iterator[Page]:
    with as_one(chromium, running, "kim", "wall") as made:
        until(lambda: still(made) is not None)
        yield made


def until(holds: Callable[[], bool], seconds: float = 120) -> None:
    """Waits until it holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never held"
        time.sleep(0.3)


def still(page: Page) -> NDArray[np.uint8] | None:
    """Luma of the newest masked keyframe, as the browser gets it."""
    answer = page.request.get(f"{page.url.split('/wall')[0].split('/policy')[0].rstrip('/')}/api/v1/cameras/hall/still")
    if answer.status != 200:
        return None
    shown = cv2.imdecode(np.frombuffer(answer.body(), np.uint8), cv2.IMREAD_GRAYSCALE)
    return np.asarray(shown, np.uint8)


class Seen:
    """How much of the source can be seen in a part of the masked picture, whichever of its frames it is."""

    def __init__(self, running: ConsoleLine) -> None:
        self._frames = luma(running.folder / "slow.mp4")

    def best(self, shown: NDArray[np.uint8], part: tuple[float, float, float, float]) -> float:
        height, width = shown.shape
        box = np.array(part) * (width, height, width, height)
        return max(region_similarity(frame, shown, box) for frame in self._frames)


def canvas(page: Page) -> Locator:
    return page.get_by_role("application", name="Picture with zones and lines")


def press(page: Page, corners: list[tuple[float, float]], *, touch: bool = False) -> None:
    """Clicks or taps points of the picture, given as shares of it."""
    canvas(page).scroll_into_view_if_needed()
    frame = canvas(page).bounding_box()
    assert frame is not None
    for x, y in corners:
        at = frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]
        if touch:
            page.touchscreen.tap(*at)
        else:
            page.mouse.click(*at)


def opened(page: Page) -> None:
    page.get_by_role("link", name="Policies").click()
    # On a busy machine the camera may be lost for a while, and has no picture then.
    until(lambda: still(page) is not None)
    page.get_by_label("Camera").select_option("hall")
    expect(canvas(page)).to_be_visible()
    expect(page.locator(".canvas img")).to_have_js_property("naturalWidth", 176)


def save(page: Page, reason: str, number: int) -> None:
    page.get_by_label("Reason for the change").fill(reason)
    page.get_by_role("button", name="Save and put into force").click()
    expect(page.get_by_text(f"Change {number} is saved and in force")).to_be_visible()


def test_i1_a_zone_that_is_drawn_is_a_zone_that_is_masked(page: Page, running: ConsoleLine) -> None:
    seen = Seen(running)

    def clear() -> bool:
        now = still(page)
        return now is not None and min(seen.best(now, ZONE), seen.best(now, ELSEWHERE)) > 2 * CLEAR

    until(clear)  # otherwise the test could not fail

    opened(page)
    page.get_by_role("button", name="Draw a zone").click()
    x1, y1, x2, y2 = ZONE
    press(page, [(x1, y1), (x2, y1), (x2, y2), (x1, y2)])
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_text("Zone “Zone 1”: nothing → always masked")).to_be_visible()
    # A face is in the still all the while, and the tracker tells of it every second.
    expect(page.locator(".seen.would").first).to_be_attached()
    keep(page, "console-policy")
    save(page, "The desk shows names.", 1)

    def masked() -> bool:
        now = still(page)
        return now is not None and seen.best(now, ZONE) < CLEAR < seen.best(now, ELSEWHERE)

    until(masked)
    looks: list[float] = []

    def looked() -> bool:
        # On a busy machine the camera may be lost for a while, and has no picture then.
        if (now := still(page)) is not None:
            looks.append(seen.best(now, ZONE))
        return len(looks) >= 12

    until(looked)
    assert max(looks) < CLEAR

    expect(page.get_by_role("cell", name="The desk shows names.")).to_be_visible()
    kept = yaml.safe_load((running.folder / "changed" / "hall" / "000001.yaml").read_text())
    assert (kept["by"], kept["reason"]) == ("kim", "The desk shows names.")
    assert np.allclose(kept["keys"]["zones"][0]["polygon"][0], ZONE[:2], atol=0.01)
    with closing(accounts_of(running.folder)) as accounts:
        (event,) = [each for each in accounts.log.events("hall") if each.action == "policy.change"]
    assert event.purpose == "The desk shows names."
    assert event.details["after"] == kept["after"]


def test_areas_are_drawn_by_keyboard_touch_and_numbers_and_taken_back(page: Page) -> None:
    opened(page)
    before = page.get_by_role("group", name="Zone").count()
    page.get_by_role("button", name="Draw a zone").click()
    expect(canvas(page)).to_be_focused()
    for keys in (("ArrowLeft",), ("Shift+ArrowRight", "Shift+ArrowRight"), ("Shift+ArrowDown",)):
        for key in keys:
            page.keyboard.press(key)
        page.keyboard.press("Enter")
    page.keyboard.press("f")
    name = f"Zone {before + 1}"
    corner = page.get_by_role("button", name=f"{name}, corner 1: 49 % from the left, 50 % from the top")
    corner.focus()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("button", name=f"{name}, corner 1: 49 % from the left, 49 % from the top")).to_be_focused()
    page.keyboard.press("Insert")
    corners = page.get_by_role("button", name=f"{name}, corner")
    expect(corners).to_have_count(4)
    page.keyboard.press("Delete")
    expect(corners).to_have_count(3)
    page.get_by_role("button", name="Undo").click()
    expect(corners).to_have_count(4)

    group = page.get_by_role("group", name=name)
    group.get_by_text(f"Corners of {name}").click()
    group.get_by_label("Corner 1: % from the left").fill("12.5")
    group.get_by_label("Corner 1: % from the left").press("Tab")
    expect(page.get_by_role("button", name=f"{name}, corner 1: 12.5 % from the left")).to_be_visible()

    moved = page.get_by_role("button", name=f"{name}, corner 1")
    moved.scroll_into_view_if_needed()
    box, frame = moved.bounding_box(), canvas(page).bounding_box()
    assert box is not None
    assert frame is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] * 0.3, frame["y"] + frame["height"] * 0.2, steps=4)
    page.mouse.up()
    expect(
        page.get_by_role("button", name=re.compile(f"{name}, corner 1: (30|29.9).* % from the left"))
    ).to_be_visible()

    page.get_by_role("button", name="Draw a line").click()
    press(page, [(0.2, 0.8), (0.8, 0.8)], touch=True)
    expect(page.get_by_role("group", name="Line 1")).to_be_visible()
    group.get_by_role("button", name=f"Remove {name}").click()
    expect(group).to_have_count(0)
    expect(page.get_by_text("Line “Line 1”: nothing → counted only")).to_be_visible()


def test_a_detector_that_is_not_loaded_closes_the_camera_and_the_page_says_so(page: Page) -> None:
    opened(page)
    page.get_by_label("Mask Whole persons").check()
    expect(page.get_by_text("No detector is loaded for: person.")).to_be_visible()
    page.get_by_label("Mask Whole persons").uncheck()
    page.get_by_label("Mask Faces").uncheck()
    expect(page.get_by_text("kinds needs at least 1 of its items")).to_be_visible()
    expect(page.get_by_role("button", name="Save and put into force")).to_be_disabled()


@pytest.mark.parametrize(
    ("language", "theme", "width"), [("en", "light", 1280), ("fr", "dark", 1280), ("ko", "dark", 390)]
)
def test_axe_finds_no_serious_fault(page: Page, axe: str, language: str, theme: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    opened(page)
    page.get_by_label("Language").select_option(language)
    page.locator(".choices select").nth(1).select_option(theme)
    assert faults(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is cut off at the side"


def test_who_only_administers_is_told_why_there_is_no_picture(chromium: Browser, running: ConsoleLine) -> None:
    with as_one(chromium, running, "ann", "policy") as page:
        page.get_by_label("Camera").select_option("hall")
        expect(page.get_by_text("the role admin changes policies and does not look at cameras")).to_be_visible()
        expect(page.get_by_role("button", name="Save and put into force")).to_be_visible()
        assert page.locator(".canvas img").count() == 0
