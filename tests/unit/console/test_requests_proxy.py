"""The console passes requests on to disclosure: one prefix, few headers, bounded, and a sentence where it can't."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from services.accounts.accounts import Accounts
from services.accounts.model import Role
from services.accounts.web import BODY_MAX, COOKIE, CSRF_HEADER, Gate
from services.console import requests_proxy
from services.console.app import create_app
from services.console.hub import Hub
from services.console.requests_proxy import PREFIX, RequestsProxy
from services.console.settings import ConsoleSettings
from tests.support.accounts import NAMES, browser, cheap, served, settings_in, staffed

ID = "20260302-1f0c9a7e"


class Disclosure(ThreadingHTTPServer):
    """Stands where disclosure would; remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.go_on = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answers(BaseHTTPRequestHandler):
    server: Disclosure
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, self.path, headers, body))
        name = self.path.partition("?")[0].rpartition("/")[2]
        getattr(self, f"answer_{name}", self.answer)()

    do_POST = do_PUT = do_GET  # noqa: N815, names of the standard library

    def answer(self) -> None:
        self.give(200, b'{"requests":[]}', {"Set-Cookie": "veil_session=theirs", "X-Inside": "y"})

    def answer_late(self) -> None:
        self.server.go_on.wait(10)
        self.answer()

    def answer_moved(self) -> None:
        self.give(303, b"{}", {"Location": "http://169.254.169.254/"})

    def answer_script(self) -> None:
        self.give(200, b"alert(1)", {"Content-Type": "text/javascript"})

    def answer_letter(self) -> None:
        self.give(200, b"<p>no</p>", {"Content-Type": "text/html"})

    def answer_refused(self) -> None:
        self.give(403, b'{"error":"Somebody else has to approve it."}', {})

    def answer_huge(self) -> None:
        self.give(200, b"", {"Content-Type": "application/zip", "Content-Length": str(1 << 40)})

    def answer_package(self) -> None:
        """Begins, and goes on only when somebody has seen the beginning."""
        name = 'attachment; filename="disclosure.zip"'
        self.give(200, b"PK", {"Content-Type": "application/zip", "Content-Length": "6", "Content-Disposition": name})
        self.wfile.flush()
        if self.server.go_on.wait(10):
            self.wfile.write(b"1234")

    def answer_broken(self) -> None:
        self.give(200, b"PK", {"Content-Type": "application/zip", "Content-Length": "6"})
        self.close_connection = True

    def give(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json", "Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return "inside"

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[Disclosure]:
    with Disclosure() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.05,))
        thread.start()
        yield made
        made.go_on.set()
        made.shutdown()
        thread.join()


@pytest.fixture
def disclosure(server: Disclosure) -> Disclosure:
    """Nothing was asked yet."""
    server.asked.clear()
    server.go_on.clear()
    return server


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    made = staffed(Accounts(settings_in(tmp_path_factory.mktemp("proxy")), passwords=cheap()))
    yield made
    made.close()


@contextmanager
def at(accounts: Accounts, url: str, **more: Any) -> Iterator[str]:
    """A console in front of it. Yields its address."""
    settings = ConsoleSettings(disclosure_url=url, **more)
    gate, router = Gate(accounts, secure=False), RequestsProxy(settings).router
    app = create_app(settings, Hub(settings, ()), gate, lambda *_: None, routers=(router,))
    with served(app) as address:
        yield address


@pytest.fixture(scope="module")
def console(accounts: Accounts, server: Disclosure) -> Iterator[str]:
    with at(accounts, server.address) as address:
        yield address


@pytest.fixture
def officer(console: str, accounts: Accounts) -> Iterator[httpx.Client]:
    with browser(console, accounts, NAMES[Role.OFFICER]) as client:
        yield client


def error_of(answer: httpx.Response) -> str:
    said = str(answer.json()["error"])
    assert said.endswith(".")
    assert "\n" not in said
    return said


def test_what_is_asked_is_passed_on_with_the_named_headers_alone(officer: httpx.Client, disclosure: Disclosure) -> None:
    officer.cookies.set("other", "secret")
    headers = {
        "X-Forwarded-For": "10.0.0.1",
        "X-Forwarded-Host": "evil",
        "Forwarded": "for=10.0.0.1",
        "Referer": "http://inside/",
        "Idempotency-Key": "k1",
        "User-Agent": "agent",
    }
    answer = officer.post(f"{PREFIX}/{ID}/submit?a=1&b=%20", json={"why": "x"}, headers=headers)
    assert answer.status_code == 200
    assert answer.json() == {"requests": []}
    (method, path, sent, body) = disclosure.asked[0]
    assert (method, path, body) == ("POST", f"{PREFIX}/{ID}/submit?a=1&b=%20", b'{"why":"x"}')
    assert sent.keys() == {
        *("host", "accept", "accept-encoding", "content-type", "content-length"),
        *("cookie", "x-veil-csrf", "idempotency-key"),
    }
    assert sent["cookie"] == f"{COOKIE}={officer.cookies[COOKIE]}"
    assert sent["x-veil-csrf"] == officer.headers[CSRF_HEADER]
    # Nor does anything come back that concerns only the two processes.
    assert not {"set-cookie", "x-inside"} & answer.headers.keys()
    assert answer.headers["server"] != "inside"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_one_accounts_cookie_is_never_sent_for_another(
    officer: httpx.Client, console: str, accounts: Accounts, disclosure: Disclosure
) -> None:
    officer.get(PREFIX)
    with browser(console, accounts, NAMES[Role.APPROVER]) as approver:
        approver.get(PREFIX)
        both = [f"{COOKIE}={each.cookies[COOKIE]}" for each in (officer, approver)]
    assert [sent["cookie"] for _, _, sent, _ in disclosure.asked] == both
    assert both[0] != both[1]


@pytest.mark.parametrize(
    "path",
    [
        f"{PREFIX}/../accounts",
        f"{PREFIX}/%2e%2e/accounts",
        f"{PREFIX}/..%2faccounts",
        f"{PREFIX}//evil.example/",
        f"{PREFIX}/{ID}/./found",
        f"{PREFIX}/{ID}%00",
        f"{PREFIX}/{ID}\\..",
        f"{PREFIX}/http:%2f%2fevil.example",
        f"{PREFIX}/@evil.example",
        f"{PREFIX}/{ID}/",
        f"{PREFIX}s/{ID}",
        f"{PREFIX}/{'a' * 201}",
        f"{PREFIX}/{ID}?{'a' * 4097}",
    ],
)
def test_nothing_but_the_prefix_is_reached(officer: httpx.Client, disclosure: Disclosure, path: str) -> None:
    host, port = officer.base_url.host, officer.base_url.port
    cookie = officer.cookies["veil_session"]
    # By hand: a client would tidy the path up.
    with socket.create_connection((host, port), 10) as raw:
        head = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: veil_session={cookie}\r\nConnection: close"
        raw.sendall(f"{head}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.split(b" ")[1] in (b"400", b"404")
    assert disclosure.asked == []


def test_other_methods_are_refused(officer: httpx.Client, disclosure: Disclosure) -> None:
    for method in ("DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECTED"):
        answer = officer.request(method, f"{PREFIX}/{ID}")
        assert answer.status_code == 405
    assert disclosure.asked == []


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ADMIN, None])
def test_who_works_on_no_requests_does_not_get_as_far(
    console: str, accounts: Accounts, disclosure: Disclosure, role: Role | None
) -> None:
    with browser(console, accounts, NAMES[role] if role else "") as client:
        answer = client.get(f"{PREFIX}/{ID}")
    assert answer.status_code == (403 if role else 401)
    error_of(answer)
    assert disclosure.asked == []


def test_a_change_without_the_sessions_token_does_not_get_as_far(officer: httpx.Client, disclosure: Disclosure) -> None:
    answer = officer.post(f"{PREFIX}/{ID}/approve", headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    del officer.headers[CSRF_HEADER]
    answer = officer.post(f"{PREFIX}/{ID}/approve", json={"why": "x"})
    assert answer.status_code == 403
    assert disclosure.asked == []


def test_where_disclosure_is_down_one_sentence_says_so(accounts: Accounts) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    with (
        at(accounts, f"http://127.0.0.1:{free}") as address,
        browser(address, accounts, NAMES[Role.OFFICER]) as officer,
    ):
        answer = officer.get(PREFIX)
    assert answer.status_code == 503
    assert "can't be reached" in error_of(answer)


def test_where_there_is_none_one_sentence_says_so(accounts: Accounts) -> None:
    with at(accounts, "") as address, browser(address, accounts, NAMES[Role.OFFICER]) as officer:
        answer = officer.get(PREFIX)
    assert answer.status_code == 503
    assert "VEIL_CONSOLE_DISCLOSURE_URL" in error_of(answer)


def test_where_disclosure_is_slow_the_deadline_ends_it(accounts: Accounts, disclosure: Disclosure) -> None:
    with (
        at(accounts, disclosure.address, disclosure_timeout_s=1) as address,
        browser(address, accounts, NAMES[Role.OFFICER]) as officer,
    ):
        answer = officer.get(f"{PREFIX}/{ID}/late")
        assert answer.status_code == 504
        assert "too long" in error_of(answer)
        assert officer.get(PREFIX).status_code == 200


@pytest.mark.parametrize("name", ["moved", "script", "huge"])
def test_what_is_not_disclosures_is_not_passed_on(officer: httpx.Client, disclosure: Disclosure, name: str) -> None:
    answer = officer.get(f"{PREFIX}/{ID}/{name}")
    assert answer.status_code == 502
    error_of(answer)
    assert "169.254" not in answer.text + str(answer.headers)


def test_errors_come_as_disclosure_says_them(officer: httpx.Client, disclosure: Disclosure) -> None:
    answer = officer.get(f"{PREFIX}/{ID}/refused")
    assert answer.status_code == 403
    assert error_of(answer) == "Somebody else has to approve it."


def test_a_page_is_given_as_a_file(officer: httpx.Client, disclosure: Disclosure) -> None:
    answer = officer.get(f"{PREFIX}/{ID}/letter")
    assert answer.headers["content-disposition"] == "attachment"


def test_a_body_that_is_too_large_does_not_get_as_far(officer: httpx.Client, disclosure: Disclosure) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(3):
            yield b" " * (BODY_MAX // 2)

    for content in (b" " * (BODY_MAX + 1), endless()):
        answer = officer.post(PREFIX, content=content)
        assert answer.status_code == 413
    assert disclosure.asked == []


def test_a_download_is_passed_on_as_it_comes(officer: httpx.Client, disclosure: Disclosure) -> None:
    headers = {"Range": "bytes=0-5"}
    with officer.stream("POST", f"{PREFIX}/{ID}/package", json={}, headers=headers) as answer:
        pieces = answer.iter_raw()
        # The rest is not there yet.
        assert next(pieces) == b"PK"
        disclosure.go_on.set()
        assert b"".join(pieces) == b"1234"
    assert answer.headers["content-length"] == "6"
    assert answer.headers["content-disposition"] == 'attachment; filename="disclosure.zip"'
    assert disclosure.asked[0][2]["range"] == "bytes=0-5"


def test_a_download_that_breaks_off_is_never_taken_for_whole(officer: httpx.Client, disclosure: Disclosure) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        officer.get(f"{PREFIX}/{ID}/broken")


def test_more_than_was_said_is_broken_off(
    officer: httpx.Client, disclosure: Disclosure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests_proxy, "ANSWER_MAX", 10)
    assert officer.get(PREFIX).status_code == 502


@pytest.mark.parametrize(
    "url",
    [
        "http://disclosure:8090",
        "https://disclosure/api",
        "https://user:word@disclosure",
        "https://disclosure?x=1",
        "ftp://disclosure",
        "disclosure:8090",
    ],
)
def test_cookies_go_to_a_safe_address_alone(url: str) -> None:
    with pytest.raises(ValidationError):
        ConsoleSettings(disclosure_url=url)


@pytest.mark.parametrize("url", ["", "https://disclosure:8090", "https://disclosure:8090/", "http://127.0.0.1:8090"])
def test_addresses_that_are_safe(url: str) -> None:
    assert ConsoleSettings(disclosure_url=url).disclosure_url == url.rstrip("/")
