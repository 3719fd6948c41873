"""A stage as a process: signals, fresh starts after the bus was lost, health, exit statuses, one sentence each."""

import os
import re
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence

import pytest
from prometheus_client import REGISTRY

from services.bus.interface import Bus, BusLost, Message, Record, Start
from services.bus.memory import MemoryBus
from services.bus.topics import DETECTIONS, REDACTIONS, Topic
from services.runtime import lifecycle
from services.runtime.health import Heartbeat
from services.runtime.service import MakeStage, ServiceError, ServiceSettings, serve
from services.runtime.settings import RunnerSettings
from services.runtime.stage import Emission, Stage

PACE = RunnerSettings(commit_every_s=0.01, idle_max_s=0.005, drain_s=2)


class Copier:
    """Copies detections to redactions; `spoil` may raise at a value."""

    name = "tracker"
    inputs: tuple[Topic, ...] = (DETECTIONS,)
    outputs: tuple[Topic, ...] = (REDACTIONS,)
    finished = False
    remembers: Topic | None = None
    has_threads = True  # some of what it has in hand is ready later

    def __init__(self, spoil: Callable[[bytes], None] = lambda _: None) -> None:
        self.spoil = spoil
        self.held: list[Message] = []
        self.joined = False

    def remember(self, message: Message) -> None:
        raise AssertionError

    def forget(self, partitions: object) -> None:
        raise AssertionError

    def submit(self, message: Message) -> None:
        self.spoil(message.record.value)
        self.held.append(message)

    def completed(self) -> Sequence[Emission]:
        held, self.held = self.held, []
        return [Emission((Record(REDACTIONS, m.record.key, m.record.value),), (m.position,)) for m in held]

    def close(self) -> None:
        pass

    def join(self, timeout_s: float) -> Sequence[Emission]:
        self.joined = True
        return self.completed()


class Bench:
    """A memory bus that outlives the connections to it, and what was made on it."""

    def __init__(self) -> None:
        self.bus = MemoryBus(1, {DETECTIONS: ("tracker",), REDACTIONS: ("never commits",)})
        self.producer = self.bus.producer()
        self.stages: list[Copier] = []
        self.connections = 0
        self.away = 0

    def make_bus(self) -> Bus:
        self.connections += 1
        if self.connections <= self.away:
            raise BusLost("Kafka at 127.0.0.1:9092 can't be used: no answer")
        return Connection(self.bus)

    def prepare(self, *spoils: Callable[[bytes], None]) -> Callable[[ServiceSettings], MakeStage]:
        def make() -> Stage:
            left = spoils[len(self.stages) :]
            self.stages.append(Copier(*left[:1]))
            return self.stages[-1]

        return lambda _: make

    def feed(self, *numbers: int) -> None:
        for number in numbers:
            self.producer.publish(Record(DETECTIONS, "gate", b"%d" % number))

    def sent(self) -> list[int]:
        reader = self.bus.reader(REDACTIONS, Start("oldest"))
        return [int(message.record.value) for message in reader.poll(0, 1000)]


class Connection:
    def __init__(self, bus: MemoryBus) -> None:
        self.producer, self.consumer, self.reader = bus.producer, bus.consumer, bus.reader

    def close(self) -> None:
        pass


@pytest.fixture
def settings() -> ServiceSettings:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return ServiceSettings(health_port=port, retry_min_s=0.05, retry_max_s=0.2)


@pytest.fixture
def later() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Runs something beside the service; what it raises fails the test, and ends the service."""
    threads: list[threading.Thread] = []
    errors: list[BaseException] = []

    def start(work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                errors.append(error)
            os.kill(os.getpid(), signal.SIGTERM)

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(10)
    assert not errors, errors


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def answer(settings: ServiceSettings, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{settings.health_port}{path}", timeout=5) as page:
            return page.status, page.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


Later = Callable[[Callable[[], None]], None]


def test_a_signal_drains_and_leaves_the_group(settings: ServiceSettings, later: Later) -> None:
    bench = Bench()
    bench.feed(*range(20))

    def work() -> None:
        until(lambda: len(bench.sent()) == 20)
        assert answer(settings, "/ready") == (200, "ok\n")
        assert 'veil_runner_messages_total{stage="tracker"' in answer(settings, "/metrics")[1]
        bench.feed(*range(20, 25))

    later(work)
    assert serve("tracker", bench.prepare(), settings, bench.make_bus, PACE) == 0
    assert bench.stages[0].joined
    rest = bench.bus.consumer("tracker", (DETECTIONS,)).poll(0)
    assert len(bench.sent()) + len(rest) == 25, "what was taken is committed, and the partition is free"


def test_without_the_bus_it_tries_again_alive_but_not_ready(
    settings: ServiceSettings, later: Later, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench()
    bench.feed(1)
    bench.away = 4
    before = REGISTRY.get_sample_value("veil_service_restarts_total", {"stage": "tracker"}) or 0

    def work() -> None:
        until(lambda: bench.connections >= 2)
        assert answer(settings, "/live")[0] == 200
        assert answer(settings, "/ready") == (503, "not ready: tracker\n")
        until(bench.sent)
        until(lambda: answer(settings, "/ready")[0] == 200)

    later(work)
    began = time.monotonic()
    assert serve("tracker", bench.prepare(), settings, bench.make_bus, PACE) == 0
    assert time.monotonic() - began > 0.05 + 0.1 + 0.2 + 0.2, "pauses grow up to the longest"
    lines = [line for line in capsys.readouterr().err.splitlines() if "WARNING" in line]
    assert len(lines) == 4
    assert lines[0].endswith(
        "tracker lost the bus and starts afresh in 0 s: Kafka at 127.0.0.1:9092 can't be used: no answer"
    )
    assert REGISTRY.get_sample_value("veil_service_restarts_total", {"stage": "tracker"}) == before + 4


def test_i6_a_lost_bus_is_followed_by_a_new_stage_from_the_committed_offsets(
    settings: ServiceSettings, later: Later
) -> None:
    bench = Bench()

    def lose(value: bytes) -> None:
        if value == b"7":
            raise BusLost("a record could not be delivered")

    def work() -> None:
        bench.feed(*range(5))
        until(lambda: len(bench.sent()) == 5)
        time.sleep(0.1)
        bench.feed(*range(5, 10))
        until(lambda: set(bench.sent()) == set(range(10)))

    later(work)
    assert serve("tracker", bench.prepare(lose, lose), settings, bench.make_bus, PACE) == 0
    assert len(bench.stages) == 3
    assert all(stage.joined for stage in bench.stages)
    assert sorted(bench.sent())[:6] == [0, 1, 2, 3, 4, 5], "what was committed is not done again"


def test_the_heart_beats_on_through_a_long_pause(
    settings: ServiceSettings, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats: list[bool] = []
    monkeypatch.setattr("services.runtime.service._BEAT_S", 0.01)
    monkeypatch.setattr(Heartbeat, "beat", lambda _self, *, ready=True: beats.append(ready))
    bench = Bench()
    bench.away = 1000
    slow = settings.model_copy(update={"retry_min_s": 30.0, "retry_max_s": 30.0})
    later(lambda: until(lambda: len(beats) > 20))
    began = time.monotonic()
    assert serve("tracker", bench.prepare(), slow, bench.make_bus, PACE) == 0
    assert time.monotonic() - began < 10, "a signal ends the pause"
    assert not any(beats)


def test_any_other_error_ends_the_process_with_status_1(
    settings: ServiceSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench()
    bench.feed(1)

    def fail(_: bytes) -> None:
        raise OSError("no space left")

    assert serve("tracker", bench.prepare(fail), settings, bench.make_bus, PACE) == 1
    assert re.search(
        r"ERROR +services\.runtime\.service: tracker ends: OSError: no space left", capsys.readouterr().err
    )
    assert bench.stages[0].joined


def test_what_keeps_it_from_starting_is_one_sentence(
    settings: ServiceSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(given: ServiceSettings) -> MakeStage:
        raise ServiceError(f"no keys for {given.health_host}")

    assert serve("renderer", refuse, settings, Bench().make_bus, PACE) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith("ERROR   services.runtime.service: renderer can't start: no keys for 127.0.0.1")
    with pytest.raises(ServiceError, match="set VEIL_SERVICE_SITE"):
        _ = settings.site_file


def test_a_port_in_use_is_one_sentence(settings: ServiceSettings, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", settings.health_port))
        other.listen()
        assert serve("tracker", Bench().prepare(), settings, Bench().make_bus, PACE) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "tracker can't start: " in line
    assert "Address already in use" in line


def test_a_stage_that_has_finished_ends_the_process(settings: ServiceSettings) -> None:
    class Finished(Copier):
        finished = True

    assert serve("tracker", lambda _: Finished, settings, Bench().make_bus, PACE) == 0


def test_a_second_signal_ends_the_process_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(lifecycle.os, "_exit", ended.append)
    with lifecycle.stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(5)
        assert ended == []
        os.kill(os.getpid(), signal.SIGINT)
        until(lambda: ended)
    assert ended == [130]
