"""Bringing events to the bus: while it is away, slow or broken nobody waits, and nothing is lost."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from services.audit import publish as module
from services.audit.log import AuditLog
from services.audit.publish import publish, publishing
from services.audit.sources import topic_copy
from services.bus.interface import Bus, BusFull, BusLost, Message, Producer, Record, Start
from services.bus.kafka_settings import KafkaSettings
from services.bus.memory import MemoryBus
from services.bus.topics import AUDIT
from services.disclosure import process
from services.disclosure.store import RequestStore
from services.schema import pb
from tests.support.audit import make_log
from tests.support.disclosures import filed

ACT_S = 1.0
"""Longest that writing a request down may take while the bus hangs."""


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def actors(bus: MemoryBus) -> list[str]:
    messages = bus.reader(AUDIT, Start("oldest")).poll(0.1, 10_000)
    return [pb.AuditEvent.FromString(message.record.value).actor for message in messages]


def test_events_wait_until_a_broker_answers(tmp_path: Path) -> None:
    log, bus, tries = make_log(tmp_path), MemoryBus(), list[int]()
    log.append("account.change", "kim")

    def make_bus() -> Bus:
        tries.append(1)
        if len(tries) < 3:
            raise BusLost("no broker")
        return bus

    with publishing([log], make_bus):
        wait_for(lambda: not log.unpublished())
        log.append("account.change", "lee")
        wait_for(lambda: not log.unpublished())
        assert actors(bus) == ["kim", "lee"]
    assert len(tries) == 3, "one bus for good"


def test_nobody_waits_for_a_broker_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.Publisher.stop, "__defaults__", (0.1,))
    hung, going = threading.Event(), threading.Event()

    class Hangs:
        def publish(self, record: Record) -> None:
            pass

        def flush(self, timeout_s: float) -> None:
            hung.set()
            going.wait(30)
            raise TimeoutError("not acknowledged")

        def close(self) -> None:
            pass

    bus = cast("Bus", SimpleNamespace(producer=Hangs, close=lambda: None))
    with closing(RequestStore(f"sqlite:///{tmp_path}/requests.db")) as store:
        store.add(filed())
        with publishing([store], lambda: bus):
            assert hung.wait(20)
            began = time.monotonic()
            store.add(filed())
            assert time.monotonic() - began < ACT_S
            began = time.monotonic()
        assert time.monotonic() - began < ACT_S, "the end waits as long as it is told to"
        assert len(store.unpublished()) == 2
        going.set()


def test_an_error_that_nobody_foresaw_does_not_end_it(tmp_path: Path) -> None:
    log, bus, tries = make_log(tmp_path), MemoryBus(), list[int]()
    log.append("account.change", "kim")

    def make_bus() -> Bus:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("a fault of ours")
        return bus

    failures = module.FAILED._value.get()
    with publishing([log], make_bus):
        wait_for(lambda: not log.unpublished())
        assert actors(bus) == ["kim"]
    assert module.FAILED._value.get() == failures + 1


class Slow:
    """A producer that does not know the topic's partitions at first."""

    def __init__(self, producer: Producer, refusals: int) -> None:
        self._producer, self._left = producer, refusals

    def publish(self, record: Record) -> None:
        if self._left:
            self._left -= 1
            raise BusFull("the partitions are not known yet")
        self._producer.publish(record)

    def wait(self, timeout_s: float) -> None:
        assert 0 < timeout_s <= module._WAIT_S

    def flush(self, timeout_s: float) -> None:
        self._producer.flush(timeout_s)


def test_a_topic_that_is_not_known_at_once_is_waited_for(tmp_path: Path) -> None:
    log, bus = make_log(tmp_path), MemoryBus()
    log.append("account.change", "kim")
    assert publish([log], cast("Producer", Slow(bus.producer(), 5))) == 1
    assert actors(bus) == ["kim"]


def test_a_bus_that_takes_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WAIT_S", 0.05)
    log = make_log(tmp_path)
    log.append("account.change", "kim")
    with pytest.raises(TimeoutError, match="takes no more"):
        publish([log], cast("Producer", Slow(MemoryBus().producer(), 1 << 30)))
    assert len(log.unpublished()) == 1


def test_disclosure_publishes_where_a_broker_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[object, ...]] = []

    def fake(outboxes: list[object], *_: object) -> AbstractContextManager[None]:
        made.append(tuple(outboxes))
        return nullcontext()

    monkeypatch.setattr(process, "publishing", fake)
    monkeypatch.delenv("VEIL_KAFKA_BOOTSTRAP", raising=False)
    desk, accounts = SimpleNamespace(store="requests"), SimpleNamespace(log="accounts")
    process._publishing(desk, accounts, KafkaSettings())  # type: ignore[arg-type]
    assert made == []
    monkeypatch.setenv("VEIL_KAFKA_BOOTSTRAP", "127.0.0.1:9093")
    process._publishing(desk, accounts, KafkaSettings())  # type: ignore[arg-type]
    assert made == [("requests", "accounts")]


# The topic as a check reads it


class Silent:
    """A reader whose broker is gone."""

    caught_up = False

    def poll(self, timeout_s: float, max_records: int = 64) -> list[Message]:
        return []


def test_a_broker_that_goes_silent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.audit.sources._SILENCE_S", 0.05)
    with pytest.raises(BusLost, match="nothing came"):
        topic_copy(Silent(), 0)  # type: ignore[arg-type]


def test_what_the_topic_must_still_hold(tmp_path: Path) -> None:
    log, bus = make_log(tmp_path), MemoryBus()
    kept_us = int(AUDIT.retention.total_seconds() * 1e6)
    reader = bus.reader(AUDIT, Start("oldest"))
    chains, since_us = topic_copy(reader, 2 * kept_us)
    assert (dict(chains), since_us) == ({}, kept_us), "an empty topic hides nothing that is younger than its retention"
    filled = AuditLog(log._database, "test")
    filled.append("account.change", "kim")
    publish([filled], bus.producer())
    (message,) = bus.reader(AUDIT, Start("oldest")).poll(0.1)
    for now_us in (message.timestamp_us + 1, message.timestamp_us + 2 * kept_us):
        _, since_us = topic_copy(bus.reader(AUDIT, Start("oldest")), now_us)
        assert since_us == max(message.timestamp_us, now_us - kept_us)
