"""From the bus to viewers: each frame once, cameras as they are, and a line that never waits for anybody who looks."""

import json
import struct
import threading
import time
from collections.abc import Iterator

import pytest
from websockets.sync.client import ClientConnection

from services.bus.interface import Record
from services.bus.memory import MemoryBus
from services.bus.topics import VIDEO_REDACTED
from services.console.closures import Why
from services.console.feeds import MemoryFeed
from services.console.fragments import PartKind
from services.console.hub import Hub
from services.console.settings import ConsoleSettings
from services.schema import pb
from tests.support.console import Console, console, message_of, units

HEAD = struct.Struct(">IBBHqq")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    settings = ConsoleSettings(port=0, lost_after_s=1)
    with console(tmp_path_factory.mktemp("hub"), settings, cameras=("hall", "gate", "yard")) as made:
        made.log_in("all")
        yield made


def words_until(socket: ClientConnection, state: str) -> dict[str, object]:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        what = socket.recv(timeout=10)
        if isinstance(what, str) and json.loads(what).get("state") == state:
            return dict(json.loads(what))
    raise AssertionError(f"it was never {state}")


def fragments(socket: ClientConnection, count: int) -> list[tuple[int, int, int]]:
    """(flags, media_us, captured_us) of so many fragments."""
    found: list[tuple[int, int, int]] = []
    while len(found) < count:
        what = socket.recv(timeout=10)
        at = 0
        while isinstance(what, bytes) and at < len(what):
            length, kind, flags, _, media_us, captured_us = HEAD.unpack_from(what, at)
            if kind == PartKind.FRAGMENT:
                found.append((flags, media_us, captured_us))
            at += HEAD.size + length
    return found


def test_a_camera_goes_from_waiting_to_live_to_closed_to_lost(running: Console) -> None:
    with running.live() as socket:
        socket.send('{"follow": ["gate"]}')
        assert words_until(socket, "waiting")["camera"] == "gate"
        made = units("gate", 12)
        running.show(made[:5])
        words_until(socket, "live")
        for unit in made[5:]:
            unit.closed, unit.why = True, "Detector face failed."
            unit.closing.reason, unit.closing.detector = pb.Closing.DETECTOR_FAILED, "face"
        running.show(made[5:])
        told = words_until(socket, "closed")
        assert (told["why"], told["reason"], told["detector"]) == ("Detector face failed.", "detector_failed", "face")
        words_until(socket, "lost")
        running.show([pb.EndOfStream(camera_id="gate", epoch=1, frames=12, reason=pb.EndOfStream.FINISHED)])
        words_until(socket, "ended")


def test_i6_a_viewer_gets_each_frame_once_whatever_the_bus_repeats(running: Console) -> None:
    made = units("hall", 20, epoch=7)
    with running.live() as socket:
        socket.send('{"watch": ["hall"]}')
        assert "feed" in str(socket.recv(timeout=10))
        running.show([*made[:10], *made[5:10], *made[10:], *made[:3]])
        found = fragments(socket, 20)
        assert [captured_us for *_, captured_us in found] == [unit.captured_us for unit in made]
        assert found[0][0] & 1
    assert ("live.view", "all", {"camera": "hall", "object": "hall", "purpose": "live monitoring"}) in running.told


def test_what_is_of_no_known_camera_is_left_out(running: Console) -> None:
    running.show(units("elsewhere", 3))
    assert "elsewhere" not in running.hub.channels


def test_i7_the_line_does_not_wait_for_a_console_whose_loop_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.console.hub._PATIENCE_S", 0.05)
    hub = Hub(ConsoleSettings(), cameras=("hall",))

    class Stuck:
        def call_soon_threadsafe(self, *_: object) -> None:
            """Is never heard of again."""

    hub._loop = Stuck()  # type: ignore[assignment]
    bus, stop = MemoryBus(), threading.Event()
    feed = MemoryFeed(bus)
    reading = threading.Thread(target=hub.read, args=(feed, stop))
    reading.start()
    producer = bus.producer()
    began = time.monotonic()
    for unit in units("hall", 50):
        value = message_of(unit).record.value
        producer.publish(Record(VIDEO_REDACTED, "hall", value))
    until = time.monotonic() + 20
    while bus.log(VIDEO_REDACTED).partitions[0].messages and time.monotonic() < until:
        time.sleep(0.05)
    assert not bus.log(VIDEO_REDACTED).partitions[0].messages
    assert time.monotonic() - began < 20
    stop.set()
    reading.join()
    feed.close()


def test_a_code_that_this_version_does_not_know_is_left_to_the_sentence() -> None:
    unit = pb.RedactedUnit(closed=True, why="Because.", closing=pb.Closing(detector="x" * 1000))
    assert Why.of(unit) == Why("Because.")
    unit.closing.reason = 999  # type: ignore[assignment]
    assert Why.of(unit) == Why("Because.")
    unit.why = "x" * 1000
    assert len(Why.of(unit).sentence) == 300
