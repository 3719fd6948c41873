"""The console in a real browser, on a line that masks four cameras in this process: pictures move, states are told.

VEIL_SCREENSHOTS=FOLDER keeps pictures of the pages; those in docs/ were made by it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from services.accounts.accounts import Accounts
from services.detect.interface import Detector
from tests.support.browser import Watch, faults, keep
from tests.support.browser import log_in as log_in_at
from tests.support.console_line import ConsoleLine, console_line, slowly
from tests.support.faults import Faulty

pytestmark = pytest.mark.models

PASSWORD = "seven quiet herons at dusk"
WAIT_MS = 60_000
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
# How often the picture that is shown differs from the one before: read off a canvas, as an eye would see it. On a busy
# machine pictures are closed for a while, and a closed picture stands still.
MOVES = """async (camera) => {
  const video = document.querySelector(`[data-camera="${camera}"] video`);
  const canvas = document.createElement("canvas");
  canvas.width = 44; canvas.height = 36;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let before = null, changed = 0, seconds = [];
  for (let look = 0; look < 200 && (changed < 4 || seconds.at(-1) - seconds[0] < 1.5); look++) {
    context.drawImage(video, 0, 0, 44, 36);
    const now = context.getImageData(0, 0, 44, 36).data;
    if (before && now.some((value, at) => Math.abs(value - before[at]) > 4)) changed++;
    before = now;
    seconds.push(video.currentTime);
    await new Promise((done) => setTimeout(done, 250));
  }
  return { changed, from: seconds[0], to: seconds.at(-1) };
}"""


@pytest.fixture(scope="module")
def running(
    carphone: Path, detectors: Mapping[str, Detector], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ConsoleLine]:
    folder = tmp_path_factory.mktemp("console")
    video = slowly(carphone, folder / "slow.mp4")
    # Nothing is known of plates: whoever asks for them gets closed pictures.
    broken = {**detectors, "plate": Faulty(detectors["plate"], lambda _: True, "raise")}

    def people(accounts: Accounts) -> None:
        accounts.add("test", "kim", PASSWORD, ["viewer"], sites=["corner shop"])
        accounts.add("test", "lee", PASSWORD, ["viewer"], cameras=["hall"])

    with console_line(folder, SITE.format(video=video), broken, people) as line:
        yield line


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


def log_in(page: Page, running: ConsoleLine, name: str = "kim") -> None:
    log_in_at(page, running.address, name, PASSWORD)
    expect(page.get_by_role("heading", name="Wall")).to_be_visible(timeout=WAIT_MS)


def test_four_feeds_play_and_move_and_a_closed_camera_says_so(page: Page, running: ConsoleLine) -> None:
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


def test_keys_do_what_the_mouse_does_and_the_wall_is_kept(page: Page, running: ConsoleLine) -> None:
    log_in(page, running)
    expect(page.locator(".tile")).to_have_count(4)
    with page.expect_response(lambda answer: answer.request.method == "PUT"):
        page.keyboard.press("3")
    expect(page.locator(".wall")).to_have_class("wall side-3")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".tile").nth(0)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".tile").nth(1)).to_be_focused()
    with page.expect_response(lambda answer: answer.request.method == "PUT"):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement !== null")
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement === null")
    page.reload()
    expect(page.locator(".wall")).to_have_class("wall side-3")
    order = page.locator(".tile").evaluate_all("tiles => tiles.map((tile) => tile.dataset.camera)")
    assert order == ["gate", "till", "hall", "yard"]
    page.locator(".tile").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/camera/gate")
    page.go_back()
    expect(page.get_by_role("heading", name="Wall")).to_be_visible()
    with page.expect_response(lambda answer: answer.request.method == "PUT"):
        page.keyboard.press("2")


def test_a_camera_is_dragged_to_its_place_and_stays_there(page: Page, running: ConsoleLine) -> None:
    log_in(page, running)
    page.locator(".chooser summary").click()
    with page.expect_response(lambda answer: answer.request.method == "PUT"):
        page.get_by_role("button", name="Show all").click()
    page.locator(".chooser summary").click()
    tiles = page.locator(".tile")

    def order() -> list[str]:
        return list(tiles.evaluate_all("tiles => tiles.map((tile) => tile.dataset.camera)"))

    expect(tiles).to_have_count(4)
    assert order() == [*CAMERAS]
    with page.expect_response(lambda answer: answer.request.method == "PUT"):
        tiles.nth(0).drag_to(tiles.nth(2))
    expect(page.get_by_text("gate is now 3 of 4.")).to_be_attached()
    assert order() == ["hall", "till", "gate", "yard"]
    # What is no camera of this wall changes nothing.
    page.get_by_role("navigation").get_by_role("link").last.drag_to(tiles.nth(1))
    page.reload()
    expect(tiles).to_have_count(4)
    assert order() == ["hall", "till", "gate", "yard"]


def test_an_account_reaches_no_camera_of_others(page: Page, running: ConsoleLine) -> None:
    log_in(page, running, "lee")
    expect(page.locator(".tile")).to_have_count(1)
    assert [each["camera"] for each in page.request.get(f"{running.address}api/v1/cameras").json()] == ["hall"]
    for path in ("gate", "gate/still", "nowhere"):
        assert page.request.get(f"{running.address}api/v1/cameras/{path}").status == 403
    code = page.evaluate(
        """() => new Promise((done) => {
          const socket = new WebSocket(`ws://${location.host}/api/v1/live`);
          socket.onopen = () => socket.send(JSON.stringify({ watch: ["gate"] }));
          socket.onmessage = () => done("it answered");
          socket.onclose = (event) => done(event.code);
        })"""
    )
    assert code == 4403


def test_logging_out_leaves_nothing_behind(page: Page, context: BrowserContext, running: ConsoleLine) -> None:
    log_in(page, running)
    expect(page.locator('[data-camera="hall"]')).to_contain_text("Live", timeout=WAIT_MS)
    (cookie,) = context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    page.get_by_label("Language").select_option("fr")
    page.get_by_label("Thème").select_option("dark")
    assert page.evaluate("Object.keys({...localStorage}).sort()") == ["veil.language", "veil.theme"]
    page.get_by_role("button", name="Se déconnecter").click()
    expect(page.get_by_label("Mot de passe").or_(page.get_by_label("Password"))).to_be_visible()
    assert context.cookies() == []
    assert page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]
    assert page.evaluate("caches.keys()") == []
    assert page.locator("video").count() == 0
    page.goto(f"{running.address}camera/hall")
    expect(page.get_by_label("Password")).to_be_visible()
    kept = {"Cookie": f"{cookie['name']}={cookie['value']}"}
    assert page.request.get(f"{running.address}api/v1/cameras", headers=kept).status == 401


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_fault(page: Page, running: ConsoleLine, axe: str, theme: str) -> None:
    page.goto(running.address)
    page.get_by_label("Theme").select_option(theme)
    expect(page.get_by_label("Password")).to_be_visible()
    assert faults(page, axe) == []
    log_in(page, running)
    expect(page.locator('[data-camera="yard"]')).to_contain_text("Closed", timeout=WAIT_MS)
    assert faults(page, axe) == []
    keep(page, f"console-wall-{theme}")


@pytest.mark.parametrize(
    ("language", "title", "closed", "why"),
    [
        ("fr", "Mur d’images", "Fermée : image entièrement masquée", "Le détecteur (plaques) a échoué."),
        ("ko", "영상 벽", "닫힘: 화면 전체 가림", "번호판 탐지기가 실패했습니다."),
    ],
)
def test_other_languages(page: Page, running: ConsoleLine, language: str, title: str, closed: str, why: str) -> None:
    log_in(page, running)
    page.get_by_label("Language").select_option(language)
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    expect(page.locator('[data-camera="yard"]')).to_contain_text(closed, timeout=WAIT_MS)
    expect(page.locator('[data-camera="yard"] .why')).to_have_text(why, timeout=WAIT_MS)
    expect(page.locator("html")).to_have_attribute("lang", language)
    keep(page, f"console-wall-{language}")


def test_a_phone_needs_no_scrolling_to_the_side(chromium: Browser, running: ConsoleLine) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, device_scale_factor=2, locale="en-GB")
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    watch = Watch(page)
    log_in(page, running)
    expect(page.locator('[data-camera="gate"]')).to_contain_text("Live", timeout=WAIT_MS)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    keep(page, "console-phone")
    context.close()
    assert not watch.complaints
