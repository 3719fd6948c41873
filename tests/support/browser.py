"""A real browser: the system's Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.support.servers import absent

_PATHS = ("chromium", "chromium-browser", "google-chrome-stable")

# The page asks who is logged in before anybody is; and a page may be left while it connects.
_NO_FAULTS = ("401", "closed before the connection is established")


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser without windows."""
    path = next((found for name in _PATHS if (found := shutil.which(name))), None)
    if path is None:
        absent("Chromium is needed to try the console in a browser: apt-get install chromium")
    with sync_playwright() as playwright:
        # Without its sandbox it runs as root too; it opens nothing but the console under test.
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield started
        finally:
            started.close()


class Watch:
    """Notes whatever a page complains of: errors in scripts, refused content, and warnings of the content policy."""

    def __init__(self, page: Page) -> None:
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._heard)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(each in message.text for each in _NO_FAULTS):
            self.complaints.append(message.text)


def log_in(page: Page, address: str, name: str, password: str) -> None:
    """Opens a console's page and logs in."""
    page.goto(address)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def keep(page: Page, name: str) -> None:
    """Keeps a picture of the page where VEIL_SCREENSHOTS=FOLDER asks for it."""
    if folder := os.environ.get("VEIL_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.jpg", type="jpeg", quality=80)


def faults(page: Page, axe: str) -> list[str]:
    """What axe, given as its source, finds wrong with the page that it calls serious or critical."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document).then((result) => result.violations)")
    serious = (each for each in found if each["impact"] in ("serious", "critical"))
    return [f"{each['id']}: {[node['html'] for node in each['nodes']]}" for each in serious]
