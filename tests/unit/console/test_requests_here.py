"""Requests in the console's own process, beside a line that keeps originals."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.accounts.accounts import Accounts
from services.accounts.model import Account, Role
from services.accounts.web import Gate
from services.console.app import create_app
from services.console.hub import Hub
from services.console.requests_here import is_set_up, requests_here
from services.console.server import ConsoleError
from services.console.settings import ConsoleSettings
from services.signing import SigningKeys
from tests.support.accounts import NAMES, browser, cheap, served, settings_in, staffed
from tests.support.keys import add_key

FILED = {
    "why": "asked at the counter",
    "whose": "J. Park",
    "cameras": ["hall"],
    "start": "2026-03-01T14:00:00Z",
    "end": "2026-03-01T14:20:00Z",
    "legal_basis": "GDPR, article 15",
}


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    with closing(staffed(Accounts(settings_in(tmp_path), passwords=cheap()))) as made:
        made.book.add(Account("", "other", "", frozenset({Role.OFFICER}), sites=("elsewhere",)), password=None)
        made.book.add(Account("", "own", "", frozenset({Role.OFFICER}), sites=("shop",)), password=None)
        yield made


@pytest.fixture
def set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("keys", "signing", "policies"):
        (tmp_path / name).mkdir(mode=0o700)
    add_key(tmp_path / "keys", "a")
    SigningKeys(tmp_path / "signing").create()
    monkeypatch.setenv("VEIL_KEYS_FOLDER", str(tmp_path / "keys"))
    monkeypatch.setenv("VEIL_DISCLOSURE_FOLDER", str(tmp_path / "work"))
    monkeypatch.setenv("VEIL_DISCLOSURE_KEYS", str(tmp_path / "signing"))
    monkeypatch.setenv("VEIL_DISCLOSURE_POLICIES", str(tmp_path / "policies"))
    return tmp_path


def test_the_console_itself_answers(set_up: Path, accounts: Accounts) -> None:
    settings = ConsoleSettings(port=0)
    app = create_app(settings, Hub(settings, ()), Gate(accounts, secure=False), lambda *_: None)
    assert is_set_up()
    with requests_here(app, accounts, set_up / "vault", "shop"), served(app) as address:
        with browser(address, accounts, NAMES[Role.VIEWER]) as viewer:
            assert viewer.get("/api/v1/requests").status_code == 403
        with browser(address, accounts, "own") as officer:
            filed = officer.post("/api/v1/requests", json=FILED)
            assert filed.status_code == 201, filed.text
            # One that makes no sense is refused in one sentence here too.
            refused = officer.post(f"/api/v1/requests/{filed.json()['id']}/submit", json={"version": 0, "why": "now"})
            assert refused.status_code == 403
            assert str(refused.json()["error"]).endswith(".")
        with browser(address, accounts, "other") as other:
            assert other.get("/api/v1/requests").json()["requests"] == []


def test_what_is_missing_is_named(set_up: Path, accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ConsoleSettings(port=0)
    app = create_app(settings, Hub(settings, ()), Gate(accounts, secure=False), lambda *_: None)
    monkeypatch.delenv("VEIL_DISCLOSURE_KEYS")
    with (
        pytest.raises(ConsoleError, match="VEIL_DISCLOSURE_KEYS"),
        requests_here(app, accounts, set_up / "vault", "shop"),
    ):
        pass
