"""The audit log: chained, in the caller's transaction or its own, and published in order."""

import threading
from contextlib import closing
from pathlib import Path

import pytest

from services.audit.errors import NoPurpose
from services.audit.log import EVERYWHERE, AuditLog
from services.audit.publish import Publisher, publish
from services.audit.sources import Source
from services.audit_chain import first_break
from services.bus.interface import BusLost, Producer, Record, Start
from services.bus.memory import MemoryBus
from services.bus.topics import AUDIT
from services.schema import pb
from tests.support.audit import database, make_log


def on_topic(bus: MemoryBus) -> list[tuple[str, pb.AuditEvent]]:
    messages = bus.reader(AUDIT, Start("oldest")).poll(0.1, 10_000)
    return [(message.record.key, pb.AuditEvent.FromString(message.record.value)) for message in messages]


def test_every_camera_has_a_chain_of_its_own(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    for number in range(3):
        log.append("policy.change", "kim", purpose="a test", camera_id="gate", thing=str(number))
        log.append("policy.change", "kim", purpose="a test", camera_id="yard", thing=str(number))
    log.append("account.create", "lee")
    for key, count in (("gate", 3), ("yard", 3), (EVERYWHERE, 1)):
        events = log.events(key)
        assert len(events) == count
        assert first_break(events) is None
        assert [event.details["number"] for event in events] == [str(number) for number in range(count)]
        assert {event.details["of"] for event in events} == {key}
        assert {event.details["chain"] for event in events} == {"test"}
    assert [(head.key, head.events) for head in log.heads()] == [("*", 1), ("gate", 3), ("yard", 3)]
    assert log.heads()[1].hash == log.events("gate")[-1].hash


def test_logs_in_one_table_have_chains_of_their_own(tmp_path: Path) -> None:
    one, other = make_log(tmp_path, "accounts"), make_log(tmp_path, "console")
    one.append("account.create", "kim")
    other.append("session.begin", "kim")
    one.append("account.create", "lee")
    assert [event.actor for event in one.events()] == ["kim", "lee"]
    assert first_break(one.events()) is None
    assert first_break(other.events()) is None
    assert [each.number for each in other.unpublished()] == [2]


def test_nothing_is_opened_without_name_or_purpose(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    with pytest.raises(NoPurpose, match="What for"):
        log.append("something.nobody.described", "kim")
    with pytest.raises(NoPurpose, match="Who"):
        log.append("account.create", " ")
    log.append("login.failed", "kim")
    assert len(log.events()) == 1


def test_an_event_goes_with_the_transaction_of_what_it_tells(tmp_path: Path) -> None:
    own = database(f"sqlite:///{tmp_path / 'audit.db'}")
    log = AuditLog(own, "test")

    def fails() -> None:
        with own.write() as connection:
            log.append("account.create", "kim", connection=connection)
            raise RuntimeError("the account could not be made")

    with pytest.raises(RuntimeError):
        fails()
    assert log.events() == []
    with own.write() as connection:
        log.tell("account.create", "kim", {"object": "lee", "role": "admin", "second": "yes"}, connection)
        log.tell("account.change", "kim", {"object": "lee", "camera": "gate"}, connection)
    first, second = log.events()
    assert (first.object, first.role, first.details["second"]) == ("lee", "admin", "yes")
    assert second.details["of"] == "gate"


def test_many_threads_leave_one_chain(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    threads = [
        threading.Thread(target=lambda: [log.append("account.change", "kim") for _ in range(10)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(log.events()) == 40
    assert first_break(log.events()) is None


def test_values_are_cut_to_a_bound(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    event = log.append("login.failed", "k" * 5000, details={"agent": "x" * 5000})
    assert len(event.actor) == len(event.details["agent"]) == 500
    with pytest.raises(ValueError, match="at most"):
        log.append("login.failed", "kim", details={str(number): "" for number in range(33)})


def test_events_are_published_once_and_in_order(tmp_path: Path) -> None:
    log, bus = make_log(tmp_path), MemoryBus()
    for number in range(250):
        log.append("account.change", "kim", thing=str(number))
    producer = bus.producer()
    while publish([log], producer):
        pass
    assert [event.object for _, event in on_topic(bus)] == [str(number) for number in range(250)]
    assert first_break([event for _, event in on_topic(bus)]) is None
    assert log.unpublished() == []


def test_all_logs_of_a_database_are_published(tmp_path: Path) -> None:
    bus = MemoryBus()
    for chain in ("accounts", "house"):
        for number in range(120):
            make_log(tmp_path, chain).append("account.change", "kim", thing=str(number))
    with closing(Source("log", f"sqlite:///{tmp_path / 'audit.db'}")) as source:
        producer = bus.producer()
        while publish([source], producer):
            pass
        assert source.unpublished() == []
    events = [event for _, event in on_topic(bus)]
    for chain in ("accounts", "house"):
        assert [each.object for each in events if each.details["chain"] == chain] == [str(n) for n in range(120)]


class Losing:
    """A producer that loses the bus at its first flush."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    def publish(self, record: Record) -> None:
        self._producer.publish(record)

    def flush(self, timeout_s: float) -> None:
        raise BusLost("no broker")

    def close(self) -> None:
        self._producer.close()


def test_what_was_not_acknowledged_comes_again_with_the_same_id(tmp_path: Path) -> None:
    log, bus = make_log(tmp_path), MemoryBus()
    log.append("account.change", "kim")
    log.append("account.change", "lee")
    with pytest.raises(BusLost):
        publish([log], Losing(bus.producer()))  # type: ignore[arg-type]
    assert len(log.unpublished()) == 2
    publish([log], bus.producer())
    seen = [event.event_id for _, event in on_topic(bus)]
    assert len(seen) == 4
    assert list(dict.fromkeys(seen)) == [event.event_id for event in log.events()]


def test_a_publisher_goes_on_after_the_bus_was_lost(tmp_path: Path) -> None:
    log, bus = make_log(tmp_path), MemoryBus()
    calls: list[int] = []

    def connect() -> Producer:
        calls.append(1)
        return Losing(bus.producer()) if len(calls) == 1 else bus.producer()  # type: ignore[return-value]

    publisher = Publisher([log], connect, turn_s=0.01)
    log.append("account.change", "kim")
    publisher.start()
    for _ in range(500):
        if not log.unpublished():
            break
        threading.Event().wait(0.01)
    publisher.stop()
    assert log.unpublished() == []
    assert len(calls) >= 2
    assert {event.actor for _, event in on_topic(bus)} == {"kim"}
