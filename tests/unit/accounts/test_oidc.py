"""Single sign-on against a provider over real HTTP: what it lets in, and every lie that it has to withstand."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("joserfc")
pytest.importorskip("argon2")

from fastapi import FastAPI

from services.accounts.accounts import Accounts
from services.accounts.model import Role
from services.accounts.oidc import Provider
from services.accounts.routes import account_routes
from services.accounts.settings import AccountSettings
from services.accounts.web import COOKIE, CSRF_HEADER, Gate, install
from tests.support.accounts import NAMES, TurnedClock, browser, cheap, served, settings_in, staffed
from tests.support.oidc import CLIENT, SECRET, IdentityProvider, provider

BACK = "http://127.0.0.1/api/v1/session/oidc/callback"
KIM = {
    "sub": "00u17",
    "preferred_username": "kim",
    "email": "kim@city.example",
    "email_verified": True,
    "groups": ["footage", "north", "others"],
}


class House:
    """An app with single sign-on, its provider, and a browser's way through both."""

    def __init__(self, folder: Path, address: IdentityProvider, clock: TurnedClock, **more: Any) -> None:
        (folder / "secret").write_text(f"{SECRET}\n")
        given: dict[str, Any] = {
            "oidc_issuer": address.address,
            "oidc_client": CLIENT,
            "oidc_secret_file": folder / "secret",
            "oidc_redirect": BACK,
            "oidc_roles": {"footage": "officer", "seconds": "approver"},
            "oidc_cameras": {"north": ["north-*"], "everywhere": ["*"]},
        }
        self.provider, self.clock = address, clock
        self.accounts = staffed(Accounts(settings_in(folder, **(given | more)), None, clock, cheap()))
        sso = Provider(self.accounts.settings, self.accounts.database, clock)
        self.app = FastAPI()
        install(self.app, Gate(self.accounts, sso, secure=False))
        self.app.include_router(account_routes())

    def way_back(self, client: httpx.Client) -> str:
        """Through the provider: the path to which it sends the browser back."""
        start = client.get("/api/v1/session/oidc")
        assert start.status_code == 303, start.text
        answer = httpx.get(start.headers["location"], trust_env=False)
        assert answer.status_code == 302
        return answer.headers["location"].removeprefix("http://127.0.0.1")

    def log_in(self, client: httpx.Client) -> httpx.Response:
        return client.get(self.way_back(client))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    clock = TurnedClock()
    with provider(BACK, lambda: clock.us / 1e6) as address:
        address.user = dict(KIM)
        yield House(tmp_path, address, clock)


@pytest.fixture
def client(house: House) -> Iterator[httpx.Client]:
    with served(house.app) as address, browser(address) as one:
        yield one


def test_who_the_provider_shows_gets_what_their_groups_allow(house: House, client: httpx.Client) -> None:
    answer = house.log_in(client)

    assert answer.status_code == 200, answer.text
    assert 'http-equiv="refresh"' in answer.text
    cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith(COOKIE))
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    me = client.get("/api/v1/session").json()["account"]
    assert me["name"] == "kim@127.0.0.1"
    assert (me["person"], me["roles"], me["cameras"]) == ("kim@city.example", ["officer"], ["north-*"])
    assert [event.action for event in house.accounts.log.events()][-2:] == ["account.create", "login.good"]


def test_groups_count_anew_at_each_login(house: House, client: httpx.Client) -> None:
    house.log_in(client)
    first = client.cookies[COOKIE]
    house.provider.user["groups"] = ["seconds", "everywhere"]
    house.log_in(client)
    account = house.accounts.book.get("kim@127.0.0.1")
    assert (account.roles, account.sites) == ({Role.APPROVER}, ("*",))
    assert house.accounts.sessions.find(first) is None
    house.provider.user["groups"] = ["others"]
    assert house.log_in(client).status_code == 401
    house.provider.user["groups"] = ["footage"]
    house.accounts.lock("test", "kim@127.0.0.1")
    assert house.log_in(client).status_code == 401


def test_by_another_address_it_is_the_same_account_and_person(house: House, client: httpx.Client) -> None:
    house.log_in(client)
    house.provider.user |= {"email": "new@city.example", "preferred_username": "renamed"}
    house.log_in(client)
    account = house.accounts.book.get("kim@127.0.0.1")
    assert account.person == "new@city.example"
    assert {"kim@city.example", "new@city.example"} <= house.accounts.book.names_of(account)
    local = house.accounts.change("test", NAMES[Role.APPROVER], person="Kim@City.example")
    assert "kim@127.0.0.1" in house.accounts.book.names_of(local)


def test_it_has_no_password_and_no_local_account_is_taken_over(house: House, client: httpx.Client) -> None:
    house.provider.user["preferred_username"] = NAMES[Role.ADMIN]
    house.log_in(client)
    assert house.accounts.book.get(NAMES[Role.ADMIN]).single_sign_on is False
    me = client.get("/api/v1/session").json()
    assert me["account"]["roles"] == ["officer"]
    client.headers[CSRF_HEADER] = me["csrf"]
    house.provider.user |= {"sub": "other", "preferred_username": "x@y"}
    house.accounts.add("test", "x@y", "seven quiet herons", ["viewer"])
    assert house.log_in(client).status_code == 409
    answer = client.put("/api/v1/session/password", json={"old": "", "new": "seven quiet herons"})
    assert answer.status_code == 422
    answer = client.put("/api/v1/session/password", json={"old": "x", "new": "seven quiet herons"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "lies",
    [
        {"iss": "https://other.example"},
        {"aud": "another"},
        {"aud": ["another", CLIENT]},
        {"aud": ["another", CLIENT], "azp": "another"},
        {"azp": "another"},
        {"exp": 1},
        {"exp": None},
        {"iat": None},
        {"iat": 9_999_999_999},
        {"nbf": 9_999_999_999},
        {"nonce": "x"},
        {"nonce": None},
        {"sub": None},
        {"email": None},
        {"email_verified": False},
        {"groups": 7},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_us_now_is_refused(house: House, client: httpx.Client, lies: dict[str, Any]) -> None:
    house.provider.lies = lies
    answer = house.log_in(client)
    assert answer.status_code == 401, answer.text
    assert set(answer.json()) == {"error"}
    assert COOKIE not in client.cookies
    assert house.accounts.book.find("kim@127.0.0.1") is None


@pytest.mark.parametrize("forge", ["by_a_stranger", "by_the_public_key", "unsigned"])
def test_a_token_that_the_provider_has_not_signed_is_refused(house: House, client: httpx.Client, forge: str) -> None:
    house.provider.forge = getattr(house.provider, forge)
    assert house.log_in(client).status_code == 401
    assert house.accounts.book.find("kim@127.0.0.1") is None


def test_no_login_that_was_not_begun_in_this_browser(house: House, client: httpx.Client) -> None:
    path = house.way_back(client)
    with browser(str(client.base_url)) as other:
        assert other.get(path).status_code == 401
    # Another browser has used it up.
    assert client.get(path).status_code == 401
    path = house.way_back(client)
    assert client.get(re.sub(r"state=[^&]+", "state=forged", path)).status_code == 401
    assert client.get(re.sub(r"iss=[^&]+", "iss=https%3A%2F%2Fother.example", path)).status_code == 401
    path = house.way_back(client)
    house.clock.pass_s(601)
    assert client.get(path).status_code == 401
    path = house.way_back(client)
    assert client.get(path).status_code == 200
    assert client.get(path).status_code == 401
    assert client.get("/api/v1/session/oidc/callback?error=access_denied&state=x").status_code == 401


def test_a_stolen_code_is_of_no_use_without_what_we_kept(house: House, client: httpx.Client) -> None:
    """PKCE: the code of one login does not go with the state of another."""
    stolen = re.search(r"code=([^&]+)", house.way_back(client))
    assert stolen
    mine = house.way_back(client)
    answer = client.get(re.sub(r"code=[^&]+", f"code={stolen[1]}", mine))
    assert answer.status_code == 401


def test_keys_that_were_turned_are_fetched_but_not_for_every_forgery(
    house: House, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.accounts import oidc

    assert house.log_in(client).status_code == 200
    house.provider.turn_key()
    assert house.log_in(client).status_code == 401
    monkeypatch.setattr(oidc, "_KEYS_AGAIN_S", 0.0)
    assert house.log_in(client).status_code == 200
    assert house.provider.asked.count("/keys") == 2


def test_a_provider_that_is_away_or_slow_is_told_in_one_sentence(
    house: House, client: httpx.Client, tmp_path: Path
) -> None:
    settings = house.accounts.settings.model_copy(update={"oidc_timeout_s": 0.3})
    house.app.state.veil_gate.provider = Provider(settings, house.accounts.database, house.clock)
    house.provider.slow_s = 2.0
    answer = client.get("/api/v1/session/oidc")
    assert (answer.status_code, answer.json()["error"]) == (
        503,
        "The identity provider can't be reached (ReadTimeout).",
    )
    house.provider.slow_s = 0.0
    house.provider.address += "/other"
    answer = client.get("/api/v1/session/oidc")
    assert answer.status_code == 503
    assert "another name" in answer.json()["error"]


@pytest.mark.parametrize(
    "given",
    [
        {"oidc_issuer": "http://id.example"},
        {"oidc_issuer": "https://id.example"},
        {"oidc_roles": {"g": "king"}},
        {"oidc_redirect": "http://veil.example/back"},
    ],
    ids=str,
)
def test_settings_that_are_not_safe_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"VEIL_ACCOUNTS|https://|no role"):
        AccountSettings(**given)
