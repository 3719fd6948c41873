"""The console's application: who may see what, and what every answer carries."""

from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from services.console.access import Viewer
from services.console.pages import ADDRESSES
from services.console.settings import ConsoleSettings
from tests.support.console import PASSWORD, Console, PlayAccess, console

ALL = Viewer("all", frozenset({"viewer"}))
HALL_ONLY = Viewer("hall-only", frozenset({"viewer"}), frozenset({"hall"}))


@pytest.fixture
def shown() -> Iterator[Console]:
    access = PlayAccess(ALL, HALL_ONLY)
    settings = ConsoleSettings(port=0, account_check_s=0.1)
    with console(access, settings, cameras=("hall", "gate"), facts={"hall": {"policy": "store"}}) as made:
        yield made


def code_of(shown: Console, words: str) -> int:
    """With which code the console answers these words over the WebSocket."""
    with shown.live() as socket:
        socket.send(words)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=5)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def test_nothing_is_told_without_a_login(shown: Console) -> None:
    for path in ("/api/v1/session", "/api/v1/cameras", "/api/v1/cameras/hall"):
        answer = shown.client.get(path)
        assert answer.status_code == 401
        assert answer.json() == {"error": "Log in first."}
    with pytest.raises(InvalidStatus) as refused, shown.live():
        pass
    assert refused.value.response.status_code == 403


def test_an_account_sees_its_cameras_and_no_others(shown: Console) -> None:
    shown.log_in("hall-only")
    assert [each["camera"] for each in shown.client.get("/api/v1/cameras").json()] == ["hall"]
    assert shown.client.get("/api/v1/cameras/hall").json()["policy"] == "store"
    refused = shown.client.get("/api/v1/cameras/gate")
    assert refused.status_code == 403
    assert refused.json() == shown.client.get("/api/v1/cameras/nowhere").json(), "nobody learns which cameras there are"
    assert ("view.refused", "hall-only", {"camera": "gate"}) in shown.told


@pytest.mark.parametrize("wish", ['{"watch": ["gate"]}', '{"follow": ["hall", "gate"]}', '{"watch": ["nowhere"]}'])
def test_the_video_of_others_closes_the_connection(shown: Console, wish: str) -> None:
    shown.log_in("hall-only")
    assert code_of(shown, wish) == 4403


@pytest.mark.parametrize(
    "words",
    ["", "[]", '{"watch": "hall"}', '{"came": -1}', '{"came": 5}', '{"open": 1}', '{"watch": ["hall", 3]}', "x" * 99],
)
def test_what_cant_be_read_closes_the_connection(shown: Console, words: str) -> None:
    shown.log_in("all")
    assert code_of(shown, words) == 4400


def test_the_connection_ends_with_the_session(shown: Console) -> None:
    shown.log_in("all")
    with shown.live() as socket:
        shown.access.sessions.clear()
        with pytest.raises(ConnectionClosed) as ended:
            socket.recv(timeout=5)
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 4401


def test_the_connection_ends_when_a_camera_is_taken_from_the_account(shown: Console) -> None:
    shown.log_in("all")
    with shown.live() as socket:
        socket.send('{"follow": ["gate"]}')
        assert "waiting" in str(socket.recv(timeout=5))
        shown.access.accounts["all"] = Viewer("all", frozenset({"viewer"}), frozenset({"hall"}))
        with pytest.raises(ConnectionClosed) as ended:
            socket.recv(timeout=5)
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 4403


def test_every_answer_says_what_a_browser_may_do_with_it(shown: Console) -> None:
    for path in (*ADDRESSES, "/camera/hall", "/static/app.js", "/api/v1/session", "/nowhere"):
        headers = shown.client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        kept = "no-store" if path.startswith(("/api", "/nowhere")) else "no-cache"
        assert headers["cache-control"] == kept


def test_the_page_holds_no_script_or_style_of_its_own(shown: Console) -> None:
    page = shown.client.get("/").text
    assert "<style" not in page
    assert "style=" not in page
    assert page.count("<script") == page.count('<script type="module" src="/static/') == 1


def test_logging_out_clears_what_the_browser_kept(shown: Console) -> None:
    token = shown.log_in("all")
    assert shown.client.delete("/api/v1/session").status_code == 403, "not without the token"
    answer = shown.client.delete("/api/v1/session", headers={"X-Veil-CSRF": token})
    assert answer.status_code == 204
    assert answer.headers["clear-site-data"] == '"cache", "storage"'
    assert shown.client.get("/api/v1/cameras").status_code == 401


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "http://127.0.0.1.example", "null"])
def test_pages_of_others_can_do_nothing(shown: Console, origin: str) -> None:
    shown.log_in("all")
    body = {"name": "all", "password": PASSWORD}
    assert shown.client.post("/api/v1/session", json=body, headers={"Origin": origin}).status_code == 403
    with pytest.raises(InvalidStatus) as refused, shown.live(origin):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("name", ["index.html", "../app.py", "%2e%2e/app.py", "..%2fsettings.py"])
def test_files_beside_the_page_cant_be_had(shown: Console, name: str) -> None:
    assert shown.client.get(f"/static/{name}").status_code == 404


def test_an_address_that_asks_too_often_is_refused_for_a_while() -> None:
    settings = ConsoleSettings(port=0, requests_per_s=0.1, requests_burst=5)
    with console(PlayAccess(), settings) as shown:
        statuses = [shown.client.get("/api/v1/session").status_code for _ in range(8)]
    assert statuses == [401] * 5 + [429] * 3


def test_the_console_listens_beyond_this_machine_only_with_tls() -> None:
    with pytest.raises(ValueError, match="only with TLS"):
        ConsoleSettings(host="0.0.0.0")
    assert ConsoleSettings(host="0.0.0.0", behind_tls=True).secure
