"""Accounts over HTTP: cookies, CSRF, sessions that end, tokens, headers, rates, and errors that tell nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("argon2")

from fastapi import FastAPI
from starlette.requests import HTTPConnection

from services.accounts.accounts import Accounts
from services.accounts.errors import NotAllowed, Refused, TooMany
from services.accounts.model import Role
from services.accounts.rate import Rate
from services.accounts.routes import account_routes
from services.accounts.secrets import csrf_of
from services.accounts.web import COOKIE, CSRF_HEADER, Gate, account_of, allows, check_rules, install
from tests.support.accounts import NAMES, PASSWORD, TurnedClock, browser, cheap, served, settings_in, staffed

SESSION, ACCOUNTS = "/api/v1/session", "/api/v1/accounts"
ADMIN, OFFICER = NAMES[Role.ADMIN], NAMES[Role.OFFICER]


def app_of(accounts: Accounts, *, secure: bool = False) -> FastAPI:
    app = FastAPI()
    install(app, Gate(accounts, secure=secure))
    app.include_router(account_routes())

    @app.get("/breaks", **allows())
    def breaks() -> None:
        raise RuntimeError("a secret of the inside")

    check_rules(app)
    return app


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def accounts(tmp_path: Path, clock: TurnedClock) -> Accounts:
    return staffed(Accounts(settings_in(tmp_path), None, clock, cheap()))


@pytest.fixture
def address(accounts: Accounts) -> Iterator[str]:
    with served(app_of(accounts)) as one:
        yield one


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    with browser(address) as one:
        yield one


def log_in(client: httpx.Client, name: str, password: str = PASSWORD) -> httpx.Response:
    return client.post(SESSION, json={"name": name, "password": password})


def test_log_in_look_and_log_out(client: httpx.Client, accounts: Accounts) -> None:
    assert client.get(SESSION).status_code == 401
    answer = log_in(client, OFFICER)
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert "Max-Age" not in cookie
    me = client.get(SESSION).json()
    assert (me["account"]["name"], me["account"]["roles"]) == (OFFICER, ["officer"])
    assert "password" not in str(me)
    assert client.delete(SESSION).status_code == 403
    client.headers[CSRF_HEADER] = me["csrf"]
    token = client.cookies[COOKIE]
    gone = client.delete(SESSION)
    assert gone.status_code == 204
    assert "storage" in gone.headers["clear-site-data"]
    client.cookies.set(COOKIE, token)
    assert client.get(SESSION).status_code == 401
    assert [event.action for event in accounts.log.events()][-2:] == ["login.good", "session.end"]


def test_a_login_gives_another_session_than_the_one_that_was_there(client: httpx.Client, accounts: Accounts) -> None:
    """Nobody can give somebody a session and wait until they log in."""
    log_in(client, OFFICER)
    planted = client.cookies[COOKIE]
    log_in(client, ADMIN)
    assert client.cookies[COOKIE] != planted
    assert accounts.sessions.find(planted) is None


def test_failures_tell_nothing(client: httpx.Client, accounts: Accounts) -> None:
    accounts.lock("test", NAMES[Role.VIEWER])
    answers = [log_in(client, name, "wrong") for name in (OFFICER, "nobody")] + [log_in(client, NAMES[Role.VIEWER])]
    assert {(answer.status_code, answer.text) for answer in answers} == {
        (401, '{"error":"Name and password don\'t go together."}')
    }
    assert not any("set-cookie" in answer.headers for answer in answers)
    for name in (OFFICER, "nobody"):
        for _ in range(4):
            log_in(client, name, "wrong")
        paused = log_in(client, name)
        assert paused.status_code == 429
        assert paused.headers["retry-after"] == "1"
        assert "Too many tries" in paused.json()["error"]


@pytest.mark.parametrize("given", [None, "", "wrong", "x" * 43])
def test_a_cookie_alone_changes_nothing(address: str, accounts: Accounts, given: str | None) -> None:
    with browser(address, accounts, ADMIN) as admin:
        del admin.headers[CSRF_HEADER]
        headers = {} if given is None else {CSRF_HEADER: given}
        for method, path, body in (
            ("POST", ACCOUNTS, {"name": "new", "password": PASSWORD, "roles": ["admin"]}),
            ("PATCH", f"{ACCOUNTS}/{OFFICER}", {"version": 1, "roles": ["admin"]}),
            ("PUT", f"{ACCOUNTS}/{OFFICER}/lock", None),
            ("DELETE", f"{ACCOUNTS}/{OFFICER}/lock", None),
            ("PUT", f"{ACCOUNTS}/{OFFICER}/password", {"password": PASSWORD}),
            ("POST", f"{SESSION}/tokens", {"label": "x", "roles": ["admin"]}),
            ("DELETE", SESSION, None),
        ):
            answer = admin.request(method, path, json=body, headers=headers)
            assert answer.status_code == 403, path
            assert CSRF_HEADER in answer.json()["error"]
        assert admin.get(ACCOUNTS).status_code == 200
    assert accounts.book.find("new") is None
    assert accounts.book.get(OFFICER).roles == {Role.OFFICER}
    assert not accounts.book.get(OFFICER).locked


def test_the_proof_of_one_session_is_none_of_another(address: str, accounts: Accounts) -> None:
    with browser(address, accounts, ADMIN) as admin:
        admin.headers[CSRF_HEADER] = csrf_of(accounts.sessions.begin(accounts.book.get(ADMIN)))
        assert admin.put(f"{ACCOUNTS}/{OFFICER}/lock").status_code == 403


def test_a_form_of_a_foreign_page_logs_nobody_in(client: httpx.Client) -> None:
    body = f'{{"name": "{OFFICER}", "password": "{PASSWORD}"}}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", None):
        answer = client.post(SESSION, content=body, headers={"Content-Type": kind} if kind else {})
        assert answer.status_code == 422


def test_a_session_ends_by_itself(address: str, accounts: Accounts, clock: TurnedClock) -> None:
    with browser(address, accounts, OFFICER) as officer:
        clock.pass_s(accounts.settings.idle_minutes * 60 - 1)
        assert officer.get(SESSION).status_code == 200
        clock.pass_s(accounts.settings.idle_minutes * 60)
        answer = officer.get(SESSION)
        assert (answer.status_code, answer.json()) == (401, {"error": "Log in first."})


def test_roles_that_are_taken_away_count_at_once(address: str, accounts: Accounts) -> None:
    with browser(address, accounts, ADMIN) as admin, browser(address, accounts, OFFICER) as officer:
        shown = admin.get(f"{ACCOUNTS}/{OFFICER}").json()
        changed = admin.patch(f"{ACCOUNTS}/{OFFICER}", json={"version": shown["version"], "roles": ["viewer"]})
        assert changed.json()["roles"] == ["viewer"]
        assert officer.get(SESSION).status_code == 401
        again = admin.patch(f"{ACCOUNTS}/{OFFICER}", json={"version": shown["version"], "roles": ["admin"]})
        assert again.status_code == 409
        assert admin.put(f"{ACCOUNTS}/{ADMIN}/lock").status_code == 409


def test_ones_own_password_needs_the_old_one(address: str, accounts: Accounts) -> None:
    new = "nine slow barges upriver"
    with browser(address, accounts, OFFICER) as officer, browser(address, accounts, OFFICER) as elsewhere:
        wrong = officer.put(f"{SESSION}/password", json={"old": "wrong", "new": new})
        assert wrong.status_code == 401
        weak = officer.put(f"{SESSION}/password", json={"old": PASSWORD, "new": "short"})
        assert (weak.status_code, "12 characters" in weak.json()["error"]) == (422, True)
        assert officer.put(f"{SESSION}/password", json={"old": PASSWORD, "new": new}).status_code == 200
        assert officer.get(SESSION).status_code == 200
        assert elsewhere.get(SESSION).status_code == 401
        assert log_in(elsewhere, OFFICER, new).status_code == 200


def test_tokens_of_scripts(address: str, accounts: Accounts) -> None:
    with browser(address, accounts, OFFICER) as officer, browser(address) as script:
        too_much = officer.post(f"{SESSION}/tokens", json={"label": "list", "roles": ["admin"]})
        assert too_much.status_code == 422
        made = officer.post(f"{SESSION}/tokens", json={"label": "list", "roles": ["officer"]}).json()
        script.headers["Authorization"] = f"Bearer {made['token']}"
        me = script.get(SESSION).json()
        assert (me["account"]["name"], me["csrf"]) == (OFFICER, "")
        assert made["token"] not in officer.get(f"{SESSION}/tokens").text
        # It can neither make itself last longer, nor take the account over.
        assert script.post(f"{SESSION}/tokens", json={"label": "more", "roles": ["officer"]}).status_code == 403
        assert script.put(f"{SESSION}/password", json={"old": PASSWORD, "new": PASSWORD}).status_code == 403
        assert officer.delete(f"{SESSION}/tokens/{made['id']}").status_code == 204
        assert script.get(SESSION).status_code == 401
        assert officer.delete(f"{SESSION}/tokens/{made['id']}").status_code == 404


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic eDp5", "Bearer veil_", "Bearer veil_" + "x" * 43])
def test_a_wrong_token_counts_also_beside_a_good_cookie(address: str, accounts: Accounts, header: str) -> None:
    with browser(address, accounts, ADMIN) as admin:
        assert admin.get(ACCOUNTS, headers={"Authorization": header}).status_code == 401


def test_headers_are_safe_and_errors_are_one_sentence(address: str, accounts: Accounts) -> None:
    with browser(address, accounts, OFFICER) as officer:
        for path, status in ((SESSION, 200), ("/nowhere", 404), (ACCOUNTS, 403), ("/breaks", 500)):
            answer = officer.get(path)
            assert answer.status_code == status
            assert "inside" not in answer.text
            if status != 200:
                assert list(answer.json()) == ["error"]
            if status == 500:
                continue
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "access-control-allow-origin" not in answer.headers
            assert "strict-transport-security" not in answer.headers
        bad = officer.post(SESSION, json={"name": "x", "password": ["hunter2-hunter2"]})
        assert (bad.status_code, "hunter2" in bad.text) == (422, False)


def test_where_there_is_tls_cookies_go_no_other_way(accounts: Accounts) -> None:
    with served(app_of(accounts, secure=True)) as address, browser(address) as client:
        answer = log_in(client, OFFICER)
        assert "Secure" in answer.headers["set-cookie"].split("; ")
        assert "max-age" in answer.headers["strict-transport-security"]


def test_an_account_and_an_address_ask_so_much(tmp_path: Path) -> None:
    accounts = staffed(Accounts(settings_in(tmp_path, requests_per_minute=10), None, passwords=cheap()))
    with served(app_of(accounts)) as address, browser(address, accounts, OFFICER) as officer, browser(address) as other:
        answers = [officer.get(SESSION) for _ in range(7)]
        assert {answer.status_code for answer in answers} == {200, 429}
        last = answers[-1]
        assert int(last.headers["retry-after"]) >= 1
        assert last.headers["cache-control"] == "no-store"
        assert 429 in {other.get(f"{SESSION}/ways").status_code for _ in range(60)}


def test_a_rate_fills_up_again_and_remembers_so_many() -> None:
    now = [0.0]
    rate = Rate(60, lambda: now[0])
    for _ in range(30):
        rate.take("a")
    with pytest.raises(TooMany):
        rate.take("a")
    rate.take("b")
    now[0] = 2.0
    rate.take("a")
    rate.take("a")
    with pytest.raises(TooMany):
        rate.take("a")
    for number in range(20_000):
        rate.take(f"address {number}")
    assert len(rate._buckets) <= 10_000


@pytest.mark.parametrize(
    ("origin", "good"), [("https://veil.example", True), ("https://evil.example", False), ("", False)]
)
def test_a_websocket_is_opened_by_our_own_pages_only(accounts: Accounts, origin: str, good: bool) -> None:
    app = app_of(accounts)
    token = accounts.sessions.begin(accounts.book.get(OFFICER))
    headers = {"host": "veil.example", "origin": origin, "cookie": f"{COOKIE}={token}"}
    scope: dict[str, Any] = {
        "type": "websocket",
        "app": app,
        "state": {},
        "path": "/live",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items() if value],
    }
    if good:
        assert account_of(HTTPConnection(scope)).name == OFFICER
    else:
        with pytest.raises(NotAllowed):
            account_of(HTTPConnection(scope))
    scope["headers"] = [each for each in scope["headers"] if each[0] != b"cookie"]
    scope["state"] = {}
    with pytest.raises(Refused):
        account_of(HTTPConnection(scope))
