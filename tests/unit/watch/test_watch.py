"""`veil watch` against real health servers on loopback: alive, dead, silent, and not a service at all."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli import app
from services.cli import watch as command
from services.runtime.health import HealthServer
from services.runtime.metrics import frame_left
from services.watch.scrape import Scraper
from services.watch.targets import NoTargets, Target, from_stack, from_urls

CAMERA = "watched-camera"


@pytest.fixture
def service() -> Iterator[str]:
    """URL of the metrics of a health server, which are those of this process."""
    frame_left("decoder", CAMERA, 1_000_000, 1_500_000)
    server = HealthServer({}, 0)
    yield f"http://127.0.0.1:{server.port}/metrics"
    server.close()


@pytest.fixture
def ticking() -> Iterator[None]:
    """Frames that leave the decoder while the test runs."""
    over = threading.Event()

    def tick() -> None:
        while not over.wait(0.01):
            frame_left("decoder", CAMERA, 1_000_000, 1_500_000)

    thread = threading.Thread(target=tick)
    thread.start()
    yield
    over.set()
    thread.join()


@contextmanager
def silent_server(reply: bytes = b"", every_s: float = 0.0) -> Iterator[str]:
    """Accepts connections, sends `reply` byte by byte, and says nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for byte in reply:
                    connection.send(bytes([byte]))
                    if over.wait(every_s):
                        return
                over.wait()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/metrics"
        over.set()
        thread.join()


def dead_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/metrics"


def test_a_service_is_asked_and_a_dead_one_is_said_to_be(service: str) -> None:
    with Scraper() as scraper:
        alive, dead = scraper.ask([Target("alive", service), Target("dead", dead_url())])
    assert alive.figures is not None
    assert alive.figures.frames["decoder", CAMERA] >= 1
    assert alive.figures.age_s["decoder", CAMERA] == 0.5
    assert dead.figures is None
    assert dead.problem == "connection refused"


def test_many_silent_services_cost_one_deadline_and_hide_no_other(service: str) -> None:
    with silent_server() as mute, silent_server(b"HTTP/1.1 200 OK\r\n" * 20, 0.1) as slow, Scraper(0.4) as scraper:
        targets = [Target("mute", mute), Target("slow", slow), Target("alive", service)]
        began = time.monotonic()
        answers = scraper.ask(targets)
        again = scraper.ask(targets)
        took = time.monotonic() - began
    assert [answer.problem for answer in answers] == ["no answer in time", "no answer in time", ""]
    assert [answer.problem for answer in again][2] == ""
    assert took < 1.5


def test_what_does_not_speak_as_a_service_is_said_to_be_so() -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html>hi {</htm"
    with silent_server(page) as url, Scraper() as scraper:
        (answer,) = scraper.ask([Target("page", url)])
    assert answer.problem == "does not speak as a service does"


def test_targets_come_from_a_stack_or_from_addresses(tmp_path: Path) -> None:
    stack = tmp_path / "stack.json"
    with pytest.raises(NoTargets, match="no such file"):
        from_stack(stack)
    stack.write_text('{"services": [{"name": "decoder", "metrics": "http://127.0.0.1:1/metrics", "pid": 7}]}')
    assert from_stack(stack) == (Target("decoder", "http://127.0.0.1:1/metrics"),)
    stack.write_text('{"services": 5}')
    with pytest.raises(NoTargets, match=r"not the stack\.json"):
        from_stack(stack)
    assert from_urls(["http://10.0.0.5:9100/metrics"]) == (Target("10.0.0.5:9100", "http://10.0.0.5:9100/metrics"),)
    for wrong in ("file:///etc/passwd", "10.0.0.5:9100", "http://10.0.0.5:port/"):
        with pytest.raises(NoTargets):
            from_urls([wrong])


def test_once_as_json_for_scripts(service: str, ticking: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_ONCE_S", 0.3)
    services = [{"name": "decoder", "metrics": service}, {"name": "renderer", "metrics": dead_url()}]
    stack = tmp_path / "stack.json"
    stack.write_text(json.dumps({"services": services}))
    result = CliRunner().invoke(app, ["watch", "--stack", str(stack), "--once", "--json"])
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["cameras"][CAMERA]["decoder"]["fps"] > 10
    assert said["cameras"][CAMERA]["decoder"]["state"] == "ok"
    assert [(each["name"], each["problem"]) for each in said["processes"]] == [
        ("decoder", ""),
        ("renderer", "connection refused"),
    ]


def test_once_in_plain_lines(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_ONCE_S", 0.1)
    result = CliRunner().invoke(app, ["watch", "--metrics", service, "--once"])
    assert result.exit_code == 0, result.output
    assert f"{CAMERA}: decoder STALE" in result.stdout


def test_without_a_stack_it_says_what_to_do(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["watch", "--stack", str(tmp_path / "stack.json"), "--once"])
    assert result.exit_code == 3
    assert "make stack" in result.stderr
