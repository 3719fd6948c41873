"""The console's application: who may see what, and what every answer carries."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from services.console.pages import ADDRESSES, STATIC
from services.console.settings import ConsoleSettings
from tests.support.console import PASSWORD, Console, console, units


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    settings = ConsoleSettings(port=0, account_check_s=0.1)
    folder = tmp_path_factory.mktemp("console")
    with console(folder, settings, cameras=("hall", "gate"), facts={"hall": {"policy": "store"}}) as made:
        yield made


@pytest.fixture
def shown(running: Console) -> Console:
    """The console, before anybody has logged in."""
    running.client.cookies.clear()
    running.told.clear()
    return running


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
    assert ("live.refused", "hall-only", {"object": "gate", "purpose": "refused"}) in shown.told


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
    token = shown.log_in("all")
    with shown.live() as socket:
        shown.client.delete("/api/v1/session", headers={"X-Veil-CSRF": token})
        with pytest.raises(ConnectionClosed) as ended:
            socket.recv(timeout=5)
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 4401


def test_the_connection_ends_when_a_camera_is_taken_from_the_account(shown: Console) -> None:
    shown.log_in("leaver")
    with shown.live() as socket:
        socket.send('{"follow": ["gate"]}')
        assert "waiting" in str(socket.recv(timeout=5))
        shown.accounts.change("test", "leaver", sites=[], cameras=["hall"])
        with pytest.raises(ConnectionClosed) as ended:
            socket.recv(timeout=5)
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code in (4401, 4403), "what changes in an account ends its sessions"


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


def test_a_built_file_comes_compressed_and_only_once(shown: Console) -> None:
    first = shown.client.get("/static/app.js")
    assert first.headers["content-encoding"] == "gzip"
    assert first.content == (STATIC / "app.js").read_bytes()
    again = shown.client.get("/static/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    plain = shown.client.get("/static/app.js", headers={"Accept-Encoding": "identity"})
    assert plain.content == first.content
    assert "content-encoding" not in plain.headers


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


def test_an_account_that_sees_no_pictures_by_its_roles_gets_none(shown: Console) -> None:
    shown.log_in("clerk")
    assert shown.client.get("/api/v1/cameras/hall/still").status_code == 403
    with pytest.raises(InvalidStatus) as refused, shown.live():
        pass
    assert refused.value.response.status_code == 403


def test_each_account_keeps_its_own_wall(shown: Console) -> None:
    token = shown.log_in("all")
    assert shown.client.get("/api/v1/layout").json() == {"side": 2, "cameras": None}
    wall = {"side": 3, "cameras": ["gate", "hall"]}
    assert shown.client.put("/api/v1/layout", json=wall).status_code == 403, "not without the token"
    assert shown.client.put("/api/v1/layout", json=wall, headers={"X-Veil-CSRF": token}).status_code == 204
    assert shown.client.get("/api/v1/layout").json() == wall
    for wrong in ({"side": 9}, {"side": 0}, {"side": 2, "cameras": [""]}, {"side": 2, "more": 1}):
        assert shown.client.put("/api/v1/layout", json=wrong, headers={"X-Veil-CSRF": token}).status_code == 422
    shown.log_in("hall-only")
    assert shown.client.get("/api/v1/layout").json() == {"side": 2, "cameras": None}


def test_a_still_is_the_newest_masked_keyframe(shown: Console) -> None:
    shown.log_in("all")
    assert shown.client.get("/api/v1/cameras/hall/still").status_code == 404
    shown.show(units("hall", 30))
    answer = shown.client.get("/api/v1/cameras/hall/still")
    assert answer.headers["cache-control"] == "no-store"
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    assert picture.shape == (96, 160)
    assert abs(int(picture[50, 120]) - int(np.median(picture))) < 5
    assert ("live.view", "all", {"camera": "hall", "object": "hall", "purpose": "live monitoring"}) in shown.told


def test_the_console_listens_beyond_this_machine_only_with_tls() -> None:
    with pytest.raises(ValueError, match="only with TLS"):
        ConsoleSettings(host="0.0.0.0")
    assert ConsoleSettings(host="0.0.0.0", behind_tls=True).secure
