"""A request in a real browser, from filing to a package that `veil verify` accepts: two people, one vault.

The originals are the sample's, kept by the line that masks it. VEIL_SCREENSHOTS=FOLDER keeps pictures of the pages.
"""

import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from services.accounts.accounts import Accounts
from services.accounts.web import COOKIE, CSRF_HEADER, Gate
from services.console.app import create_app
from services.console.hub import Hub
from services.console.requests_proxy import RequestsProxy
from services.console.server import served as console_served
from services.console.settings import ConsoleSettings
from services.detect.interface import Detector
from services.disclosure.desk import Desk, Office
from services.disclosure.package import House
from services.disclosure.rest.app import request_app
from services.disclosure.rest.counter import Counter, Rooms
from services.disclosure.rest.jobs import Jobs
from services.disclosure.rest.keys import WORDS, FilingKeys
from services.disclosure.store import RequestStore
from services.embedded.site import run_site
from services.policy.site import load_site
from services.signing import SigningKeys
from services.sql import Database, parsed
from services.vault import Piece, Vault, VaultSettings, open_vault
from services.vault.errors import VaultError
from tests.support.accounts import cheap, served, settings_in
from tests.support.browser import Watch, faults, keep, log_in
from tests.support.frames import luma
from tests.support.keys import add_key

# The whole way of a request takes long on a busy machine, and counts for the first test.
pytestmark = [pytest.mark.models, pytest.mark.timeout(1200)]

PASSWORD = "seven quiet herons at dusk"
WAIT_MS = 120_000
SITE = """\
name: corner shop
policy: store
cameras:
  - id: hall
    source: {video}
    overrides: {{originals: keep}}
    outputs: {{mp4: hall.mp4}}
"""
# What is drawn over with the mouse, in pixels of the video: a window, behind which nothing was found.
DRAWN = (8, 8, 48, 40)
# Frames of the video, counted from 1, that are closed as a whole.
CLOSED = (30, 39)


@dataclass
class Place:
    """A house with a vault, disclosure behind its API, and the console in front of it.

    Attributes:
        start_us, end_us: what the vault has of the camera.
        masked: video as everybody sees it.
    """

    folder: Path
    accounts: Accounts
    address: str
    api: str
    start_us: int
    end_us: int
    masked: Path


@pytest.fixture(scope="module")
def house(
    carphone: Path, detectors: Mapping[str, Detector], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("house")
    (folder / "keys").mkdir(mode=0o700)
    add_key(folder / "keys", "a")
    (folder / "site.yaml").write_text(SITE.format(video=carphone))
    with pytest.MonkeyPatch.context() as patched, ExitStack() as stack:
        patched.setenv("VEIL_KEYS_FOLDER", str(folder / "keys"))
        site = load_site(folder / "site.yaml")
        run_site(site, threading.Event(), detectors=detectors, vault=folder / "vault")
        vault = open_vault(VaultSettings(store=str(folder / "vault")))
        accounts = stack.enter_context(closing(Accounts(settings_in(folder), passwords=cheap())))
        # Kim may do both, and still not for one request.
        accounts.add("test", "kim", PASSWORD, ["officer", "approver"], sites=["*"])
        accounts.add("test", "lee", PASSWORD, ["approver"], sites=["*"])
        accounts.add("test", "guard", PASSWORD, ["viewer"], sites=["*"])
        policies = {policy.fingerprint: policy for policy in site.policies.values()}
        api = stack.enter_context(disclosure(folder, accounts, vault, policies))
        settings = ConsoleSettings(port=0, disclosure_url=api)
        gate, router = Gate(accounts, secure=False), RequestsProxy(settings).router
        app = create_app(settings, Hub(settings, ("hall",)), gate, lambda *_: None, routers=(router,))
        address = stack.enter_context(console_served(app, settings)).address.rstrip("/")
        kept = [part for part in vault.open("hall", 0, 1 << 60, purpose="test", who="t") if isinstance(part, Piece)]
        times = [each.unit.captured_us for piece in kept for each in piece.units]
        (masked,) = folder.glob("hall*.mp4")
        yield Place(folder, accounts, address, api, min(times), max(times), masked)


@contextmanager
def disclosure(folder: Path, accounts: Accounts, vault: Vault, policies: Mapping[str, object]) -> Iterator[str]:
    """Disclosure's own API. Yields its address."""
    keys = SigningKeys(folder / "signing")
    keys.create()
    office = Office(folder / "work", keys, policies, House("Corner shop"))  # type: ignore[arg-type]
    desk = Desk(RequestStore(f"sqlite:///{folder}/requests.db"), vault, office)
    filing = FilingKeys(Database(parsed(accounts.settings.database, WORDS), WORDS))
    with closing(Jobs(1, (VaultError,))) as jobs:
        counter = Counter(Rooms(desk, accounts, jobs, filing))
        with served(request_app(Gate(accounts, secure=False), counter, (VaultError,))) as address:
            yield address


@contextmanager
def as_one(chromium: Browser, house: Place, name: str, *, wide: int = 1280, high: int = 900) -> Iterator[Page]:
    """A browser of somebody's own, logged in, that must not complain of anything."""
    context = chromium.new_context(
        viewport={"width": wide, "height": high}, locale="en-GB", timezone_id="Asia/Seoul", accept_downloads=True
    )
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    watch = Watch(page)
    log_in(page, f"{house.address}/requests", name, PASSWORD)
    expect(page.get_by_role("navigation")).to_be_visible(timeout=WAIT_MS)
    yield page
    context.close()
    assert not watch.complaints


def act(page: Page, name: str, why: str, **more: str) -> None:
    """Presses a step's button and gives the reason that it asks for."""
    page.get_by_role("button", name=name, exact=True).click()
    dialog = page.get_by_role("dialog")
    for label, value in more.items():
        dialog.get_by_label(label.replace("_", " ")).fill(value)
    dialog.get_by_label("Reason").fill(why)
    dialog.get_by_role("button", name=name, exact=True).click()
    expect(dialog).to_be_hidden(timeout=WAIT_MS)


def is_now(page: Page, state: str) -> None:
    expect(page.locator(".state").first).to_have_text(state, timeout=WAIT_MS)


def local(at_us: int) -> str:
    """As it is typed into the page, in the browser's zone: Seoul is nine hours ahead of UTC, all year."""
    return datetime.fromtimestamp(at_us / 1e6 + 9 * 3600, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@pytest.fixture(scope="module")
def handed_over(chromium: Browser, house: Place, axe: str) -> Path:
    """The whole way of a request; gives the package as it was downloaded."""
    with as_one(chromium, house, "kim") as kim:
        address = files_and_points(kim, house, axe)
        with as_one(chromium, house, "lee") as lee:
            approves(lee, address, axe)
        return renders_and_hands_over(kim, house, axe)


def fills_in(page: Page, house: Place, whose: str) -> None:
    page.get_by_role("link", name="Requests").click()
    page.get_by_role("link", name="New request").click()
    page.get_by_label("Whose footage").fill(whose)
    page.get_by_label("hall").check()
    page.get_by_label("From", exact=True).fill(local(house.start_us - 1_000_000))
    page.get_by_label("To", exact=True).fill(local(house.end_us + 1_000_000))
    expect(page.get_by_text("Times are in Asia/Seoul (UTC+09:00).")).to_be_visible()
    page.get_by_label("Legal basis").fill("PIPA, article 35")
    page.get_by_label("Deadline").select_option("pipa")
    page.get_by_label("Reason").fill("asked at the counter, identity checked")


def files_and_points(page: Page, house: Place, axe: str) -> str:
    fills_in(page, house, "J. Park, born 1980")
    assert faults(page, axe) == []
    keep(page, "console-requests-new")
    page.get_by_role("button", name="File the request").click()
    is_now(page, "filed")
    expect(page.get_by_text("10 days left")).to_be_visible()
    postpones(page, house)
    act(page, "Search", "to find the person in the range")
    is_now(page, "looked for")
    face = page.locator("button.track", has_text="Face").first
    expect(face).to_be_visible(timeout=WAIT_MS)
    page.wait_for_function("() => document.querySelector('button.track img')?.naturalWidth > 0")
    # By keyboard alone: to the last, back to the first, and take it.
    page.locator("button.track").first.focus()
    page.keyboard.press("End")
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    expect(page.locator("button.track").first).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Space")
    expect(page.locator("button.track").first).to_have_attribute("aria-pressed", "false")
    face.click()
    expect(page.get_by_text("Your choice is not kept yet.")).to_be_visible()
    compares(page, axe)
    # The first frames are left out.
    page.get_by_role("slider").first.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert faults(page, axe) == []
    keep(page, "console-requests-point")
    act(page, "Keep the choice", "the person at the wheel")
    expect(page.get_by_text("Your choice is not kept yet.")).to_be_hidden()
    act(page, "Put before a second person", "ready")
    is_now(page, "waits for approval")
    expect(page.get_by_text("You took part in this request: somebody else has to approve it")).to_be_visible()
    assert page.get_by_role("button", name="Approve", exact=True).count() == 0
    keep(page, "console-requests-four-eyes")
    return page.url


def postpones(page: Page, house: Place) -> None:
    """Asks for more time, saves the letter that says so, and goes on."""
    assert page.get_by_role("button", name="Save the letter").count() == 0
    until = (datetime.now(UTC) + timedelta(days=14)).date().isoformat()
    act(page, "Postpone", "the archive is being moved", Until=until)
    is_now(page, "postponed")
    letter = saved(page, house)
    assert "the archive is being moved" in letter
    act(page, "Go on", "the archive is there again")
    is_now(page, "filed")


def saved(page: Page, house: Place) -> str:
    """The letter to the requester, as it was downloaded."""
    with page.expect_download(timeout=WAIT_MS) as begun:
        page.get_by_role("button", name="Save the letter").click()
    assert begun.value.suggested_filename.startswith("letter-")
    kept = house.folder / begun.value.suggested_filename
    begun.value.save_as(kept)
    return kept.read_text()


def compares(page: Page, axe: str) -> None:
    """Has clothes compared, and goes back to all tracks; what was chosen stays chosen."""
    page.get_by_role("button", name="Who is dressed alike?").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("to find the person again")
    dialog.get_by_role("button", name="Who is dressed alike?").click()
    expect(dialog).to_be_hidden()
    # The sample shows one person: who else is like him is up to what was found, and every answer has its words.
    found = page.get_by_text("Dressed alike, most alike first").or_(page.get_by_text("Nobody can be compared"))
    expect(found).to_be_visible()
    expect(page.locator("td", has_text="compared clothes")).to_have_count(1)
    assert faults(page, axe) == []
    page.get_by_role("button", name="Back to all tracks").click()
    expect(page.locator('button.track[aria-pressed="true"]')).to_have_count(1)
    expect(page.get_by_text("Your choice is not kept yet.")).to_be_visible()


def approves(page: Page, address: str, axe: str) -> None:
    page.get_by_role("link", name="Requests").click()
    page.get_by_role("link", name="J. Park, born 1980").click()
    assert page.url == address
    is_now(page, "waits for approval")
    page.wait_for_function("() => document.querySelector('button.track img')?.naturalWidth > 0")
    assert faults(page, axe) == []
    act(page, "Approve", "the right person, the right time")
    is_now(page, "approved")
    expect(page.get_by_text("You approved this request: somebody else has to make the videos")).to_be_visible()


def renders_and_hands_over(page: Page, house: Place, axe: str) -> Path:
    page.reload()
    is_now(page, "approved")
    act(page, "Make the videos", "to hand them over")
    is_now(page, "rendered")
    expect(page.get_by_text("Frame 1 of")).to_be_visible()
    page.wait_for_function("() => document.querySelector('.sheet img')?.naturalWidth === 176")
    page.get_by_label("Frame 1 of").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("Frame 2 of")).to_be_visible()
    has_looked(page, times=1)
    draws(page)
    closes(page)
    keep(page, "console-requests-review")
    assert faults(page, axe) == []
    page.get_by_role("button", name="Send corrections (2)").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("somebody may be known by the window")
    dialog.get_by_role("button", name="Mask more").click()
    is_now(page, "approved")
    act(page, "Make the videos", "with the correction")
    is_now(page, "rendered")
    has_looked(page, times=2)
    act(page, "Nothing against it", "looked through all frames")
    is_now(page, "reviewed")
    act(page, "Pack and sign", "to hand it over")
    is_now(page, "packaged")
    page.get_by_role("button", name="Check it").click()
    expect(page.get_by_text("The package is as it was signed")).to_be_visible(timeout=WAIT_MS)
    act(page, "Hand over", "sent by registered mail", Days_for_which="7")
    is_now(page, "handed over")
    expect(page.get_by_text("Nobody has taken it yet.")).to_be_visible()
    with page.expect_download(timeout=WAIT_MS) as begun:
        act(page, "Take the package", "burnt on a disc for J. Park")
    package = house.folder / begun.value.suggested_filename
    begun.value.save_as(package)
    expect(page.locator("td", has_text="took the package").first).to_be_visible()
    assert faults(page, axe) == []
    keep(page, "console-requests-handed-over")
    return package


def has_looked(page: Page, times: int) -> None:
    """That somebody looks is a step too, told with the first frame of each rendering."""
    expect(page.locator("td", has_text="looked at the result")).to_have_count(times, timeout=WAIT_MS)


def draws(page: Page) -> None:
    """A box with the mouse, over all frames."""
    page.locator(".sheet svg").scroll_into_view_if_needed()
    sheet = page.locator(".sheet svg").bounding_box()
    assert sheet is not None
    scale = sheet["width"] / 176
    for index, (move, x, y) in enumerate((("down", *DRAWN[:2]), ("up", *DRAWN[2:]))):
        page.mouse.move(sheet["x"] + x * scale, sheet["y"] + y * scale, steps=1 + 4 * index)
        getattr(page.mouse, move)()
    frames = page.get_by_label("To frame").get_attribute("max")
    page.get_by_label("From frame").fill("1")
    page.get_by_label("To frame").fill(str(frames))
    page.get_by_label("To frame").press("Tab")
    page.get_by_role("button", name="Mask this box").click()
    expect(page.get_by_role("button", name="Send corrections (1)")).to_be_visible(timeout=WAIT_MS)


def closes(page: Page) -> None:
    """Closes some whole frames; a stretch that was named by mistake is taken back."""
    for first, last in (CLOSED, (1, 2)):
        page.get_by_label("From frame").fill(str(first))
        page.get_by_label("To frame").fill(str(last))
        page.get_by_label("To frame").press("Tab")
        page.get_by_role("button", name="Close these frames").click()
        expect(page.get_by_text(f"Frames {first} to {last} closed")).to_be_visible()
    page.get_by_role("button", name="Remove: Frames 1 to 2 closed").click()
    expect(page.get_by_text("Frames 1 to 2 closed")).to_be_hidden()
    expect(page.get_by_role("button", name="Send corrections (2)")).to_be_visible()


def test_a_request_goes_from_filing_to_a_verified_package(handed_over: Path) -> None:
    command = [sys.executable, "-m", "services", "verify", str(handed_over)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_was_drawn_over_is_masked_in_the_package(handed_over: Path, carphone: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(handed_over) as package:
        video = Path(package.extract("video-1.mp4", tmp_path))
    given, original = luma(video), luma(carphone)
    x1, y1, x2, y2 = DRAWN
    # Five frames were trimmed away, and a mask has next to nothing of what is under it.
    assert 0 < len(given) <= len(original) - 5
    offset = len(original) - len(given)
    inside = [spread(frame[y1 + 4 : y2 - 4, x1 + 4 : x2 - 4]) for frame in given]
    before = [spread(frame[y1 + 4 : y2 - 4, x1 + 4 : x2 - 4]) for frame in original[offset:]]
    assert np.mean(inside) < 0.5 * np.mean(before)


def test_i1_frames_that_were_closed_are_masked_whole_in_the_package_and_their_neighbours_are_not(
    handed_over: Path, carphone: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(handed_over) as package:
        given = luma(Path(package.extract("video-1.mp4", tmp_path)))
    original = luma(carphone)[len(luma(carphone)) - len(given) :]
    first, last = CLOSED
    # The lower middle, where the man sits: shown in his own footage.
    pairs = zip(given, original, strict=True)
    share = [spread(shown[60:140, 50:130]) / spread(was[60:140, 50:130]) for shown, was in pairs]
    assert max(share[first - 1 : last]) < 0.6 * np.mean(share[last + 9 : last + 19])


def test_a_refusal_has_its_letter(chromium: Browser, house: Place) -> None:
    with as_one(chromium, house, "kim") as page:
        fills_in(page, house, "P. Lim, born 1991")
        page.get_by_role("button", name="File the request").click()
        is_now(page, "filed")
        act(page, "Refuse", "the footage of others was asked for")
        is_now(page, "refused")
        letter = saved(page, house)
        assert "P. Lim, born 1991" in letter


def spread(part: np.ndarray) -> float:
    """How much neighbouring pixels differ."""
    return float(np.abs(np.diff(part.astype(int), axis=1)).mean())


def test_the_list_tells_of_it_in_three_languages_and_on_a_phone(
    handed_over: Path, chromium: Browser, house: Place, axe: str
) -> None:
    assert handed_over.is_file()
    with as_one(chromium, house, "kim", wide=390, high=844) as page:
        page.goto(f"{house.address}/requests")
        for language, title, every, answered in (
            ("fr", "Demandes", "all", "Répondue, aucun délai ne court"),
            ("ko", "열람 요청", "all", "답변 완료, 기한 없음"),
            ("en", "Requests", "all", "Answered, no deadline runs"),
        ):
            page.locator(".choices select").first.select_option(language)
            expect(page.get_by_role("heading", name=title)).to_be_visible()
            page.locator(".requests-filters select").first.select_option(every)
            expect(page.get_by_text(answered).first).to_be_visible(timeout=WAIT_MS)
            page.locator(".cases a").first.click()
            expect(page.locator(".facts").first).to_be_visible(timeout=WAIT_MS)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            page.locator(".choices select").nth(1).select_option("dark")
            assert faults(page, axe) == []
            keep(page, f"console-requests-phone-{language}")
            page.go_back()


def test_a_viewer_neither_sees_the_menu_nor_gets_an_answer(chromium: Browser, house: Place) -> None:
    with as_one(chromium, house, "guard") as page:
        assert page.get_by_role("link", name="Requests").count() == 0
        page.goto(f"{house.address}/requests")
        expect(page.get_by_text("Your account may not see this page.")).to_be_visible()
        (cookie,) = page.context.cookies()
    with httpx.Client(cookies={COOKIE: str(cookie["value"])}) as client:
        csrf = client.get(f"{house.address}/api/v1/session").json()["csrf"]
        # Neither by way of the console nor of disclosure itself.
        for address in (house.address, house.api):
            for path in ("", "/20260302-1f0c9a7e", "/20260302-1f0c9a7e/found/1/picture"):
                assert client.get(f"{address}/api/v1/requests{path}").status_code == 403
            body = {"version": 1, "why": "curious"}
            asked = client.post(
                f"{address}/api/v1/requests/20260302-1f0c9a7e/approve", json=body, headers={CSRF_HEADER: csrf}
            )
            assert asked.status_code == 403
